"""One run from its settings to its report: the order of events, each of which lives elsewhere."""

import itertools
import logging
import os
import time
import warnings
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import WandbLogger

from srnn.datasets import Info, Splits

from . import plots, wandb_log
from .build import build_data, build_network
from .checkpoints import check_goes_on
from .config import Experiment
from .console import Console, counted, duration, first_process, percent, with_caveat
from .device import device_and_reason
from .errors import ConfigError
from .evaluation import Evaluation, repeatable
from .fit import Fitted, fit
from .header import print_header
from .look import look_at
from .report import SCORE_TITLES, how_retrained, score_rows, write_report
from .run_folder import RunFolder, commit, naming
from .sizing import learned_parameters, matched
from .stage import choosing, retraining
from .tasks import task_of
from .threads import choose_threads
from .weights import check_fits, load_weights

_RUN_NAME = "SRNN_RUN_NAME"
"""Environment variable by which the first process of a distributed run tells the others its
name."""


@dataclass(frozen=True)
class _Trained:
    """What is left to be scored: the settings as they were used, the data, and the trainings."""

    experiment: Experiment
    splits: Splits
    stages: list[Fitted]
    wandb: list[WandbLogger]


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
    with ExitStack() as until_the_end:
        trained = _train(experiment, resumed, console, until_the_end)
        try:
            return _finish(trained, console)
        finally:
            _part_from_others()


def run_untested(
    experiment: Experiment, resumed: RunFolder | None, console: Console
) -> dict[str, Any]:
    """Train and validate, as one of several trials of which some will not count.

    The test set is not read. Going on with the run by :func:`run` scores it after all.

    Args:
        experiment: the settings, of a run on one device.
        resumed: the run to go on with, or None for a new one.
        console: where to speak.

    Returns:
        The result, as in summary.json: ``test`` is None.

    Raises:
        The same as :func:`run`.
    """
    with ExitStack() as until_the_end:
        trained = _train(experiment, resumed, console, until_the_end)
        (fitted,) = trained.stages
        summary = _outcome(trained, None)
        fitted.stage.run.write_summary(summary)
    return summary


def _train(
    experiment: Experiment,
    resumed: RunFolder | None,
    console: Console,
    until_the_end: ExitStack,
) -> _Trained:
    """Go through the stages of a run, up to its test, in a folder that nobody else may train."""
    _quieten_lightning()
    splits = build_data(experiment)
    if resumed is None:
        experiment = matched(experiment, splits.info)
    threads = choose_threads(experiment, splits.info.channels)
    network = build_network(experiment, splits.info)
    processes = experiment.devices * experiment.num_nodes
    if len(splits.valid) < processes:
        raise ConfigError(
            f"{processes} processes validate on at least one each, and there are "
            f"{len(splits.valid)} to validate on: use fewer --devices, or a larger validation set."
        )
    device = device_and_reason(experiment.accelerator, experiment.devices)
    folder = resumed or _new_folder(experiment)
    if first_process():
        until_the_end.enter_context(folder.held())
    if resumed is not None:
        check_fits(network, resumed.last)
        check_goes_on(resumed, experiment.epochs)
        resumed.check_drawn(splits.train.drawn)
    stage = choosing(experiment, splits, folder)
    print_header(
        console,
        experiment,
        splits,
        network,
        device=device,
        threads=threads,
        batches=stage.batches(experiment),
        folder=folder.path,
    )
    wandb = wandb_log.start(experiment, folder, splits.info.caveat)
    # Also where the training fails, since another in this process would go on with its curves.
    for logger in wandb if first_process() else []:
        until_the_end.push(partial(wandb_log.end, logger))
    if first_process():
        folder.write_config(experiment)
        folder.summary.unlink(missing_ok=True)  # of a finished run that goes on
        if resumed is None:
            folder.write_drawn(splits.train.drawn)
            # Of a run whose first stage was deleted, to begin anew.
            folder.retraining.last.unlink(missing_ok=True)
    stages = [fit(experiment, stage, network, console, wandb, resume=resumed is not None)]
    if experiment.retrain:
        stages.append(_retrain(experiment, splits, stages[0], console, wandb))
    return _Trained(experiment, splits, stages, wandb)


def _retrain(
    experiment: Experiment,
    splits: Splits,
    first: Fitted,
    console: Console,
    wandb: list[WandbLogger],
) -> Fitted:
    """Train a fresh network on all training sequences, for as many epochs as validation chose."""
    stage = retraining(first.checkpoints.best_epoch, splits, first.stage.run)
    console.line()
    console.line(
        f"retraining on all {counted(len(stage.train), 'training sequence')} for "
        f"{counted(stage.epochs, 'epoch')}",
        style="bold",
    )
    network = build_network(experiment, splits.info)  # as the first one began: from the same seed
    loggers = wandb_log.prefixed(wandb, "retrain")
    return fit(experiment, stage, network, console, loggers, resume=stage.folder.last.is_file())


def _part_from_others() -> None:
    """Let the processes of a distributed run end together: one that is gone breaks the others."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _finish(trained: _Trained, console: Console) -> dict[str, Any]:
    """Score the final weights on the test set, once, and write everything down."""
    experiment, splits, stages = trained.experiment, trained.splits, trained.stages
    first, last = stages[0], stages[-1]
    folder, network, trainer = first.stage.run, last.network, last.trainer
    if not trainer.is_global_zero:
        return {}
    best_epoch = first.checkpoints.best_epoch
    which = (
        "retrained weights"
        if experiment.retrain
        else f"weights of epoch {best_epoch}, the best on validation"
    )
    console.line(f"testing the {which} ...")
    load_weights(network, last.stage.weights)
    network.to(trainer.strategy.root_device)  # Lightning has put it back on the CPU
    with repeatable(network):
        tested = task_of(splits.test).evaluate(network, experiment.batch_size)
    summary = _outcome(trained, tested)
    _draw(folder, splits, stages, tested)
    for logger in trained.wandb:
        wandb_log.finish(logger, folder, tested, splits.info.caveat)
    write_report(folder, experiment, splits.info, summary)
    folder.write_summary(summary)  # last: it marks the run as finished
    _print_summary(console, folder, splits.info, summary)
    return summary


def _outcome(trained: _Trained, tested: Evaluation | None) -> dict[str, Any]:
    """Sum a run up, as summary.json holds it."""
    first, last = trained.stages[0], trained.stages[-1]
    retrained = {"epochs": last.stage.epochs, "sequences": len(last.stage.train)}
    return {
        "dataset": trained.experiment.dataset,
        "test": tested and tested.scores,
        "test_sequences": tested and tested.sequences,
        "caveat": trained.splits.info.caveat,
        "validation": first.checkpoints.best_score,
        "epochs": first.stage.epochs,
        "best_epoch": first.checkpoints.best_epoch,
        "retraining": retrained if trained.experiment.retrain else None,
        "rates": tested and tested.rates,
        "spikes_per_sequence": tested and tested.spikes,
        "parameters": learned_parameters(last.network),
        "seconds": round(sum(fitted.checkpoints.seconds for fitted in trained.stages), 1),
        "device": f"{last.trainer.strategy.root_device}, {torch.get_num_threads()} threads",
        "seed": trained.experiment.seed,
        "commit": commit(),
    }


def _draw(folder: RunFolder, splits: Splits, stages: list[Fitted], tested: Evaluation) -> None:
    network, initial_taus = stages[-1].network, stages[-1].checkpoints.initial_taus
    title, caveat = splits.info.title, splits.info.caveat
    curves = "learning_curves.png"
    score = splits.info.score
    plots.learning_curves(folder.metrics, score, with_caveat(title, caveat), folder.plots / curves)
    for again in (fitted.stage.folder for fitted in stages[1:]):
        retrained = with_caveat(f"{title}, retraining", caveat)
        plots.learning_curves(again.metrics, score, retrained, again.path / curves)
    plots.raster(look_at(network, splits.test, 0), folder.plots / "raster.png")
    if initial_taus:
        plots.time_constants(
            initial_taus, network.time_constants(), folder.plots / "time_constants.png"
        )
    if tested.confusion is not None:
        plots.confusion(tested.confusion, splits.info.classes, folder.plots / "confusion.png")


def _print_summary(
    console: Console, folder: RunFolder, info: Info, summary: dict[str, Any]
) -> None:
    console.line()
    for title, value in score_rows(summary["test"], summary["caveat"]):
        first = title == SCORE_TITLES[info.score]
        console.line(f"test {title:18} {value}", style="bold" if first else None)
    if summary["rates"]:
        firing = ", ".join(f"{layer} {percent(rate)}" for layer, rate in summary["rates"].items())
        console.line(f"spikes a sequence       {summary['spikes_per_sequence']:.0f}  ({firing})")
    console.line(f"trained for             {duration(summary['seconds'])}")
    if summary["retraining"]:
        console.line(f"retrained               {how_retrained(summary)}")
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
    if experiment.name is None:
        folder = _reserved(folders, experiment)
        os.environ[_RUN_NAME] = folder.path.name
        return folder
    folder = RunFolder(folders / experiment.name)
    os.environ[_RUN_NAME] = experiment.name
    killed_early = experiment.resume == "auto" and not (folder.resumable() or folder.finished())
    if folder.path.exists() and not killed_early:
        advice = "it has finished" if folder.finished() else "go on with it by --resume auto"
        raise ConfigError(
            f"The run {folder.path} exists already ({advice}): choose another --name for a new one."
        )
    return folder


def _reserved(folders: Path, experiment: Experiment) -> RunFolder:
    """Make a folder that is named after the network, the time and the seed, as no other is."""
    name = f"{default_name(experiment)}-seed{experiment.seed}"
    for suffix in itertools.chain([""], map("-{}".format, itertools.count(2))):
        folder = RunFolder(folders / f"{name}{suffix}")
        with naming(folder.path), suppress(FileExistsError):
            folder.path.mkdir(parents=True)
            break  # otherwise it is that of a run which began within the same second
    return folder


def default_name(experiment: Experiment) -> str:
    """Name runs after their network and the time."""
    spiking = ("" if experiment.feedforward else "r") + experiment.neuron
    kind = spiking if experiment.model == "srnn" else experiment.model
    sizes = "-".join(map(str, experiment.hidden))
    return f"{kind}-{sizes}-{time.strftime('%Y%m%d-%H%M%S')}"


def _quieten_lightning() -> None:
    """Leave what Lightning says to our own header, and out its advice that does not apply."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
