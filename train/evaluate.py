"""Scoring a trained network on a set of sequences, and looking at one of them."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from srnn import SRNN, Layer, Record
from srnn.datasets import SequenceDataset, SequenceLoader

from .build import build_data, build_network
from .checkpoints import read_checkpoint
from .console import Console
from .errors import ConfigError
from .report import score_rows
from .run_folder import CONFIG, RunFolder
from .scores import Scores
from .threads import choose_threads


@dataclass(frozen=True)
class Evaluation:
    """What a network did on a set of sequences.

    Attributes:
        scores: by name, see :mod:`srnn.train.scores`.
        confusion: counts [true, predicted].
        rates: firing rate of each layer, in spikes a neuron and step.
        spikes: mean number of spikes a sequence, over all layers.
        sequences: how many were scored.
    """

    scores: dict[str, float]
    confusion: Tensor
    rates: dict[str, float]
    spikes: float
    sequences: int


@torch.no_grad()
def evaluate(network: SRNN, dataset: SequenceDataset, batch_size: int) -> Evaluation:
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
        answer = f"right at {100 * right:.0f} % of its labelled steps"
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


def check_fits(network: SRNN, checkpoint: Path) -> tuple[dict[str, Tensor], int]:
    """Read the weights of a checkpoint and compare their shapes with a network's.

    Returns:
        The weights, as the network's ``state_dict``, and the epoch that they are from.

    Raises:
        ConfigError: if there is no checkpoint, or it is one of another network.
    """
    content = read_checkpoint(checkpoint)
    weights = {
        name.removeprefix("network."): value
        for name, value in content["state_dict"].items()
        if name.startswith("network.")
    }
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ConfigError(
                f"The checkpoint {checkpoint} does not fit the network of its {CONFIG}: {name} has "
                f"the shape {found.get(name)} there and {expected.get(name)} here."
            )
    return weights, content["epoch"] + 1


def load_weights(network: SRNN, folder: RunFolder) -> int:
    """Put the best weights of a run into a network, and return the epoch that they are from.

    Raises:
        ConfigError: if there is no checkpoint, or it is one of another network.
    """
    weights, epoch = check_fits(network, folder.best)
    network.load_state_dict(weights)
    return epoch


def evaluate_run(folder: RunFolder, data_dir: str | None, console: Console) -> dict[str, float]:
    """Score a finished or interrupted run again, from its folder.

    Args:
        folder: its folder.
        data_dir: folder of the data sets, if it is another one now.
        console: where to speak.

    Returns:
        The scores on the test set.

    Raises:
        ConfigError: if the folder holds no run, or one that does not fit its data.
        DataError: for data that are missing or damaged.
    """
    experiment = folder.read_config()
    if data_dir is not None:
        experiment = replace(experiment, data_dir=data_dir)
    # How many processes and threads it was trained with says nothing about this machine.
    experiment = replace(experiment, threads=0, devices=1, num_nodes=1, num_workers=0)
    splits = build_data(experiment)
    choose_threads(experiment, splits.info.channels)
    folder.check_drawn(splits.train.drawn)
    network = build_network(experiment, splits.info)
    epoch = load_weights(network, folder)
    tested = evaluate(network, splits.test, experiment.batch_size)
    console.line(
        f"{splits.info.title}: {tested.sequences} test sequences, weights of epoch {epoch}"
    )
    for title, value in score_rows(tested.scores):
        console.line(f"test {title:18} {value}")
    console.line(f"spikes a sequence       {tested.spikes:.0f}")
    return tested.scores
