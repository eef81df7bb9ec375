"""Learning from labels: backpropagation through time, whole or truncated.

A batch is one piece, or, with ``--tbptt K``, pieces of K steps. After each piece the weights are
updated and the state is cut from its graph and carried on. The published PS-MNIST code trains so,
with K = 100: a gradient through all of its 784 steps explodes.
"""

from collections.abc import Iterator

from torch import Tensor

from srnn import detach
from srnn.datasets import IGNORE, Info

from .build import Network
from .config import Experiment
from .learner import Learner
from .scores import Scores, criterion
from .signals import Inputs, during, read, steps_of


class SequenceClassifier(Learner):
    """Trains a network to classify sequences, or every step of them.

    Args:
        network: the network.
        info: the data set.
        options: the settings, of which those of the training are used.
        total_steps: batches of the whole training, over which the learning rate is scheduled.
    """

    def __init__(self, network: Network, info: Info, options: Experiment, total_steps: int) -> None:
        means = ("loss", "accuracy")
        super().__init__(network, info, options, total_steps, Scores(info), means)

    def _pieces(self, inputs: Inputs, targets: Tensor) -> Iterator[tuple[Inputs, Tensor]]:
        steps = steps_of(inputs)
        length = self.options.tbptt or steps
        for start in range(0, steps, length):
            piece = slice(start, start + length)
            yield during(inputs, piece), targets[piece] if self.info.streaming else targets

    def training_step(self, batch: tuple[Inputs, Tensor], index: int) -> None:
        """Update the weights on one batch."""
        inputs, targets = batch
        state = None
        pieces = list(self._pieces(inputs, targets))
        for number, (piece, labels) in enumerate(pieces, start=1):
            logits, record = self.network(read(piece), state)
            loss = criterion(logits, labels)
            grad_norm = self.update(piece, loss, record)
            state = detach(record.state)
            # An answer to a whole sequence counts where it has been seen whole.
            scored = self.info.streaming or number == len(pieces)
            values = self._values(loss, logits, labels) if scored else {}
            self.account(grad_norm, record, logits.shape[-2], **values)
        self.finish_batch(inputs, loss, record)

    @staticmethod
    def _values(loss: Tensor, logits: Tensor, labels: Tensor) -> dict[str, tuple[float, int]]:
        # No class has the number that stands for a missing label.
        labelled = int((labels != IGNORE).sum())
        right = int((logits.argmax(-1) == labels).sum())
        # Pieces and batches differ in size, and in how many of their steps have a label.
        return {
            "loss": (loss.item(), labelled),
            "accuracy": (right / max(labelled, 1), labelled),
        }

    def validation_step(self, batch: tuple[Inputs, Tensor], index: int) -> None:
        """Score one batch."""
        inputs, targets = batch
        logits, _ = self.network(read(inputs))
        self.scores.update(logits, targets)
