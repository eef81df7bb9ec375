"""Leaky integrator (LI): the readout that listens to spikes and never fires.

    o_t = alpha o_{t-1} + (1 - alpha) I_t               alpha = exp(-dt / tau_mem)

| symbol   | argument    | unit     | default                     | range    | source              |
|----------|-------------|----------|-----------------------------|----------|---------------------|
| tau_mem  | ``tau_mem`` | step     | normal(20, 5), 20 if shared | [1, 200] | Yin 2021, SHD       |
| o at t=0 | -           | membrane | 0                           | -        | ours; Yin: U(0, 1)  |

The input gain 1 - alpha makes o the running mean of I over about tau_mem steps. The lower bound on
tau_mem keeps it a memory: an unbounded one has been trained to 0.04 steps.

Source: Yin, Corradi, Bohté 2021 (Nature Machine Intelligence 3), as in their code.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ._given import whole
from .distributions import Distribution
from .kernels.events import EventBatch
from .kernels.reference import check_reset
from .kernels.sequence import run_integrator, shape_after
from .time_constant import TimeConstant, check_fits


class LIState(NamedTuple):
    """State of leaky integrators.

    Attributes:
        membrane: o, [batch, neurons].
    """

    membrane: Tensor


def li_step(current: Tensor, state: LIState, alpha: Tensor) -> tuple[Tensor, LIState]:
    """Advance leaky integrators by one step.

    Args:
        current: I_t, [batch, neurons].
        state: o of the step before.
        alpha: decay over one step, broadcasting against [batch, neurons].

    Returns:
        The membrane [batch, neurons] and the new state, which holds it.
    """
    o = alpha * state.membrane + (1 - alpha) * current
    return o, LIState(o)


class LI(nn.Module):
    """Layer of leaky integrators with a learned time constant per neuron.

    Args:
        neurons: how many.
        tau_mem: time constant in steps: a number, a distribution, the text of one, or a
            :class:`TimeConstant`.

    Raises:
        ValueError: if the time constant is out of range, or a given one has another size; for a
            number of neurons that is none.

    Example:
        >>> li = LI(2, tau_mem=20.0)
        >>> membrane, state = li.forward_sequence(torch.ones(100, 1, 2))
        >>> round(membrane[-1, 0, 0].item(), 4)  # 1 - exp(-100 / 20)
        0.9933
    """

    def __init__(
        self, neurons: int, tau_mem: float | str | Distribution | TimeConstant = "normal(20, 5)"
    ) -> None:
        super().__init__()
        whole(1, neurons=neurons)
        self.neurons = neurons
        if isinstance(tau_mem, TimeConstant):
            check_fits(tau_mem, (neurons,))
        else:
            tau_mem = TimeConstant(tau_mem, neurons, bounds=(1.0, 200.0))
        self.tau_mem = tau_mem

    def initial_state(self, like: Tensor) -> LIState:
        """The state before the first step: zeros of the shape of ``like``."""
        return LIState(torch.zeros_like(like))

    def forward_sequence(
        self,
        input_: Tensor | EventBatch,
        state: LIState | None = None,
        *,
        reset: Tensor | None = None,
        projection: nn.Module | None = None,
    ) -> tuple[Tensor, LIState]:
        """Integrate a whole sequence.

        Args:
            input_: current, [time, batch, neurons].
            state: where to start from; None for zeros.
            reset: mask [time, batch] of steps before which the membrane is put to zero.
            projection: a module that makes the current from ``input_``, which then is [time, batch,
                channels]; see :meth:`srnn.neurons.RALIF.forward_sequence`.

        Returns:
            The membrane of every step [time, batch, neurons], and the final state.

        Raises:
            ValueError: if a shape does not fit.
        """
        shape = shape_after(input_, projection)
        told = projection is None or isinstance(projection, nn.Linear)
        if len(shape) != 3 or (told and shape[-1] != self.neurons):
            raise ValueError(
                f"LI expects a current of shape [time, batch, {self.neurons}], got {list(shape)}."
            )
        check_reset(reset, shape)
        alpha = self.tau_mem.decay()
        found = run_integrator(self, input_, projection, alpha, state, reset)
        if isinstance(found, tuple):
            trace, last = found
            return trace, LIState(last)
        state = state or self.initial_state(found.new_empty(found.shape[1:]))
        membranes = []
        for t, x in enumerate(found.unbind(0)):
            if reset is not None:
                state = LIState(state.membrane.masked_fill(reset[t].bool()[:, None], 0))
            o, state = li_step(x, state, alpha)
            membranes.append(o)
        return (torch.stack(membranes) if membranes else torch.zeros_like(found)), state
