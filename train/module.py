"""The training step, on Lightning: backpropagation through time, whole or truncated.

A batch is one piece, or, with ``--tbptt K``, pieces of K steps. After each piece the weights are
updated and the state is cut from its graph and carried on. The published PS-MNIST code trains so,
with K = 100: a gradient through all of its 784 steps explodes.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import Metric

from srnn import Record, detach
from srnn.datasets import IGNORE, Info

from .build import Network
from .config import Experiment
from .errors import NotFiniteError
from .schedule import learning_rate_factor
from .scores import Scores, criterion
from .signals import Inputs, during, read, steps_of

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
    entries = torch.cat([gradient.flatten() for gradient in gradients])
    largest = torch.linalg.vector_norm(entries, float("inf"))
    scale = largest.clamp(min=torch.finfo(largest.dtype).tiny)
    return scale * torch.linalg.vector_norm(entries / scale)


def _finite(state: Any) -> bool:
    """Whether all numbers of a state are finite, a tensor or nested tuples of tensors."""
    if isinstance(state, Tensor):
        return bool(state.isfinite().all())
    return all(_finite(part) for part in state)


class Averages(Metric):
    """Running means over training steps; a checkpoint holds them, so a resumed run logs the same.

    Args:
        layers: names of the spiking layers.
    """

    sums: Tensor
    largest: Tensor

    def __init__(self, layers: list[str]) -> None:
        super().__init__()
        self.means = ["loss", "accuracy", "grad_norm", *(f"rate_{layer}" for layer in layers)]
        # One tensor for all, of values times weights and of weights: a metric each would cost a
        # small network a twentieth of its training step.
        sums = torch.zeros(2, len(self.means))
        self.add_state("sums", sums, dist_reduce_fx="sum", persistent=True)
        least = torch.tensor(-torch.inf)
        self.add_state("largest", least, dist_reduce_fx="max", persistent=True)

    def update(self, grad_norm: float, **values: tuple[float, int]) -> None:
        """Add what one step measured: the gradient's norm, and pairs of a mean and its weight."""
        values["grad_norm"] = grad_norm, 1
        pairs = [values.get(name, (0.0, 0)) for name in self.means]
        sums = [[value * weight for value, weight in pairs], [weight for _, weight in pairs]]
        self.sums += self.sums.new_tensor(sums)
        self.largest = self.largest.clamp(min=grad_norm)

    def compute(self) -> Tensor:
        """Return the means, and the largest norm after them."""
        sums, weights = self.sums
        return torch.cat([sums / weights, self.largest[None]])

    def names(self) -> list[str]:
        """Names of what :meth:`take` returns."""
        return [*self.means, "grad_norm_max"]

    def values(self) -> dict[str, float]:
        """Return the means since the last :meth:`take`."""
        return dict(zip(self.names(), self.compute().tolist(), strict=True))

    def take(self) -> dict[str, float]:
        """Return the means since the last call and start anew."""
        values = self.values()
        self.reset()
        return values


class SequenceClassifier(LightningModule):
    """Trains a network to classify sequences, or every step of them.

    Args:
        network: the network.
        info: the data set.
        options: the settings, of which those of the training are used.
        total_steps: batches of the whole training, over which the learning rate is scheduled.
    """

    def __init__(self, network: Network, info: Info, options: Experiment, total_steps: int) -> None:
        super().__init__()
        self.automatic_optimization = False  # several updates a batch when truncated
        self.network = network
        self.options = options
        self.info = info
        self.total_steps = total_steps
        self.batches: Tensor
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        layers = network.layer_names()
        self.recent = Averages(layers)
        self.epoch_means = Averages(layers)
        self.scores = Scores(info)

    # ------------------------------------------------------------------------------- training

    def _pieces(self, inputs: Inputs, targets: Tensor) -> Iterator[tuple[Inputs, Tensor]]:
        steps = steps_of(inputs)
        length = self.options.tbptt or steps
        for start in range(0, steps, length):
            piece = slice(start, start + length)
            yield during(inputs, piece), targets[piece] if self.info.streaming else targets

    def training_step(self, batch: tuple[Inputs, Tensor], index: int) -> None:
        """Update the weights on one batch."""
        inputs, targets = batch
        optimizer: Any = self.optimizers()
        scheduler: Any = self.lr_schedulers()
        parameters = list(self.network.parameters())
        state = None
        pieces = list(self._pieces(inputs, targets))
        for number, (piece, labels) in enumerate(pieces, start=1):
            logits, record = self.network(read(piece), state)
            loss = criterion(logits, labels)
            optimizer.zero_grad()
            self.manual_backward(loss + self._firing_penalty(record))
            grad_norm = gradient_norm([p.grad for p in parameters if p.grad is not None])
            if not bool(torch.isfinite(loss) & torch.isfinite(grad_norm)):
                raise NotFiniteError(self._blame(piece, loss, record))
            nn.utils.clip_grads_with_norm_(
                parameters, self.options.clip_norm or float("inf"), grad_norm
            )
            optimizer.step()
            state = detach(record.state)
            # An answer to a whole sequence counts where it has been seen whole.
            scored = self.info.streaming or number == len(pieces)
            self._account(loss, logits, labels, grad_norm, record, scored)
        # Before the weights get into a checkpoint.
        if not nn.utils.get_total_norm([p.detach() for p in parameters], torch.inf).isfinite():
            raise NotFiniteError(self._blame(inputs, loss, record))
        self.batches += 1
        scheduler.step()

    def _firing_penalty(self, record: Record) -> Tensor | float:
        """Return rate_penalty times the mean of max(0, r_j - rate_target) over all neurons j.

        r_j is the rate of a neuron over the piece, all sequences of the batch together.
        """
        if not self.options.rate_penalty:
            return 0.0
        rates = torch.cat([counts.mean(0) for counts in record.counts]) / record.steps
        return self.options.rate_penalty * torch.relu(rates - self.options.rate_target).mean()

    def _account(
        self,
        loss: Tensor,
        logits: Tensor,
        labels: Tensor,
        grad_norm: Tensor,
        record: Record,
        scored: bool,
    ) -> None:
        values: dict[str, tuple[float, int]] = {}
        if scored:
            # No class has the number that stands for a missing label.
            labelled = int((labels != IGNORE).sum())
            right = int((logits.argmax(-1) == labels).sum())
            # Pieces and batches differ in size, and in how many of their steps have a label.
            values = {
                "loss": (loss.item(), labelled),
                "accuracy": (right / max(labelled, 1), labelled),
            }
        for layer, rate in zip(self.network.layer_names(), record.rates(), strict=True):
            values[f"rate_{layer}"] = (rate, record.steps * logits.shape[-2])
        for averages in (self.recent, self.epoch_means):
            averages.update(grad_norm.item(), **values)

    def _blame(self, inputs: Inputs, loss: Tensor, record: Record) -> str:
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
        return [name for name, state in states.items() if not _finite(state)]

    def configure_optimizers(self) -> Any:
        """Make the optimiser, with the learning rates of the three kinds of parameters."""
        options = self.options
        kinds: dict[str, list[nn.Parameter]] = {"weights": [], "recurrent": [], "tau": []}
        for name, parameter in self.network.named_parameters():
            if name.endswith(".theta"):
                kinds["tau"].append(parameter)
            elif ".recurrent." in name or "_hh_" in name:  # of a neuron, of torch's layers
                kinds["recurrent"].append(parameter)
            else:
                kinds["weights"].append(parameter)
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

    # ----------------------------------------------------------------------------- validation

    def validation_step(self, batch: tuple[Inputs, Tensor], index: int) -> None:
        """Score one batch."""
        inputs, targets = batch
        logits, _ = self.network(read(inputs))
        self.scores.update(logits, targets)

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.scores.reset()
