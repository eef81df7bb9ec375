"""Sequences made from events: what is read, how it is varied, and how it becomes a tensor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from srnn.datasets._base import DataError, Info, SequenceDataset
from srnn.datasets._draws import check_number
from srnn.datasets.augment import Augmentation
from srnn.datasets.binning import Binning, EventSource
from srnn.datasets.event_cache import EventLists, binned
from srnn.datasets.event_transforms import BinnedSource, InFirstEpoch, Transform, TransformedEvents
from srnn.datasets.packed import PackedSpikes, narrowest, pack
from srnn.datasets.packing import pack_lists, packs

Values = Literal["binary", "count"]


@dataclass(frozen=True)
class EventOptions:
    """How events become sequences: the options that all data sets of events share.

    Attributes:
        bin_ms: Width of a time step, in milliseconds; None takes the data set's own.
        duration_ms: Time that the steps cover, in milliseconds; later events are left out, and
            their number is reported. None takes the data set's own.
        pool: Neighbouring channels, or side of the blocks of pixels, that are added up; None takes
            the data set's own.
        values: "binary": 1 where a channel had an event in a step; "count": how many it had.
        shift: Training only: largest random shift along the channels of a cochlea, after pooling.
        stretch: Training only: largest random change of speed; 0.1 is from -10 % to +10 %.
        jitter_ms: Training only: standard deviation of a random change of every event's time.
        drop: Training only: probability of losing an event.
        augment_seed: Seed of these four.
        transform: A transform of tonic, on events, before binning; from Python only. What it draws
            from NumPy's global generator is the same for the same recording and epoch; what is
            not trained on stays in epoch 0.
        train_transform: The same, on top, for training sequences only.
    """

    bin_ms: float | None = None
    duration_ms: float | None = None
    pool: int | None = None
    values: Values = "binary"
    shift: int = 0
    stretch: float = 0.0
    jitter_ms: float = 0.0
    drop: float = 0.0
    augment_seed: int = 0
    transform: Transform | None = None
    train_transform: Transform | None = None

    def __post_init__(self) -> None:
        if self.values not in get_args(Values):
            raise DataError(f"values must be binary or count, not {self.values!r}.")
        for name in ("transform", "train_transform"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise DataError(
                    f"{name} must be a function of events, such as a transform of tonic, not "
                    f"{given!r}: it can only be given from Python."
                )

    def binning(
        self, sensor: tuple[int, int, int], bin_ms: float, duration_ms: float, pool: int = 1
    ) -> Binning:
        """Make the binning, with a data set's own settings where none were given."""
        return Binning.of(
            sensor,
            bin_ms if self.bin_ms is None else self.bin_ms,
            duration_ms if self.duration_ms is None else self.duration_ms,
            pool if self.pool is None else self.pool,
            self.values == "binary",
        )

    def augmentation(self, binning: Binning) -> Augmentation:
        """Make the variations of the training sequences.

        Raises:
            DataError: A number has no meaning.
        """
        check_number("jitter_ms", self.jitter_ms, 0, 1e6)
        jitter = self.jitter_ms * 1000 / binning.width
        varied = Augmentation(self.shift, self.stretch, jitter, self.drop, self.augment_seed)
        width, height, polarities = binning.grid
        if self.shift and height * polarities > 1:
            raise DataError(
                f"shift={self.shift} is for the channels of a cochlea: those of this sensor are "
                f"{width} x {height} pixels and {polarities} polarities, of which one row would "
                "run into the next; leave it out, or pass a train_transform from Python."
            )
        if self.shift >= width:
            raise DataError(
                f"shift={self.shift} would move all of the {width} channels away: choose less."
            )
        return varied

    def phrase(self, binning: Binning) -> str:
        """The encoding in a few words, for reports."""
        varied = self.augmentation(binning).phrase
        transforms = {"transform": self.transform, "training transform": self.train_transform}
        parts = [binning.phrase]
        parts += [f"{name} {given!r}" for name, given in transforms.items() if given is not None]
        return ", ".join(parts) + (f"; in training {varied}" if varied else "")


class EventSequences(SequenceDataset):
    """Sequences of binned events.

    Args:
        info: What the data set is.
        events: Where the events of all recordings come from.
        binning: How they were binned.
        labels: Class of every recording.
        chosen: The recordings that belong to this part.
        augmentation: Random variations, or None.
    """

    def __init__(
        self,
        info: Info,
        events: BinnedSource,
        binning: Binning,
        labels: npt.NDArray[np.int64],
        chosen: npt.NDArray[np.int64],
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__(info)
        self._events, self._binning = events, binning
        self._labels = torch.from_numpy(labels[chosen])
        self._chosen = chosen
        self._augmentation = augmentation
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._chosen)

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, on which random variations and transforms depend."""
        self._epoch = epoch

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs [time, batch, channels] float32, targets [batch] int64."""
        row, channel, shape = self._places(indices)
        place = torch.from_numpy(row.astype(np.int64) * shape[-1] + channel)
        inputs = torch.zeros(math.prod(shape))
        if self._binning.binary:
            inputs[place] = 1.0
        else:
            inputs.scatter_add_(0, place, torch.ones(len(place)))
        return inputs.view(shape), self._targets(indices)

    def packed(self) -> "PackedSequences | None":
        """The same sequences with their inputs as bits; None where they are counts."""
        return PackedSequences(self) if self._binning.binary else None

    def _bits(self, indices: Sequence[int]) -> PackedSpikes:
        """The inputs of some sequences, as bits."""
        events, augmentation = self._events, self._augmentation
        if not (isinstance(events, EventLists) and packs(augmentation)):
            return pack(*self._places(indices))
        recordings = self._chosen[np.asarray(indices)]
        channels = self._binning.channels
        return pack_lists(events, recordings, channels, augmentation, self._epoch)

    def _targets(self, indices: Sequence[int]) -> Tensor:
        return self._labels[torch.as_tensor(indices)]

    def _places(
        self, indices: Sequence[int]
    ) -> tuple[npt.NDArray[np.signedinteger], npt.NDArray[np.signedinteger], tuple[int, int, int]]:
        """Row, step * batch + sequence, and channel of every event, and the shape of the batch."""
        recordings = self._chosen[np.asarray(indices)]
        shape = (self._binning.steps, len(recordings), self._binning.channels)
        events = self._events.take(recordings.tolist(), self._epoch)
        if self._augmentation is not None:
            events = self._augmentation(
                events, recordings.tolist(), self._epoch, self._binning.steps, shape[-1]
            )
        row = events.step.astype(narrowest(shape)) * shape[1] + events.sequence
        return row, events.channel, shape


class PackedSequences(SequenceDataset):
    """Sequences of events with their inputs as bits, for a kernel that reads them so.

    Args:
        sequences: The sequences, of a binary binning.
    """

    def __init__(self, sequences: EventSequences) -> None:
        super().__init__(sequences.info)
        self._sequences = sequences

    def __len__(self) -> int:
        return len(self._sequences)

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self._sequences.set_epoch(epoch)

    def __getitems__(  # type: ignore[override]
        self, indices: Sequence[int]
    ) -> tuple[PackedSpikes, Tensor]:
        """Inputs as bits, targets [batch] int64."""
        return self._sequences._bits(indices), self._sequences._targets(indices)

    def __getitem__(self, index: int) -> tuple[PackedSpikes, Tensor]:  # type: ignore[override]
        """One sequence: its inputs as a batch of one, and its target, [] int64."""
        inputs, targets = self.__getitems__([range(len(self))[index]])
        return inputs, targets[0]


class EventParts:
    """Makes the training, validation and test parts of a data set of events.

    Args:
        info: What the data set is.
        binning: How to bin it.
        options: The user's options.
    """

    def __init__(self, info: Info, binning: Binning, options: EventOptions) -> None:
        self._info, self._binning, self._options = info, binning, options
        self._opened: dict[str, EventLists] = {}

    def __call__(
        self,
        source: EventSource,
        labels: npt.NDArray[np.int64],
        chosen: npt.NDArray[np.int64] | None = None,
        *,
        training: bool = False,
    ) -> EventSequences:
        """Make a part.

        Args:
            source: The recordings.
            labels: Their classes.
            chosen: Those of the part; None takes all.
            training: Whether to apply what is for training only.
        """
        options = self._options
        transforms: list[Any] = [options.transform, options.train_transform if training else None]
        transforms = [transform for transform in transforms if transform is not None]
        events: BinnedSource
        if transforms:
            events = TransformedEvents(source, self._binning, transforms, options.augment_seed)
            events = events if training else InFirstEpoch(events)
        else:
            events = self._binned(source)
        augmentation = options.augmentation(self._binning) if training else None
        everything = np.arange(len(labels))
        return EventSequences(
            self._info,
            events,
            self._binning,
            labels,
            everything if chosen is None else chosen,
            augmentation or None,
        )

    def _binned(self, source: EventSource) -> EventLists:
        """Open a cache once for all parts of a file: opening reads all of it."""
        if source.identity not in self._opened:
            self._opened[source.identity] = binned(source, self._binning)
        return self._opened[source.identity]
