"""Cached events straight to bits, varied on the way, by a small compiled library.

It gives the very bits that :mod:`.augment` and :mod:`.packed` give, in a third of the time: they
sweep over the events of a batch some thirty times, this once. The library (``packing.cpp``) is
optional, as the compiled kernel is; without it the arrays of NumPy do the work, and they do where
times are jittered, by normal numbers of NumPy's own recipe. Its uniform ones follow NumPy's recipe
too, which is compared when the library is loaded.
"""

import ctypes
import functools
import logging
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

logger = logging.getLogger(__name__)


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
    """Load the library; None where it is of no use, which is logged unless it is not there."""
    if not _LIBRARY.exists():
        return None
    try:
        loaded = ctypes.CDLL(str(_LIBRARY))
        reason = _unfit(loaded)
    except (OSError, AttributeError) as error:
        reason = f"it cannot be loaded: {error}"
    if reason is None:
        return loaded
    logger.warning("%s is not used (%s): events are packed by NumPy, slower", _LIBRARY, reason)
    return None


def _unfit(loaded: ctypes.CDLL) -> str | None:
    """Say why a library cannot take NumPy's place; None if it can."""
    source = _LIBRARY.with_name("packing.cpp")
    if source.exists() and source.stat().st_mtime > _LIBRARY.stat().st_mtime:
        return "it is older than its source: install srnn again"
    if loaded.srnn_packing_size() != ctypes.sizeof(_Batch):
        return "it is of another version of srnn: install srnn again"
    if sys.byteorder == "big":
        return "it takes the lowest of eight bytes for the first"
    bits = np.random.PCG64(0)
    drawn = np.empty(5, np.float32)
    loaded.srnn_packing_draws(*_start(bits), ctypes.c_void_p(drawn.ctypes.data), ctypes.c_int64(5))
    if (drawn != np.random.Generator(bits).random(5, np.float32)).any():
        return "this version of NumPy draws other random numbers"
    return None


def packs(augmentation: Augmentation | None) -> bool:
    """Whether the library is there and knows these variations."""
    known = augmentation is None or (type(augmentation) is Augmentation and not augmentation.jitter)
    return known and library() is not None


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
        batch.state, batch.increment = _start(augmentation.stream(epoch))
        batch.jump = _halves(JUMP)
        batch.shift, batch.stretch = augmentation.shift, augmentation.stretch
        batch.drop = augmentation.drop
    loaded = library()
    assert loaded is not None
    if not loaded.srnn_packing(ctypes.byref(batch)):
        raise MemoryError(f"There is no memory left to pack {len(chosen)} sequences of events in.")
    return PackedSpikes(words, channels)


def _start(bits: np.random.PCG64) -> "tuple[_Halves, _Halves]":
    """State and increment of a stream."""
    stream = bits.state["state"]
    return _halves(stream["state"]), _halves(stream["inc"])


def _halves(value: int) -> "_Halves":
    return (ctypes.c_uint64 * 2)(*divmod(value, _HALF))
