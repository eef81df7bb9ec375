"""Refuses events that a kernel would read beyond their ends."""

import ctypes

import torch
from torch import Tensor

from .library import load
from .problem import WORD, Bits, Events


def check_events(events: Events | Bits, rows: int, channels: int) -> None:
    """Refuse a sparse input that a kernel would read beyond its ends.

    Args:
        events: the input.
        rows: number of its rows, time * batch.
        channels: number of its channels.

    Raises:
        ValueError: if it does not fit these numbers.
    """
    if isinstance(events, Bits):
        _check_bits(events.words, rows, channels)
        return
    offsets, indices, values = events
    if offsets.shape != (rows + 1,) or offsets.dtype != torch.int64:
        raise ValueError(
            f"The offsets of events must be int64 of shape [time * batch + 1] = [{rows + 1}], "
            f"got {offsets.dtype} {list(offsets.shape)}."
        )
    if indices.dtype != torch.int32 or indices.dim() != 1:
        raise ValueError(
            "The channels of events must be int32 of one dimension, "
            f"got {indices.dtype} {list(indices.shape)}."
        )
    if values is not None and values.shape != indices.shape:
        raise ValueError(
            f"There must be a value for each of the {len(indices)} events, "
            f"got {list(values.shape)}."
        )
    if not _lists_fit(offsets, indices, channels):
        _check_lists(offsets, indices, channels)


def _library_for(*tensors: Tensor) -> ctypes.CDLL | None:
    """The compiled library, if it is there and can read these tensors."""
    if torch.compiler.is_compiling():
        return None
    readable = all(type(x) is Tensor and x.device.type == "cpu" for x in tensors)
    return load()[0] if readable else None


def _lists_fit(offsets: Tensor, indices: Tensor, channels: int) -> bool:
    """Whether the compiled library finds nothing wrong with lists; False where it cannot look."""
    library = _library_for(offsets, indices)
    if library is None:
        return False
    offsets, indices = offsets.contiguous(), indices.contiguous()
    fit: int = library.srnn_lists_fit(
        *(offsets.data_ptr(), len(offsets) - 1, indices.data_ptr(), len(indices), channels)
    )
    return bool(fit)


def _bits_fit(words: Tensor, channels: int) -> bool:
    """Whether no bit lies beyond the last channel."""
    library = _library_for(words)
    if library is not None:
        words = words.contiguous()
        return bool(library.srnn_bits_fit(words.data_ptr(), len(words), channels))
    return not (channels % WORD and bool((words[:, -1] & (-1 << channels % WORD)).any()))


def _check_lists(offsets: Tensor, indices: Tensor, channels: int) -> None:
    entries = int(offsets[-1])
    if int(offsets[0]) or bool((offsets.diff() < 0).any()) or len(indices) != entries:
        raise ValueError(
            "The offsets of events must rise from 0 to the number of entries, "
            f"{list(indices.shape)}, and end at {entries}."
        )
    if entries and (int(indices.min()) < 0 or int(indices.max()) >= channels):
        raise ValueError(
            f"The channels of events must lie in 0 .. {channels - 1}, "
            f"got {int(indices.min())} .. {int(indices.max())}."
        )
    rises = indices.diff() > 0
    begins = offsets[1:-1]
    rises[begins[(begins > 0) & (begins < entries)] - 1] = True
    if not bool(rises.all()):
        raise ValueError(
            "The channels of events must rise within a row, each at most once: sort them, and "
            "give a channel with several events a value."
        )


def _check_bits(words: Tensor, rows: int, channels: int) -> None:
    shape = [rows, -(-channels // WORD)]
    if list(words.shape) != shape or words.dtype != torch.int64:
        raise ValueError(
            "The bits of events must be int64 of shape [time * batch, channels / 64] = "
            f"{shape}, got {words.dtype} {list(words.shape)}."
        )
    if not _bits_fit(words, channels):
        raise ValueError(f"Some bits of events lie beyond the last of {channels} channels.")
