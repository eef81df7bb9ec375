"""The element rule: which inputs are events, and which are real numbers.

A product w x costs by its own input x, whatever else is in the batch:

| x                        | cost of each non-zero weight    | counted in |
|--------------------------|---------------------------------|------------|
| 0                        | nothing                         | -          |
| whole number k           | abs(k) accumulates: k events    | ``events`` |
| anything else            | one multiply-accumulate         | ``reals``  |

How often a weight is used does not depend on when or for whom, so an input is added up over time
and batch before it meets the weights. The sums are exact: whole numbers in float64.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from srnn.neurons.kernels import EventBatch, counting, library
from srnn.neurons.kernels.events import counts_of
from srnn.neurons.kernels.problem import Bits
from srnn.neurons.kernels.scans import Scan

# Rows that are added up in one go, so that copies stay small.
_PIECE = 2**12
# Elements that are looked at in one go, so that they stay in a processor's cache.
_CACHED = 2**17


class Input(NamedTuple):
    """What came into a layer, added up over the batch and, unless time-wise, over time.

    Attributes:
        events: sum of abs(k) over the whole numbers of each feature, float64 [blocks, *features];
            a block is one time step if time-wise, else everything.
        whole: how many of them are not 0.
        reals: how many other numbers there were.
        rows: how many feature vectors a block holds, zeros included.
    """

    events: Tensor
    whole: Tensor
    reals: Tensor
    rows: int

    def as_reals(self) -> "Input":
        """The same input where every element that is not 0 is a real number, as a hidden state."""
        zero = torch.zeros_like(self.events)
        return Input(zero, zero, self.whole + self.reals, self.rows)

    def shift(self, last: "Input", first: "Input | None") -> "Input":
        """The same one step later, without the last step and with another before; None: of zeros.

        The number of rows stays.
        """
        sums = torch.stack(self[:3]) - torch.stack(last[:3])
        sums = sums if first is None else sums + torch.stack(first[:3])
        events, whole, reals = sums
        return Input(events, whole, reals, self.rows)


def read(x: Tensor, features: int = 1, *, timewise: bool = False, binary: bool = False) -> Input:
    """Sort the elements of an input by what they cost.

    Args:
        x: [*leading, *features]; with two or more leading dimensions the first one is time.
        features: how many dimensions the features have.
        timewise: whether to keep time steps apart.
        binary: whether x is known to hold nothing but 0 and 1.

    Returns:
        The sums; a block for every time step where there is time to keep apart, else one block.
    """
    shape = x.shape[x.dim() - features :]
    leading = x.dim() - features
    apart = timewise and leading >= 2
    if binary and not apart and leading == 2 and len(x) < 2**24:
        # A kernel that made spikes has counted them; float32 adds ones exactly up to 2**24.
        fired = counts_of(x).detach().double().sum(0, keepdim=True)
        return Input(fired, fired, torch.zeros_like(fired), x.shape[0] * x.shape[1])
    x = x.detach()
    if not x.is_floating_point():
        x = x.to(torch.float64 if x.dtype == torch.int64 else torch.float32)
    elif x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    blocks = x.shape[0] if apart else 1
    # [blocks, rows, features]; a view wherever x is contiguous.
    x = x.reshape(blocks, -1, shape.numel()) if x.numel() else x.new_zeros(blocks, 0, shape.numel())
    ones = _count_binary(x)
    sums = _sort(x) if ones is None else torch.stack([ones, ones, torch.zeros_like(ones)])
    events, whole, reals = sums.reshape(3, blocks, *shape)
    return Input(events, whole, reals, x.shape[1])


def _sort(x: Tensor, nonzero: Tensor | None = None) -> Tensor:
    """Sums of the three kinds, [3, blocks, features], of any numbers [blocks, rows, features].

    Where they are not 0 may be known, as words of bits [blocks, rows, words].
    """
    sums = torch.zeros(3, x.shape[0], x.shape[2], dtype=torch.float64, device=x.device)
    if x.device.type == "cpu" and library.reason() is None:
        for i, block in enumerate(x):
            bits = None if nonzero is None else nonzero[i]
            sums[:, i] = counting.sort(block.contiguous(), bits)
        return sums
    for piece in x.split(_PIECE, dim=1):
        whole = (piece == piece.round()) & piece.isfinite()
        sums[0] += torch.where(whole, piece, 0).double().abs().sum(1)
        sums[1] += (whole & (piece != 0)).sum(1)
        sums[2] += (~whole).sum(1)
    return sums


def _count_binary(x: Tensor) -> Tensor | None:
    """Count the ones, [blocks, features], if there is nothing but 0 and 1 in x; else None."""
    if x.device.type != "cpu":
        ones = x == 1
        return ones.sum(1).double() if bool((ones | (x == 0)).all()) else None
    counts = []
    for block in x:
        ones, binary = _count_block(block)
        if not binary:
            return None
        counts.append(ones)
    return torch.stack(counts) if counts else x.new_zeros(0, x.shape[2], dtype=torch.float64)


def _count_block(x: Tensor) -> tuple[Tensor, bool]:
    """Count the ones of each column, and say whether there is nothing but 0 and 1 in x."""
    if library.reason() is None and len(x) < 2**31:
        return counting.count_ones(x.contiguous())
    # By numpy, whose comparisons are several times faster than torch's, and in pieces that stay in
    # a processor's cache: beside a fast kernel, this is most of a meter's work.
    rows, features = x.shape
    count = np.zeros(features)
    step = 8 * max(min(_CACHED // max(8 * features, 1), 255), 1)
    for at in range(0, rows, step):
        piece = x[at : at + step].numpy()
        ones = piece == 1
        if not (ones | (piece == 0)).all():
            return torch.from_numpy(count), False
        # Eight rows' bytes are added as one number; 255 times, and none of them overflows.
        full = len(ones) // 8 * 8
        eights = ones[:full].reshape(-1, 8 * features).view(np.uint64).sum(0)
        count += eights.view(np.uint8).reshape(8, features).sum(0) + ones[full:].sum(0)
    return torch.from_numpy(count), True


def read_scan(scan: Scan, *, timewise: bool = False) -> Input:
    """Sort the elements of an input that the compiled kernel has scanned; as :func:`read`."""
    steps, size, width = scan.inputs.shape
    ones = scan.nonzero
    if scan.others is not None:
        ones = Bits(ones.words & ~scan.others.words)
    found = read_batch(EventBatch(ones, (steps, size, width)), timewise=timewise)
    if scan.others is None:
        return found
    x = scan.inputs.detach().reshape(len(found.events), found.rows, width)
    words = scan.others.words
    sums = _sort(x, words.reshape(*x.shape[:2], words.shape[1])) + torch.stack(found[:3])
    events, whole, reals = sums
    return Input(events, whole, reals, found.rows)


def read_batch(batch: EventBatch, *, timewise: bool = False) -> Input:
    """Sort the elements of a batch of events; as :func:`read` of the same as a dense tensor."""
    steps, size, width = batch.shape
    blocks = steps if timewise else 1
    rows = steps * size // max(blocks, 1)
    if isinstance(batch.events, Bits):
        words = batch.events.words
        pieces = words.cpu().reshape(blocks, rows, words.shape[1])
        counts = [_count_bits(piece)[:width] for piece in pieces]
        ones = torch.stack(counts) if counts else torch.zeros(0, width, dtype=torch.float64)
        ones = ones.to(words.device)
        return Input(ones, ones, torch.zeros_like(ones), rows)
    offsets, channels, values = batch.events
    place = channels.long()
    if timewise:
        entries = torch.arange(steps * size, device=offsets.device)
        place = place + entries.repeat_interleave(offsets.diff()) // size * width

    def add_up(weights: Tensor) -> Tensor:
        sums = torch.bincount(place, weights.double(), minlength=blocks * width)
        return sums.reshape(blocks, width)

    x = torch.ones(len(channels), device=channels.device) if values is None else values.detach()
    whole = (x == x.round()) & x.isfinite()
    events = torch.where(whole, x, 0).double().abs()
    return Input(add_up(events), add_up(whole & (x != 0)), add_up(~whole), rows)


def _count_bits(words: Tensor) -> Tensor:
    """Count the ones of each bit, float64 [64 columns], of words [rows, columns]."""
    if library.reason() is None:
        return counting.count_bits(words.contiguous())
    rows = words.numpy().view(np.uint8)
    counts = np.zeros(8 * rows.shape[1])
    for at in range(0, len(rows), 255):  # 255 ones fit a byte
        ones = np.unpackbits(rows[at : at + 255], axis=1, bitorder="little")
        counts += ones.sum(0, dtype=np.uint8)
    return torch.from_numpy(counts)
