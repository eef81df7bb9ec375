"""Variations of binned events: what a spoken word may differ in and still be the same word.

For a sequence with events at (step s, channel c), drawn anew in every epoch,

    c' = c + D                              D whole, uniform in -shift..shift, one a sequence
    s' = floor(F (s + U) + J)               U uniform in [0, 1), one an event
                                            F uniform in [1 - stretch, 1 + stretch], one a sequence
                                            J normal with standard deviation jitter, one an event

and an event is left out with probability `drop`. What leaves the channels or the steps is lost. U
stands for the time within its step, which binning has forgotten: without it, stretched words would
have gaps at regular places.

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

import numpy as np

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
        """
        bounds = np.searchsorted(events.sequence, np.arange(len(indices) + 1))
        parts = []
        for position, index in enumerate(indices):
            here = slice(bounds[position], bounds[position + 1])
            random = np.random.default_rng([self.seed, epoch, int(index)])
            step, channel = self._vary(random, events.step[here], events.channel[here])
            kept = (step >= 0) & (step < steps) & (channel >= 0) & (channel < channels)
            if self.drop:
                kept &= random.random(len(step)) >= self.drop
            step, channel = step[kept], channel[kept]
            order = np.argsort(step * channels + channel, kind="stable")
            parts.append((np.full(len(order), position), step[order], channel[order]))
        return BinnedEvents(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _vary(
        self, random: np.random.Generator, step: np.ndarray, channel: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        shift = random.integers(-self.shift, self.shift + 1)
        speed = random.uniform(1 - self.stretch, 1 + self.stretch)
        if self.stretch or self.jitter:
            within = random.random(len(step))
            moved = speed * (step + within) + self.jitter * random.standard_normal(len(step))
            step = np.floor(moved).astype(np.int64)
        return step, channel + shift
