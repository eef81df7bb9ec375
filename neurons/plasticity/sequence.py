"""The reference loop of neurons with plastic synapses: a plain loop, differentiated by autograd.

    z_t = [x_t ; h_{t-1}]                               h: activity, such as spikes
    I_t, s'      = transmit(z_t, s_t)                   plus x_t where the plugin covers no inputs
    h_t, n_{t+1} = advance(I_t, h_{t-1}, n_t)           n: state of the neurons, s: of the synapses
    s_{t+1}      = update(z_t, h_t, s')

What a faster kernel computes is tested against :func:`run`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..kernels.reference import check_reset, check_state
from .plugin import Plasticity

Advance = Callable[[Tensor, Tensor, Any], tuple[Tensor, Any]]
"""One step of the neurons: (current, activity of the step before, state) -> (activity, state)."""


class PlasticState(NamedTuple):
    """State of neurons with plastic synapses.

    Attributes:
        h: what the neurons sent in the last step, [batch, neurons].
        neurons: the neurons' own state, a NamedTuple of tensors [batch, ...], or an empty tuple.
        synapses: the plugin's state, likewise.
    """

    h: Tensor
    neurons: Any
    synapses: Any


def restart(state: Any, initial: Any, begin: Tensor) -> Any:
    """Put a state to its initial value in the sequences that begin a new episode.

    Args:
        state: a tensor [batch, ...], or nested tuples of such.
        initial: the same at the start of an episode.
        begin: mask [batch].

    Returns:
        The state; no gradient crosses the start of an episode.
    """
    if isinstance(state, Tensor):
        mask = begin.bool().reshape(-1, *(1 for _ in state.shape[1:]))
        return torch.where(mask, initial, state)
    parts = [restart(now, start, begin) for now, start in zip(state, initial, strict=True)]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def plastic_step(
    x: Tensor, state: PlasticState, plasticity: Plasticity, params: Any, advance: Advance
) -> tuple[Tensor, PlasticState]:
    """Advance neurons and their plastic synapses by one step.

    Args:
        x: activity of the input lines, [batch, inputs], or, where the plugin covers none, a
            current, [batch, neurons].
        state: the state of the step before.
        plasticity: the plugin.
        params: its parameters.
        advance: one step of the neurons.

    Returns:
        The activity [batch, neurons] and the new state.
    """
    z = plasticity.presynaptic(x, state.h)
    current, synapses = plasticity.transmit(z, state.synapses, params)
    if not plasticity.inputs:
        current = x + current
    h, neurons = advance(current, state.h, state.neurons)
    return h, PlasticState(h, neurons, plasticity.update(z, h, synapses, params))


def run(
    x: Tensor,
    state: PlasticState,
    initial: PlasticState,
    reset: Tensor | None,
    plasticity: Plasticity,
    advance: Advance,
) -> tuple[Tensor, PlasticState]:
    """Advance neurons and their plastic synapses over a sequence.

    Args:
        x: [time, batch, inputs], or [time, batch, neurons], as in :func:`plastic_step`.
        state: state to start from.
        initial: state of a new episode.
        reset: mask [time, batch] of steps that begin a new episode, or None.
        plasticity: the plugin.
        advance: one step of the neurons.

    Returns:
        The activity of every step [time, batch, neurons], and the final state.

    Raises:
        ValueError: if the mask or the state does not fit, or the activity is none that the plugin
            takes.
    """
    check_reset(reset, x.shape)
    check_state(state, initial)
    plasticity.check_activity(state.h)
    if plasticity.inputs:
        plasticity.check_activity(x)
    params = plasticity.params()
    outputs = []
    for t, x_t in enumerate(x.unbind(0)):
        if reset is not None:
            state = restart(state, initial, reset[t])
        h, state = plastic_step(x_t, state, plasticity, params, advance)
        outputs.append(h)
    activity = torch.stack(outputs) if outputs else initial.h.new_zeros(0, *initial.h.shape)
    plasticity.check_activity(activity)
    return activity, state
