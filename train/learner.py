"""What every training on Lightning has in common: the update, running means, whom to blame."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import Metric

from srnn import Record
from srnn.datasets import Info
from srnn.states import tensors

from .build import Network
from .config import Experiment
from .errors import NotFiniteError
from .schedule import learning_rate_factor
from .scores import Scorer

_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "adamax": torch.optim.Adamax,
}


def gradient_norm(gradients: list[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together.

    They are divided by their largest entry first: the squares of an exploding but finite gradient
    overflow, and clipping could no longer bring it back.
    """
    entries = _entries(gradients)
    scale = _largest(entries).clamp(min=torch.finfo(entries.dtype).tiny)
    return scale * torch.linalg.vector_norm(entries / scale)


def _entries(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def _largest(entries: Tensor) -> Tensor:
    """The largest magnitude, or NaN, up to twenty times as fast as by the infinity norm."""
    low, high = entries.aminmax()
    return torch.maximum(-low, high)


class Averages(Metric):
    """Running means over training steps; a checkpoint holds them, so a resumed run logs the same.

    Args:
        means: names of what is averaged, besides the gradient's norm and firing rates.
        layers: names of the spiking layers.
    """

    sums: Tensor
    largest: Tensor

    def __init__(self, means: Sequence[str], layers: Sequence[str]) -> None:
        super().__init__()
        self.means = [*means, "grad_norm", *(f"rate_{layer}" for layer in layers)]
        # One tensor for all, of values times weights and of weights: a metric each would cost a
        # small network a twentieth of its training step.
        sums = torch.zeros(2, len(self.means))
        self.add_state("sums", sums, dist_reduce_fx="sum", persistent=True)
        least = torch.tensor(-torch.inf)
        self.add_state("largest", least, dist_reduce_fx="max", persistent=True)

    def update(self, grad_norm: float | None = None, **values: tuple[float, int]) -> None:
        """Add what one step measured: the gradient's norm, and pairs of a mean and its weight."""
        if grad_norm is not None:
            values["grad_norm"] = grad_norm, 1
            self.largest = self.largest.clamp(min=grad_norm)
        pairs = [values.get(name, (0.0, 0)) for name in self.means]
        sums = [[value * weight for value, weight in pairs], [weight for _, weight in pairs]]
        self.sums += self.sums.new_tensor(sums)

    def compute(self) -> Tensor:
        """Return the means, and the largest norm after them."""
        sums, weights = self.sums
        return torch.cat([sums / weights, self.largest[None]])

    def names(self) -> list[str]:
        """Names of what :meth:`take` returns."""
        return [*self.means, "grad_norm_max"]

    def values(self) -> dict[str, float]:
        """Return the means since the last :meth:`take`, but for what was not measured."""
        means = zip(self.names(), self.compute().tolist(), strict=True)
        return {name: mean for name, mean in means if not math.isnan(mean)}

    def take(self) -> dict[str, float]:
        """Return the means since the last call and start anew."""
        values = self.values()
        self.reset()
        return values


_RUNNING = ("recent", "epoch_means")
"""The running means of a learner: those of a row of metrics.csv, and of an epoch."""


class Learner(LightningModule):
    """Trains a network.

    Args:
        network: the network.
        info: the data set.
        options: the settings, of which those of the training are used.
        total_steps: batches of the whole training, over which the learning rate is scheduled.
        scores: what adds up the validation.
        means: names of what is averaged over batches, besides the gradient's norm and firing rates.

    Attributes:
        shown: those of the means that tell how well it does, for the lines of progress.
        rate: learning rate of the weights in the last batch.
    """

    def __init__(
        self,
        network: Network,
        info: Info,
        options: Experiment,
        total_steps: int,
        scores: Scorer,
        means: Sequence[str],
    ) -> None:
        super().__init__()
        self.shown: tuple[str, ...] = (info.score,)
        self.rate = options.lr
        self.automatic_optimization = False  # several updates a batch when truncated
        self.network = network
        self.options = options
        self.info = info
        self.total_steps = total_steps
        self.batches: Tensor
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        layers = network.layer_names()
        self.recent = Averages(means, layers)
        self.epoch_means = Averages(means, layers)
        self.scores: Any = scores

    def update(self, inputs: Any, loss: Tensor, record: Record) -> Tensor:
        """Update the weights by a loss, and return the norm of its gradient.

        Raises:
            NotFiniteError: when the loss or the gradient is not finite.
        """
        optimizer: Any = self.optimizers()
        parameters = list(self.network.parameters())
        self.network.zero_grad()
        self.manual_backward(loss + self._firing_penalty(record))
        grad_norm = gradient_norm([p.grad for p in parameters if p.grad is not None])
        if not bool(torch.isfinite(loss) & torch.isfinite(grad_norm)):
            raise NotFiniteError(self._blame(inputs, loss, record))
        limit = self.options.clip_norm
        if limit and bool(grad_norm > limit):
            nn.utils.clip_grads_with_norm_(parameters, limit, grad_norm)
        optimizer.step()
        return grad_norm

    def finish_batch(self, inputs: Any, loss: Tensor, record: Record) -> None:
        """Count a batch and move the learning rate on.

        Raises:
            NotFiniteError: when a weight is not finite.
        """
        # Before the weights get into a checkpoint.
        weights = _entries(parameter.detach() for parameter in self.network.parameters())
        if not _largest(weights).isfinite():
            raise NotFiniteError(self._blame(inputs, loss, record))
        self.batches += 1
        scheduler: Any = self.lr_schedulers()
        self.rate = scheduler.get_last_lr()[0]
        scheduler.step()

    def account(
        self, grad_norm: Tensor, record: Record, batch: int, **values: tuple[float, int]
    ) -> None:
        """Add an update to the running means.

        Args:
            grad_norm: as :meth:`update` gave it.
            record: of the sequences.
            batch: how many sequences.
            **values: pairs of a mean and its weight.
        """
        for layer, rate in zip(self.network.layer_names(), record.rates(), strict=True):
            values[f"rate_{layer}"] = (rate, record.steps * batch)
        for averages in (self.recent, self.epoch_means):
            averages.update(grad_norm.item(), **values)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put in the running means over all processes: Lightning saves those of the first alone."""
        for name in _RUNNING:
            averages: Averages = getattr(self, name)
            with averages.sync_context():
                for state in ("sums", "largest"):
                    checkpoint["state_dict"][f"{name}.{state}"] = getattr(averages, state).clone()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave what all processes have summed up to the first of them."""
        if self.trainer.global_rank:
            for name in _RUNNING:
                sums = checkpoint["state_dict"][f"{name}.sums"]
                checkpoint["state_dict"][f"{name}.sums"] = torch.zeros_like(sums)

    def note(self) -> str:
        """What else is to be said of an epoch that is over; empty for nothing."""
        return ""

    def _firing_penalty(self, record: Record) -> Tensor | float:
        """Return rate_penalty times the mean of max(0, r_j - rate_target) over all neurons j.

        r_j is the rate of a neuron over the piece, all sequences of the batch together. Layers
        without spikes have none, and cost nothing.
        """
        if not (self.options.rate_penalty and record.counts):
            return 0.0
        rates = torch.cat([counts.mean(0) for counts in record.counts]) / record.steps
        return self.options.rate_penalty * torch.relu(rates - self.options.rate_target).mean()

    def _blame(self, inputs: Any, loss: Tensor, record: Record) -> str:
        """Say where numbers stopped being finite, in the order in which they are computed."""
        where = "the loss"
        suspects = [(name, p.data, p.grad) for name, p in self.network.named_parameters()]
        if isinstance(inputs, Tensor) and not bool(torch.isfinite(inputs).all()):
            where = "the input data"
        elif broken := [name for name, data, _ in suspects if not bool(data.isfinite().all())]:
            where = f"the weights of {broken[0]}"
        elif broken := self._broken_layers(record):
            # The loss may be finite all the same: a NaN membrane just never fires.
            where = f"the states of {broken[0]}"
        elif broken := [
            n for n, _, g in suspects if g is not None and not bool(g.isfinite().all())
        ]:
            where = f"the gradient of {broken[-1]}"  # backpropagation starts at the last layer
        return (
            f"Numbers stopped being finite at batch {int(self.batches) + 1} "
            f"(epoch {self.current_epoch + 1}): first seen in {where}; "
            f"the loss is {loss.item():g}."
        )

    @staticmethod
    def _broken_layers(record: Record) -> list[str]:
        *hidden, readout = record.state
        states = {f"layer{i}": state for i, state in enumerate(hidden, start=1)}
        states["the readout"] = readout.neurons
        return [
            name
            for name, state in states.items()
            if not all(bool(part.isfinite().all()) for part in tensors(state))
        ]

    def configure_optimizers(self) -> Any:
        """Make the optimiser, with the learning rates of the three kinds of parameters."""
        options = self.options
        kinds: dict[str, list[nn.Parameter]] = {"weights": [], "recurrent": [], "tau": []}
        recurrent: tuple[str, ...] = (".recurrent.",)
        if not options.plastic_inputs:  # which share a matrix with the recurrent ones
            recurrent += (".plasticity.W", ".plasticity.bias")
        for name, parameter in self.network.named_parameters():
            if name.endswith(".theta"):
                kinds["tau"].append(parameter)
            elif any(part in name for part in recurrent):
                kinds["recurrent"].append(parameter)
            else:
                kinds["weights"].append(parameter)
        factors = {}
        if options.model == "srnn":  # a recipe's settings of spiking networks reach every model
            factors = {"recurrent": options.recurrent_lr_factor, "tau": options.tau_lr_factor}
        groups = [
            {
                "params": parameters,
                "lr": options.lr * factors.get(kind, 1.0),
                "weight_decay": 0.0 if kind == "tau" else options.weight_decay,
            }
            for kind, parameters in kinds.items()
            if parameters
        ]
        optimizer = _OPTIMIZERS[options.optimizer](groups, lr=options.lr)
        factor = learning_rate_factor(options, self.total_steps)
        return [optimizer], [LambdaLR(optimizer, factor)]

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.scores.reset()
