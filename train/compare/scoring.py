"""What the networks of a comparison did on the test samples: the same ones for all."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

import torch

from srnn.datasets import SequenceLoader, Splits
from srnn.meters import (
    EVENT_DRIVEN,
    Convention,
    DeviceMeter,
    EnergyProfile,
    JouleMeter,
    Measurement,
    Ops,
    energy,
    measure,
)

from ..build import Network
from ..rescore import restore
from ..run_folder import RunFolder
from ..tasks import task_of
from .training import Entry


@dataclass(frozen=True)
class Scored:
    """A network of the comparison with what was measured, seed by seed.

    Attributes:
        entry: the network.
        label: what to call it, unlike all others.
        summaries: of its runs, as in summary.json.
        measurements: of its runs, on all test samples.
        joules: a sample, of its runs; empty if nothing measured them.
        devices: what the simulated memristors of its runs did on all test samples; empty if it has
            none.
        per: what operations and energies are told for, a "sample" or a "step".
        leading: name of the score by which networks are chosen.
    """

    entry: Entry
    label: str
    summaries: list[dict[str, Any]]
    measurements: list[Measurement]
    joules: list[float]
    devices: list[DeviceMeter]
    per: str
    leading: str

    def without_input(self) -> "Scored":
        """The same network, less the products with what it is given."""
        return replace(self, measurements=[m.without_input() for m in self.measurements])

    def score(self, name: str) -> tuple[float, float | None]:
        """Mean and sample standard deviation of a test score; None for that of one seed."""
        return _spread([summary["test"][name] for summary in self.summaries])

    def validation(self) -> float:
        """Mean of the best validation accuracies."""
        return self.entry.validation()

    def ops(self, convention: Convention = EVENT_DRIVEN) -> Ops:
        """Mean operations of a sample, or a step."""
        each = [
            [count * m.share(self.per) for count in m.per_sample(convention)]
            for m in self.measurements
        ]
        return Ops(*(mean(counts) for counts in zip(*each, strict=True)))

    def nanojoules(
        self, profile: EnergyProfile, convention: Convention = EVENT_DRIVEN
    ) -> tuple[float, float | None]:
        """Mean and spread of the estimated energy of a sample, or a step."""
        return _spread(self.each_nanojoules(profile, convention))

    def each_nanojoules(self, profile: EnergyProfile, convention: Convention) -> list[float]:
        """The same of every seed."""
        return [
            energy(m, profile, convention).total / 1e3 * m.share(self.per)
            for m in self.measurements
        ]

    def layers(self, profile: EnergyProfile) -> dict[str, float]:
        """Mean estimated energy of a sample, or a step, in nJ by layer, event-driven."""
        each = [(energy(m, profile).layers, m.share(self.per) / 1e3) for m in self.measurements]
        return {name: mean(layers[name] * share for layers, share in each) for name in each[0][0]}

    def over_time(self, profile: EnergyProfile) -> list[float] | None:
        """Mean estimated energy of every time step in nJ, event-driven, where it was kept apart."""
        each = [energy(m, profile).over_time for m in self.measurements]
        steps = [steps for steps in each if steps is not None]
        return [mean(values) / 1e3 for values in zip(*steps, strict=True)] if steps else None

    def spikes(self) -> float | None:
        """Mean number of spikes a sample, or a step; None for a network that has none."""
        spiking = [m.spikes_per_sample * m.share(self.per) for m in self.measurements if m.spiking]
        return mean(spiking) if spiking else None

    def rates(self) -> dict[str, float]:
        """Mean firing rate of each layer that spikes."""
        names = self.measurements[0].spikes
        return {name: mean(m.spikes[name].rate for m in self.measurements) for name in names}


def _spread(values: list[float]) -> tuple[float, float | None]:
    return mean(values), stdev(values) if len(values) > 1 else None


def score(
    entries: list[Entry],
    splits: Splits,
    batch_size: int,
    device: torch.device,
    joule_meter: JouleMeter | None,
    say: Callable[[str], None],
) -> list[Scored]:
    """Measure every network on all test samples, and what simulated memristors did meanwhile.

    Args:
        entries: the networks.
        splits: the data, of which the test part is read.
        batch_size: sequences at a time, for all networks alike.
        device: where to run them.
        joule_meter: what measures the machine's energy, if anything does.
        say: prints a line.
    """
    scored = []
    for entry, label in zip(entries, labels(entries), strict=True):
        measurements, joules, devices = [], [], []
        for folder in entry.runs:
            network = _network(folder, splits).to(device)
            task = task_of(splits.test)
            # An encoder takes all steps at once, and a network with ticks makes several of each.
            whole = entry.experiment.ticks > 1 or entry.experiment.encoder != "none"
            timewise = splits.info.streaming and task.per == "sample" and not whole
            # By a copy, since what a player computes to bring a game about is not to be counted.
            observed = task.observed(copy.deepcopy(network), batch_size)
            with DeviceMeter(network) as meter:
                measurements.append(measure(network, observed, timewise=timewise))
            if meter.synapses:
                devices.append(meter)
            if joule_meter is not None:
                joules.append(joules_of_a_sample(network, splits, batch_size, joule_meter))
        summaries = [folder.read_summary() for folder in entry.runs]
        scored.append(
            Scored(
                *(entry, label, summaries, measurements, joules, devices),
                *(task.per, splits.info.score),
            )
        )
        say(f"measured {label} on {len(splits.test)} test sequences")
    return scored


def _network(folder: RunFolder, splits: Splits) -> Network:
    folder.check_drawn(splits.train.drawn)
    experiment = folder.read_config()
    # Where and how it was trained makes no difference here.
    return restore(folder, replace(experiment, devices=1, num_nodes=1), splits.info)[0]


def labels(entries: list[Entry]) -> list[str]:
    """Name every network; where two would be called alike, by the folder of the first run too."""
    plain = [entry.label for entry in entries]
    return [
        label if plain.count(label) == 1 else f"{label} ({entry.runs[0].path.name})"
        for label, entry in zip(plain, entries, strict=True)
    ]


@torch.no_grad()
def joules_of_a_sample(
    network: Network, splits: Splits, batch_size: int, meter: JouleMeter
) -> float:
    """Measure the joules of a forward pass of one sample, on average over the test set.

    Loading the data is left out: all batches are at hand before it begins.
    """
    device = next(network.parameters()).device
    network.eval()
    batches = [inputs.to(device) for inputs, _ in SequenceLoader(splits.test, batch_size)]
    network(batches[0])  # to warm up
    with meter:
        for inputs in batches:
            network(inputs)
    assert meter.joules is not None
    return meter.joules / len(splits.test)
