"""The reference kernel: a plain loop over time, differentiated by autograd."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def check_reset(reset: Tensor | None, shape: Sequence[int]) -> None:
    """Refuse a mask of new episodes that does not fit the [time, batch, ...] of a sequence.

    Raises:
        ValueError: if the mask has another shape than [time, batch].
    """
    if reset is not None and tuple(reset.shape) != tuple(shape[:2]):
        raise ValueError(
            f"The reset mask must have the shape [time, batch] = {list(shape[:2])}, "
            f"got {list(reset.shape)}."
        )


def check_state(state: Any, initial: Any, name: str = "state") -> None:
    """Refuse a carried state that is none of this layer, or of another batch: it would broadcast.

    Args:
        state: what a user gave.
        initial: the state of a new sequence, with the types and shapes that it has to have.
        name: of the state, in words for the message.

    Raises:
        ValueError: if a field is of another type or shape.
    """
    kind = Tensor if isinstance(initial, Tensor) else type(initial)
    if not isinstance(state, kind) or (kind is tuple and len(state) != len(initial)):
        raise ValueError(
            f"The {name} must be of the type {kind.__name__}, as a call before has returned it, "
            f"got {type(state).__name__}."
        )
    if kind is Tensor:
        if state.shape != initial.shape:
            raise ValueError(
                f"The {name} must have the shape {list(initial.shape)}, got {list(state.shape)}: "
                "carry the state of the same sequences on, or begin with None."
            )
        return
    fields = getattr(kind, "_fields", range(len(initial)))
    for field, part, start in zip(fields, state, initial, strict=True):
        check_state(part, start, f"{field} of the {name}")


def run(
    advance: Callable[[Tensor, Tensor, Any], tuple[Tensor, Any]],
    input_: Tensor,
    spikes: Tensor,
    state: Any,
    initial: Any,
    reset: Tensor | None,
    with_membrane: bool,
) -> tuple[Tensor, Tensor | None, Any]:
    """Advance a layer over a sequence.

    Args:
        advance: one step, (current, spikes, state) -> (spikes, state).
        input_: current, [time, batch, neurons].
        spikes: those that the layer sent out in the step before, [batch, neurons].
        state: state to start from, a NamedTuple of tensors.
        initial: state of a new episode.
        reset: mask [time, batch] of steps that begin a new episode, or None.
        with_membrane: whether to keep the membrane of every step.

    Returns:
        The spikes [time, batch, neurons], the membrane likewise or None, and the final state.
    """
    outputs, membranes = [], []
    # Not input_[t]: the backward pass of each index would fill a tensor of the whole sequence with
    # zeros.
    for t, x in enumerate(input_.unbind(0)):
        if reset is not None:
            begin = reset[t].bool().reshape(-1, *(1 for _ in x.shape[1:]))
            spikes = torch.where(begin, initial.spikes, spikes)
            state = type(state)(
                *(torch.where(begin, i, s) for i, s in zip(initial, state, strict=True))
            )
        spikes, state = advance(x, spikes, state)
        outputs.append(spikes)
        if with_membrane:
            membranes.append(state.membrane)
    empty = not outputs
    trace = None
    if with_membrane:
        trace = torch.zeros_like(input_) if empty else torch.stack(membranes)
    return (
        torch.zeros_like(input_) if empty else torch.stack(outputs),
        trace,
        state._replace(spikes=spikes),
    )
