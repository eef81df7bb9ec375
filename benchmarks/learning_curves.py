"""Validation scores of several runs against the batches that they have seen, in one plot.

Runs that differ in their seed alone have one colour.

    python benchmarks/learning_curves.py runs/maze/stpn runs/maze/lstm runs/maze/rnn \\
        --plot docs/maze.png --level "random player" 5.48
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from srnn.datasets import load
from srnn.train.metrics_csv import read_metrics
from srnn.train.report import SCORE_TITLES
from srnn.train.run_folder import RunFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--plot", type=Path, required=True)
    parser.add_argument("--level", nargs=2, action="append", default=[])
    arguments = parser.parse_args()
    figure, axis = pyplot.subplots(figsize=(6.5, 3.6), layout="constrained")
    colours: dict[str, str] = {}
    lowest = 0.0
    for path in arguments.runs:
        run = RunFolder(path)
        settings = run.read_config()
        info = load(settings.dataset, settings.data_dir, **settings.data).info
        series = read_metrics(run.metrics)[f"val/{info.score}"]
        label = f"{settings.model.upper()}, {settings.hidden[0]} units"
        known = label in colours
        colour = colours.setdefault(label, f"C{len(colours)}")
        axis.plot(*zip(*series, strict=True), color=colour, label=None if known else label)
        lowest = min(lowest, *(score for _, score in series))
    for label, value in arguments.level:
        axis.axhline(float(value), color="0.6", lw=1, ls="--", label=label)
    axis.set(xlabel=f"batches of {settings.batch_size}", title=info.title)
    axis.set_ylim(bottom=1.05 * lowest)
    axis.set_ylabel(f"validation {SCORE_TITLES[info.score]}")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.savefig(arguments.plot, dpi=130)


if __name__ == "__main__":
    main()
