"""Opening a data set of tonic: what is downloaded, unpacked and checked before anything is read.

tonic trusts any archive that has the right name beside a folder with enough files in it, so that
an unpacking that was interrupted late, or an archive that was cut off, is taken for the whole. Here
a data set is trusted once its archive had the published md5 and was unpacked to its end. Then, and
not before, a marker is written into its folder, the hidden file ``.<archive>.checked``; without it,
the archive is checked and tonic unpacks it again, over what is there. Where the archive is gone,
tonic's own judgement has to do, which is a new download for most.

A marker is made under a lock, so several processes may open the same data set at once.
"""

import errno
import http.client
import logging
import os
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from srnn.datasets._base import DataError
from srnn.datasets.files import hold_part, is_there

_FULL_OR_CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_LOST = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Peculiar:
    """What has to be known of a class of tonic that it does not say in the usual way.

    Attributes:
        folder: Name of its folder, where that is not the name of the class.
        arguments: What its constructor is called with, besides the folder and the part.
        sensor: Width, height and polarities, where the class gives none.
        labels: Attribute with the label of every sample, where that is not `targets`.
        opens_unread: Whether its constructor is known to read no sample.
        by_hand: Whether tonic does not download it but ends the process where it is missing.
        packaged: Whether tonic unpacks its own copy of the archive only.
    """

    folder: str | None = None
    arguments: tuple[tuple[str, Any], ...] = ()
    sensor: tuple[int, int, int] | None = None
    labels: str = "targets"
    opens_unread: bool = False
    by_hand: bool = False
    packaged: bool = False


PECULIAR = {
    "DVSGesture": Peculiar(opens_unread=True),
    "DVSLip": Peculiar(opens_unread=True, by_hand=True),
    # The images were scaled to fit 240 x 180 (Orchard et al., 2015), and tonic moves each
    # recording to the corner.
    "NCALTECH101": Peculiar(sensor=(240, 180, 2)),
    "NMNIST": Peculiar(opens_unread=True),
    # Without the argument, its targets are sequences of digits.
    "NTIDIGITS18": Peculiar(
        arguments=(("single_digits", True),), labels="labels", opens_unread=True
    ),
    "POKERDVS": Peculiar(packaged=True),
    "SMNIST": Peculiar(folder="smnist", labels="label_data"),
}


class TonicFiles:
    """The files of a part of a data set of tonic.

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
        self.folder = root / (self._peculiar.folder or name)

    def open(self) -> Any:
        """Let tonic open them, and download and unpack them if need be.

        Raises:
            DataError: They cannot be downloaded, or are damaged.
        """
        dataset = self._open()
        if not len(dataset):
            again = (
                "replace it"
                if self.marker is None
                else f"delete the file {self.marker}, and it will be unpacked again"
            )
            raise DataError(f"{self.folder} has no samples of the part {self.part!r}: {again}.")
        return dataset

    def lacks(self, error: ImportError) -> DataError:
        """Name the package that is not installed."""
        install = f"pip install {error.name}" if error.name else "install it"
        return DataError(
            f"tonic's {self.name} needs a package that is not installed ({reason(error)}): "
            f"{install}."
        )

    def unpacked(self) -> list[Path]:
        """What the archives are, or become, where that is a file and not a folder."""
        files = [path.with_suffix("") if path.suffix == ".gz" else path for path in self._archives]
        return [path for path in files if path.suffix not in (".zip", ".tar")]

    @cached_property
    def marker(self) -> Path | None:
        """The file that says that all was unpacked; None where there is no archive to check."""
        first = next(iter(self._archives), None)
        return None if first is None else first.with_name(f".{first.name}.checked")

    @cached_property
    def _archives(self) -> dict[Path, str]:
        """The published files and their md5."""
        kind = _kind(self.name)
        archives = {}
        for file, digest in (
            (f"{self.part}_filename", f"{self.part}_md5"),
            ("filename", "file_md5"),
            (f"{self.part}_images_file", f"{self.part}_images_md5"),
            (f"{self.part}_labels_file", f"{self.part}_labels_md5"),
        ):
            name, expected = getattr(kind, file, None), getattr(kind, digest, None)
            if isinstance(name, str) and isinstance(expected, str):
                # SMNIST names what is in its archives, and has the md5 of the archives.
                archives[self.folder / (name if Path(name).suffix else f"{name}.gz")] = expected
        return archives

    def _open(self) -> Any:
        marker = self.marker
        if marker is None:
            return self._construct(None)
        if is_there(marker):
            return self._construct(True)
        try:
            with hold_part(marker) as part:
                if marker.exists():  # another process had the part file, and is done
                    return self._construct(True)
                # A part file with content stands for an earlier try that did not reach its end.
                dataset = self._open_unchecked(part.stat().st_size > 0, part)
                os.replace(part, marker)
                return dataset
        except OSError as error:
            logger.warning(
                "%s cannot be written to (%s): whether all of it was unpacked stays unchecked",
                *(self.folder, error.strerror or error),
            )
            self._check(self._present())
            return self._construct(None)

    def _open_unchecked(self, interrupted: bool, part: Path) -> Any:
        """Check the archives and unpack them, whatever is unpacked already."""
        present = self._present()
        # What an earlier try has left, tonic downloads again if need be.
        checked = [] if interrupted and not self._peculiar.by_hand else present
        self._check(checked)
        part.write_text("not unpacked to the end\n")
        logger.info("checking and unpacking %s, once; this can take minutes", self.name)
        try:
            if not present:
                dataset = self._construct(None)
            elif self._peculiar.packaged and self._right(present):
                self._unpack(present)
                dataset = self._construct(True)
            else:
                # An HDF5 file is all that there is of its data set: there is nothing to unpack.
                whole = all(path.suffix == ".hdf5" for path in self._archives)
                dataset = self._construct(whole and self._right(present))
        except DataError:
            if not self._present():
                os.truncate(part, 0)  # nothing came, so an archive that is here next is the user's
            raise
        self._check([path for path in self._present() if path not in checked])
        return dataset

    def _construct(self, exists: bool | None) -> Any:
        """Call tonic's constructor.

        Args:
            exists: What it is told when it asks whether the data are there: it downloads and
                unpacks them if not. None leaves that to tonic's own check.
        """
        kind = _kind(self.name)
        dataset = kind.__new__(kind)

        def there() -> bool:
            found = kind._check_exists(dataset) if exists is None else exists
            if not found and self._peculiar.by_hand and not self._present():
                raise self._missing("it cannot be downloaded automatically")
            return found

        dataset._check_exists = there  # before the constructor, which calls it
        arguments = {"save_to": str(self._root), **dict(self._peculiar.arguments)}
        if self._argument is not None:
            arguments[self._argument[0]] = self._argument[1]
        try:
            kind.__init__(dataset, **arguments)
        except DataError:
            raise
        except ImportError as error:
            raise self.lacks(error) from error
        except (Exception, SystemExit) as error:  # on damaged archives any exception comes
            raise self._explained(error) from error
        del dataset._check_exists
        return dataset

    def _unpack(self, archives: Sequence[Path]) -> None:
        from tonic.download_utils import extract_archive

        try:
            for path in archives:
                extract_archive(str(path), str(self.folder))
        except Exception as error:  # the same
            raise self._explained(error) from error

    def _present(self) -> list[Path]:
        return [path for path in self._archives if path.exists()]

    def _right(self, paths: Sequence[Path]) -> bool:
        from tonic.download_utils import check_integrity

        try:
            return all(check_integrity(str(path), self._archives[path]) for path in paths)
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read ({error.strerror}).") from error

    def _check(self, paths: Sequence[Path]) -> None:
        loaded = not (self._peculiar.by_hand or self._peculiar.packaged)
        again = "delete it, and it will be downloaded again" if loaded else "replace it"
        for path in paths:
            if not self._right([path]):
                raise DataError(
                    f"{path} is cut off, or not the published file (its md5 is not "
                    f"{self._archives[path]}): {again}."
                )

    def _explained(self, error: BaseException) -> DataError:
        """Say in one sentence why it could not be opened, and what to do."""
        module = type(error).__module__.partition(".")[0]
        if isinstance(error, _LOST) or module in ("requests", "urllib3", "ssl", "gdown"):
            while error.__context__ is not None:  # the first one is about the network
                error = error.__context__
            return self._missing(f"it could not be downloaded, {reason(error)}")
        if self.marker is not None and self.marker.exists():
            return DataError(
                f"tonic cannot open {self.name} in {self.folder} ({reason(error)}): delete the "
                f"file {self.marker}, and it will be unpacked again."
            )
        if isinstance(error, FileNotFoundError):
            return self._missing(reason(error))
        if isinstance(error, OSError) and error.errno in _FULL_OR_CLOSED:
            return DataError(
                f"{self.folder} could not be written ({error.strerror}): make room, or name "
                "another data folder with SRNN_DATA or --data-dir."
            )
        return DataError(
            f"tonic cannot open {self.name} in {self.folder} ({reason(error)}): its files are "
            "damaged or not the published ones; delete them, and they will be downloaded again."
        )

    def _missing(self, why: str) -> DataError:
        names = " and ".join(path.name for path in self._archives) or "its files"
        kind = _kind(self.name)
        urls = [getattr(kind, name, None) for name in (f"{self.part}_url", "url", "base_url")]
        url = next((f" (from {url})" for url in urls if isinstance(url, str)), "")
        return DataError(
            f"{self.name} is missing ({why}): put {names}{url} into {self.folder} by hand, or name "
            "the data folder that has it with SRNN_DATA or --data-dir."
        )


def _kind(name: str) -> Any:
    import tonic.datasets

    return getattr(tonic.datasets, name)


def reason(error: BaseException) -> str:
    """The first sentence of what an exception says."""
    said = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    return said or type(error).__name__
