"""The folder of a run: what lies where, and writing that survives a crash.

<run-dir>/<dataset>/<name>/
    config.yaml         every setting
    drawn.json          what was drawn to make the task, such as the order of pixels
    metrics.csv         what was measured while training
    checkpoints/        last.ckpt to go on from, best.ckpt by the validation score
    retrain/            with --retrain: metrics.csv and checkpoints/last.ckpt of the second stage
    summary.json        the result; its presence means that the run is finished
    report.md, plots/   for reading
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from .config import Experiment
from .errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.yaml"
DRAWN = "drawn.json"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of settings.

    Raises:
        ConfigError: if it cannot be read or holds something else.
    """
    try:
        settings = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path} cannot be read as YAML: {' '.join(str(error).split())}."
        ) from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} must hold settings, one `key: value` a line.")
    return settings


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError from within the name of the file, which a failed write() does not know."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: to a temporary file beside it, then renamed."""
    temporary = path.with_name(path.name + ".part")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of a run.

    Raises:
        ConfigError: if it is damaged, or cannot be read.
    """
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None
    except ValueError:
        raise ConfigError(f"{path} is damaged: delete the run, or bring the file back.") from None


@dataclass(frozen=True)
class RunFolder:
    """Paths within the folder of one run."""

    path: Path

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation score so far."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def metrics(self) -> Path:
        """The table of what was measured while training."""
        return self.path / "metrics.csv"

    @property
    def retraining(self) -> "RunFolder":
        """The folder of the second stage, which has a table and checkpoints of its own."""
        return RunFolder(self.path / "retrain")

    @property
    def plots(self) -> Path:
        """The folder of the plots."""
        return self.path / "plots"

    @property
    def summary(self) -> Path:
        """The result, as JSON."""
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        """The result, for reading."""
        return self.path / "report.md"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training this run during the block.

        The folder is made, and is gone again if nothing was put into it. Where a file system has no
        locks nobody is kept away.

        Raises:
            ConfigError: if another process has the run.
            OSError: if the folder cannot be made.
        """
        with naming(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        lock = _lock(self.path)
        try:
            yield
        finally:
            if lock is not None:
                _held.discard(lock)
                os.close(lock)
            with suppress(OSError):  # one that is not empty stays
                self.path.rmdir()
                self.path.parent.rmdir()

    def resumable(self) -> bool:
        """Whether there is a run here with a checkpoint to go on from."""
        return (self.path / CONFIG).is_file() and self.last.is_file()

    def checkpointed(self) -> float:
        """Return when the run was last saved, in seconds."""
        saved = (self.last, self.retraining.last)
        return max(path.stat().st_mtime for path in saved if path.exists())

    def finished(self) -> bool:
        """Whether the run reached its end."""
        return self.summary.is_file()

    def write_config(self, experiment: Experiment) -> None:
        """Save the settings; without those that say only how this process was started."""
        settings = asdict(experiment) | {"resume": None, "name": None}
        write_atomically(self.path / CONFIG, yaml.safe_dump(settings, sort_keys=False))

    def read_config(self) -> Experiment:
        """Read the settings back.

        Raises:
            ConfigError: if they are damaged.
        """
        settings = read_yaml(self.path / CONFIG)
        try:
            return Experiment(**settings)
        except TypeError:
            raise ConfigError(
                f"{self.path / CONFIG} was written by another version of srnn, or changed."
            ) from None

    def write_drawn(self, drawn: dict[str, list[int]]) -> None:
        """Save what was drawn at random to make the task, if anything was."""
        if drawn:
            write_atomically(self.path / DRAWN, json.dumps(drawn) + "\n")

    def check_drawn(self, drawn: dict[str, list[int]]) -> None:
        """Check that the task is still the one that the run was started on.

        Raises:
            ConfigError: if it was drawn differently.
        """
        path = self.path / DRAWN
        saved = read_json(path) if path.is_file() else {}
        if saved != drawn:
            raise ConfigError(
                f"The run {self.path} was made on another draw of the task than this version of "
                "srnn makes: its scores cannot be compared."
            )

    def read_summary(self) -> dict[str, Any]:
        """Read the result back."""
        return read_json(self.summary)

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Save the result."""
        write_atomically(self.summary, json.dumps(summary, indent=2) + "\n")


_held: set[int] = set()
"""Locks of this process, as file descriptors."""


def _let_go() -> None:
    """In a process that was forked, as a loader's worker is: it may outlive the one that trains."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def _lock(folder: Path) -> int | None:
    if fcntl is None:
        return None
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConfigError(
            f"The run {folder} is being trained by another process: wait for it, or give a new run "
            "another --name."
        ) from None
    except OSError:  # a file system without locks
        pass
    _held.add(lock)
    return lock


def newest_unfinished(runs: Path) -> RunFolder | None:
    """Return the run under a folder that was checkpointed last and has not finished, if any."""
    folders = [RunFolder(path.parent.parent) for path in runs.glob("*/checkpoints/last.ckpt")]
    unfinished = [folder for folder in folders if folder.resumable() and not folder.finished()]
    return max(unfinished, key=RunFolder.checkpointed, default=None)


def commit() -> str:
    """Return the commit of the code that runs, with a + if it was changed since; or "unknown"."""
    here = Path(__file__).resolve().parent
    # An installed copy may lie within another repository, which knows nothing of this file.
    ours = ["ls-files", "--error-unmatch", Path(__file__).name]
    described = ["describe", "--always", "--dirty=+", "--abbrev=9", "--exclude=*"]
    try:
        for arguments in (ours, described):
            command = ["git", "-C", str(here), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
