"""What a network remembers: cut from the graph, taken apart, put back to its start.

A state is a tensor, or nested tuples of tensors and numbers, such as ``Record.state``.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


def detach(state: Any) -> Any:
    """Cut a network's state from its graph, as truncated backpropagation does between pieces.

    Args:
        state: a state.

    Returns:
        The same structure around detached tensors.
    """
    return map_tensors(Tensor.detach, state)


def select(state: Any, places: Tensor, dim: int = 0) -> Any:
    """Take some of the sequences of a batch out of its state.

    Args:
        state: a state.
        places: of the sequences in the batch, [chosen] int64, on any device.
        dim: the dimension of the batch in every tensor of the state.
    """
    return map_tensors(lambda part: part.index_select(dim, places.to(part.device)), state)


def tensors(state: Any) -> list[Tensor]:
    """List the tensors of a state, in a fixed order, as a checkpoint may hold them."""
    if isinstance(state, Tensor):
        return [state]
    return [part for some in state for part in tensors(some)] if isinstance(state, tuple) else []


def with_tensors(state: Any, parts: list[Tensor]) -> Any:
    """Make a state of a structure from what :func:`tensors` listed of another one.

    Args:
        state: one of the same structure; it is left as it is.
        parts: the tensors.

    Raises:
        ValueError: if the structure has other tensors.
    """
    shapes = [part.shape for part in tensors(state)]
    if shapes != [part.shape for part in parts]:
        raise ValueError(
            f"The state has tensors of {list(map(list, shapes))}, "
            f"not of {[list(part.shape) for part in parts]}."
        )
    remaining = iter(parts)
    return map_tensors(lambda _: next(remaining), state)


def map_tensors(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Apply a function to every tensor of a state; what is no tensor stays as it is."""
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, tuple):
        parts = [map_tensors(function, part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state


def reset(net: nn.Module) -> None:
    """Put every neuron of a network to its initial state, cut from the graph.

    ``snntorch.utils.reset`` looks at the direct children of a network, and then resets every
    neuron of their classes in the process. This reaches the neurons of ``net``, at whatever depth,
    in copies and unpickled networks too, and no others: ours, snnTorch's, and every module that has
    their method ``reset_mem``. What is learned stays as it is.

    Args:
        net: a network, or a single neuron.

    Example:
        >>> import torch
        >>> from srnn.neurons import ALIF
        >>> net = nn.Sequential(nn.Linear(3, 2), nn.Sequential(ALIF(beta=0.9, init_hidden=True)))
        >>> _ = net(torch.ones(1, 3))
        >>> reset(net)
        >>> net[1][0].mem
        tensor([[0., 0.]])
    """
    for module in net.modules():
        restart: Any = getattr(module, "reset_mem", None)
        if callable(restart):
            restart()
