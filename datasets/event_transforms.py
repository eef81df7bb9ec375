"""Events that pass through a user's transforms, which tonic has many of, before they are binned.

Transforms may draw from NumPy's global generator, as tonic's do. It is seeded for every recording
and epoch, and given back as it was.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from srnn.datasets._base import DataError
from srnn.datasets.binning import BinnedEvents, Binning, Events, EventSource

Transform = Callable[[Events], Events]
"""A transform of tonic, or any function from the events of a recording to events."""

logger = logging.getLogger(__name__)


class BinnedSource(Protocol):
    """Where binned events come from: a cache, or transforms applied on reading."""

    def take(self, indices: Sequence[int], epoch: int) -> BinnedEvents:
        """Read the events of some sequences, as they are in an epoch."""


class TransformedEvents:
    """Events that pass through transforms whenever they are read, and are binned then.

    Args:
        source: The recordings.
        binning: How to bin them.
        transforms: What to apply, in this order.
        seed: Seed of what the transforms draw from NumPy's global generator.
    """

    def __init__(
        self, source: EventSource, binning: Binning, transforms: Sequence[Transform], seed: int
    ) -> None:
        self._source, self._binning, self._seed = source, binning, seed
        self._transforms = tuple(transforms)
        self._said = False

    def take(self, indices: Sequence[int], epoch: int) -> BinnedEvents:
        """Read, transform and bin some sequences.

        Raises:
            DataError: A transform gave something else than events on the sensor.
        """
        events, lost = self._binning.apply([self._transformed(i, epoch) for i in indices])
        if lost and not self._said:
            logger.warning(
                "%s: events that transforms move behind the end are left out; %d in the first "
                "batch that had any",
                *(self._source.name, lost),
            )
            self._said = True
        return events

    def _transformed(self, index: int, epoch: int) -> Events:
        events = self._source[index]
        with _numpy_seed([self._seed, epoch, int(index)]):
            for transform in self._transforms:
                events = transform(events)
        names = getattr(getattr(events, "dtype", None), "names", None) or ()
        places = [name for name, size in zip("xyp", self._source.sensor, strict=True) if size > 1]
        if not {"t", "x", *places} <= set(names):
            raise DataError(
                f"A transform made {type(events).__name__} of the events of {self._source.name}: "
                "leave transforms to frames out, since binning follows."
            )
        on_sensor = np.ones(len(events), bool)
        for field, size in zip("xyp", self._source.sensor, strict=True):
            if field in places:
                on_sensor &= (events[field] >= 0) & (events[field] < size)
        return events[on_sensor & (events["t"] >= 0)]


class InFirstEpoch:
    """Events as they are in epoch 0, whatever the epoch: for what a network is judged by.

    Args:
        events: Where they come from.
    """

    def __init__(self, events: BinnedSource) -> None:
        self._events = events

    def take(self, indices: Sequence[int], epoch: int) -> BinnedEvents:
        """Read the events of some sequences."""
        del epoch
        return self._events.take(indices, 0)


@contextmanager
def _numpy_seed(seed: Sequence[int]) -> Iterator[None]:
    """Seed NumPy's global generator for a while."""
    before = np.random.get_state()
    np.random.seed(np.random.SeedSequence(seed).generate_state(4))
    try:
        yield
    finally:
        np.random.set_state(before)
