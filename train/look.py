"""A look at what a trained network does on one sequence."""

import torch
from torch import Tensor

from srnn import SRNN, Layer, Record
from srnn.datasets import SequenceDataset

from .console import with_caveat


@torch.no_grad()
def look_at(
    network: SRNN, dataset: SequenceDataset, index: int
) -> tuple[Tensor, Record, Tensor, str]:
    """Run one sequence and keep everything.

    Returns:
        The input [time, 1, channels], the record with spikes and membranes, the thresholds of the
        first layer [time, neurons], and a line on what was asked and answered.
    """
    network = network.cpu()
    inputs, targets = dataset.__getitems__([index])
    logits, record = network(inputs, keep_spikes=True, keep_membranes=True)
    info = dataset.info
    predictions = logits.argmax(-1)
    if info.streaming:
        labelled = targets >= 0
        right = float((predictions == targets)[labelled].float().mean())
        answer = with_caveat(f"right at {100 * right:.0f} % of its labelled steps", info.caveat)
    else:
        answer = f"true {info.classes[int(targets)]}, predicted {info.classes[int(predictions)]}"
    thresholds = _thresholds(network.layers[0], inputs)
    return inputs, record, thresholds, f"{info.title}, sequence {index}: {answer}"


def _thresholds(layer: Layer, inputs: Tensor) -> Tensor:
    """Thresholds of a layer's neurons over time, [time, neurons], for one sequence."""
    params = layer.neuron.params()
    current = layer.between(layer.projection(inputs.to(layer.projection.weight.dtype)))
    state, thresholds = None, []
    for now in current:
        _, state = layer.neuron.forward_sequence(now[None], state)
        thresholds.append(layer.neuron.threshold_of(state, params).expand_as(now)[0])
    return torch.stack(thresholds)
