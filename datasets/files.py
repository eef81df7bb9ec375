"""Data files: where they lie, and how a missing one is downloaded and checked.

A file is known by the md5 of its content. The content of a gzip file is what it decompresses to,
because two compressions of the same data differ in their headers. A download goes to a temporary
file in the target's own folder, is checked there, and takes its name in one atomic step; so a file
that has its name is whole, and several processes may fetch the same file at once.
"""

import gzip
import hashlib
import http.client
import logging
import os
import urllib.request
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from srnn.datasets._base import DataError

_CHUNK = 1 << 20
_TIMEOUT = 30.0
"""Seconds without an answer after which a server counts as unreachable."""

logger = logging.getLogger(__name__)


class _DownloadFailedError(Exception):
    """One address did not give the file; the next one may."""


def data_root(explicit: str | Path | None = None) -> Path:
    """Find the folder below which every dataset has its own folder.

    Args:
        explicit: The folder, if the user named one.

    Returns:
        `explicit`, else the folder that the environment variable SRNN_DATA names, else ``srnn`` in
        the user's cache folder (``$XDG_CACHE_HOME`` or ``~/.cache``). The latter two may not exist
        yet.

    Raises:
        DataError: `explicit` is not a folder.
    """
    if explicit is not None:
        root = Path(explicit).expanduser()
        if not root.is_dir():
            raise DataError(f"The data folder {root} does not exist: create it or name another.")
        return root
    if named := os.environ.get("SRNN_DATA"):
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "srnn"


def fetch(path: Path, urls: Sequence[str], md5: str) -> Path:
    """Return a checked file, downloading it if it is not there.

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
    if path.exists():
        if (found := content_md5(path)) != md5:
            raise DataError(
                f"{path} is not the published file (md5 of its content {found}, expected {md5}): "
                "delete it, and it will be downloaded again."
            )
        return path

    failures = []
    for url in urls:
        logger.info("downloading %s", url)
        try:
            _download(url, path, md5)
        except _DownloadFailedError as error:
            failures.append(f"{url} ({error})")
        except OSError as error:
            raise DataError(
                f"{path} could not be written ({error.strerror or error}): make room, "
                "or name another data folder with SRNN_DATA or --data-dir."
            ) from error
        else:
            return path
    raise DataError(
        f"{path} is missing and could not be downloaded from {' or '.join(failures)}: "
        "put the file there by hand, or name the data folder that has it with SRNN_DATA or "
        "--data-dir."
    )


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


def _download(url: str, path: Path, md5: str) -> None:
    """Download to a temporary file, check it, and only then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            for chunk in _stream(url):
                file.write(chunk)
        try:
            found = content_md5(part)
        except DataError as error:
            raise _DownloadFailedError("what it sent is damaged or incomplete") from error
        if found != md5:
            raise _DownloadFailedError(f"what it sent has the md5 {found}, expected {md5}")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _stream(url: str) -> Iterator[bytes]:
    """Yield the body that a server sends; its failures are told apart from those of the disk."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            while chunk := response.read(_CHUNK):
                yield chunk
    except (OSError, http.client.HTTPException) as error:
        # URLError, time-outs and lost connections are all OSErrors.
        raise _DownloadFailedError(str(getattr(error, "reason", error))) from error
