"""Begin anew: put what the neurons of a network remember back to its start."""

from typing import Any

from torch import nn


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
