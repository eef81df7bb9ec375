"""tonic:NAME: the classification data sets of tonic, through the same binning and cache.

**Task.** Name the class of a recording of a silicon retina or cochlea.

**Input.** Events, binned into steps as `srnn.datasets.binning` says. The times of a recording are
counted from its start as stored, so that a delay before the first event stays what it was. Where
recordings typically begin later than they last, the clock is not their own but that of a session
they were cut from: then they are counted from each recording's first event, as tonic's ``ToFrame``
does unless it is given a start. Which of the two it is, is decided for a data set as a whole, on
training recordings.

**Split.** The test samples are tonic's own where it has such a part; otherwise a fifth of all,
drawn with a fixed seed. Unless there is an official validation part, a random share of the rest is
held out. Nothing of a test sample is read before the end.
"""

import difflib
import inspect
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError, Info, Splits
from srnn.datasets._draws import Indices, check_number, hold_out
from srnn.datasets._joined import JoinedSequences
from srnn.datasets.binning import Binning
from srnn.datasets.event_sequences import EventOptions, EventParts, EventSequences
from srnn.datasets.tonic_files import PECULIAR
from srnn.datasets.tonic_source import TonicPart, TonicSource

_WITHOUT_CLASSES = {
    "DAVISDATA": "camera poses and images",
    "DSEC": "optical flow and disparity",
    "EBSSA": "tracks of objects in space",
    "MVSEC": "depth and poses",
    "NERDD": "boxes around drones",
    "ThreeET_Eyetracking": "places of pupils",
    "TUMVIE": "camera poses and images",
    "VPR": "routes",
}
"""Data sets of tonic that are not for classification, and what their targets are."""

_TEST_SHARE, _TEST_SEED, _SPLIT_SEED = 0.2, 1_018, 2_018
_SURVEYED = 100
"""Training recordings from which the duration is taken, spread evenly over all."""
_STEPS = 100
"""Number of steps that the width of a bin aims at."""
_BINS_MS = (1, 2, 5, 10, 20, 50)
_SMALL, _SIDE = 48, 32
"""Side in pixels up to which a sensor is not pooled, and that to which a larger one is."""


class _Classes(NamedTuple):
    """Class names, and the class of each label."""

    names: tuple[str, ...]
    number: dict[int | str, int]

    def of(self, source: TonicSource) -> npt.NDArray[np.int64]:
        """Class of each recording.

        Raises:
            DataError: A label does not occur in training.
        """
        labels = source.labels
        for label in labels:
            if label not in self.number:
                raise DataError(
                    f"{source.name} has a label {label!r}, which does not occur in training: "
                    "replace the files."
                )
        return np.array([self.number[label] for label in labels], np.int64)


@dataclass(frozen=True)
class _Parts:
    """The parts of a data set.

    Attributes:
        develop: Recordings to train and, without an official part for that, to validate on.
        valid: The official validation part, if there is one.
        test: Test recordings, unread.
        chosen: Positions of the recordings in `develop`; None means all.
        tested: The same in `test`.
    """

    develop: TonicPart
    valid: TonicPart | None
    test: TonicPart
    chosen: Indices | None = None
    tested: Indices | None = None


def tonic_events(
    name: str, root: Path, *, validation: float = 0.1, events: EventOptions | None = None
) -> Splits:
    """A classification data set of tonic: one target a recording.

    Args:
        name: Name of tonic's class, such as "NMNIST" or "DVSGesture".
        root: Data root; tonic's files lie in its folder of that name.
        validation: Share of the recordings for training that is held out for validation.
        events: Binning and augmentation. What is left open is taken from the data: the duration
            from the longest of 100 training recordings, some 100 bins, and 32 x 32 channels or
            fewer for each polarity.

    Raises:
        DataError: There is no such data set, it is missing or damaged, or an option has no meaning.
    """
    kind = _kind(name)
    check_number("validation", validation, 0, 1)
    options = events or EventOptions()
    parts = _parts(name, kind, root)
    sensor = _sensor(parts.develop)
    develop = TonicSource(parts.develop, sensor, parts.chosen)
    longest, from_first = _survey(develop)
    if from_first:
        develop = TonicSource(parts.develop, sensor, parts.chosen, from_first)
    binning = _binning(options, sensor, longest)
    classes = _classes(parts.develop.dataset, develop)
    labels = classes.of(develop)
    if parts.valid is None:
        fitted, validated = hold_out(len(develop), validation, _SPLIT_SEED)
        caveat = "epoch chosen on a random part of the training recordings"
        described = f"{len(fitted)} recordings to train and {len(validated)} to validate, drawn "
        described += "at random with a fixed seed"
    else:
        fitted, validated = np.arange(len(develop)), np.arange(0)
        caveat = "epoch chosen on the official validation part"
        described = f"{len(develop)} recordings to train and {len(parts.valid)} to validate, as "
        described += "published"
    if parts.tested is None:
        described += "; the official test part is read once, at the end"
    else:
        caveat = f"no official split: test drawn by us; {caveat}"
        described += f"; {len(parts.tested)} to test, drawn by us likewise and read once, at the "
        described += "end: there is no official split"
    counted = ", times counted from each recording's first event" if from_first else ""
    title, source, citation = _described(name, kind)
    info = Info(
        name=f"tonic:{name}",
        title=title,
        channels=binning.channels,
        steps=binning.steps,
        classes=classes.names,
        streaming=False,
        split=described,
        encoding=options.phrase(binning) + counted,
        licence="see the data set's own page",
        citation=citation,
        source=source,
        caveat=caveat,
    )
    part = EventParts(info, binning, options)

    def tested() -> EventSequences:
        test = TonicSource(parts.test, sensor, parts.tested, from_first)
        return part(test, classes.of(test))

    if parts.valid is None:
        return Splits(
            info,
            part(develop, labels, fitted, training=True),
            part(develop, labels, validated),
            tested,
            joined=lambda: part(develop, labels, training=True),
        )
    valid = TonicSource(parts.valid, sensor, from_first=from_first)
    known = classes.of(valid)
    return Splits(
        info,
        part(develop, labels, training=True),
        part(valid, known),
        tested,
        joined=lambda: JoinedSequences(
            part(develop, labels, training=True), part(valid, known, training=True)
        ),
    )


def _kind(name: str) -> Any:
    """Find tonic's class.

    Raises:
        DataError: tonic is not installed, or has no such data set for classification.
    """
    if name in ("SHD", "SSC"):
        raise DataError(
            f"{name} is a data set of its own here, with checked files and splits: use "
            f"{name.lower()} instead of tonic:{name}."
        )
    try:
        import tonic.datasets
    except ImportError as error:
        raise DataError(
            f"tonic:{name} needs the package {error.name}, which is not installed: "
            'pip install "srnn[tonic]".'
        ) from error
    known = [n for n in tonic.datasets.__all__ if n not in (*_WITHOUT_CLASSES, "SHD", "SSC")]
    if name in _WITHOUT_CLASSES:
        raise DataError(
            f"tonic:{name} is not for classification (its targets are {_WITHOUT_CLASSES[name]}): "
            f"choose one of {', '.join(known)}."
        )
    if name not in known:
        lower = {each.lower(): each for each in known}
        nearest = lower[difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.0)[0]]
        raise DataError(
            f"tonic has no data set {name!r} for classification: did you mean 'tonic:{nearest}'? "
            f"Known are {', '.join(known)}."
        )
    return getattr(tonic.datasets, name)


def _parts(name: str, kind: Any, root: Path) -> _Parts:
    """Find the parts of a data set; a test part is opened if that reads none of its samples."""
    accepted = inspect.signature(kind).parameters
    if "train" in accepted:
        train = TonicPart(name, root, "train", ("train", True))
        parts = _Parts(train, None, TonicPart(name, root, "test", ("train", False)))
    elif "split" in accepted:
        train, valid, test = (
            TonicPart(name, root, part, ("split", part)) for part in ("train", "valid", "test")
        )
        parts = _Parts(train, valid if valid.offered() else None, test)
    else:
        everything = TonicPart(name, root, "all")
        develop, tested = hold_out(len(everything), _TEST_SHARE, _TEST_SEED)
        return _Parts(everything, None, everything, develop, tested)
    if name in PECULIAR and PECULIAR[name].opens_unread:
        for part in (parts.develop, parts.test):
            part.open()  # a download that fails does so now, and not after training
    return parts


def _sensor(part: TonicPart) -> tuple[int, int, int]:
    peculiar = PECULIAR.get(part.name)
    size = peculiar.sensor if peculiar and peculiar.sensor else None
    size = size or getattr(part.dataset, "sensor_size", None)
    try:
        width, height, polarities = (int(side) for side in size or ())
    except (TypeError, ValueError):
        raise DataError(
            f"tonic does not say how large the sensor of {part.name} is, so that it cannot be "
            "binned: choose another data set."
        ) from None
    return width, height, polarities


def _survey(source: TonicSource) -> tuple[int, bool]:
    """Look at recordings spread evenly over all.

    Returns:
        How many microseconds hold all events of the longest, and whether times are to be counted
        from the first event.
    """
    chosen = {len(source) * i // _SURVEYED for i in range(_SURVEYED)}
    times = [source[index]["t"] for index in sorted(chosen)]
    spans = np.array([(t.min(), t.max()) for t in times if len(t)])
    if not len(spans):
        raise DataError(f"{source.name} has no events in its recordings: replace its files.")
    first, last = spans.T
    from_first = bool(np.median(first) > np.median(last - first))
    return int((last - first if from_first else last).max()) + 1, from_first


def _binning(options: EventOptions, sensor: tuple[int, int, int], longest: int) -> Binning:
    duration = longest / 1000 if options.duration_ms is None else options.duration_ms
    check_number("duration_ms", duration, 0.001, 1e9)
    bin_ms = min(_BINS_MS, key=lambda width: abs(math.log(width * _STEPS / duration)))
    side = max(sensor[:2])
    pool = 1 if sensor[1] == 1 or side <= _SMALL else math.ceil(side / _SIDE)
    return options.binning(sensor, bin_ms, duration, pool)


def _classes(dataset: Any, source: TonicSource) -> _Classes:
    """Find the class names, and number the labels."""
    labels = set(source.labels)
    published = getattr(dataset, "classes", getattr(dataset, "class_map", None))
    if isinstance(published, dict):
        published = sorted(published, key=published.__getitem__)
    if isinstance(published, list | tuple) and all(isinstance(each, str) for each in published):
        names = tuple(published)
        by_name: dict[int | str, int] = {name: number for number, name in enumerate(names)}
        by_number: dict[int | str, int] = {number: number for number in range(len(names))}
        for numbers in (by_name, by_number):
            if labels <= numbers.keys():
                return _Classes(names, numbers)
    if len({type(label) for label in labels}) > 1 or len(labels) == 1:
        raise DataError(
            f"{source.name} has labels that are no classes, such as {sorted(map(str, labels))[:3]}:"
            " choose another data set."
        )
    distinct = sorted(labels)
    return _Classes(tuple(map(str, distinct)), {label: i for i, label in enumerate(distinct)})


def _described(name: str, kind: Any) -> tuple[str, str, str]:
    """Take title, address and citation from the documentation of tonic's class."""
    text = inspect.getdoc(kind) or ""
    head = re.match(r"`([^`<]+?)\s*<([^>`]+)>`_", text)
    elsewhere = f"see tonic's documentation of {name}"
    title, source = (head[1], head[2]) if head else (name, elsewhere)
    entries = [re.search(rf"\b{e}\s*=\s*\{{(.+)\}}", text) for e in ("author", "title", "year")]
    found = [entry[1] for entry in entries if entry]
    citation = ", ".join(found) if len(found) == len(entries) else elsewhere
    return title, source, citation
