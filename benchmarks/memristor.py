"""Associative retrieval on imperfect memristors: accuracy against write noise, spread and levels.

    python benchmarks/memristor.py --seeds 3 --retune 1       # measures; rows into a CSV file
    python benchmarks/memristor.py --plot docs/memristor.png  # draws what was measured

A network of tanh units on perfect devices (`STPN` with `MemristiveSTP`: window, one decay set by a
learned voltage, no noise) is trained on ``art``. It is then put, with its weights, on devices that
are written with noise, that differ from one another, or that have few levels; an accuracy is the
mean over draws of the devices. With ``--retune``, it is trained on for as many epochs on each kind
of device, once drawn, and scored on the same devices. Nothing is chosen by any of the scores: the
epochs are fixed. Scores are on the first of the test sequences.
"""

import argparse
import copy
import csv
import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from srnn.datasets import Splits, load
from srnn.neurons.plasticity import MemristiveSTP
from srnn.stpn import STPN

AXES: dict[str, tuple[float, ...]] = {
    "write_noise": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "device_spread": (0.02, 0.05, 0.1, 0.2, 0.5),
    "levels": (1024, 256, 128, 64, 32, 16),
    "write_noise and device_spread": (0.05,),
}
"""What is varied, and how far; the last is the noise beside twice as much spread."""
TITLES = {
    "write_noise": "write noise, fraction of a pulse",
    "device_spread": "device-to-device spread of tau and Gamma",
    "levels": "levels over the window",
}
COLUMNS = ("seed", "epochs", "axis", "value", "retuned", "accuracy", "perfect")
UNITS, BATCH, LR = 11, 128, 3e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10, help="on perfect devices")
    parser.add_argument("--retune", type=int, default=0, help="epochs on imperfect ones")
    parser.add_argument("--draws", type=int, default=5, help="sets of devices for an accuracy")
    parser.add_argument("--sequences", type=int, default=5000, help="of the test set")
    parser.add_argument("--csv", type=Path, default=Path("memristor.csv"))
    parser.add_argument("--plot", type=Path, help="draw the CSV file, measure nothing")
    arguments = parser.parse_args()
    if arguments.plot:
        draw(arguments.csv, arguments.plot)
        return
    torch.set_num_threads(1)
    splits = load("art")
    if not arguments.csv.exists():
        append(arguments.csv, COLUMNS)
    for seed in range(arguments.seeds):
        measure(seed, splits, arguments)


def measure(seed: int, splits: Splits, arguments: argparse.Namespace) -> None:
    """Train one network and write a row for every kind of device."""
    torch.manual_seed(seed)
    network = STPN(37, [UNITS], 37, plasticity=MemristiveSTP)
    train(network, splits, arguments.epochs, f"seed {seed}")
    test = splits.test.__getitems__(range(arguments.sequences))
    perfect = score(network, test)
    for axis, values in AXES.items():
        for value in values:
            options = devices(axis, value)
            before = [score(on(network, options), test) for _ in range(arguments.draws)]
            results = [(0, mean(before))]
            if arguments.retune:
                tuned = on(network, options)
                train(tuned, splits, arguments.retune, f"seed {seed}, {axis} {value:g}")
                results.append((arguments.retune, score(tuned, test)))
            for retuned, accuracy in results:
                row = (seed, arguments.epochs, axis, value, retuned, accuracy, perfect)
                append(arguments.csv, row)
                print(*row, flush=True)


def devices(axis: str, value: float) -> dict[str, Any]:
    """Options of the synapses for a value of an axis."""
    if axis == "levels":
        return {"levels": int(value)}
    if axis in TITLES:
        return {axis: value}
    return {"write_noise": value, "device_spread": 2 * value}


def on(network: STPN, options: dict[str, Any]) -> STPN:
    """The network with its weights on newly drawn devices."""
    other = copy.deepcopy(network)
    (layer,) = other.layers
    weights = {name: weight.detach() for name, weight in layer.plasticity.named_parameters()}
    layer.plasticity = MemristiveSTP(UNITS, 37, **options)
    layer.plasticity.load_state_dict(weights, strict=False)  # all but what the devices drew
    return other


def train(network: STPN, splits: Splits, epochs: int, title: str) -> None:
    """Train for some passes over the training sequences."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    for epoch in range(1, epochs + 1):
        started, losses = time.perf_counter(), []
        for chosen in torch.randperm(len(splits.train)).split(BATCH):
            x, target = splits.train.__getitems__(chosen.tolist())
            loss = nn.functional.cross_entropy(network(x)[0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        took = time.perf_counter() - started
        print(f"{title}: epoch {epoch}, loss {mean(losses):.3f}, {took:.0f} s", flush=True)


@torch.no_grad()
def score(network: STPN, test: tuple[torch.Tensor, torch.Tensor]) -> float:
    """The share of right answers."""
    x, target = test
    return float((network(x)[0].argmax(-1) == target).double().mean())


def append(path: Path, row: tuple[Any, ...]) -> None:
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(row)


def draw(path: Path, plot: Path) -> None:
    """Draw accuracy against each axis, every seed and the means."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure, panels = pyplot.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
    for panel, (axis, title) in zip(panels, TITLES.items(), strict=True):
        for retuned, colour in (("0", "C0"), ("1", "C1")):
            chosen = [r for r in rows if r["axis"] == axis and r["retuned"] == retuned]
            if not chosen:
                continue
            values = sorted({float(r["value"]) for r in chosen})
            found = [
                [100 * float(r["accuracy"]) for r in chosen if float(r["value"]) == v]
                for v in values
            ]
            for value, each in zip(values, found, strict=True):
                panel.plot([value] * len(each), each, ".", color=colour, alpha=0.5)
            label = "trained on perfect devices" if retuned == "0" else "and one epoch on these"
            panel.plot(values, [mean(each) for each in found], color=colour, label=label)
        perfect = mean({r["seed"]: 100 * float(r["perfect"]) for r in rows}.values())
        panel.axhline(perfect, color="0.5", lw=1, ls="--", label="perfect devices")
        panel.axhline(perfect - 3, color="0.7", lw=1, ls=":", label="three points below")
        panel.set(xlabel=title, xscale="log")
        panel.set_xticks(AXES[axis], [f"{value:g}" for value in AXES[axis]])
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("test accuracy, %")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(plot, dpi=130)


if __name__ == "__main__":
    main()
