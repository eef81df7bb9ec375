"""One run from its settings to its report: the order of events, each of which lives elsewhere."""

import logging
import math
import os
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from srnn import SRNN
from srnn.datasets import SequenceLoader, Splits

from . import plots, wandb_log
from .build import build_data, build_network, training_loader
from .checkpoints import AtomicCheckpoints, Checkpoints
from .config import Experiment
from .console import Console, duration, first_process, percent
from .device import device_and_reason
from .errors import ConfigError, NotFiniteError
from .evaluate import Evaluation, check_fits, evaluate, load_weights, look_at
from .header import print_header
from .metrics_csv import MetricsCSV
from .module import SequenceClassifier
from .report import score_rows, write_report
from .run_folder import RunFolder, commit
from .threads import choose_threads
from .watch import Metrics, Progress

_RUN_NAME = "SRNN_RUN_NAME"
"""Environment variable by which the first process of a distributed run tells the others its
name."""


class _Data(LightningDataModule):
    """The loaders of a run; made late, when each process knows which part is its own."""

    def __init__(self, experiment: Experiment, splits: Splits) -> None:
        super().__init__()
        self.experiment = experiment
        self.splits = splits

    def train_dataloader(self) -> SequenceLoader:
        """Training batches."""
        return training_loader(self.experiment, self.splits, *self._place())

    def val_dataloader(self) -> SequenceLoader:
        """Validation batches."""
        rank, world_size = self._place()
        return SequenceLoader(
            self.splits.valid, self.experiment.batch_size, rank=rank, world_size=world_size
        )

    def _place(self) -> tuple[int, int]:
        assert self.trainer is not None
        return self.trainer.global_rank, self.trainer.world_size


def run(experiment: Experiment, resumed: RunFolder | None, console: Console) -> dict[str, Any]:
    """Train, score and report.

    Args:
        experiment: the settings.
        resumed: the run to go on with, or None for a new one.
        console: where to speak.

    Returns:
        The result, as in summary.json.

    Raises:
        ConfigError: for settings that do not fit.
        DataError: for data that are missing or damaged.
        Stopped: when the user stopped the run; it can be resumed.
        NotFiniteError: when a loss, gradient or weight became NaN.
        OSError: when the disk is full or the folder cannot be written.
    """
    _quieten_lightning()
    splits = build_data(experiment)
    threads = choose_threads(experiment, splits.info.channels)
    network = build_network(experiment, splits.info)
    processes = experiment.devices * experiment.num_nodes
    if processes > 1 and experiment.tbptt:
        raise ConfigError(
            "--tbptt updates several times a batch, which processes in parallel cannot: leave it "
            "out, or use --devices 1."
        )
    if resumed is not None:
        check_fits(network, resumed.last)
        resumed.check_drawn(splits.train.drawn)
    device = device_and_reason(experiment.accelerator, experiment.devices)
    folder = resumed or _new_folder(experiment)
    per_process = math.ceil(len(splits.train) / processes)
    batches = math.ceil(per_process / experiment.batch_size)
    print_header(
        console,
        experiment,
        splits,
        network,
        device=device,
        threads=threads,
        batches=batches,
        folder=folder.path,
    )

    module = SequenceClassifier(network, splits.info, experiment, batches * experiment.epochs)
    metrics = Metrics(module, experiment.log_every, console)
    table = MetricsCSV(folder.metrics, metrics.columns())
    checkpoints = Checkpoints(
        folder,
        table,
        network.time_constants(),
        experiment.checkpoint_every,
        lambda: metrics.validation["accuracy"],
        console.warn,
    )
    wandb = wandb_log.start(experiment, folder)
    if first_process():
        folder.write_config(experiment)
        folder.summary.unlink(missing_ok=True)  # of a finished run that goes on
        if resumed is None:
            folder.write_drawn(splits.train.drawn)
            table.begin()
    trainer = Trainer(
        max_epochs=experiment.epochs,
        accelerator="gpu" if experiment.accelerator == "cuda" else experiment.accelerator,
        devices=experiment.devices,
        num_nodes=experiment.num_nodes,
        precision=experiment.precision,
        default_root_dir=folder.path,
        logger=[table, *wandb],
        callbacks=[metrics, Progress(metrics, console, lambda: checkpoints.seconds), checkpoints],
        plugins=[AtomicCheckpoints()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    if resumed is not None:
        console.line(f"going on from {folder.last}")
    try:
        trainer.fit(module, _Data(experiment, splits), ckpt_path=folder.last if resumed else None)
    except NotFiniteError as error:
        last = f"The last good checkpoint is {folder.last}." if folder.last.exists() else None
        raise NotFiniteError(f"{error} {last or 'There is no earlier checkpoint.'}") from None
    except SystemExit:  # what Lightning makes of a signal before the first batch, or a second one
        raise KeyboardInterrupt from None
    try:
        return _finish(experiment, folder, splits, network, checkpoints, trainer, console)
    finally:
        _part_from_others()


def _part_from_others() -> None:
    """Let the processes of a distributed run end together: one that is gone breaks the others."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _finish(
    experiment: Experiment,
    folder: RunFolder,
    splits: Splits,
    network: SRNN,
    checkpoints: Checkpoints,
    trainer: Trainer,
    console: Console,
) -> dict[str, Any]:
    """Score the best weights on the test set, once, and write everything down."""
    if not trainer.is_global_zero:
        return {}
    console.line(
        f"testing the weights of epoch {checkpoints.best_epoch}, the best on validation ..."
    )
    load_weights(network, folder)
    network.to(trainer.strategy.root_device)  # Lightning has put it back on the CPU
    tested = evaluate(network, splits.test, experiment.batch_size)
    summary = {
        "dataset": experiment.dataset,
        "test": tested.scores,
        "test_sequences": tested.sequences,
        "validation": checkpoints.best_score,
        "best_epoch": checkpoints.best_epoch,
        "rates": tested.rates,
        "spikes_per_sequence": tested.spikes,
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "seconds": round(checkpoints.seconds, 1),
        "device": f"{trainer.strategy.root_device}, {torch.get_num_threads()} threads",
        "seed": experiment.seed,
        "commit": commit(),
    }
    _draw(folder, splits, network, checkpoints.initial_taus, tested)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            wandb_log.finish(logger, folder, tested)
    write_report(folder, experiment, splits.info, summary)
    folder.write_summary(summary)  # last: it marks the run as finished
    _print_summary(console, folder, summary)
    return summary


def _draw(
    folder: RunFolder,
    splits: Splits,
    network: SRNN,
    initial_taus: dict[str, torch.Tensor],
    tested: Evaluation,
) -> None:
    inputs, record, thresholds, title = look_at(network, splits.test, 0)
    plots.learning_curves(folder.metrics, folder.plots / "learning_curves.png")
    names = network.layer_names()
    plots.raster(inputs, record, names, thresholds, title, folder.plots / "raster.png")
    plots.time_constants(
        initial_taus, network.time_constants(), folder.plots / "time_constants.png"
    )
    plots.confusion(tested.confusion, splits.info.classes, folder.plots / "confusion.png")


def _print_summary(console: Console, folder: RunFolder, summary: dict[str, Any]) -> None:
    console.line()
    for title, value in score_rows(summary["test"]):
        console.line(f"test {title:18} {value}", style="bold" if title == "accuracy" else None)
    firing = ", ".join(f"{layer} {percent(rate)}" for layer, rate in summary["rates"].items())
    console.line(f"spikes a sequence       {summary['spikes_per_sequence']:.0f}  ({firing})")
    console.line(f"trained for             {duration(summary['seconds'])}")
    console.line(f"report                  {folder.report}")
    console.line(f"score it again with     srnn-eval {folder.path}")


def _new_folder(experiment: Experiment) -> RunFolder:
    """Choose the folder of a new run."""
    if experiment.name is None and experiment.num_nodes > 1:
        raise ConfigError("A run on several nodes needs a --name that all of them know.")
    folders = Path(experiment.run_dir) / experiment.dataset
    if not first_process():
        name = experiment.name or os.environ.get(_RUN_NAME)
        if name is None:
            raise ConfigError("Processes that start by themselves need a --name that all know.")
        return RunFolder(folders / name)
    new = f"{default_name(experiment)}-seed{experiment.seed}"
    folder = RunFolder(folders / (experiment.name or new))
    os.environ[_RUN_NAME] = folder.path.name
    killed_early = experiment.resume == "auto" and not (folder.resumable() or folder.finished())
    if folder.path.exists() and not killed_early:
        advice = "it has finished" if folder.finished() else "go on with it by --resume auto"
        raise ConfigError(
            f"The run {folder.path} exists already ({advice}): choose another --name for a new one."
        )
    return folder


def default_name(experiment: Experiment) -> str:
    """Name runs after their network and the time."""
    kind = ("" if experiment.feedforward else "r") + experiment.neuron
    sizes = "-".join(map(str, experiment.hidden))
    return f"{kind}-{sizes}-{time.strftime('%Y%m%d-%H%M%S')}"


def _quieten_lightning() -> None:
    """Leave what Lightning says to our own header, and out its advice that does not apply."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
