import errno
import http.server
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from srnn.datasets import files


@dataclass
class Page:
    """What a `Site` sends for an address.

    Attributes:
        content: The file.
        ranges: Whether a Range request is answered with 206, or with the whole file.
        cut: Bytes after which the connection is lost, the first time.
        gate: If given, waited for when `cut` bytes are sent, instead of losing the connection.
        misplaced: Answer a Range request with bytes from the beginning of the file.
        length: Whether to say how long it is.
    """

    content: bytes
    ranges: bool = True
    cut: int | None = None
    gate: threading.Event | None = None
    misplaced: bool = False
    length: bool = True


class Site(http.server.ThreadingHTTPServer):
    """A server on this machine that notes what it was asked: the address and the Range or None."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str | None]] = []

    def put(self, name: str, content: bytes, **options: Any) -> str:
        """Publish a page; return its address."""
        self.pages[f"/{name}"] = Page(content, **options)
        return f"{self.url}/{name}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        page = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        start = 0
        if wanted and page.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(page.content):
                self.send_error(416)
                return
            start = 0 if page.misplaced else start
            self.send_response(206)
            last = len(page.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        else:
            self.send_response(200)
        body = page.content[start:]
        if page.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, page.cut = page.cut, None
        try:
            self.wfile.write(body[:cut])
            if cut is not None and page.gate:
                page.gate.wait(10)
                self.wfile.write(body[cut:])
        except (BrokenPipeError, ConnectionResetError):  # the process that asked was killed
            pass

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def real_data() -> Path:
    root = os.environ.get("SRNN_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("needs the published files: set SRNN_DATA to a folder that has them")
    return Path(root)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests' own servers on 127.0.0.1 reachable where a proxy is configured."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def one_sentence():
    """Check that a message is one line that ends in a full stop."""

    def check(error: pytest.ExceptionInfo[Exception]) -> str:
        message = str(error.value)
        assert "\n" not in message
        assert message.endswith((".", "?"))
        return message

    return check


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """Let no file grow beyond 300,000 bytes during a block, as a quota does."""

    @contextmanager
    def limited() -> Iterator[None]:
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture
def somebody_else() -> Callable[[], AbstractContextManager[None]]:
    """Not be root during a block, whom no folder is read-only for."""

    @contextmanager
    def demoted() -> Iterator[None]:
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)

    return demoted


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, as they cannot pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.fixture(params=["none", "refused"])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no fcntl, and some file systems refuse to lock."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if request.param == "none":
        monkeypatch.setattr(files, "fcntl", None)
    else:
        monkeypatch.setattr(files.fcntl, "flock", refuse)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of what can be made again: one of the test's own, not there yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SRNN_CACHE", str(folder))
    return folder


class Recordings:
    """An `EventSource` in memory that notes what is read from it.

    Args:
        recordings: Their events.
        sensor: Width, height and polarities.
        identity: What they are to be taken for.
    """

    name = "recordings"

    def __init__(
        self, recordings: list[Any], sensor: tuple[int, int, int], identity: str = "some"
    ) -> None:
        self.recordings, self.sensor, self.identity = recordings, sensor, identity
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        return self.recordings[index].copy()


@pytest.fixture(scope="session")
def recordings() -> type[Recordings]:
    return Recordings


@pytest.fixture(scope="session")
def cochlea_events() -> Callable[..., Any]:
    """Make the events of a cochlea from times in microseconds and channels."""

    def make(times: Any, channels: Any) -> Any:
        events = np.zeros(len(times), [("t", np.int64), ("x", np.int64), ("p", np.int64)])
        events["t"], events["x"], events["p"] = times, channels, 1
        return events

    return make


@pytest.fixture(scope="session")
def spoken() -> Callable[..., list[Any]]:
    """Draw samples: times in seconds, which are rising, and channels."""

    def draw(count: int, seed: int = 0, most: int = 60, end: float = 1.39) -> list[Any]:
        random = np.random.default_rng(seed)
        samples = []
        for _ in range(count):
            size = random.integers(most + 1)
            times = np.sort(random.random(size) * end).astype(np.float16)
            samples.append((times, random.integers(0, 700, size)))
        return samples

    return draw


@pytest.fixture(scope="session")
def write_spikes() -> Callable[..., Path]:
    """Write a file in the layout of the Heidelberg data sets; give its path.

    A keyword with a dataset's name, such as labels or speaker, replaces its content, or leaves it
    out if it is None. Without a description of the speakers, it has no extra/meta_info.
    """

    def write(
        path: Path, samples: Any, time: Any = np.float16, described: bool = True, **content: Any
    ) -> Path:
        count = len(samples)
        columns: dict[str, Any] = {
            "labels": np.arange(count, dtype=np.uint16) % 3,
            "speaker": np.arange(count, dtype=np.uint16) // 4 % 5,
            "keys": np.array([b"zero", b"eins", "f\u00fcnf".encode()]),
        }
        kinds = {"times": time, "units": np.uint16}
        for column, (name, kind) in enumerate(kinds.items()):
            columns[name] = [np.asarray(sample[column], kind) for sample in samples]
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for name, values in (columns | content).items():
                group = {"times": "spikes/", "units": "spikes/", "labels": ""}.get(name, "extra/")
                if isinstance(values, list) and name in ("times", "units"):
                    rows = np.empty(len(values), object)
                    rows[:] = values
                    kind = h5py.vlen_dtype(values[0].dtype if values else kinds[name])
                    file.create_dataset(group + name, data=rows, dtype=kind)
                elif values is not None:
                    file[group + name] = values
            if described:
                meta = file.create_group("extra/meta_info")
                meta["gender"], meta["age"] = np.array([b"male"] * 12), np.arange(12) + 20
                meta["body_height"] = np.arange(12) + 160
        return path

    return write
