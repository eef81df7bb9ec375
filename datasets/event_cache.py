"""Binned events on disk: made once, mapped into memory, shared by processes.

A cache is a folder whose name says what was binned and how. It holds three arrays without any
header, and a manifest with their types, shapes and CRC-32:

    channels    [entries]            channels of events, sorted by sequence, step and channel
    per_step    [sequences, steps]   number of entries of each step
    offsets     [sequences + 1]      where the entries of each sequence begin in `channels`

That is a sparse matrix by rows of time steps, some 16 kB for a second of speech in 100 steps, and
the form in which an event-driven kernel reads its input. The folder is built under a temporary name
and takes its own in one step, so that one with its name is whole; that it still is, is checked
against the CRC whenever it is opened. It can be deleted at any time.
"""

import glob
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError
from srnn.datasets.binning import BinnedEvents, Binning, Events, EventSource

_FORMAT = 2
_MANIFEST = "manifest.json"
_AT_ONCE = 256
"""Recordings that are binned at a time, at most."""
_EVENTS_AT_ONCE = 4_000_000
"""Events after which no further recording is added to these: some 70 bytes are needed for each."""
_STALE = 24 * 3600
"""Seconds after which an unfinished build is taken for that of a killed process."""

logger = logging.getLogger(__name__)


class _DamagedError(Exception):
    """A cache is not what its manifest says."""


def cache_root() -> Path:
    """Find the folder of all that can be made again.

    It is the folder that the environment variable SRNN_CACHE names, else ``srnn-cache`` in the
    user's cache folder (``$XDG_CACHE_HOME`` or ``~/.cache``).
    """
    if named := os.environ.get("SRNN_CACHE"):
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "srnn-cache"


class EventLists:
    """Binned recordings, mapped from a cache.

    It pickles as the name of its folder: worker processes map the same memory.

    Args:
        folder: A folder that `binned` built.

    Attributes:
        lost: Number of events after the last step, which are left out.
        total: Number of all events that were binned, those included.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = _read_manifest(folder)
        self.lost: int = manifest["lost"]
        self.total: int = manifest["total"]
        self.channels = _map(folder, manifest, "channels")
        self.per_step = _map(folder, manifest, "per_step")
        self.offsets = _map(folder, manifest, "offsets")

    def __reduce__(self) -> tuple[type["EventLists"], tuple[Path]]:
        return EventLists, (self.folder,)

    def __len__(self) -> int:
        return len(self.per_step)

    def take(self, indices: Sequence[int], epoch: int = 0) -> BinnedEvents:
        """Read the events of some sequences.

        Args:
            indices: Which; in any order, also repeatedly.
            epoch: Makes no difference: a cache holds the same in every epoch.
        """
        del epoch
        chosen = np.asarray(indices, np.int64)
        counts = self.per_step[chosen]
        steps = np.tile(np.arange(counts.shape[1], dtype=np.int32), len(chosen))
        begins, ends = self.offsets[chosen], self.offsets[chosen + 1]
        # As a plain array: each piece of a memmap is one again, at ten times the cost.
        channels = np.asarray(self.channels)
        parts = [channels[b:e] for b, e in zip(begins, ends, strict=True)]
        return BinnedEvents(
            np.repeat(np.arange(len(chosen), dtype=np.int32), ends - begins),
            np.repeat(steps, counts.ravel()),
            np.concatenate(parts).astype(np.int32) if parts else np.zeros(0, np.int32),
        )


def binned(source: EventSource, binning: Binning) -> EventLists:
    """Bin recordings once, or find them binned.

    Args:
        source: The recordings.
        binning: How to bin them.

    Raises:
        DataError: A recording is damaged, or the cache cannot be written.
    """
    described = f"{_FORMAT} {source.identity} {binning}"
    digest = hashlib.md5(described.encode(), usedforsecurity=False).hexdigest()[:8]
    shape = f"{binning.steps}x{binning.channels}"
    folder = cache_root() / f"{source.name}-{binning.width}us-{shape}-{digest}"
    try:
        lists = _open(folder, described)
        if lists is None:
            _build(folder, described, source, binning)
            lists = _open(folder, described)
    except OSError as error:
        raise DataError(
            f"The cache {folder} could not be written ({error.strerror or error}): make room, "
            "or name another folder for caches with SRNN_CACHE."
        ) from error
    if lists is None:
        raise DataError(
            f"The cache {folder} cannot be read back as it was written: name a folder on another "
            "disk with SRNN_CACHE."
        )
    if lists.lost:
        logger.warning(
            "%s: %d of %d events come after %g ms and are left out",
            *(source.name, lists.lost, lists.total, binning.steps * binning.width / 1000),
        )
    return lists


def _open(folder: Path, described: str) -> EventLists | None:
    """Open a cache; one that is damaged is deleted and counts as missing."""
    if not folder.exists():
        return None
    try:
        _verify(folder, described)
        return EventLists(folder)
    except (_DamagedError, OSError, ValueError, LookupError, TypeError) as error:
        logger.warning("%s is damaged (%s) and is built again", folder, error)
        # Under another name first: a folder of this name is never there in part.
        doomed = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
        with suppress(FileNotFoundError):  # another process has found it damaged, too
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        return None


def _verify(folder: Path, described: str) -> None:
    manifest = _read_manifest(folder)
    if manifest["described"] != described:
        raise _DamagedError("it is a cache of something else")
    for name, array in manifest["arrays"].items():
        crc = 0
        with (folder / name).open("rb") as file:
            while chunk := file.read(1 << 22):
                crc = zlib.crc32(chunk, crc)
        if crc != array["crc32"]:
            raise _DamagedError(f"the CRC-32 of {name} is wrong")


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a cache says of itself, sealed with a CRC-32 of its own."""
    sealed = json.loads((folder / _MANIFEST).read_text())
    manifest: dict[str, Any] = sealed["manifest"]
    if sealed["crc32"] != _crc32(manifest):
        raise _DamagedError("the CRC-32 of its manifest is wrong")
    return manifest


def _crc32(manifest: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(manifest, sort_keys=True).encode())


def _map(folder: Path, manifest: dict[str, Any], name: str) -> npt.NDArray[Any]:
    array = manifest["arrays"][name]
    shape, dtype = tuple(array["shape"]), np.dtype(array["dtype"])
    if 0 in shape:  # an empty file cannot be mapped
        return np.zeros(shape, dtype)
    return np.memmap(folder / name, dtype, "r", shape=shape)


class _Writer:
    """Writes an array piece by piece, and keeps what the manifest has to say of it."""

    def __init__(self, file: BinaryIO, dtype: npt.DTypeLike, row: tuple[int, ...] = ()) -> None:
        self._file, self._dtype, self._row = file, np.dtype(dtype), row
        self._crc, self._length = 0, 0

    def append(self, piece: npt.NDArray[Any]) -> None:
        content = np.ascontiguousarray(piece, self._dtype)
        self._file.write(content.data)
        self._crc = zlib.crc32(content.data, self._crc)
        self._length += len(content)

    def finish(self) -> dict[str, Any]:
        self._file.flush()
        os.fsync(self._file.fileno())
        shape = [self._length, *self._row]
        return {"dtype": self._dtype.str, "shape": shape, "crc32": self._crc}


def _build(folder: Path, described: str, source: EventSource, binning: Binning) -> None:
    logger.info("binning %d recordings of %s, once, into %s", len(source), source.name, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    part.mkdir()
    try:
        manifest = {"described": described, **_write(part, source, binning)}
        sealed = {"crc32": _crc32(manifest), "manifest": manifest}
        (part / _MANIFEST).write_text(json.dumps(sealed, indent=1) + "\n")
        try:
            part.rename(folder)
        except OSError:
            if not folder.exists():
                raise  # otherwise another process was faster, with the same
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(part: Path, source: EventSource, binning: Binning) -> dict[str, Any]:
    """Write the arrays of a cache; return what the manifest says of them."""
    narrow = np.uint16 if binning.channels <= 1 << 16 else np.uint32
    end = lost = total = 0
    with ExitStack() as files:

        def writer(name: str, dtype: npt.DTypeLike, row: tuple[int, ...] = ()) -> _Writer:
            return _Writer(files.enter_context((part / name).open("xb")), dtype, row)

        channels = writer("channels", narrow)
        per_step = writer("per_step", np.uint32, (binning.steps,))
        offsets = writer("offsets", np.int64)
        offsets.append(np.zeros(1))
        for recordings in _portions(source):
            events, late = binning.apply(recordings)
            rows = events.sequence * binning.steps + events.step
            counts = np.bincount(rows, minlength=len(recordings) * binning.steps)
            counts = counts.reshape(len(recordings), binning.steps)
            channels.append(events.channel)
            per_step.append(counts)
            ends = end + counts.sum(1).cumsum()
            offsets.append(ends)
            end, lost = int(ends[-1]), lost + late
            total += sum(map(len, recordings))
        arrays = {"channels": channels, "per_step": per_step, "offsets": offsets}
        described = {name: array.finish() for name, array in arrays.items()}
        return {"lost": lost, "total": total, "arrays": described}


def _portions(source: EventSource) -> Iterator[list[Events]]:
    """Read all recordings, as many at a time as fit into memory."""
    recordings: list[Events] = []
    events = 0
    for index in range(len(source)):
        recordings.append(source[index])
        events += len(recordings[-1])
        if len(recordings) == _AT_ONCE or events >= _EVENTS_AT_ONCE:
            yield recordings
            recordings, events = [], 0
    if recordings:
        yield recordings


def _remove_stale(folder: Path) -> None:
    """Remove what killed builds of this cache have left."""
    for part in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        with suppress(FileNotFoundError):  # its build is done by now
            if time.time() - part.stat().st_mtime > _STALE:
                shutil.rmtree(part, ignore_errors=True)
