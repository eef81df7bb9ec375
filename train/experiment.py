"""One run from its settings to its report: the order of events, each of which lives elsewhere."""

import logging
import math
import os
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.loggers import Logger

from srnn import SRNN
from srnn.datasets import SequenceLoader, Splits

from . import plots
from .build import build_data, build_network, choose_threads, training_loader
from .checkpoints import AtomicCheckpoints, Checkpoints, read_checkpoint
from .config import Experiment
from .console import Console, duration, percent
from .errors import ConfigError, NotFinite
from .evaluate import Evaluation, evaluate, load_weights, look_at
from .header import device_and_reason, print_header
from .metrics_csv import MetricsCSV
from .module import SequenceClassifier
from .report import score_rows, write_report
from .run_folder import RunFolder, commit
from .watch import Metrics, Progress

_RUN_NAME = "SRNN_RUN_NAME"
"""Environment variable by which the first process of a distributed run tells the others its name."""


class _Data(LightningDataModule):
    """The loaders of a run; made late, when each process knows which part is its own."""

    def __init__(self, experiment: Experiment, splits: Splits) -> None:
        super().__init__()
        self.experiment = experiment
        self.splits = splits

    def train_dataloader(self) -> SequenceLoader:
        """Training batches."""
        trainer = self.trainer
        return training_loader(
            self.experiment, self.splits, trainer.global_rank, trainer.world_size
        )

    def val_dataloader(self) -> SequenceLoader:
        """Validation batches."""
        return SequenceLoader(
            self.splits.valid,
            self.experiment.batch_size,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )


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
        NotFinite: when a loss or gradient became NaN.
        OSError: when the disk is full or the folder cannot be written.
    """
    _quieten_lightning()
    threads = choose_threads(experiment)
    splits = build_data(experiment)
    network = build_network(experiment, splits.info)
    processes = experiment.devices * experiment.num_nodes
    if processes > 1 and experiment.tbptt:
        raise ConfigError(
            "--tbptt updates several times a batch, which processes in parallel cannot: leave it out, or "
            "use --devices 1."
        )
    folder = resumed or _new_folder(experiment)
    per_process = math.ceil(len(splits.train) / processes)
    batches = math.ceil(per_process / experiment.batch_size)
    print_header(
        console,
        experiment,
        splits,
        network,
        device=device_and_reason(experiment.accelerator, experiment.devices),
        threads=threads,
        batches=batches,
        folder=folder.path,
    )

    module = SequenceClassifier(network, splits.info, experiment, batches * experiment.epochs)
    table = MetricsCSV(folder.metrics, Metrics.columns(module))
    metrics = Metrics(experiment.log_every, console)
    checkpoints = Checkpoints(
        folder,
        table,
        experiment.checkpoint_every,
        lambda: metrics.validation["accuracy"],
        console.warn,
    )
    if rank_zero_only.rank == 0:
        folder.write_config(experiment)
        if resumed is None:
            table.begin()
    trainer = Trainer(
        max_epochs=experiment.epochs,
        accelerator="gpu" if experiment.accelerator == "cuda" else experiment.accelerator,
        devices=experiment.devices,
        num_nodes=experiment.num_nodes,
        precision=experiment.precision,
        default_root_dir=folder.path,
        logger=[table, *_wandb(experiment, folder)],
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
    except NotFinite as error:
        if folder.last.exists():
            raise NotFinite(f"{error} The last good checkpoint is {folder.last}.") from None
        raise NotFinite(f"{error} There is no earlier checkpoint.") from None
    return _finish(experiment, folder, splits, network, checkpoints, trainer, console)


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
    console.line(f"testing the weights of epoch {checkpoints.best_epoch}, the best on validation ...")
    load_weights(network, folder)
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
    for logger in trainer.loggers[1:]:
        _log_result(logger, folder, tested)
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
    if rank_zero_only.rank != 0:
        return RunFolder(folders / os.environ[_RUN_NAME])
    folder = RunFolder(folders / (experiment.name or default_name(experiment)))
    os.environ[_RUN_NAME] = folder.path.name
    if folder.path.exists():
        advice = "it has finished" if folder.finished() else "go on with it by --resume auto"
        raise ConfigError(
            f"The run {folder.path} exists already ({advice}): choose another --name for a new one."
        )
    return folder


def default_name(experiment: Experiment) -> str:
    """Name a run after its network, its seed and the time."""
    kind = ("" if experiment.feedforward else "r") + experiment.neuron
    sizes = "-".join(map(str, experiment.hidden))
    return f"{kind}-{sizes}-seed{experiment.seed}-{time.strftime('%Y%m%d-%H%M%S')}"


def _wandb(experiment: Experiment, folder: RunFolder) -> list[Logger]:
    """Make the Weights & Biases logger, if it is wanted."""
    if experiment.wandb == "off":
        return []
    try:
        from lightning.pytorch.loggers import WandbLogger

        logger = WandbLogger(
            project=experiment.wandb_project,
            name=f"{experiment.dataset}/{folder.path.name}",
            # The same id when a run is resumed, so that its curves go on.
            id=f"{experiment.dataset}-{folder.path.name}",
            save_dir=folder.path,
            offline=experiment.wandb == "offline",
            resume="allow",
        )
    except ModuleNotFoundError:
        raise ConfigError('--wandb needs the wandb extra: pip install "srnn[wandb]".') from None
    settings = replace(experiment, resume=None, name=folder.path.name)
    logger.experiment.config.update(vars(settings) | {"commit": commit()}, allow_val_change=True)
    return [logger]


def _log_result(logger: Logger, folder: RunFolder, tested: Evaluation) -> None:
    """Add the result and its plots to Weights & Biases."""
    import wandb

    for name, value in tested.scores.items():
        logger.experiment.summary[f"test/{name}"] = value
    images = {f"plots/{p.stem}": wandb.Image(str(p)) for p in sorted(folder.plots.glob("*.png"))}
    logger.experiment.log(images)
    wandb.finish(quiet=True)


def _quieten_lightning() -> None:
    """Leave to our own header and progress what Lightning says, and its advice that does not apply."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")


def evaluate_run(folder: RunFolder, data_dir: str | None, console: Console) -> dict[str, float]:
    """Score a finished or interrupted run again, from its folder.

    Args:
        folder: its folder.
        data_dir: folder of the data sets, if it is another one now.
        console: where to speak.

    Returns:
        The scores on the test set.
    """
    experiment = folder.read_config()
    if data_dir is not None:
        experiment = replace(experiment, data_dir=data_dir)
    choose_threads(experiment)
    splits = build_data(experiment)
    network = build_network(experiment, splits.info)
    load_weights(network, folder)
    epoch = read_checkpoint(folder.best)["epoch"] + 1
    tested = evaluate(network, splits.test, experiment.batch_size)
    console.line(f"{splits.info.title}: {tested.sequences} test sequences, weights of epoch {epoch}")
    for title, value in score_rows(tested.scores):
        console.line(f"test {title:18} {value}")
    console.line(f"spikes a sequence       {tested.spikes:.0f}")
    return tested.scores
