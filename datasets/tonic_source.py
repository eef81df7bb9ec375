"""Recordings of a data set of tonic, as events that can be binned, and their labels.

tonic's readers differ: a polarity is a bool, 0 and 1, or -1 and 1; times may be unsigned; arrays
may have two dimensions; labels are numbers, words, or arrays of one element. Here all are brought
into one form, and what cannot be binned is refused by name.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np

from srnn.datasets._base import DataError
from srnn.datasets._draws import Indices
from srnn.datasets.binning import Events
from srnn.datasets.tonic_files import PECULIAR, Peculiar, TonicFiles, reason

_LOOKED_AT = 100
"""Files whose size and time of change go into the identity, spread evenly over all."""
_REFUSALS = (ValueError, LookupError, AssertionError, AttributeError, NotImplementedError)
"""What a class of tonic may raise when it is asked for a part that it does not have."""


class TonicPart:
    """The training, validation or test part of a data set of tonic, or all of it.

    It is opened when it is first needed, and pickles as its description: what tonic opened may
    hold an open file. Samples are numbered by their path, or by their label where tonic has no
    paths, since tonic lists many folders in the order of the file system.

    Args:
        name: Name of tonic's class.
        root: Data root, of which it takes a folder.
        part: "train", "valid", "test" or "all".
        argument: The argument of the constructor that chooses the part, and its value, if any.
    """

    def __init__(
        self, name: str, root: Path, part: str, argument: tuple[str, Any] | None = None
    ) -> None:
        self.name, self.part = name, part
        self._root, self._argument = root, argument
        self._peculiar = PECULIAR.get(name, Peculiar())
        self._files = TonicFiles(name, root, part, argument)

    def __reduce__(self) -> tuple[type["TonicPart"], tuple[Any, ...]]:
        return TonicPart, (self.name, self._root, self.part, self._argument)

    def __len__(self) -> int:
        return len(self.dataset)

    def open(self) -> None:
        """Open it now, which downloads it if need be.

        Raises:
            DataError: It cannot be downloaded, or is damaged.
        """
        len(self)

    def offered(self) -> bool:
        """Whether tonic's class has such a part: none of them says which ones it has.

        Raises:
            DataError: It has, but cannot be downloaded.
        """
        try:
            return len(self) > 0
        except DataError as error:
            if isinstance(error.__cause__, _REFUSALS):
                return False
            raise

    def read(self, index: int) -> tuple[Any, Any]:
        """Read a sample as tonic gives it: events and label.

        Raises:
            DataError: It is damaged, or reading it needs a package that is not installed.
        """
        dataset, position = self.dataset, int(self._order[index])
        try:
            return dataset[position]
        except ImportError as error:
            raise self._files.lacks(error) from error
        except Exception as error:  # tonic's readers raise whatever they stumble over
            raise DataError(
                f"{self.describe(index)} cannot be read ({reason(error)}): the file is damaged; "
                "replace it."
            ) from error

    def describe(self, index: int) -> str:
        """Name a sample in a message."""
        if self._paths is not None:
            return self._paths[self._order[index]]
        return f"Sample {index} of the part {self.part!r} of tonic's {self.name}"

    @property
    def listed_labels(self) -> Sequence[Any] | None:
        """The labels as tonic gives them, or None if they have to be read with the samples."""
        if self._listed is None:
            return None
        return [self._listed[index] for index in self._order]

    @cached_property
    def identity(self) -> str:
        """Text that differs where the content does, without reading it all.

        It has the version of tonic, whose readers change, and the marker's time, which is that of
        the last unpacking. A file that was changed by hand may escape it.
        """
        import tonic

        paths = self._paths or [str(path) for path in self._files.unpacked()]
        named = md5("\n".join(sorted(paths)).encode(), usedforsecurity=False).hexdigest()
        chosen = {paths[len(paths) * i // _LOOKED_AT] for i in range(_LOOKED_AT) if paths}
        marker = [] if self._files.marker is None else [str(self._files.marker)]
        stats = []
        for path in [*marker, *sorted(chosen)]:
            with suppress(OSError):  # a marker that a read-only folder does not have
                status = os.stat(path)
                stats.append(f"{status.st_size}-{status.st_mtime_ns}")
        looks = md5(" ".join(stats).encode(), usedforsecurity=False).hexdigest()
        arguments = dict(self._peculiar.arguments)
        return (
            f"tonic {tonic.__version__} {self.name} {self.part} {arguments} "
            f"{self._files.folder.resolve()} {len(self)} {named} {looks}"
        )

    @cached_property
    def dataset(self) -> Any:
        """What tonic opened.

        Raises:
            DataError: It cannot be downloaded, or is damaged.
        """
        return self._files.open()

    @cached_property
    def _paths(self) -> list[str] | None:
        data = getattr(self.dataset, "data", None)
        if isinstance(data, list) and all(isinstance(path, str) for path in data) and data:
            return data
        return None

    @cached_property
    def _listed(self) -> Sequence[Any] | None:
        listed = list(getattr(self.dataset, self._peculiar.labels, ()))
        if ("single_digits", True) in self._peculiar.arguments:
            listed = [listed[index] for index in self.dataset.single_indices]  # it lists all
        return listed if len(listed) == len(self) else None

    @cached_property
    def _order(self) -> np.ndarray:
        keys = self._paths or self._listed
        if keys is None:
            return np.arange(len(self))
        return np.array(sorted(range(len(self)), key=lambda index: str(keys[index])))


class TonicSource:
    """Recordings of a data set of tonic; an `EventSource`.

    Args:
        part: The part of the data set.
        sensor: Width, height and polarities.
        chosen: Positions in the part; None takes all.
        from_first: Whether times are counted from each recording's first event.

    Attributes:
        name: What to call it in a file name.
        identity: Version of tonic, class, part, folder, samples, and times of change of its files.
        sensor: Width, height and polarities.
    """

    def __init__(
        self,
        part: TonicPart,
        sensor: tuple[int, int, int],
        chosen: Indices | None = None,
        from_first: bool = False,
    ) -> None:
        self._part, self._from_first = part, from_first
        self._chosen = np.arange(len(part)) if chosen is None else chosen
        self.name = f"tonic-{part.name}-{part.part}"
        self.sensor = sensor
        subset = ""
        if chosen is not None:
            digest = md5(chosen.tobytes(), usedforsecurity=False).hexdigest()
            subset = f", {len(chosen)} of them, {digest}"
        counted = " from the first event" if from_first else ""
        self.identity = f"{part.identity}{counted}{subset}"

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Events:
        """Read a recording.

        Returns:
            Its events with whole t, x, y and p; p is 0 or 1. There is no y where tonic has none.

        Raises:
            DataError: It is damaged, or has negative times or places off the sensor.
        """
        events, _ = self._part.read(self._chosen[index])
        names = getattr(getattr(events, "dtype", None), "names", None) or ()
        fields = [field for field in "txyp" if field in names]
        needed = {"t", "x"} | {f for f, size in zip("yp", self.sensor[1:], strict=True) if size > 1}
        if not needed <= set(fields):
            raise self._wrong(index, f"no events, but {type(events).__name__}")
        # A column of a Matlab file has two dimensions, and times may be unsigned.
        events = events.ravel()
        read = np.empty(len(events), [(field, np.int64) for field in fields])
        for field in fields:
            read[field] = events[field]
        if self._from_first and len(read):
            read["t"] -= read["t"].min()
        if len(read) and read["t"].min() < 0:
            raise self._wrong(index, f"a negative time, {read['t'].min()} microseconds")
        for field, size in zip("xy", self.sensor, strict=False):
            if len(read) and size > 1 and not 0 <= read[field].min() <= read[field].max() < size:
                raise self._wrong(
                    index,
                    f"events off its sensor of {self.sensor[0]} x {self.sensor[1]} pixels, "
                    f"{field} from {read[field].min()} to {read[field].max()}",
                )
        if self.sensor[2] > 1:
            if len(read) and not -1 <= read["p"].min() <= read["p"].max() <= 1:
                raise self._wrong(index, "polarities that are neither 0 and 1 nor -1 and 1")
            read["p"] = read["p"] > 0
        return read

    def _wrong(self, index: int, what: str) -> DataError:
        return DataError(
            f"{self._part.describe(self._chosen[index])} has {what}: the file is damaged, or tonic "
            "reads it in a wrong way; replace it."
        )

    @cached_property
    def labels(self) -> list[int | str]:
        """Label of each recording, as tonic gives it; reads the recordings where it lists none.

        Raises:
            DataError: A label is not a single number or word.
        """
        listed = self._part.listed_labels
        return [
            self._plain(index, self._part.read(index)[1] if listed is None else listed[index])
            for index in self._chosen.tolist()
        ]

    def _plain(self, index: int, label: Any) -> int | str:
        try:
            value = np.asarray(label).reshape(()).item()
        except ValueError:
            value = None
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int | str):
            raise DataError(
                f"tonic:{self._part.name} is not for classification: the label of "
                f"{self._part.describe(index)} is {type(label).__name__} and not one number or "
                "word."
            )
        return value
