"""Validation scores of several runs against the batches that they have seen, in one plot.

Runs that differ in their seed alone have one colour, and a thick line for the mean of them all.

    python benchmarks/learning_curves.py runs/maze/stpn runs/maze/lstm runs/maze/rnn \\
        --plot docs/maze.png --level "random player" 5.48

With ``--data``, the curves are put into a CSV file too, and those that it has already are drawn
with them: runs of several sessions and machines come into one plot. A run takes the place of an
earlier one of the same model, width and seed.

    python benchmarks/learning_curves.py runs/pong/lstm-* --plot docs/pong.png --data docs/pong.csv
"""

import argparse
import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from srnn.datasets import Info, load
from srnn.train.metrics_csv import read_metrics
from srnn.train.report import SCORE_TITLES
from srnn.train.run_folder import RunFolder, write_atomically

Curve = list[tuple[int, float]]
"""Score after some batches."""
Curves = dict[tuple[str, int], Curve]
"""By the name of a network and the seed."""
COLUMNS = "network", "seed", "batches", "score"


def curves_of(paths: Sequence[Path]) -> tuple[Curves, Info, int]:
    """Curves of some runs, their task, and the size of a batch."""
    curves: Curves = {}
    for path in paths:
        run = RunFolder(path)
        settings = run.read_config()
        info = load(settings.dataset, settings.data_dir, **settings.data).info
        name = f"{settings.model.upper()}, {settings.hidden[0]} units"
        curves[name, settings.seed] = read_metrics(run.metrics)[f"val/{info.score}"]
    return curves, info, settings.batch_size


def read(file: Path) -> Curves:
    """Curves that :func:`write` wrote; none where there is no file."""
    curves: Curves = defaultdict(list)
    if file.exists():
        with file.open(newline="") as rows:
            for row in csv.DictReader(rows):
                point = int(row["batches"]), float(row["score"])
                curves[row["network"], int(row["seed"])].append(point)
    return dict(curves)


def write(file: Path, curves: Curves) -> None:
    """Write curves, a row a point."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(COLUMNS)
    for (name, seed), curve in sorted(curves.items()):
        writer.writerows((name, seed, batch, f"{score:.6g}") for batch, score in curve)
    write_atomically(file, rows.getvalue())


def mean(curves: Sequence[Curve]) -> Curve:
    """Mean over runs, after those batches that all of them have seen."""
    scores = [dict(curve) for curve in curves]
    common = sorted(set.intersection(*map(set, scores)))
    return [(batch, sum(score[batch] for score in scores) / len(scores)) for batch in common]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--plot", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--level", nargs=2, action="append", default=[])
    arguments = parser.parse_args()
    curves, info, batch = curves_of(arguments.runs)
    if arguments.data:
        curves = read(arguments.data) | curves
        write(arguments.data, curves)
    figure, axis = pyplot.subplots(figsize=(6.5, 3.6), layout="constrained")
    for index, name in enumerate(sorted({name for name, _ in curves}, reverse=True)):
        same = [curve for (other, _), curve in curves.items() if other == name]
        label = name
        if len(same) > 1:
            label += f" ({len(same)} seeds, and their mean)"
            for curve in same:
                axis.plot(*zip(*curve, strict=True), color=f"C{index}", lw=0.8, alpha=0.6)
        axis.plot(*zip(*mean(same), strict=True), color=f"C{index}", label=label)
    for label, value in arguments.level:
        axis.axhline(float(value), color="0.6", lw=1, ls="--", label=label)
    lowest = min(score for curve in curves.values() for _, score in curve)
    axis.set(xlabel=f"batches of {batch}", title=info.title)
    axis.set_ylim(bottom=min(0.0, 1.05 * lowest))
    axis.set_ylabel(f"validation {SCORE_TITLES[info.score]}")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.savefig(arguments.plot, dpi=130)


if __name__ == "__main__":
    main()
