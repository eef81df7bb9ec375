"""One training on Lightning: from fresh weights, or from a checkpoint, to its last epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from srnn.datasets import SequenceDataset, SequenceLoader

from .build import Network
from .checkpoints import AtomicCheckpoints, Checkpoints
from .config import Experiment
from .console import Console
from .device import training_device
from .errors import NotFiniteError
from .metrics_csv import MetricsCSV
from .stage import Stage
from .tasks import task_of
from .watch import Metrics, Progress


class _Data(LightningDataModule):
    """The loaders of a stage; made late, when each process knows which part is its own."""

    def __init__(self, experiment: Experiment, stage: Stage, network: Network) -> None:
        super().__init__()
        self.experiment = experiment
        self.stage = stage
        self.network = network

    def train_dataloader(self) -> SequenceLoader:
        """Training batches, in an order of their own every epoch."""
        rank, world_size = self._place()
        return SequenceLoader(
            self._in_form(self.stage.train),
            self.experiment.batch_size,
            shuffle=True,
            seed=self.experiment.seed,
            rank=rank,
            world_size=world_size,
            num_workers=self.experiment.num_workers,
        )

    def val_dataloader(self) -> SequenceLoader | list[Any]:
        """Validation batches, if there are any."""
        if self.stage.valid is None:
            return []
        rank, world_size = self._place()
        return SequenceLoader(
            self._in_form(self.stage.valid),
            self.experiment.batch_size,
            rank=rank,
            world_size=world_size,
        )

    def _in_form(self, dataset: SequenceDataset) -> SequenceDataset:
        device = training_device(self.experiment.accelerator)
        return task_of(dataset).form(self.network, device)

    def _place(self) -> tuple[int, int]:
        assert self.trainer is not None
        return self.trainer.global_rank, self.trainer.world_size


@dataclass(frozen=True)
class Fitted:
    """A training that is over.

    Attributes:
        stage: what it was.
        network: the network with the weights of its last epoch.
        checkpoints: what they know of it, such as the epoch chosen and the time it took.
        trainer: Lightning's trainer.
    """

    stage: Stage
    network: Network
    checkpoints: Checkpoints
    trainer: Trainer


def fit(
    experiment: Experiment,
    stage: Stage,
    network: Network,
    console: Console,
    wandb: Sequence[WandbLogger],
    *,
    resume: bool,
) -> Fitted:
    """Train a network.

    Args:
        experiment: the settings.
        stage: on what, for how long, and where to write it down.
        network: the network, as drawn from the seed; it is changed in place.
        console: where to speak.
        wandb: further loggers of what metrics.csv holds.
        resume: whether to go on from the stage's last checkpoint.

    Raises:
        KeyboardInterrupt: when the user stopped it at once.
        Stopped: when the user stopped it; it can be resumed.
        NotFiniteError: when a loss, gradient or weight became NaN.
        OSError: when the disk is full or the folder cannot be written.
    """
    folder = stage.folder
    # The learning rate is scheduled over all epochs, whether this stage goes through them or not.
    total_steps = stage.batches(experiment) * experiment.epochs
    module = task_of(stage.train).learner(network, experiment, total_steps)
    metrics = Metrics(module, stage, experiment.log_every, console)
    table = MetricsCSV(folder.metrics, metrics.columns())
    checkpoints = Checkpoints(
        stage,
        table,
        network.time_constants(),
        experiment.checkpoint_every,
        lambda: metrics.validation.get(stage.info.score),
        console.warn,
    )
    trainer = Trainer(
        max_epochs=stage.epochs,
        accelerator="gpu" if experiment.accelerator == "cuda" else experiment.accelerator,
        devices=experiment.devices,
        num_nodes=experiment.num_nodes,
        precision=experiment.precision,
        default_root_dir=folder.path,
        logger=[table, *wandb],
        callbacks=[
            metrics,
            Progress(metrics, stage, console, lambda: checkpoints.seconds),
            checkpoints,
        ],
        plugins=[AtomicCheckpoints()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    if resume:
        console.line(f"going on from {folder.last}")
    else:
        table.begin()
    try:
        trainer.fit(
            module, _Data(experiment, stage, network), ckpt_path=folder.last if resume else None
        )
    except NotFiniteError as error:
        last = f"The last good checkpoint is {folder.last}." if folder.last.exists() else None
        none = f"There is no earlier checkpoint{stage.suffix}."
        raise NotFiniteError(f"{error} {last or none}") from None
    except SystemExit:  # what Lightning makes of a signal before the first batch, or a second one
        raise KeyboardInterrupt from None
    return Fitted(stage, network, checkpoints, trainer)
