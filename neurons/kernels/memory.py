"""Large tensors whose memory is used again, because fresh memory costs as much as the arithmetic.

The system clears every page that a process touches for the first time. A training step that takes
and returns a hundred megabytes pays for that at every step. Here a block that comes back waits for
the next tensor of its size. It comes back when the last tensor that shows it is gone, so a block is
never handed out twice, whoever still holds the first.
"""

import ctypes
import functools
import mmap
import weakref
from contextlib import suppress

import torch
from torch import Tensor

_WORTH_IT = 1 << 22  # bytes; the C library itself keeps smaller blocks
_WAITING = 4  # blocks; those that wait longest go first
_waiting: list[mmap.mmap] = []


@functools.lru_cache(maxsize=16)
def _lease(size: int) -> type[ctypes.Array[ctypes.c_char]]:
    """The type of what a tensor holds on to; a class of our own, so that its end is heard of."""
    return type("Lease", (ctypes.c_char * size,), {})


def _take(size: int) -> mmap.mmap:
    # Other threads give blocks back at any time, but nobody else takes this one from the list.
    for block in tuple(_waiting):
        if len(block) == size:
            try:
                _waiting.remove(block)
            except ValueError:
                continue
            return block
    # Not shared: a forked process must not write into its parent's tensors.
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without huge pages
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


def _give_back(block: mmap.mmap) -> None:
    _waiting.append(block)
    del _waiting[:-_WAITING]


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Make a tensor of any content, as ``torch.empty`` does; its storage cannot be resized."""
    count = torch.Size(shape).numel()
    size = count * dtype.itemsize
    if size < _WORTH_IT:
        return torch.empty(shape, dtype=dtype)
    # Sequences that differ a little in length share blocks, an eighth of which is unused at most.
    unit = 1 << (size.bit_length() - 4)
    size = -(-size // unit) * unit
    block = _take(size)
    lease = _lease(size).from_buffer(block)
    weakref.finalize(lease, _give_back, block).atexit = False
    return torch.frombuffer(lease, dtype=dtype, count=count).view(shape)
