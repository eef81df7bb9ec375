"""A sequence of tanh units with plastic synapses, compiled where it can be.

    h_t = tanh(I_t)                                     I_t and the rest: sequence.py

A new episode begins with h = 0 and the synapses' own initial state. With :class:`HebbianSTP` the
compiled kernel computes the whole sequence in one call, unless SRNN_KERNEL names another; what it
cannot run, such as other synapses, a transform of ``torch.func``, a GPU or a type other than
float32 and float64, runs in the loop.
"""

import torch
from torch import Tensor

from ..kernels import hebbian
from ..kernels.hebbian_library import HebbianProblem
from .hebbian import HebbianState, HebbianSTP
from .plugin import Plasticity
from .sequence import PlasticState, run


def _tanh(current: Tensor, h: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
    """One step of the units, which have no state of their own but h."""
    return torch.tanh(current), state


def _known(plasticity: Plasticity) -> bool:
    """Whether a plugin is no subclass, and has no methods of this instance alone."""
    return type(plasticity) is HebbianSTP and not vars(plasticity).keys() & {"transmit", "update"}


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
        ValueError: if a shape does not fit, or SRNN_KERNEL names no kernel.
        RuntimeError: if it names one that is not installed.
    """
    if len(x) and _known(plasticity):
        params = plasticity.params()
        tensors = (x, state.h, state.synapses.F, *params[:4])
        if hebbian.compiled(tensors):
            problem = HebbianProblem(x, state.h, state.synapses.F, reset, *params)
            h, F = hebbian.solve(problem)
            return h, PlasticState(h[-1], (), HebbianState(F))
    rest = PlasticState(
        x.new_zeros(x.shape[1], plasticity.neurons), (), plasticity.initial_state(x.shape[1], x)
    )
    return run(x, state, rest, reset, plasticity, _tanh)
