"""Files of spikes in the layout of the Heidelberg data sets (Cramer et al., 2020).

    spikes/times[]        one array a sample: times in seconds, float16
    spikes/units[]        one array a sample: channels
    labels[]              class of each sample
    extra/keys[]          class names
    extra/speaker[]       speaker of each sample; needed only where speakers are asked for
    extra/meta_info/      gender, age and body height of each speaker; not read

The published times are stored in half precision: near one second they are multiples of 0.5 to 1 ms.
They are cast to float64 before they are multiplied into microseconds, which is exact then; in half
precision anything above 65,504 microseconds would be infinite.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError
from srnn.datasets.binning import Events

_EVENT = np.dtype([("t", np.int64), ("x", np.int64), ("p", np.int64)])
"""tonic's type of an audio event, so that its transforms apply."""

_LISTS = {
    "spikes/times": "arrays of floats",
    "spikes/units": "arrays of integers",
    "labels": "integers",
    "extra/keys": "text",
}
"""What a file has to have, by name."""
_SPEAKERS = "extra/speaker"
_END = 1e9
"""Seconds below which a time must lie, so that microseconds fit into 64 bits."""
_ROUNDED = 1e-9
"""Relative distance to a whole number of microseconds within which double precision means it."""


class SpikeFile:
    """Recordings of one file; an `EventSource`.

    Opening reads the structure and the number of samples and nothing of their content.

    Args:
        path: The file.
        channels: Number of channels of the cochlea.
        identity: Text that differs where the content does; by default the file's place, size and
            time of change.
        remedy: What to do with a file that is damaged, in a few words.

    Attributes:
        name: Name of the file without its ending.
        identity: As given, or by default.
        sensor: (channels, 1, 1).

    Raises:
        DataError: The file is missing, damaged, or of another structure.
    """

    def __init__(
        self,
        path: Path,
        channels: int = 700,
        identity: str | None = None,
        remedy: str = "replace the file",
    ) -> None:
        self.path, self._remedy = path, remedy
        self.name = path.stem
        self.sensor = (channels, 1, 1)
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}).") from error
        place = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
        self._given, self.identity = identity, identity or place
        with self._reading() as file:
            sizes = {name: self._size(file, name, kind) for name, kind in _LISTS.items()}
        self._samples = sizes["labels"]
        del sizes["extra/keys"]
        self._check_sizes(sizes)

    def __reduce__(self) -> tuple[type["SpikeFile"], tuple[Path, int, str | None, str]]:
        # An open file does not pickle.
        return SpikeFile, (self.path, self.sensor[0], self._given, self._remedy)

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, index: int) -> Events:
        """Read a sample.

        Returns:
            Its events as they stand in the file: t in whole microseconds, x the channel, p 1.

        Raises:
            DataError: The sample is damaged.
        """
        with self._reading("sample", index):
            stored = self._open["spikes/times"][index]
            units = self._open["spikes/units"][index]
        times = stored.astype(np.float64)
        problem = None
        if len(times) != len(units):
            problem = f"{len(times)} times and {len(units)} channels"
        elif not np.isfinite(times).all():
            problem = "a time that is not a number"
        elif len(times) and times.min() < 0:
            problem = f"a negative time, {times.min():g} s"
        elif len(times) and times.max() >= _END:
            problem = f"a time of {times.max():g} s"
        elif len(times) and not 0 <= units.min() <= units.max() < self.sensor[0]:
            problem = f"a channel outside of 0..{self.sensor[0] - 1}"
        if problem is not None:
            raise DataError(f"{self.path} has, in its sample {index}, {problem}: {self._remedy}.")
        events = np.empty(len(times), _EVENT)
        events["t"] = _microseconds(stored)
        events["x"] = units
        events["p"] = 1
        return events

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the label."""
        with self._reading("extra/keys") as file:
            return tuple(
                key.decode() if isinstance(key, bytes) else key for key in file["extra/keys"]
            )

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class of each sample.

        Raises:
            DataError: A label has no class name.
        """
        labels = self._whole_numbers("labels")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise DataError(
                f"{self.path} has labels outside of its {len(self.classes)} classes: "
                f"{self._remedy}."
            )
        return labels

    @cached_property
    def speakers(self) -> npt.NDArray[np.int64]:
        """Speaker of each sample.

        Raises:
            DataError: The file has no numbers of speakers, or not one for each sample.
        """
        with self._reading(_SPEAKERS) as file:
            size = self._size(file, _SPEAKERS, "integers")
        self._check_sizes({_SPEAKERS: size, "labels": self._samples})
        return self._whole_numbers(_SPEAKERS)

    def _size(self, file: h5py.File, name: str, elements: str) -> int:
        """Length of a list, which has to consist of the right elements."""
        if _elements(file.get(name)) != elements:
            raise DataError(
                f"{self.path} has no list {name!r} of {elements}, so it is no file of the "
                f"Heidelberg data sets: {self._remedy}."
            )
        return len(file[name])

    def _check_sizes(self, sizes: dict[str, int]) -> None:
        """Raise a `DataError` unless all lists have the same length."""
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{size} {name}" for name, size in sizes.items())
            raise DataError(
                f"{self.path} has lists of different lengths ({listed}): {self._remedy}."
            )

    def _whole_numbers(self, name: str) -> npt.NDArray[np.int64]:
        with self._reading(name) as file:
            return file[name][()].astype(np.int64)

    @cached_property
    def _open(self) -> h5py.File:
        return h5py.File(self.path, "r")

    @contextmanager
    def _reading(self, *what: object) -> Iterator[h5py.File]:
        """Name the file in what HDF5 raises on a damaged one, whatever its parser stumbles over."""
        try:
            yield self._open
        except DataError:
            raise
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            place = "".join(f" {part}" for part in what)
            reason = " ".join(str(error).split())  # HDF5 breaks some of its lines
            raise DataError(
                f"{self.path} cannot be read{place and ' at' + place} ({reason}): it is damaged or "
                f"cut off; {self._remedy}."
            ) from error


def _microseconds(seconds: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Whole microseconds of times; what lies between two of them is cut off.

    In half and single precision the product is exact. In double precision it is off by its last
    bit, so that without rounding 1.001 s would be 1,000,999 microseconds.
    """
    exact = seconds.astype(np.float64) * 1e6
    if seconds.dtype.itemsize >= 8:
        nearest = np.rint(exact)
        exact = np.where(np.abs(exact - nearest) <= _ROUNDED * nearest, nearest, exact)
    return exact.astype(np.int64)


def _elements(found: object) -> str:
    """Say what a list consists of; nothing if it is no list."""
    if not isinstance(found, h5py.Dataset) or found.ndim != 1:
        return ""
    if h5py.check_string_dtype(found.dtype):
        return "text"
    inner = h5py.check_vlen_dtype(found.dtype)
    kind = np.dtype(inner or found.dtype).kind
    plain = {"f": "floats", "i": "integers", "u": "integers"}.get(kind, "something else")
    return f"arrays of {plain}" if inner else plain
