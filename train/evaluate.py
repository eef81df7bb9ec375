"""Scoring a trained network on a set of sequences."""

from dataclasses import dataclass

import torch
from torch import Tensor

from srnn import Record
from srnn.datasets import SequenceDataset, SequenceLoader
from srnn.datasets.maze_episodes import MazeEpisodes

from .build import Network
from .play import play_the_same
from .scores import Rewards, Scores


@dataclass(frozen=True)
class Evaluation:
    """What a network did on a set of sequences.

    Attributes:
        scores: by name, see :mod:`srnn.train.scores`.
        confusion: counts [true, predicted]; None where there are no true classes.
        rates: firing rate of each spiking layer, in spikes a neuron and step.
        spikes: mean number of spikes a sequence, over all layers.
        sequences: how many were scored.
    """

    scores: dict[str, float]
    confusion: Tensor | None
    rates: dict[str, float]
    spikes: float
    sequences: int


@torch.no_grad()
def evaluate(network: Network, dataset: SequenceDataset, batch_size: int) -> Evaluation:
    """Score a network, on the device that it is on.

    Args:
        network: the network.
        dataset: the sequences.
        batch_size: sequences at a time.
    """
    if isinstance(dataset, MazeEpisodes):
        return _play(network, dataset, batch_size)
    device = next(network.parameters()).device
    # The other processes of a distributed run have gone when the first one scores its result.
    scores = Scores(dataset.info, sync_on_compute=False).to(device)
    firing = _Firing(network)
    for inputs, targets in SequenceLoader(dataset, batch_size):
        logits, record = network(inputs.to(device))
        scores.update(logits, targets.to(device))
        firing.add(record, inputs.shape[1])
    confusion = scores.confusion.compute().cpu()
    return Evaluation(
        scores.compute(), confusion, firing.rates(), firing.spikes(len(dataset)), len(dataset)
    )


def _play(network: Network, episodes: MazeEpisodes, batch_size: int) -> Evaluation:
    """Score a network that acts, the same way every time."""
    device = next(network.parameters()).device
    scores, firing = Rewards(sync_on_compute=False).to(device), _Firing(network)
    for index, batch in enumerate(SequenceLoader(episodes.beginnings(), batch_size)):
        played = play_the_same(network, episodes.rules, batch, index)
        scores.update(played.rewards)
        if network.layer_names():  # of whole episodes, whose counts a kernel gives at once
            firing.add(network(played.observations)[1], played.actions.shape[1])
    return Evaluation(
        scores.compute(), None, firing.rates(), firing.spikes(len(episodes)), len(episodes)
    )


class _Firing:
    """Adds up the spikes of a network's layers."""

    def __init__(self, network: Network) -> None:
        self._names = network.layer_names()
        self._totals = [0.0] * len(self._names)
        self._sizes = [0] * len(self._names)
        self._steps = 0

    def add(self, record: Record, sequences: int) -> None:
        """Add a batch."""
        for i, counts in enumerate(record.counts):
            self._totals[i] += float(counts.cpu().double().sum())
            self._sizes[i] = counts.shape[1]
        self._steps += record.steps * sequences

    def rates(self) -> dict[str, float]:
        """Spikes a neuron and step, by layer."""
        each = zip(self._names, self._totals, self._sizes, strict=True)
        return {name: total / (size * self._steps) for name, total, size in each}

    def spikes(self, sequences: int) -> float:
        """Spikes a sequence, over all layers."""
        return sum(self._totals) / sequences
