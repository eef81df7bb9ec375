"""A stream of random numbers that is the same on every machine and for every version of NumPy.

Everything comes from the raw 64-bit output of PCG64, the one stream that NumPy promises never to
change; the transforms are written out here, since those of `numpy.random.Generator` may change:

    uniform      u = floor(raw / 2^11) / 2^53, in [0, 1)
    normal       sqrt(-2 ln(1 - u_1)) cos(2 pi u_2)                       (Box and Muller 1958)
    exponential  -ln(1 - u)

Logarithm and cosine come from the machine's own library. So two machines may differ in the last bit
of a number, far below the resolution of the spike times that are stored.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Draws:
    """Random numbers of one purpose.

    Args:
        seed: Non-negative seed.
        *purpose: Non-negative integers that say what the numbers are for. Another purpose has
            numbers of its own, whichever is drawn first and however many of them are drawn.
    """

    def __init__(self, seed: int, *purpose: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose))

    def uniform(self, size: int) -> Array:
        """Numbers from 0 to below 1, [size]."""
        raw = self._bits.random_raw(size)
        return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, size: int) -> Array:
        """Numbers of mean 0 and variance 1, [size]."""
        u = self.uniform(2 * size)
        return np.sqrt(-2 * np.log1p(-u[:size])) * np.cos(2 * np.pi * u[size:])

    def exponential(self, size: int) -> Array:
        """Waiting times of mean 1, [size]."""
        return -np.log1p(-self.uniform(size))

    def between(self, low: float, high: float) -> float:
        """One number, even from `low` to below `high`."""
        return low + (high - low) * float(self.uniform(1)[0])

    def about(self, mean: float, deviation: float) -> float:
        """One normal number, cut off at 2.5 deviations so that nothing absurd is drawn."""
        return mean + deviation * float(np.clip(self.normal(1)[0], -2.5, 2.5))
