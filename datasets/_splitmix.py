"""Random numbers by tensor operations: every stream is a seed and a count, on every device.

SplitMix64 (Steele, Lea and Flood 2014, OOPSLA): draw n = 1, 2, ... of the stream of seed s is

    z = s + n * 0x9E3779B97F4A7C15
    z = (z xor (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z xor (z >> 27)) * 0x94D049BB133111EB
    z = z xor (z >> 31)                            all modulo 2**64, >> without sign

A batch of streams is a tensor of seeds and one of counts, so that element i draws the same whatever
lies beside it, which torch's generators do not offer.
"""

from torch import Tensor


def _signed(unsigned: int) -> int:
    """The int64 with the bits of an unsigned number: torch multiplies int64 modulo 2**64."""
    return unsigned - 2**64 if unsigned >= 2**63 else unsigned


_GAMMA = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shift(z: Tensor, bits: int) -> Tensor:
    return (z >> bits) & (2 ** (64 - bits) - 1)  # torch's own shift copies the sign


def splitmix64(seed: Tensor, count: Tensor) -> Tensor:
    """Draw number `count` of the streams of `seed`, both int64: 64 random bits each, as int64."""
    z = seed + count * _GAMMA
    z = (z ^ _shift(z, 30)) * _FIRST
    z = (z ^ _shift(z, 27)) * _SECOND
    return z ^ _shift(z, 31)


def uniform(seed: Tensor, count: Tensor) -> Tensor:
    """Draw numbers from 0 to 1, without 1, float64: 53 random bits each.

    Args:
        seed: Seeds of the streams, int64.
        count: Which of their draws, 1 or more, int64.
    """
    return _shift(splitmix64(seed, count), 11).double() * 2.0**-53


def below(bound: int, seed: Tensor, count: Tensor) -> Tensor:
    """Draw whole numbers from 0 to `bound` - 1, all equally often to bound / 2**32.

    Args:
        bound: At most 2**31.
        seed: Seeds of the streams, int64.
        count: Which of their draws, 1 or more, int64.
    """
    return (_shift(splitmix64(seed, count), 32) * bound) >> 32
