"""Receiving a file from a server: appending what is lacking, and saying how far it has come."""

import http.client
import logging
import os
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

_PIECE = 1 << 16
"""Bytes taken from a server at once: what is lost at most of what came before an interruption."""
_TIMEOUT = 30.0
"""Seconds without an answer after which a server counts as unreachable."""
_BRIEF, _SILENCE = 5.0, 30.0
"""Seconds between two lines about a download: for every tenth of it, and if a tenth takes long."""

logger = logging.getLogger(__name__)


class DownloadFailedError(Exception):
    """One address did not give the file; the next one may."""


def receive(url: str, part: Path) -> bool:
    """Append to a part file what it lacks of the file at an address.

    Args:
        url: The address.
        part: The file to append to; it is there, and may be empty.

    Returns:
        Whether it now holds bytes that were there before.

    Raises:
        DownloadFailedError: The server cannot be reached, or the connection was lost; what came
            before that is kept.
        OSError: The file could not be written.
    """
    here = part.stat().st_size
    response = _ask(url, here)
    if response is None:
        return True
    with response:
        continued = here > 0 and response.status == HTTPStatus.PARTIAL_CONTENT
        here = here if continued else 0
        length = response.headers.get("Content-Length", "")
        total = here + int(length) if length.isdecimal() else None
        progress = _Progress(url, here, total)
        with part.open("ab" if continued else "wb") as file:
            while True:
                try:
                    chunk = response.read(_PIECE)
                except (OSError, http.client.HTTPException) as error:
                    raise DownloadFailedError(f"connection lost after {progress}") from error
                if not chunk:
                    break
                file.write(chunk)
                file.flush()  # a process that is killed takes its buffers with it
                progress.add(len(chunk))
            os.fsync(file.fileno())
    # A server that closes early raises no error.
    if total is not None and progress.here < total:
        raise DownloadFailedError(f"connection lost after {progress}")
    return continued


def _ask(url: str, start: int) -> Any:
    """Ask a server for a file from a byte on.

    Returns:
        The response, with the rest of the file or all of it, or None if the server cannot continue
        there: the part file may be whole already, or not be of this file.
    """
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        request = urllib.request.Request(url, headers=headers)
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        # URLError, time-outs and lost connections are all OSErrors.
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if start and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
        raise DownloadFailedError(str(getattr(error, "reason", error))) from error


class _Progress:
    """How much of a download is here, and the lines about it: neither a flood nor a silence.

    Args:
        url: The address.
        here: Bytes that are here already.
        total: Bytes of the whole file, if the server says.
    """

    def __init__(self, url: str, here: int, total: int | None) -> None:
        self.here = here
        self._name = url.rpartition("/")[2] or url
        self._total = total
        self._said, self._when = here, time.monotonic()
        size = "" if total is None else f" ({total / 1e6:.1f} MB)"
        logger.info("downloading %s%s%s", url, size, f" from {self} on" if here else "")

    def __str__(self) -> str:
        here = f"{self.here / 1e6:.1f}"
        return f"{here} MB" if self._total is None else f"{here} of {self._total / 1e6:.1f} MB"

    def add(self, size: int) -> None:
        """Count bytes that have come, and log a line if one is due."""
        self.here += size
        silence = time.monotonic() - self._when
        tenth = self._total is not None and self.here - self._said >= self._total / 10
        if silence >= (_BRIEF if tenth else _SILENCE):
            share = f" ({100 * self.here / self._total:.0f} %)" if self._total else ""
            logger.info("%s: %s%s", self._name, str(self), share)
            self._said, self._when = self.here, time.monotonic()
