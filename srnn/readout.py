"""Readouts: from the spikes of the last hidden layer to one score per class.

A readout is a projection W_o S_t + b_o, a layer of output neurons, and a reduction of their trace
over time. Yin, Corradi and Bohté read their networks in these ways:

| reduction       | trace    | logits                                | used for          |
|-----------------|----------|---------------------------------------|-------------------|
| ``softmax-sum`` | membrane | sum over t >= burn_in of softmax(o_t) | SHD (burn_in 11)  |
| ``mean``        | membrane | mean over t >= burn_in of o_t         | SSC, GSC          |
| ``last``        | membrane | o_T                                   | -                 |
| ``count``       | spikes   | sum over t >= burn_in of S_t          | S-MNIST, PS-MNIST |
| ``stream``      | membrane | o_t, one output a step                | ECG, SoLi         |

Output neurons are leaky integrators, or spiking ones where spikes are counted; or there are none,
and the trace is the projection itself, as non-spiking networks are read. The cross entropy of
the logits is the loss in every case: for ``softmax-sum`` that is the log-softmax of a sum of
softmaxes, as in the published code.

Reductions carry their running value from one piece of a sequence to the next, so that truncated
backpropagation sees at every piece what the published code does: the score so far.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from srnn.neurons import ALIF, LI
from srnn.neurons.kernels.choice import takes_projection


class ReadoutState(NamedTuple):
    """What a readout carries from one piece of a sequence to the next.

    Attributes:
        neurons: state of the output neurons.
        total: running sum of what is reduced, [batch, classes].
        steps: number of steps seen so far.
    """

    neurons: Any
    total: Tensor
    steps: int


def _softmax_sum(trace: Tensor, skip: int, total: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    total = total + _without(skip, torch.softmax(trace, dim=-1)).sum(0)
    return total, total


def _mean(trace: Tensor, skip: int, total: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    total = total + _without(skip, trace).sum(0)
    return total / max(steps, 1), total


def _count(trace: Tensor, skip: int, total: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    total = total + _without(skip, trace).sum(0)
    return total, total


def _last(trace: Tensor, skip: int, total: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    return trace[-1], total


def _stream(trace: Tensor, skip: int, total: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    return trace, total


def _without(skip: int, values: Tensor) -> Tensor:
    """The values, with zeros in the steps that are left out.

    Zeros and not a slice, which would tie an exported program to some numbers of steps.
    """
    if not skip:
        return values
    steps = torch.arange(values.shape[0], device=values.device)
    return values * (steps >= skip).to(values.dtype)[:, None, None]


REDUCTIONS: dict[str, Callable[[Tensor, int, Tensor, int], tuple[Tensor, Tensor]]] = {
    "softmax-sum": _softmax_sum,
    "mean": _mean,
    "last": _last,
    "count": _count,
    "stream": _stream,
}
"""Reductions by name: (trace [time, batch, classes], number of its first steps that are of the
burn-in, running total, number of steps after the burn-in so far) -> (logits, new total)."""


class Readout(nn.Module):
    """Projection, output neurons and a reduction over time.

    Args:
        inputs: number of neurons in the last hidden layer.
        classes: number of classes.
        reduction: one of :data:`REDUCTIONS`.
        neuron: output neurons, a layer of ``classes`` neurons with ``forward_sequence``; by default
            leaky integrators, :class:`srnn.neurons.LI`; for ``"count"`` adaptive spiking neurons,
            :class:`srnn.neurons.ALIF`. ``nn.Identity()`` stands for no neurons.
        burn_in: number of first steps that the sums leave out.

    Raises:
        ValueError: for an unknown reduction, a negative burn-in, or ``"count"`` without spiking
            neurons.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        reduction: str = "softmax-sum",
        *,
        neuron: nn.Module | None = None,
        burn_in: int = 0,
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"Unknown readout {reduction!r}; choose from {', '.join(REDUCTIONS)}.")
        if burn_in < 0:
            raise ValueError(f"burn_in is a number of steps and cannot be negative, got {burn_in}.")
        self.reduction = reduction
        self.burn_in = burn_in
        self.projection = nn.Linear(inputs, classes)
        if neuron is None:
            neuron = ALIF(linear_features=classes) if reduction == "count" else LI(classes)
        self.neuron: Any = neuron
        if reduction == "count" and not self.spikes:
            raise ValueError("The readout 'count' counts spikes: give it spiking output neurons.")

    @property
    def spikes(self) -> bool:
        """Whether the output neurons fire."""
        return not isinstance(self.neuron, LI | nn.Identity)

    def initial_state(self, like: Tensor) -> ReadoutState:
        """The state before the first step; ``like`` is a [batch, classes] tensor."""
        none = isinstance(self.neuron, nn.Identity)
        neurons = () if none else self.neuron.initial_state(like)
        return ReadoutState(neurons, torch.zeros_like(like), 0)

    def forward(
        self, spikes: Tensor, state: ReadoutState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, ReadoutState, Tensor | None]:
        """Read a sequence, or the next piece of one.

        Args:
            spikes: of the last hidden layer, [time, batch, neurons].
            state: where to start from; None for the beginning of a sequence.
            reset: mask [time, batch] of steps that begin a new episode, for ``"stream"`` only.

        Returns:
            The logits, [batch, classes], or [time, batch, classes] for ``"stream"``; the state to
            go on from; the spikes of the output neurons, [time, batch, classes], or None if they
            have none.

        Raises:
            ValueError: for a reset mask with a reduction over time.
        """
        if reset is not None and self.reduction != "stream":
            raise ValueError(
                f"The readout {self.reduction!r} gives one answer a sequence and cannot begin anew "
                "within it; use 'stream' with a reset mask."
            )
        if state is None:
            state = self.initial_state(
                spikes.new_empty(spikes.shape[1], self.projection.out_features)
            )
        signal, fired = spikes, None
        options: dict[str, Any] = {"reset": reset}
        if takes_projection(self.neuron):
            options["projection"] = self.projection
        else:
            signal = self.projection(spikes)
        if isinstance(self.neuron, nn.Identity):
            trace, neurons = signal, state.neurons
        elif isinstance(self.neuron, LI):
            trace, neurons = self.neuron.forward_sequence(signal, state.neurons, **options)
        else:
            fired, neurons, trace = self.neuron.forward_sequence(
                signal, state.neurons, return_membrane=True, **options
            )
            trace = fired if self.reduction == "count" else trace
        skip = max(self.burn_in - state.steps, 0)
        seen = state.steps + spikes.shape[0]
        logits, total = REDUCTIONS[self.reduction](
            trace, skip, state.total, max(seen - self.burn_in, 0)
        )
        return logits, ReadoutState(neurons, total, seen), fired

    def extra_repr(self) -> str:
        """The reduction and its burn-in."""
        return f"{self.reduction!r}, burn_in={self.burn_in}"
