"""What shd-synth is like: density, what a linear classifier makes of it, and how it looks.

    python benchmarks/shd_synth.py [--seed 0] [--raster docs/shd-synth.png]

Prints the non-empty cells of a sample at 100 bins of 14 ms, and the accuracy on unknown speakers of
a linear classifier that sees, for each of the 700 channels, the number of its spikes and nothing of
their times: multinomial logistic regression on standardised square roots of the counts. Its weight
decay is chosen on the held-out training speakers, as the epoch of a network is; it is then fitted
to all training speakers. Takes about a minute on one core.
"""

import argparse
import time

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from srnn.datasets import SequenceDataset, load

DECAYS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def read(part: SequenceDataset) -> tuple[Tensor, Tensor, Tensor]:
    """Counts [samples, channels], non-empty cells [samples], and labels [samples]."""
    counts, cells, labels = [], [], []
    for first in range(0, len(part), 100):
        inputs, targets = part.__getitems__(range(first, min(first + 100, len(part))))
        counts.append(inputs.sum(0))
        cells.append((inputs > 0).sum((0, 2)))
        labels.append(targets)
    return torch.cat(counts), torch.cat(cells), torch.cat(labels)


def linear(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], decay: float) -> float:
    """Accuracy on `test` of a logistic regression fitted to `train`."""
    x, y = train[0].sqrt().double(), train[1]
    mean, std = x.mean(0), x.std(0).clamp(min=1e-6)
    weight = torch.zeros(x.shape[1], 20, dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(20, dtype=x.dtype, requires_grad=True)
    x = (x - mean) / std
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = cross_entropy(x @ weight + bias, y) + decay * weight.square().sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        logits = ((test[0].sqrt().double() - mean) / std) @ weight + bias
    return float((logits.argmax(1) == test[1]).double().mean())


def draw(part: SequenceDataset, labels: Tensor, path: str) -> None:
    """Draw the first sample of each word that a class has, channels against time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    words = part.info.classes
    figure, axes = plt.subplots(
        2, 5, figsize=(11, 5), sharex=True, sharey=True, layout="constrained"
    )
    chosen = ("one", "three", "six", "seven", "eight", "eins", "drei", "sechs", "sieben", "acht")
    for axis, word in zip(axes.flat, chosen, strict=True):
        index = int((labels == words.index(word)).nonzero()[0])
        inputs, _ = part[index]
        step, channel = inputs.nonzero(as_tuple=True)
        axis.scatter(step * 2e-3, channel, s=0.15, color="black", linewidths=0)
        axis.set_title(word)
    for axis in axes[1]:
        axis.set_xlabel("time (s)")
    for axis in axes[:, 0]:
        axis.set_ylabel("channel")
    axes[0, 0].set_xlim(0, 0.9)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--raster", help="PNG file to draw")
    options = parser.parse_args()
    began = time.perf_counter()
    splits = load("shd-synth", task_seed=options.seed, values="count")
    print(f"files and cache: {time.perf_counter() - began:.1f} s")
    parts = {"train": splits.train, "valid": splits.valid, "test": splits.test}
    data = {name: read(part) for name, part in parts.items()}
    cells = torch.cat([each[1] for each in data.values()]).double()
    events = torch.cat([each[0].sum(1) for each in data.values()]).double()
    print(f"non-empty cells a sample: mean {cells.mean():.0f}, largest {cells.max():.0f}")
    print(f"events a sample: mean {events.mean():.0f}")

    counts = {name: (each[0], each[2]) for name, each in data.items()}
    both = tuple(torch.cat(each) for each in zip(counts["train"], counts["valid"], strict=True))
    valid = {decay: linear(counts["train"], counts["valid"], decay) for decay in DECAYS}
    decay = max(valid, key=valid.__getitem__)
    print(f"linear on counts: validation {100 * valid[decay]:.1f} % with weight decay {decay}")
    print(f"linear on counts: test {100 * linear(both, counts['test'], decay):.1f} %")
    if options.raster:
        fine = load("shd-synth", task_seed=options.seed, bin_ms=2.0)
        draw(fine.train, torch.stack([fine.train[i][1] for i in range(200)]), options.raster)


if __name__ == "__main__":
    main()
