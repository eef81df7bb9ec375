"""The result of scoring a network on a set of sequences, and the counting of its spikes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from srnn import Record

from .build import Network


@dataclass(frozen=True)
class Evaluation:
    """What a network did on a set of sequences.

    Attributes:
        scores: by name, see :mod:`srnn.train.scores` and :mod:`srnn.train.game_scores`.
        confusion: counts [true, predicted]; None where there are no true classes.
        rates: firing rate of each spiking layer, in spikes a neuron and step.
        spikes: mean number of spikes a sequence, over all layers.
        sequences: how many were scored: sequences, episodes or games.
    """

    scores: dict[str, float]
    confusion: Tensor | None
    rates: dict[str, float]
    spikes: float
    sequences: int


@contextmanager
def repeatable(network: Network) -> Iterator[None]:
    """Let what a network draws in the block, such as noise of its devices, be the same every time.

    Torch's own generators are afterwards as they were.
    """
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


class Firing:
    """Adds up the spikes of a network's layers.

    Args:
        network: the network.
    """

    def __init__(self, network: Network) -> None:
        self._names = network.layer_names()
        self._totals = [0.0] * len(self._names)
        self._sizes = [0] * len(self._names)
        self._steps = 0

    def add(self, record: Record, sequences: int) -> None:
        """Add a batch of so many sequences."""
        self.add_counts(record.counts, record.steps * sequences)

    def add_counts(self, counts: tuple[Tensor, ...], steps: int) -> None:
        """Add spikes, [sequences, neurons] for each layer, of so many steps of all sequences."""
        for i, spikes in enumerate(counts):
            self._totals[i] += float(spikes.cpu().double().sum())
            self._sizes[i] = spikes.shape[1]
        self._steps += steps

    def evaluation(
        self, scores: dict[str, float], confusion: Tensor | None, sequences: int
    ) -> Evaluation:
        """Put scores and firing together, of so many sequences."""
        each = zip(self._names, self._totals, self._sizes, strict=True)
        rates = {name: total / (size * self._steps) for name, total, size in each}
        return Evaluation(scores, confusion, rates, sum(self._totals) / sequences, sequences)
