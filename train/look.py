"""A look at what a trained network does on one sequence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from srnn import SRNN, Layer
from srnn.datasets import SequenceDataset
from srnn.network import first_ticks

from .build import Network
from .tasks import task_of


@dataclass(frozen=True)
class Look:
    """What there is to see.

    Attributes:
        title: what was asked and answered.
        activity: by name, first that of the input, then of each layer: its spikes, or the hidden
            state of a layer that has none; [time, channels].
        membranes: of the first layer's neurons, [time, neurons], if it spikes.
        thresholds: likewise.
    """

    title: str
    activity: dict[str, Tensor]
    membranes: Tensor | None = None
    thresholds: Tensor | None = None


@torch.no_grad()
def look_at(network: Network, dataset: SequenceDataset, index: int) -> Look:
    """Run one sequence and keep everything."""
    network = network.cpu()
    inputs, title_of = task_of(dataset).sequence(network, index)
    membranes = thresholds = None
    if isinstance(network, SRNN):
        outputs, record = network(inputs, keep_spikes=True, keep_membranes=True)
        names, traces = network.layer_names(), record.spikes
        inputs = first_ticks(inputs, network.ticks)  # as the first layer is given them
        membranes, thresholds = record.membranes[0][:, 0], _thresholds(network.layers[0], inputs)
    else:
        outputs, record = network(inputs, keep_membranes=True)
        names, traces = [name for name, _ in network.named_layers()[:-1]], record.membranes
    activity = {"input": inputs[:, 0]}
    activity |= {name: trace[:, 0] for name, trace in zip(names, traces, strict=True)}
    return Look(title_of(outputs), activity, membranes, thresholds)


def _thresholds(layer: Layer, inputs: Tensor) -> Tensor:
    """Thresholds of a layer's neurons over time, [time, neurons], for one sequence."""
    params = layer.neuron.params()
    dtype = next(layer.parameters()).dtype
    current = layer.between(layer.projection(inputs.to(dtype)))
    state, thresholds = None, []
    for now in current:
        spikes, state = layer.neuron.forward_sequence(now[None], state)
        own = getattr(state, "neurons", state)  # beside that of plastic synapses, if there are any
        thresholds.append(layer.neuron.threshold_of(own, params).expand_as(spikes[0])[0])
    return torch.stack(thresholds)
