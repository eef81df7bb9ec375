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
        bounds = np.searchsorted(events.sequence, np.arange(len(indices) + 1))
        counts = np.diff(bounds)
        draws = [
            self._draw(np.random.default_rng([self.seed, epoch, int(index)]), count)
            for index, count in zip(indices, counts.tolist(), strict=True)
        ]
        sequence, step = events.sequence, events.step
        channel = events.channel + np.repeat(np.array([d.shift for d in draws], np.int32), counts)
        if self.stretch or self.jitter:
            # A batch has half a million events, for which single precision is enough.
            moved = _joined(draws, "within")
            moved += step
            moved *= np.repeat(np.array([draw.speed for draw in draws], np.float32), counts)
            if self.jitter:
                moved += self.jitter * _joined(draws, "jitter")
            np.clip(moved, -1, steps, out=moved)  # what is beyond is lost, and may not fit an int32
            step = np.floor(moved, out=moved).astype(np.int32)
        kept = (step >= 0) & (step < steps) & (channel >= 0) & (channel < channels)
        if self.drop:
            kept &= _joined(draws, "luck") >= self.drop
        return BinnedEvents(sequence[kept], step[kept], channel[kept])

    def _draw(self, random: np.random.Generator, events: int) -> "_Draw":
        """Draw the variations of a sequence, and of each of its events what is needed."""
        nothing = np.zeros(0, np.float32)
        timed = self.stretch or self.jitter
        return _Draw(
            shift=int(random.integers(-self.shift, self.shift + 1)),
            speed=random.uniform(1 - self.stretch, 1 + self.stretch),
            within=random.random(events, np.float32) if timed else nothing,
            jitter=random.standard_normal(events, np.float32) if self.jitter else nothing,
            luck=random.random(events, np.float32) if self.drop else nothing,
        )


class _Draw(NamedTuple):
    """The random numbers of a sequence, and of its events."""

    shift: int
    speed: float
    within: npt.NDArray[np.float32]
    jitter: npt.NDArray[np.float32]
    luck: npt.NDArray[np.float32]


def _joined(draws: Sequence[_Draw], name: str) -> npt.NDArray[np.float32]:
    return np.concatenate([getattr(draw, name) for draw in draws])
