"""Scoring a trained network on a set of sequences."""

from dataclasses import dataclass

import torch
from torch import Tensor

from srnn.datasets import SequenceDataset, SequenceLoader

from .build import Network
from .scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """What a network did on a set of sequences.

    Attributes:
        scores: by name, see :mod:`srnn.train.scores`.
        confusion: counts [true, predicted].
        rates: firing rate of each spiking layer, in spikes a neuron and step.
        spikes: mean number of spikes a sequence, over all layers.
        sequences: how many were scored.
    """

    scores: dict[str, float]
    confusion: Tensor
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
    device = next(network.parameters()).device
    # The other processes of a distributed run have gone when the first one scores its result.
    scores = Scores(dataset.info, sync_on_compute=False).to(device)
    names = network.layer_names()
    totals = {name: 0.0 for name in names}
    sizes = {}
    steps = 0
    for inputs, targets in SequenceLoader(dataset, batch_size):
        logits, record = network(inputs.to(device))
        scores.update(logits, targets.to(device))
        for name, counts in zip(names, record.counts, strict=True):
            totals[name] += float(counts.cpu().double().sum())
            sizes[name] = counts.shape[1]
        steps += record.steps * inputs.shape[1]
    return Evaluation(
        scores=scores.compute(),
        confusion=scores.confusion.compute().cpu(),
        rates={name: totals[name] / (sizes[name] * steps) for name in names},
        spikes=sum(totals.values()) / len(dataset),
        sequences=len(dataset),
    )
