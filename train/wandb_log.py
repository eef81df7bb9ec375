"""Weights & Biases: a run's settings, metrics, result and plots, on the server or in its folder."""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from lightning.pytorch.loggers import WandbLogger

from .config import Experiment
from .console import first_process
from .errors import ConfigError
from .evaluation import Evaluation
from .run_folder import RunFolder, commit, write_atomically


def start(experiment: Experiment, folder: RunFolder, caveat: str) -> list[WandbLogger]:
    """Make the logger, if one is wanted, and log the settings.

    Args:
        experiment: the settings.
        folder: the run's folder.
        caveat: what a reader of its scores must know.

    Raises:
        ConfigError: if wandb is not installed, or refuses.
    """
    if experiment.wandb == "off":
        return []
    # By which W&B knows a run: kept in its folder, so that the curves of a resumed run go on. Names
    # would do for one folder alone: the same name is free in another, and on other machines.
    kept = folder.path / "wandb" / "id"
    number = kept.read_text() if kept.is_file() else secrets.token_hex(8)
    try:
        logger = WandbLogger(
            project=experiment.wandb_project,
            name=f"{experiment.dataset}/{folder.path.name}",
            group=experiment.wandb_group,
            id=number,
            save_dir=folder.path,
            offline=experiment.wandb == "offline",
            resume="allow",
        )
    except ModuleNotFoundError:
        raise ConfigError('--wandb needs the wandb extra: pip install "srnn[wandb]".') from None
    if first_process():
        import wandb

        settings = replace(experiment, resume=None, name=folder.path.name)
        try:
            logger.experiment.config.update(
                vars(settings) | {"commit": commit(), "caveat": caveat}, allow_val_change=True
            )
        except wandb.Error as error:
            raise ConfigError(f"--wandb {experiment.wandb} failed: {error}") from None
        write_atomically(kept, number)
    return [logger]


def prefixed(loggers: Sequence[WandbLogger], prefix: str) -> list[WandbLogger]:
    """Return loggers to the same runs with a prefix to the metrics, for batches counted anew."""
    return [WandbLogger(experiment=logger.experiment, prefix=prefix) for logger in loggers]


def finish(logger: WandbLogger, folder: RunFolder, tested: Evaluation, caveat: str) -> None:
    """Add the result and its plots."""
    import wandb

    run = logger.experiment
    for name, value in tested.scores.items():
        run.summary[f"test/{name}"] = value
    run.summary["caveat"] = caveat
    run.log({f"plots/{p.stem}": wandb.Image(str(p)) for p in sorted(folder.plots.glob("*.png"))})


def end(logger: WandbLogger, kind: type[BaseException] | None, *error: object) -> None:
    """Close the run, as a failed one if something was raised."""
    logger.experiment.finish(exit_code=int(kind is not None))
