"""Variations of binned events: what a spoken word may differ in and still be the same word.

For a sequence with events at (step s, channel c), drawn anew in every epoch,

    c' = c + D                              D whole, uniform in -shift..shift, one a sequence
    s' = floor(F (s + U) + J)               U uniform in [0, 1), one an event
                                            F uniform in [1 - stretch, 1 + stretch], one a sequence
                                            J normal with standard deviation jitter, one an event

and an event is left out with probability `drop`. What leaves the channels or the steps is lost. U
stands for the time within its step, which binning has forgotten: without it, stretched words would
have gaps at regular places. In a binary binning an event is a step and channel that had any.

Shifts of up to 40 of 700 channels are the augmentation of Cramer et al. (2020) and, with stretched
time, of Nowotny et al. (2025).

| symbol  | meaning                                    | unit     | default | range    |
|---------|--------------------------------------------|----------|---------|----------|
| shift   | largest shift along the cochlea            | channels | 0       | >= 0     |
| stretch | largest relative change of speed           | 1        | 0       | [0, 1)   |
| jitter  | standard deviation of an event's time      | steps    | 0       | >= 0     |
| drop    | probability of losing an event             | 1        | 0       | [0, 1)   |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError
from srnn.datasets._draws import check_number, check_whole
from srnn.datasets.binning import BinnedEvents

JUMP = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""Draws between the parts of two sequences: 2**128 over the golden ratio, NumPy's own choice in
`PCG64.jumped`. Parts a power of two apart would resemble each other."""


@dataclass(frozen=True)
class Augmentation:
    """Random variations, the same for the same (seed, epoch, sequence).

    Attributes:
        shift: Largest shift, in channels.
        stretch: Largest relative change of speed.
        jitter: Standard deviation of the change of an event's time, in steps.
        drop: Probability of losing an event.
        seed: Seed of all draws.

    Raises:
        DataError: A number has no meaning.
    """

    shift: int = 0
    stretch: float = 0.0
    jitter: float = 0.0
    drop: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("shift", self.shift, 0)
        check_number("shift", self.shift, 0, 10**6)
        check_number("stretch", self.stretch, 0, 1)
        check_number("jitter", self.jitter, 0, 1e9)
        check_number("drop", self.drop, 0, 1)
        check_whole("augment_seed", self.seed, 0)
        for name in ("stretch", "drop"):
            if getattr(self, name) == 1:
                raise DataError(f"{name}=1 leaves nothing of a sequence: choose less.")

    @property
    def phrase(self) -> str:
        """The variations in a few words; empty if there are none."""
        parts = {
            f"channels shifted by up to {self.shift}": self.shift,
            f"speed varied by up to {100 * self.stretch:g} %": self.stretch,
            f"times jittered by {self.jitter:g} steps": self.jitter,
            f"{100 * self.drop:g} % of events dropped": self.drop,
        }
        return ", ".join(phrase for phrase, active in parts.items() if active)

    def __bool__(self) -> bool:
        return bool(self.shift or self.stretch or self.jitter or self.drop)

    def __call__(
        self, events: BinnedEvents, indices: Sequence[int], epoch: int, steps: int, channels: int
    ) -> BinnedEvents:
        """Vary the events of a batch.

        Args:
            events: Events in the order of their sequences.
            indices: Numbers of the sequences in the data, on which the draws depend.
            epoch: The epoch, on which they depend too.
            steps: Number of steps.
            channels: Number of channels.

        Returns:
            What is left of them, in the order of their sequences and in no other.
        """
        numbers = np.arange(len(indices) + 1, dtype=events.sequence.dtype)
        bounds = np.searchsorted(events.sequence, numbers)
        counts = np.diff(bounds)
        draws = self._draw(indices, epoch, bounds.tolist())
        channel = events.channel + np.repeat(draws.shift, counts)
        step = events.step
        if self.stretch or self.jitter:
            # A batch has half a million events, for which single precision is enough.
            moved = draws.within
            moved += step.astype(np.float32)
            moved *= np.repeat(draws.speed, counts)
            if self.jitter:
                moved += np.float32(self.jitter) * draws.jitter
            np.clip(moved, -1, steps, out=moved)  # what is beyond is lost, and may not fit an int32
            step = np.floor(moved, out=moved).astype(np.int32)
        kept = _within(step, steps) & _within(channel, channels)
        if self.drop:
            kept &= draws.luck >= np.float32(self.drop)
        return BinnedEvents(events.sequence[kept], step[kept], channel[kept])

    def stream(self, epoch: int) -> np.random.PCG64:
        """The random stream of an epoch; sequence i draws from it after i * `JUMP` draws."""
        return np.random.PCG64([self.seed, epoch])

    def _draw(self, indices: Sequence[int], epoch: int, bounds: Sequence[int]) -> "_Draws":
        """Draw the variations of some sequences, and of each of their events what is needed.

        Every sequence has a part of the epoch's stream to itself. To jump there takes a tenth of
        the time that it takes to make a generator.
        """
        bits = self.stream(epoch)
        random, beginning = np.random.Generator(bits), bits.state
        events = bounds[-1]
        timed = self.stretch or self.jitter
        within, jitter, luck = (
            np.empty(events if wanted else 0, np.float32)
            for wanted in (timed, self.jitter, self.drop)
        )
        whole = np.empty((len(indices), 2))
        for index, own, begin, end in zip(indices, whole, bounds, bounds[1:], strict=False):
            bits.state = beginning
            bits.advance(int(index) * JUMP)
            random.random(out=own)
            if timed:
                random.random(out=within[begin:end], dtype=np.float32)
            if self.jitter:
                random.standard_normal(out=jitter[begin:end], dtype=np.float32)
            if self.drop:
                random.random(out=luck[begin:end], dtype=np.float32)
        places = 2 * self.shift + 1
        return _Draws(
            shift=np.floor(whole[:, 0] * places).astype(np.int32) - np.int32(self.shift),
            speed=(1 + self.stretch * (2 * whole[:, 1] - 1)).astype(np.float32),
            within=within,
            jitter=jitter,
            luck=luck,
        )


def _within(values: npt.NDArray[np.signedinteger], end: int) -> npt.NDArray[np.bool_]:
    """Whether 0 <= value < end, by one comparison: unsigned, what is negative lies beyond."""
    return values.view(f"u{values.itemsize}") < end


class _Draws(NamedTuple):
    """The random numbers of sequences, in their order, and of all their events."""

    shift: npt.NDArray[np.int32]
    speed: npt.NDArray[np.float32]
    within: npt.NDArray[np.float32]
    jitter: npt.NDArray[np.float32]
    luck: npt.NDArray[np.float32]
