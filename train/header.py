"""What a run says before it starts: device, data, network, training, expected time, folder."""

import copy
import time
from pathlib import Path

import torch

from srnn import kernel_info
from srnn.datasets import Info, Splits

from .build import Network
from .config import Experiment
from .console import Console, duration
from .device import training_device
from .evaluation import repeatable
from .sizing import learned_parameters
from .tasks import task_of


def print_header(
    console: Console,
    experiment: Experiment,
    splits: Splits,
    network: Network,
    *,
    device: str,
    threads: int,
    batches: int,
    folder: Path,
) -> None:
    """Print what is about to happen.

    Args:
        console: where to.
        experiment: the settings.
        splits: the data.
        network: the network, not yet trained.
        device: the device and why it was chosen.
        threads: CPU threads.
        batches: training batches of an epoch.
        folder: where the run will live.
    """
    info = splits.info
    # Before a word is said, since a data set may refuse to be joined.
    everything = len(splits.joined) if experiment.retrain else 0
    console.line(f"{info.title}: {_architecture(experiment, info)}", style="bold")
    console.line(f"device    {device}; {threads} CPU threads; {experiment.precision}")
    console.line(
        f"data      {len(splits.train)} training and {len(splits.valid)} validation sequences, "
        f"{info.steps} steps of {info.channels} channels ({info.encoding})"
    )
    console.line(f"split     {info.split}")
    if info.caveat:
        console.line(f"caveat    {info.caveat}")
    if kernel := kernel_line(network, training_device(experiment.accelerator)):
        console.line(f"kernel    {kernel}")
    console.table(["layer", "neurons", "parameters", "tau_mem", "tau_adapt"], layer_rows(network))
    total = learned_parameters(network)
    rate = f"learning rate {experiment.lr:g} ({experiment.schedule})"
    console.line(
        f"training  {total} parameters, {experiment.epochs} epochs of {batches} batches of "
        f"{experiment.batch_size}; {experiment.optimizer}, {rate}; seed {experiment.seed}"
    )
    epoch = seconds_per_batch(experiment, splits, network) * batches
    console.line(
        f"expected  about {duration(epoch)} an epoch, {duration(epoch * experiment.epochs)} for "
        f"all {experiment.epochs}, without validation"
    )
    if experiment.match_params is not None:
        console.line(
            f"size      layers of {experiment.hidden[0]}: the width at which the number of "
            f"parameters is closest to that of {experiment.match_params}"
        )
    if experiment.retrain:
        console.line(
            f"retrain   then a fresh network on all {everything} training and validation "
            "sequences, for as many epochs as validation chooses"
        )
    console.line(f"run       {folder}")
    console.line()


def kernel_line(network: Network, device: torch.device) -> str:
    """Say which kernel runs the layers on a device and why; nothing for other networks."""
    infos = kernel_info(network, device)
    same = {info[1:] for info in infos}
    if len(same) == 1:
        ((kernel, reason),) = same
        return f"{kernel} ({reason})"
    return "; ".join(map(str, infos))


def _architecture(experiment: Experiment, info: Info) -> str:
    recurrent = "feed-forward" if experiment.feedforward else "recurrent"
    spiking = f"{recurrent} {experiment.neuron.upper()}"
    if experiment.plasticity != "none":
        spiking = f"{experiment.plasticity} {spiking}"
    kind = spiking if experiment.model == "srnn" else f"non-spiking {experiment.model.upper()}"
    sizes = "-".join(map(str, [info.channels, *experiment.hidden, info.outputs]))
    return f"{kind} network {sizes}, readout {experiment.readout}"


def layer_rows(network: Network) -> list[list[str]]:
    """Return name, neurons, parameters and range of the time constants of each layer."""
    taus = network.time_constants()
    rows = []
    for name, layer in network.named_layers():
        size = getattr(layer, "hidden_size", None) or layer.projection.out_features
        parameters = sum(p.numel() for p in layer.parameters() if p.requires_grad)
        ranges = []
        for key in ("tau_mem", "tau_adapt"):
            tau = taus.get(f"{name}.{key}")
            ranges.append(
                "-" if tau is None else f"{float(tau.min()):.3g} .. {float(tau.max()):.3g}"
            )
        rows.append([name, str(size), str(parameters), *ranges])
    return rows


def seconds_per_batch(experiment: Experiment, splits: Splits, network: Network) -> float:
    """Time one training batch on a copy of the network, after a first one to warm up.

    The network and torch's random numbers are left as they are.
    """
    device = training_device(experiment.accelerator)
    trial = copy.deepcopy(network).to(device)
    task = task_of(splits.train)
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        with repeatable(trial):
            task.rehearse(trial, experiment)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - began
    return seconds
