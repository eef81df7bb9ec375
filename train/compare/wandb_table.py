"""Weights & Biases: the tables and plots of a comparison, in a run of their own.

The networks' own runs are in groups of one network each, so that the server averages over seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from srnn.meters import Table

from .. import wandb_log
from ..config import Experiment
from ..run_folder import RunFolder


def log(
    settings: Experiment, folder: Path, tables: Mapping[str, Table], plots: Sequence[Path]
) -> None:
    """Log a comparison, if that is wanted.

    Args:
        settings: the settings.
        folder: of the comparison.
        tables: by title.
        plots: PNG files.

    Raises:
        ConfigError: if wandb is not installed, or refuses.
    """
    of_comparison = replace(settings, wandb_group=folder.name)
    for logger in wandb_log.start(of_comparison, RunFolder(folder), caveat=""):
        import wandb

        run = logger.experiment
        shown = {
            title: wandb.Table(columns=[*table.columns], data=table.rows)
            for title, table in tables.items()
        }
        run.log(shown | {f"plots/{path.stem}": wandb.Image(str(path)) for path in plots})
        run.finish()
