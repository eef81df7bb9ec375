"""The protocol of synapses with a state of their own, whatever their dynamics.

Plastic synapses stand between N presynaptic lines and H neurons. At every step they are asked
twice, by two pure functions, since what a neuron answers depends on what they deliver:

    z_t = [x_t ; h_{t-1}]                               the inputs, if any, then the neurons
    I_t, s'   = transmit(z_t, s_t)                      current, and what the reading changed
    h_t       = neuron(I_t)
    s_{t+1}   = update(z_t, h_t, s')                    learning and forgetting until the next step

A synapse plugin owns its parameters and describes its state; it keeps no state itself. The loop
over time is in :mod:`sequence`, and :class:`PlasticRLeaky` is a neuron that keeps the state.

| symbol | shape         | unit | start               | meaning                                    |
|--------|---------------|------|---------------------|--------------------------------------------|
| x      | [batch, I]    | 1    | -                   | inputs; none with ``inputs=0``             |
| h      | [batch, H]    | 1    | 0                   | activity of the neurons, such as spikes    |
| z      | [batch, N]    | 1    | -                   | presynaptic activity, N = I + H            |
| I      | [batch, H]    | -    | -                   | current delivered to the neurons           |
| W      | [H, N]        | -    | U(-1/√H, 1/√H)      | long-term efficacy, inputs' columns first  |
| b      | [H]           | -    | U(-1/√H, 1/√H)      | bias                                       |

Source of the form and of the start: Rodriguez, Guo and Moraitis 2022 (ICML), as in their code.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .._given import whole
from ..kernels.choice import transformed


class ActivityError(ValueError):
    """Presynaptic activity is none that a plugin's dynamics are made for."""


class Plasticity(nn.Module, ABC):
    """Base of the synapse plugins; a subclass adds a state and its dynamics.

    Args:
        neurons: H, the number of neurons that the synapses end on, and that feed back.
        inputs: I, the number of input lines that the synapses cover besides; 0 for recurrent
            synapses alone.
        bias: whether a learned bias is added to the current.

    Raises:
        ValueError: for less than one neuron, a negative number of inputs, or no whole number.
    """

    state_type: Any
    """The NamedTuple of the state."""

    activity_range: tuple[float, float] = (-math.inf, math.inf)
    """Lowest and highest presynaptic activity that the dynamics are made for."""

    def __init__(self, neurons: int, inputs: int = 0, *, bias: bool = True) -> None:
        super().__init__()
        whole(1, neurons=neurons)
        whole(0, inputs=inputs)
        self.neurons = neurons
        self.inputs = inputs
        self.W = self._drawn((neurons, self.lines))
        self.bias = self._drawn((neurons,)) if bias else None

    def _drawn(self, shape: tuple[int, ...], scale: float = 1.0) -> nn.Parameter:
        """A parameter that starts from U(-1, 1) scale / √H."""
        bound = scale / math.sqrt(self.neurons)
        return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    def _shape_per(self, **given: str) -> tuple[int, ...]:
        """Shape of an option such as ``lambda_per="synapse"``, a value for each or one for all."""
        (per,) = given.values()
        one_of(("synapse", "scalar"), **given)
        return (self.neurons, self.lines) if per == "synapse" else ()

    @property
    def lines(self) -> int:
        """N, the number of presynaptic lines."""
        return self.inputs + self.neurons

    @property
    def synapses(self) -> int:
        """Number of synapses, H N."""
        return self.neurons * self.lines

    def presynaptic(self, x: Tensor, h: Tensor) -> Tensor:
        """Return z of an input [batch, inputs] and the last activity [batch, neurons].

        Without input lines x reaches the neurons by another way, and z is h.
        """
        return torch.cat([x, h], dim=-1) if self.inputs else h

    def check_activity(self, z: Tensor) -> None:
        """Refuse presynaptic activity of a whole sequence that the dynamics are not made for.

        Nothing is asked of it in a program that is being traced, nor in a single step: on a GPU,
        the answer waits for all that has been asked before.

        Raises:
            ActivityError: if it leaves :attr:`activity_range`.
        """
        low, high = self.activity_range
        unbounded = math.isinf(low) and math.isinf(high)
        if unbounded or not z.numel() or torch.compiler.is_compiling() or transformed():
            return
        least, most = z.detach().aminmax()
        if not bool((least >= low) & (most <= high)):
            raise ActivityError(
                f"{type(self).__name__} takes activity between {low:g} and {high:g}, such as "
                f"spikes, got {float(least):g} .. {float(most):g}."
            )

    @abstractmethod
    def params(self) -> Any:
        """Compute the parameters of one step, a NamedTuple, from what is learned."""

    @abstractmethod
    def initial_state(self, batch: int, like: Tensor) -> Any:
        """Return the state before the first step.

        Args:
            batch: number of sequences.
            like: any tensor of the dtype and on the device that the state shall have.

        Returns:
            A NamedTuple of tensors [batch, ...].
        """

    @abstractmethod
    def transmit(self, z: Tensor, state: Any, params: Any) -> tuple[Tensor, Any]:
        """Deliver presynaptic activity.

        Args:
            z: presynaptic activity, [batch, lines].
            state: the state that the step before has left.
            params: the parameters.

        Returns:
            The current [batch, neurons], and the state after the reading, for :meth:`update`.
        """

    @abstractmethod
    def update(self, z: Tensor, h: Tensor, state: Any, params: Any) -> Any:
        """Learn from a step, and forget until the next.

        Args:
            z: what was transmitted, [batch, lines].
            h: what the neurons answered, [batch, neurons].
            state: the state as :meth:`transmit` has left it.
            params: the parameters.

        Returns:
            The state of the next step.
        """

    @abstractmethod
    def efficacy(self, state: Any, params: Any) -> Tensor:
        """Return what each synapse delivers for a presynaptic activity of one.

        Returns:
            g, [batch, neurons, lines]: the current of a single active line, without the bias.
        """

    def extra_repr(self) -> str:
        """Number of neurons and inputs."""
        return f"{self.neurons}, inputs={self.inputs}"


_REPLACED = ("V", "all_to_all", "conv2d_channels", "kernel_size", "learn_recurrent")


def refuse_connections(given: Iterable[str], *more: str) -> None:
    """Refuse keywords of the recurrent connections, in whose place a plugin stands.

    Args:
        given: names of the keywords that a user gave.
        *more: further ones that are not the user's to give.

    Raises:
        TypeError: if there are any.
    """
    if refused := [name for name in (*_REPLACED, *more) if name in given]:
        raise TypeError(f"The plasticity holds the recurrent connections: leave out {refused}.")


def one_of(choices: tuple[str, ...], **given: str) -> str:
    """Return the value of an option, or refuse it by its name.

    Raises:
        ValueError: if the value is none of the choices.
    """
    ((name, value),) = given.items()
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    return value


def deliver(g: Tensor, z: Tensor, bias: Tensor | None) -> Tensor:
    """Return the current g z + b.

    Args:
        g: efficacies, [batch, neurons, lines].
        z: presynaptic activity, [batch, lines].
        bias: b, [neurons], or None.

    Returns:
        The current, [batch, neurons].
    """
    current = torch.einsum("bij,bj->bi", g, z)
    return current if bias is None else current + bias
