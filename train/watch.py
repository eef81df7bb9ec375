"""What a run measures and says while it trains: rows of metrics, health warnings, progress."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from .console import Console, duration, percent, with_caveat
from .learner import Learner
from .report import format_score
from .stage import Stage

SILENT = 0.001
"""Spikes a neuron and step below which a layer is called silent."""
SATURATED = 0.5
"""The same above which it is called saturated."""
FIRST_LOOK = 5
"""Batches after which the health is looked at, if no row was due earlier."""
EXPLODING = 1e3
"""Norm of the gradient, before clipping, that is called exploding."""


_TAMING = (
    "raise --threshold to 1, and --input-gain and --adaptation-strength with it; or try "
    "--tbptt 100, --recurrent-gain 0.2, --recurrent-lr-factor 0.1, --detach-reset or a smaller "
    "surrogate (multi_gaussian(gamma=0.3))"
)
_TAMING_DENSE = "lower --lr or --clip-norm, or try --tbptt 100"


def health_warnings(rates: Mapping[str, float], largest_gradient: float) -> list[str]:
    """Name what is wrong with a network, and what to change.

    Args:
        rates: firing rate of each layer, in spikes a neuron and step; empty for a baseline.
        largest_gradient: largest norm of the gradient since the last look.

    Returns:
        One sentence for every problem.
    """
    warnings = []
    for layer, rate in rates.items():
        if rate < SILENT:
            warnings.append(
                f"{layer} is silent ({percent(rate)} of its neurons fire in a step) and learns "
                "little: raise --input-gain or lower --threshold."
            )
        elif rate > SATURATED:
            warnings.append(
                f"{layer} is saturated ({percent(rate)} of its neurons fire in a step): raise "
                "--threshold or --adaptation-strength, or lower --input-gain or --lr."
            )
    if not largest_gradient < EXPLODING:
        warnings.append(
            f"The gradient explodes (norm {largest_gradient:.1e} before clipping), so that its "
            f"direction is that of a few runaway paths: {_TAMING if rates else _TAMING_DENSE}."
        )
    return warnings


class Metrics(Callback):
    """Logs a row every few batches and one after every epoch, and warns of an unhealthy network.

    Args:
        module: what is trained.
        stage: the training; without validation sequences the table has no columns for them.
        every: batches between two rows within an epoch.
        console: where warnings go.
    """

    def __init__(self, module: Learner, stage: Stage, every: int, console: Console) -> None:
        self.module = module
        self.stage = stage
        self.every = every
        self.console = console
        self.validation: dict[str, float] = {}
        self.latest: dict[str, float] = {}
        self._warned: set[str] = set()
        self._looked = False
        self._seen = 0

    def columns(self) -> list[str]:
        """Names of everything that is logged."""
        averages = [_column(name) for name in self.module.recent.names()]
        validated = self.stage.valid is not None
        scores = [f"val/{name}" for name in self.module.scores.names()] if validated else []
        taus = [f"tau/{name}" for name in self.module.network.time_constants()]
        return ["epoch", "batch", "lr", *averages, *scores, *taus]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log a row, unless the epoch's own follows; look at the health early in any case."""
        done = batch_idx + 1
        self._seen += 1
        if done % self.every == 0 and done < trainer.num_training_batches:
            self._log(trainer, self.module.recent.take(), {})
        elif self._seen == FIRST_LOOK and not self._looked:
            self._look(self.module.recent.values())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the scores for the epoch's row."""
        self.validation = self.module.scores.compute()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log a row with the validation and the mean time constants; keep the epoch's means."""
        scores = {f"val/{name}": value for name, value in self.validation.items()}
        taus = self.module.network.time_constants()
        means = {f"tau/{name}": float(tau.mean()) for name, tau in taus.items()}
        # The row holds the means since the last one, like all others, so that its curves are even.
        self._log(trainer, self.module.recent.take(), scores | means)
        whole = self.module.epoch_means.take()
        self.latest |= {_column(name): value for name, value in whole.items()}

    def _log(self, trainer: Trainer, averages: dict[str, float], more: dict[str, float]) -> None:
        row = {
            "epoch": trainer.current_epoch + 1,
            "batch": int(self.module.batches),
            "lr": self.module.rate,
        }
        row |= {_column(name): value for name, value in averages.items()} | more
        self.latest = row
        for logger in trainer.loggers:
            logger.log_metrics(row, step=int(self.module.batches))
        self._look(averages)

    def _look(self, averages: dict[str, float]) -> None:
        """Say how the network does, the first time, and what is wrong with it, every time."""
        rates = {
            name.removeprefix("rate_"): value
            for name, value in averages.items()
            if name.startswith("rate_")
        }
        if not self._looked:
            self._looked = True
            layers = ", ".join(f"{layer} {percent(rate)}" for layer, rate in rates.items())
            firing = f"firing rates {layers}; " if rates else ""
            self.console.line(
                f"after {int(self.module.batches)} batches: {firing}"
                f"gradient norm {averages['grad_norm']:.2g}, "
                f"largest {averages['grad_norm_max']:.2g}"
            )
        for warning in health_warnings(rates, averages["grad_norm_max"]):
            kind = " ".join(warning.split()[:3])  # without the numbers
            if kind not in self._warned:
                self._warned.add(kind)
                self.console.warn(warning)


def _column(name: str) -> str:
    """Column of an average: spikes/ for firing rates, train/ for the rest."""
    return f"spikes/{name}" if name.startswith("rate_") else f"train/{name}"


class Progress(Callback):
    """Says how far the training is: a bar on a terminal, plain lines elsewhere.

    Args:
        metrics: where the latest numbers are.
        stage: the training.
        console: where to say it.
        seconds: time spent training so far.
    """

    def __init__(
        self, metrics: Metrics, stage: Stage, console: Console, seconds: Callable[[], float]
    ) -> None:
        self.metrics = metrics
        self.stage = stage
        self.console = console
        self.seconds = seconds
        self._bar: Bar | None = None
        self._task: Any = None
        self._epoch_began = 0.0
        self._spoke = 0.0
        self._epochs_before = 0
        self._seconds_before = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember where this process began, since its speed may be another than before."""
        self._epochs_before = trainer.current_epoch
        self._seconds_before = self.seconds()
        self._begin_epoch(trainer)  # one that is resumed within gets no on_train_epoch_start

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show a bar for the epoch."""
        self._begin_epoch(trainer)

    def _begin_epoch(self, trainer: Trainer) -> None:
        self._close()
        self._epoch_began = self._spoke = time.monotonic()
        if self.console.is_terminal and trainer.is_global_zero:
            self._bar = Bar(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[note]}"),
                console=self.console.rich,
                transient=True,
            )
            epoch = f"{trainer.current_epoch + 1}/{self.stage.epochs}{self.stage.suffix}"
            total = trainer.num_training_batches
            self._task = self._bar.add_task("", total=total, epoch=epoch, note="")
            self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar; without one, say something every half a minute."""
        row = self.metrics.latest
        if self._bar is not None:
            self._bar.update(self._task, completed=batch_idx + 1, note=self._fit(row))
        elif time.monotonic() - self._spoke > 30:
            self._spoke = time.monotonic()
            self.console.line(
                f"epoch {trainer.current_epoch + 1}/{self.stage.epochs}{self.stage.suffix}, "
                f"batch {batch_idx + 1}/{trainer.num_training_batches}  "
                f"{self._fit(row)}{_firing(row)}"
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sum the epoch up in a line."""
        self._close()
        done = trainer.current_epoch + 1
        epochs = self.stage.epochs
        rate = (self.seconds() - self._seconds_before) / (done - self._epochs_before)
        left = f", {duration(rate * (epochs - done))} left" if done < epochs else ""
        width = len(str(epochs))
        row = self.metrics.latest
        took = duration(time.monotonic() - self._epoch_began)
        note = self.metrics.module.note()
        self.console.line(
            f"epoch {done:{width}d}/{epochs}{self.stage.suffix}  {self._fit(row)}"
            f"{self._validation(row)}{_firing(row)}  {took}{left}{note and '  ' + note}"
        )

    def _fit(self, row: Mapping[str, float]) -> str:
        """Say how well the training data are fitted, once something was measured."""
        if "train/loss" not in row:
            return ""
        means = {name: row.get(f"train/{name}") for name in self.metrics.module.shown}
        shown = (
            f"{_said(name)} {format_score(name, value)}"
            for name, value in means.items()
            if value is not None  # such as the score, where no game ended
        )
        return "  ".join([f"loss {row['train/loss']:.3f}", *shown])

    def _validation(self, row: Mapping[str, float]) -> str:
        """Say how well the validation went, if there was one."""
        name = self.stage.info.score
        if f"val/{name}" not in row:
            return ""
        score = format_score(name, row[f"val/{name}"])
        return f"  validation {with_caveat(score, self.stage.info.caveat)}"

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the terminal as it was."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _said(name: str) -> str:
    """What a mean is called in a line of progress."""
    return name.replace("_", " ")


def _firing(row: Mapping[str, float]) -> str:
    """Say how often the neurons of every layer fire."""
    rates = [percent(value) for name, value in row.items() if name.startswith("spikes/")]
    return f"  firing {' '.join(rates)}" if rates else ""
