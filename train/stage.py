"""The trainings that a run consists of: one that chooses the epoch, and with --retrain another.

With ``--retrain`` a run has two stages. The first trains on the training sequences and chooses, by
the validation ones, the number of epochs. The second trains a fresh network for that long on both,
without choosing anything. Its learning rate goes on as in the first stage, as if it went through
all ``--epochs``, and simply ends where it ends.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from srnn.datasets import Info, SequenceDataset, Splits

from .config import Experiment
from .run_folder import RunFolder


@dataclass(frozen=True)
class Stage:
    """One training: on what, for how long, and where it is written down.

    Attributes:
        info: what the data are.
        train: sequences to train on.
        valid: sequences to choose the epoch on, or None where there is nothing to choose.
        epochs: passes over the training sequences.
        run: folder of the run, by which it is resumed.
        folder: where the table and the checkpoints of this stage lie.
        suffix: what tells an epoch of this stage from one of the other: "epoch 3" + suffix.
        final: whether the run trains no more after it.
    """

    info: Info
    train: SequenceDataset
    valid: SequenceDataset | None
    epochs: int
    run: RunFolder
    folder: RunFolder
    suffix: str
    final: bool

    @property
    def weights(self) -> Path:
        """The checkpoint of the weights that the stage ends with: the chosen ones, or the last."""
        return self.folder.last if self.valid is None else self.folder.best

    def batches(self, experiment: Experiment) -> int:
        """Batches of an epoch, in each process."""
        processes = experiment.devices * experiment.num_nodes
        return math.ceil(math.ceil(len(self.train) / processes) / experiment.batch_size)


def choosing(experiment: Experiment, splits: Splits, run: RunFolder) -> Stage:
    """Return the first stage of a run, which is all of it without ``--retrain``."""
    return Stage(
        info=splits.info,
        train=splits.train,
        valid=splits.valid,
        epochs=experiment.epochs,
        run=run,
        folder=run,
        suffix="",
        final=not experiment.retrain,
    )


def retraining(epochs: int, splits: Splits, run: RunFolder) -> Stage:
    """Return the second stage of a run, of as many epochs as the first one chose."""
    return Stage(
        info=splits.info,
        train=splits.joined,
        valid=None,
        epochs=epochs,
        run=run,
        folder=run.retraining,
        suffix=" of the retraining",
        final=True,
    )
