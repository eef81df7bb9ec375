"""A sequence of tanh units with plastic synapses, compiled where it can be.

    h_t = tanh(I_t)                                     I_t and the rest: sequence.py

A new episode begins with h = 0 and the synapses' own initial state. With :class:`HebbianSTP`, or
:class:`MemristiveSTP` whose devices are written without noise and to any level, the compiled kernel
computes the whole sequence in one call, unless SRNN_KERNEL names another; what it cannot run, such
as other synapses, a transform of ``torch.func``, a GPU or a type other than float32 and float64,
runs in the loop.
"""

import torch
from torch import Tensor

from ..kernels import hebbian
from ..kernels.hebbian_library import HebbianProblem
from ..kernels.reference import check_reset
from .hebbian import HebbianState, HebbianSTP
from .memristive import MemristiveSTP
from .plugin import Plasticity
from .sequence import PlasticState, run


def _tanh(current: Tensor, h: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
    """One step of the units, which have no state of their own but h."""
    return torch.tanh(current), state


def _problem(
    x: Tensor, state: PlasticState, reset: Tensor | None, plasticity: Plasticity
) -> HebbianProblem | None:
    """What the compiled kernel is to compute; None if it does not know the synapses."""
    # A subclass, or methods of this instance alone, may do something else.
    if vars(plasticity).keys() & {"transmit", "update"}:
        return None
    if type(plasticity) is HebbianSTP:
        p = plasticity.params()
        limits = (-p.clamp, p.clamp, False, 0.0)
        return HebbianProblem(x, state.h, state.synapses.F, reset, *p[:-1], *limits)
    if type(plasticity) is MemristiveSTP and plasticity.writing.plain:
        d, w = plasticity.params(), plasticity.writing
        return HebbianProblem(
            *(x, state.h, state.synapses.F, reset, d.W, d.decay, d.Gamma, d.bias),
            normalisation=d.normalisation,
            recurrent=d.recurrent,
            low=w.low,
            high=w.high,
            of_sum=True,
            threshold=w.threshold,
        )
    return None


def check_tanh(plasticity: Plasticity) -> None:
    """Refuse synapses that do not take what tanh units send.

    Raises:
        ValueError: if their dynamics are made for a narrower range than -1 .. 1.
    """
    low, high = plasticity.activity_range
    if low > -1 or high < 1:
        raise ValueError(
            f"{type(plasticity).__name__} takes activity between {low:g} and {high:g}, and tanh "
            "units send -1 .. 1: give them HebbianSTP or MemristiveSTP."
        )


def run_tanh(
    x: Tensor, state: PlasticState, reset: Tensor | None, plasticity: Plasticity
) -> tuple[Tensor, PlasticState]:
    """Advance tanh units and their plastic synapses over a sequence.

    Args:
        x: [time, batch, inputs].
        state: state to start from.
        reset: mask [time, batch] of steps that begin a new episode, or None.
        plasticity: the plugin; it covers the inputs.

    Returns:
        The activity of every step [time, batch, neurons], and the final state.

    Raises:
        ValueError: if a shape or the synapses do not fit, or SRNN_KERNEL names no kernel.
        RuntimeError: if it names one that is not installed.
    """
    check_tanh(plasticity)
    width = plasticity.inputs or plasticity.neurons
    if x.dim() != 3 or x.shape[-1] != width:
        raise ValueError(
            f"Tanh units with these synapses expect an input of shape [time, batch, {width}], "
            f"got {list(x.shape)}."
        )
    check_reset(reset, x.shape)
    if not isinstance(state, PlasticState) or not isinstance(state.synapses, plasticity.state_type):
        raise ValueError(
            f"The state must be a PlasticState whose synapses are a "
            f"{plasticity.state_type.__name__}, as run_tanh returns it."
        )
    problem = _problem(x, state, reset, plasticity) if len(x) else None
    if problem is not None and hebbian.compiled(problem):
        h, F = hebbian.solve(problem)
        return h, PlasticState(h[-1], (), HebbianState(F))
    rest = PlasticState(
        x.new_zeros(x.shape[1], plasticity.neurons), (), plasticity.initial_state(x.shape[1], x)
    )
    return run(x, state, rest, reset, plasticity, _tanh)
