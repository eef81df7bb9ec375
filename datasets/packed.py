"""Spikes as bits: a batch in a thirty-second of the memory of floats, for kernels that read it so.

Bit j of word w is channel 64 w + j, little endian; the bits after the last channel are zero. A
batch of 64 sequences of 250 steps and 700 channels has 1.4 MB so, and 45 MB as floats.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

WORD = 64
"""Channels of a word."""


class PackedSpikes(NamedTuple):
    """Binary input of a batch, in place of a dense tensor [time, batch, channels].

    Attributes:
        words: int64, [time, batch, ceil(channels / 64)].
        channels: number of channels.

    Example:
        >>> packed = pack(np.array([0, 1]), np.array([0, 0]), (2, 1, 70))
        >>> packed.words.tolist()
        [[[1, 0]], [[1, 0]]]
        >>> packed.dense().sum(0)[0, :3]
        tensor([2., 0., 0.])
    """

    words: Tensor
    channels: int

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return len(self.words)

    def during(self, steps: slice) -> "PackedSpikes":
        """Take some of the time steps."""
        return PackedSpikes(self.words[steps], self.channels)

    def dense(self) -> Tensor:
        """Unpack, to [time, batch, channels] float32."""
        bits = torch.arange(WORD, device=self.words.device)
        spikes = (self.words[..., None] >> bits) & 1
        return spikes.flatten(-2)[..., : self.channels].float()


def narrowest(shape: tuple[int, ...]) -> type[np.signedinteger]:
    """The dtype in which places of an array of a shape are computed fastest and without overflow.

    Example:
        >>> narrowest((1000, 256, 700)).__name__, narrowest((10_000, 512, 700)).__name__
        ('int32', 'int64')
    """
    return np.int32 if math.prod(shape) < 2**31 else np.int64


def pack(
    row: npt.NDArray[np.signedinteger],
    channel: npt.NDArray[np.signedinteger],
    shape: tuple[int, int, int],
) -> PackedSpikes:
    """Pack spikes, in any order and each as often as it likes.

    Args:
        row: Where they are, step * batch + sequence.
        channel: And on which channel.
        shape: [time, batch, channels].
    """
    steps, batch, channels = shape
    words = -(-channels // WORD)
    spikes = np.zeros(steps * batch * words * WORD, np.uint8)
    place = row.astype(narrowest(spikes.shape), copy=False) * (words * WORD) + channel
    spikes[place.astype(np.int64, copy=False)] = 1  # what NumPy would convert in small pieces
    packed = np.packbits(spikes, bitorder="little").view("<i8").astype(np.int64, copy=False)
    return PackedSpikes(torch.from_numpy(packed.reshape(steps, batch, words)), channels)
