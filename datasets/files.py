"""Data files: where they lie, and how a missing one is downloaded and checked.

A file is known by the md5 of its content. The content of a gzip file is what it decompresses to,
because two compressions of the same data differ in their headers.

A download goes to a hidden part file in the target's own folder, is checked there, and takes its
name in one atomic step; so a file that has its name is whole. An interrupted download leaves its
part file behind, and the next one goes on from there. Nothing else trusts a part file: whatever it
was put together from, only the md5 decides. A lock on it keeps processes apart that want one file.
"""

import errno
import gzip
import hashlib
import logging
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from srnn.datasets._base import DataError
from srnn.datasets.receive import DownloadFailedError, receive

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_CHUNK = 1 << 20
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)

logger = logging.getLogger(__name__)


def data_root(explicit: str | Path | None = None) -> Path:
    """Find the folder below which every dataset has its own folder.

    Args:
        explicit: The folder, if the user named one.

    Returns:
        `explicit`, else the folder that the environment variable SRNN_DATA names, else ``srnn`` in
        the user's cache folder (``$XDG_CACHE_HOME`` or ``~/.cache``). The latter two may not exist
        yet.

    Raises:
        DataError: `explicit` is not a folder, or out of reach.
    """
    if explicit is not None:
        root = Path(explicit).expanduser()
        if not (is_there(root) and root.is_dir()):
            raise DataError(f"The data folder {root} does not exist: create it or name another.")
        return root
    if named := os.environ.get("SRNN_DATA"):
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "srnn"


def is_there(path: Path) -> bool:
    """Look for a file or folder.

    Raises:
        DataError: A folder on the way may not be searched, so that nobody knows.
    """
    try:
        path.stat()
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be looked for ({error.strerror}): make the folders above it accessible "
            "to you, or name another data folder with SRNN_DATA or --data-dir."
        ) from error
    except (OSError, ValueError):
        return False
    return True


def fetch(path: Path, urls: Sequence[str], md5: str) -> Path:
    """Return a checked file, downloading it if it is not there.

    An interrupted download is continued by the next call, in this process or another.

    Args:
        path: Where the file lies, or is to lie.
        urls: Addresses to try in turn.
        md5: Hexadecimal md5 of the content, decompressed if the file is gzipped.

    Returns:
        `path`, whose content has that md5.

    Raises:
        DataError: The file that is there is another one, no address gave the file, or it could not
            be written. A file that is there is never changed, a file that is not appears whole or
            not at all.
    """
    failures = []
    try:
        if is_there(path):
            return _checked(path, md5)
        with hold_part(path) as part:
            if path.exists():  # another process had the part file, and is done
                return _checked(path, md5)
            for url in urls:
                try:
                    _download(url, part, md5)
                except DownloadFailedError as error:
                    failures.append(f"{url} ({error})")
                except OSError:
                    # The room is needed, and nobody would look for it in a hidden file.
                    os.truncate(part, 0)
                    raise
                else:
                    os.replace(part, path)
                    return path
        kept = part.exists()
    except OSError as error:
        raise cannot_write(path, urls, error) from error
    go_on = "try again, which goes on from there, or " if kept else ""
    raise DataError(
        f"{path} is missing and could not be downloaded from {' or '.join(failures)}: {go_on}"
        "put the file there by hand, or name the data folder that has it with SRNN_DATA or "
        "--data-dir."
    )


@contextmanager
def hold_part(path: Path) -> Iterator[Path]:
    """Make the hidden part file of a file, and keep other processes from it during the block.

    Who comes second waits here, and must then look whether the file is there. What the part file
    holds, if anything, is left over from another time. It is kept unless it is empty.

    Args:
        path: The file that the part file is to become; its folder is made.

    Yields:
        The part file's path. Where files cannot be locked, it is one that nobody else uses, and it
        is not kept.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    lock = _lock(part)
    if lock is None:
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        part.touch(exist_ok=False)
    try:
        yield part
    finally:
        if lock is None:
            part.unlink(missing_ok=True)
        else:
            if _is_open(part, lock) and part.stat().st_size == 0:
                part.unlink()
            os.close(lock)


@contextmanager
def open_content(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading its content, whether it is gzipped or not.

    Raises:
        DataError: The file cannot be opened, or not be read to its end.
    """
    try:
        with path.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if gzipped else path.open("rb") as content:
            yield cast(BinaryIO, content)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path} cannot be read to its end ({error}): replace it.") from error


def check_unpacked(path: Path) -> None:
    """Raise a `DataError` if a file that is read as it lies there is still gzipped."""
    with open_content(path) as content:
        if isinstance(content, gzip.GzipFile):
            raise DataError(
                f"{path} is still packed: rename it to {path.name}.gz and unpack it with gunzip."
            )


def content_md5(path: Path) -> str:
    """Hexadecimal md5 of a file's content, decompressed if the file is gzipped.

    Raises:
        DataError: The file cannot be opened, or not be read to its end.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with open_content(path) as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cannot_write(path: Path, urls: Sequence[str], error: OSError) -> DataError:
    """Say why a missing file cannot be put where it belongs, and what to do."""
    reason = error.strerror or error
    if error.errno in _READ_ONLY:
        return DataError(
            f"{path} is missing and its folder is read-only ({reason}): put the file there by "
            f"hand, it is published at {' or '.join(urls)}, or name another data folder with "
            "SRNN_DATA or --data-dir."
        )
    return DataError(
        f"{path} could not be written ({reason}): make room, "
        "or name another data folder with SRNN_DATA or --data-dir."
    )


def _checked(path: Path, md5: str) -> Path:
    if (found := content_md5(path)) != md5:
        raise DataError(
            f"{path} is not the published file (md5 of its content {found}, expected {md5}): "
            "delete it, and it will be downloaded again."
        )
    return path


def _lock(part: Path) -> int | None:
    """Open a part file and lock it, waiting for whoever has it; None where that is impossible."""
    while fcntl is not None:
        try:
            lock = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:  # the part file of another user, or the folder is read-only
            return None
        locked = False
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("waiting for another process, which is writing %s", part)
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Who had the lock may have renamed the file that was opened here, or deleted it.
            if locked := _is_open(part, lock):
                return lock
        except OSError:  # some network file systems have no locks
            with suppress(FileNotFoundError):
                if part.stat().st_size == 0:
                    part.unlink()
            return None
        finally:
            if not locked:
                os.close(lock)
    return None


def _is_open(path: Path, descriptor: int) -> bool:
    """Whether a path leads to the file that is open."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _download(url: str, part: Path, md5: str) -> None:
    """Make the part file whole and check it; if it is wrong, it is empty afterwards."""
    while True:
        continued = receive(url, part)
        try:
            found = content_md5(part)
        except DataError:
            reason = "what it sent is damaged"
        else:
            if found == md5:
                return
            reason = f"what it sent has the md5 {found}, expected {md5}"
        os.truncate(part, 0)
        if not continued:
            raise DownloadFailedError(reason)
        logger.info("the parts do not make up the file: downloading it from its beginning")
