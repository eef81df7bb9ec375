"""Batches in the form that a network's kernel reads fastest: bits, where the input is spikes."""

import torch
from torch import Tensor

from srnn import SRNN, kernel_info
from srnn.datasets import PackedSpikes, SequenceDataset
from srnn.neurons.kernels import EventBatch
from srnn.neurons.kernels.problem import Bits

from .build import Network

Inputs = Tensor | PackedSpikes
"""Inputs of a batch, as a data set gives them."""


def for_network(
    dataset: SequenceDataset, network: Network, device: torch.device
) -> SequenceDataset:
    """Choose the form of a data set's inputs.

    Args:
        dataset: the data set.
        network: what will be given its batches.
        device: where.

    Returns:
        The same data set, or the same sequences with their inputs as bits.
    """
    if not isinstance(network, SRNN):
        return dataset
    (first, *_) = kernel_info(network.layers[0], device)
    packed = dataset.packed() if first.kernel == "cpu" else None
    return dataset if packed is None else packed


def read(inputs: Inputs) -> Tensor | EventBatch:
    """Give a network its inputs."""
    if isinstance(inputs, Tensor):
        return inputs
    steps, batch, _ = inputs.words.shape
    return EventBatch(Bits(inputs.words.flatten(0, 1)), (steps, batch, inputs.channels))


def steps_of(inputs: Inputs) -> int:
    """Number of time steps of a batch."""
    return len(inputs) if isinstance(inputs, Tensor) else inputs.steps


def during(inputs: Inputs, steps: slice) -> Inputs:
    """Take some of the time steps of a batch."""
    return inputs[steps] if isinstance(inputs, Tensor) else inputs.during(steps)
