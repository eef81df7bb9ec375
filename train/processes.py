"""Several processes that train one network: what each of them has to tell the others."""

from typing import Any

import torch


def gathered(own: Any) -> list[Any]:
    """What every process gives, in the order of their ranks.

    All of them have to call this; a process that is alone gets its own.

    Args:
        own: numbers, tensors on the CPU, and containers of them.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return [own]
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, own)
    return everyone
