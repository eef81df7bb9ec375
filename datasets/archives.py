"""Data files that are published as the member of a zip archive."""

import logging
import os
import zipfile
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath

from srnn.datasets._base import DataError
from srnn.datasets.files import cannot_write, fetch, hold_part, is_there

_CHUNK = 1 << 20

logger = logging.getLogger(__name__)


def fetch_zipped(path: Path, urls: Sequence[str], md5: str) -> Path:
    """Return a file, unpacking it from its published archive if it is not there.

    The archive is ``<name>.zip`` beside the file. One that is there is used, and stays; one that
    had to be downloaded is deleted when the file is unpacked.

    Args:
        path: Where the file lies, or is to lie. It is the archive's only member, or the one of that
            name; folders within the archive mean nothing.
        urls: Addresses of the archive, to try in turn.
        md5: Hexadecimal md5 of the archive.

    Returns:
        `path`. A file that was there is returned as it is: its content is for the caller to check.

    Raises:
        DataError: The archive that is there is another one, no address gave it, it does not hold
            the file, or the file could not be written. The file appears whole or not at all.
    """
    archive = path.with_name(f"{path.name}.zip")
    try:
        if is_there(path):
            return path
        with hold_part(path) as part:
            if path.exists():  # another process had the part file, and is done
                return path
            downloaded = not archive.exists()
            fetch(archive, urls, md5)
            try:
                _unpack(archive, path.name, part)
            except (DataError, OSError):
                # It is of no use, or the room that it takes is needed.
                if downloaded:
                    archive.unlink(missing_ok=True)
                raise
            os.replace(part, path)
            if downloaded:
                archive.unlink(missing_ok=True)
    except (DataError, OSError) as error:
        # Where files cannot be locked, another process may be done and have deleted the archive.
        if os.path.exists(path):
            return path
        raise error if isinstance(error, DataError) else cannot_write(path, urls, error) from error
    return path


def _unpack(archive: Path, name: str, part: Path) -> None:
    """Write a member to the part file, which is empty if that fails."""
    logger.info("unpacking %s", archive)
    whole = False
    try:
        with part.open("wb") as file, closing(_content(archive, name)) as content:
            for chunk in content:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        whole = True
    finally:
        if not whole:
            os.truncate(part, 0)


def _content(archive: Path, name: str) -> Generator[bytes, None, None]:
    """Yield what a member holds; zipfile compares its checksum at the end."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            named = [m for m in members if PurePosixPath(m.filename).name == name] or members
            if len(named) != 1:
                raise DataError(
                    f"{archive} has {len(members)} files, and not one that is called {name}: "
                    "replace it."
                )
            with opened.open(named[0]) as content:
                while chunk := content.read(_CHUNK):
                    yield chunk
    except DataError:
        raise
    except Exception as error:  # on a damaged archive zipfile raises whatever it stumbles over
        raise DataError(f"{archive} cannot be unpacked ({error}): replace it.") from error
