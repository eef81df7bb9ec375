"""Cached events straight to bits, varied on the way, by a small compiled library.

It gives the very bits that :mod:`.augment` and :mod:`.packed` give, in a third of the time: they
sweep over the events of a batch some thirty times, this once. The library (``packing.cpp``) is
optional, as the compiled kernel is; without it the arrays of NumPy do the work, and they do where
times are jittered, by normal numbers of NumPy's own recipe.
"""

import ctypes
import functools
import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from srnn.datasets.augment import JUMP, Augmentation
from srnn.datasets.event_cache import EventLists
from srnn.datasets.packed import WORD, PackedSpikes

_LIBRARY = Path(__file__).with_name("_packing.so")
_HALF = 1 << 64
_Halves: TypeAlias = "ctypes.Array[ctypes.c_uint64]"


class _Batch(ctypes.Structure):
    """``struct Batch`` of packing.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("events", "offsets", "per_step", "chosen")),
        *((name, ctypes.c_int64) for name in ("wide", "sequences", "steps", "channels")),
        *((name, ctypes.c_uint64 * 2) for name in ("state", "increment", "jump")),
        ("shift", ctypes.c_int64),
        *((name, ctypes.c_double) for name in ("stretch", "drop")),
        ("words", ctypes.c_void_p),
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """Load the library; None where it is missing, or not that of these sources."""
    source = _LIBRARY.with_name("packing.cpp")
    if sys.byteorder == "big":
        return None  # it takes eight bytes for a number whose lowest bits come first
    try:
        if source.exists() and source.stat().st_mtime > _LIBRARY.stat().st_mtime:
            return None
        loaded = ctypes.CDLL(str(_LIBRARY))
        fits = loaded.srnn_packing_size() == ctypes.sizeof(_Batch)
    except (OSError, AttributeError):
        return None
    return loaded if fits else None


def packs(augmentation: Augmentation | None) -> bool:
    """Whether the library is there and knows these variations."""
    return library() is not None and not (augmentation and augmentation.jitter)


def pack_lists(
    lists: EventLists,
    chosen: npt.NDArray[np.int64],
    channels: int,
    augmentation: Augmentation | None,
    epoch: int,
) -> PackedSpikes:
    """Read, vary and pack some recordings, of which `packs` is true.

    Args:
        lists: All recordings.
        chosen: Those of the batch; on their numbers the variations depend.
        channels: Number of channels.
        augmentation: The variations, or None.
        epoch: On which they depend too.
    """
    steps = lists.per_step.shape[1]
    words = torch.empty(steps, len(chosen), -(-channels // WORD), dtype=torch.int64)
    chosen = np.ascontiguousarray(chosen, np.int64)
    if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(lists):
        raise IndexError(f"There are recordings 0 to {len(lists) - 1}, not all of {chosen}.")
    batch = _Batch(
        events=lists.channels.ctypes.data,
        offsets=lists.offsets.ctypes.data,
        per_step=lists.per_step.ctypes.data,
        chosen=chosen.ctypes.data,
        wide=lists.channels.itemsize,
        sequences=len(chosen),
        steps=steps,
        channels=channels,
        words=words.data_ptr(),
    )
    if augmentation:
        batch.state, batch.increment = _stream(augmentation, epoch)
        batch.jump = _halves(JUMP)
        batch.shift, batch.stretch = augmentation.shift, augmentation.stretch
        batch.drop = augmentation.drop
    loaded = library()
    assert loaded is not None
    if not loaded.srnn_packing(ctypes.byref(batch)):
        raise MemoryError(f"There is no memory left to pack {len(chosen)} sequences of events in.")
    return PackedSpikes(words, channels)


@functools.lru_cache(maxsize=1)
def _stream(augmentation: Augmentation, epoch: int) -> "tuple[_Halves, _Halves]":
    """State and increment of the stream of an epoch, of which one is asked for again and again."""
    stream = augmentation.stream(epoch).state["state"]
    return _halves(stream["state"]), _halves(stream["inc"])


def _halves(value: int) -> "_Halves":
    return (ctypes.c_uint64 * 2)(*divmod(value, _HALF))
