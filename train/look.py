"""A look at what a trained network does on one sequence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from srnn import SRNN, Layer
from srnn.datasets import SequenceDataset
from srnn.datasets.maze_episodes import MazeEpisodes

from .build import Network
from .console import with_caveat
from .play import play_the_same
from .report import format_score


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
    if isinstance(dataset, MazeEpisodes):
        inputs, _, rewards = play_the_same(network, dataset.rules, dataset.begin([index]), 0)
        earned = format_score("reward", float(rewards.sum()))
        title = f"{dataset.info.title}, episode {index}: reward {earned}"
    else:
        inputs, targets = dataset.__getitems__([index])
    activity = {"input": inputs[:, 0]}
    membranes = thresholds = None
    if isinstance(network, SRNN):
        logits, record = network(inputs, keep_spikes=True, keep_membranes=True)
        names, traces = network.layer_names(), record.spikes
        membranes, thresholds = record.membranes[0][:, 0], _thresholds(network.layers[0], inputs)
    else:
        logits, record = network(inputs, keep_membranes=True)
        names, traces = [name for name, _ in network.named_layers()[:-1]], record.membranes
    if not isinstance(dataset, MazeEpisodes):
        title = _title(dataset, index, logits, targets)
    activity |= {name: trace[:, 0] for name, trace in zip(names, traces, strict=True)}
    return Look(title, activity, membranes, thresholds)


def _title(dataset: SequenceDataset, index: int, logits: Tensor, targets: Tensor) -> str:
    info = dataset.info
    predictions = logits.argmax(-1)
    if info.streaming:
        labelled = targets >= 0
        right = float((predictions == targets)[labelled].float().mean())
        answer = with_caveat(f"right at {100 * right:.0f} % of its labelled steps", info.caveat)
    else:
        answer = f"true {info.classes[int(targets)]}, predicted {info.classes[int(predictions)]}"
    return f"{info.title}, sequence {index}: {answer}"


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
