"""Checkpoints that a run continues from exactly, and stopping that loses nothing.

A checkpoint holds weights, optimiser, schedule, the position in the data, running means, the states
of the random generators, and how long metrics.csv was: what was written after it is cut off again
when the run goes on. It is written to a temporary file first and read back with
``weights_only=True``.
"""

import io
import random
import shlex
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from srnn.published import UNREADABLE

from .errors import ConfigError, Stopped
from .metrics_csv import MetricsCSV
from .processes import gathered
from .run_folder import RunFolder, write_atomically
from .stage import Stage


class AtomicCheckpoints(CheckpointIO):
    """Writes a checkpoint whole or not at all, and never unpickles code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save a checkpoint."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint; see :func:`read_checkpoint`."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code that it might hold.

    Raises:
        ConfigError: if there is none, or it is damaged.
    """
    try:
        with warnings.catch_warnings():  # torch has doubts about files that are refused anyway
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["state_dict"].items()
        return checkpoint
    except FileNotFoundError:
        raise ConfigError(
            f"There is no checkpoint {path}; give the folder of a trained run."
        ) from None
    except (*UNREADABLE, OSError):
        raise ConfigError(f"The checkpoint {path} is damaged or no checkpoint of srnn.") from None


def check_goes_on(run: RunFolder, epochs: int) -> None:
    """Check, before anything of it is changed, that a run can go on from its last checkpoint.

    Args:
        run: the run.
        epochs: how many it is to have.

    Raises:
        ConfigError: if there is no checkpoint; if it has begun more epochs; if its table lacks
            rows.
    """
    checkpoint = read_checkpoint(run.last)
    begun = checkpoint["epoch"] + 1
    if epochs < begun:
        raise ConfigError(
            f"The run {run.path} has come to epoch {begun} already, and cannot end after "
            f"{epochs}: leave --epochs out, or start a new run."
        )
    saved = checkpoint["callbacks"][Checkpoints.__qualname__]
    MetricsCSV(run.metrics, ()).check_holds(saved["metrics_bytes"])


def random_states() -> dict[str, Any]:
    """Return the states of all random generators, as numbers and tensors only."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    # Of the device that this process trains on, which another machine may not have.
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    return {
        "python": random.getstate(),
        "numpy": [kind, [int(key) for key in keys], *rest],
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Put the random generators into saved states."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] is not None and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(states["cuda"].cpu())
    if states.get("mps") is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"].cpu())


class Checkpoints(Callback):
    """Saves ``last.ckpt`` and ``best.ckpt``, and stops a run when Ctrl-C or SIGTERM asks for it.

    The former is written during and after every epoch, the latter when the validation improves.

    Args:
        stage: the training that is saved.
        metrics: its table, which a resumed run cuts back to where it was.
        initial_taus: time constants before training, by name.
        every: batches between two checkpoints within an epoch.
        score: returns the validation score to select by, higher is better; None without validation.
        say: prints a line.
    """

    def __init__(
        self,
        stage: Stage,
        metrics: MetricsCSV,
        initial_taus: dict[str, torch.Tensor],
        every: int,
        score: Callable[[], float | None],
        say: Callable[[str], None],
    ) -> None:
        self.stage = stage
        self.folder = stage.folder
        self.metrics = metrics
        self.every = every
        self.score = score
        self.say = say
        self.best_score = -float("inf")
        self.best_epoch = 0
        self.initial_taus = initial_taus
        self._seconds_before = 0.0
        self._began: float | None = None
        self._restore: dict[str, Any] | None = None
        self._stop = False
        self._handlers: dict[int, Any] = {}

    @property
    def seconds(self) -> float:
        """Time spent training so far, over all parts of the run."""
        now = 0.0 if self._began is None else time.monotonic() - self._began
        return self._seconds_before + now

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of this callback; of several processes all have to call it."""
        states, *others = gathered(random_states())
        return {
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "initial_taus": self.initial_taus,
            "seconds": self.seconds,
            "metrics_bytes": self.metrics.size(),
            "random": states,
            "random_of_others": others,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what a checkpoint holds."""
        self.best_score = state_dict["best_score"]
        self.best_epoch = state_dict["best_epoch"]
        self.initial_taus = state_dict["initial_taus"]
        self._seconds_before = state_dict["seconds"]
        self._restore = state_dict

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore what was interrupted, as late as possible, and listen for signals."""
        if self._restore is not None:
            self.metrics.cut(self._restore["metrics_bytes"])
            everyone = [self._restore["random"], *self._restore.get("random_of_others", [])]
            restore_random_states(everyone[trainer.global_rank])
        self._began = time.monotonic()
        # Here rather than earlier, since Lightning sets its own handlers when it starts to fit.
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._on_signal)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch; after its last batch the validation and the epoch's save follow."""
        done = batch_idx + 1
        if done == trainer.num_training_batches:
            return
        stop = self._stop_wanted(trainer)
        if stop or done % self.every == 0:
            trainer.save_checkpoint(self.folder.last)
        if stop:
            raise Stopped(self._how_to_go_on(f"batch {done} of epoch {trainer.current_epoch + 1}"))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after an epoch and its validation."""
        score = self.score()
        if score is not None and score > self.best_score:
            self.best_score = score
            self.best_epoch = trainer.current_epoch + 1
            trainer.save_checkpoint(self.folder.best)
        trainer.save_checkpoint(self.folder.last)
        done = trainer.current_epoch + 1
        ends = self.stage.final and done == self.stage.epochs  # then there is nothing left to stop
        if self._stop_wanted(trainer) and not ends:
            raise Stopped(self._how_to_go_on(f"epoch {done}"))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        self._seconds_before, self._began = self.seconds, None
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _stop_wanted(self, trainer: Trainer) -> bool:
        """Whether any process was asked to stop: then all have to, after the same batch."""
        return trainer.strategy.reduce_boolean_decision(self._stop, all=False)

    def _how_to_go_on(self, place: str) -> str:
        path = shlex.quote(str(self.stage.run.path))
        return (
            f"stopped and saved after {place}{self.stage.suffix}; go on with: srnn-train --resume "
            f"{path}"
        )

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._stop:  # the second one: do not wait any longer
            raise KeyboardInterrupt
        self._stop = True
        self.say("Stopping after this batch and saving ... (once more to stop at once)")
