"""Test accuracy against estimated energy, of networks that several comparisons measured.

    python benchmarks/fronts.py docs/smnist-fronts.csv docs/smnist-fronts.png

`srnn-compare` draws what it has measured itself; where runs of several sessions and machines belong
into one plot, their accuracy and energy are gathered in a CSV file with the columns family,
network, accuracy (%), nanojoules and commit. A line joins each family, from little energy to much.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from srnn.train.plots import STYLE, save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="CSV file")
    parser.add_argument("plot", type=Path, help="PNG file")
    arguments = parser.parse_args()
    families: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    with arguments.data.open(newline="") as rows:
        for row in csv.DictReader(rows):
            point = float(row["nanojoules"]), float(row["accuracy"]), row["network"]
            families[row["family"]].append(point)
    with pyplot.rc_context(STYLE):
        figure, axis = pyplot.subplots(figsize=(7.5, 4.8))
        for family, points in families.items():
            points.sort()
            axis.plot(*zip(*((x, y) for x, y, _ in points), strict=True), "o-", label=family, ms=5)
            for x, y, network in points:
                axis.annotate(network, (x, y), xytext=(5, -9), textcoords="offset points", size=6.5)
        axis.set_xscale("log")
        axis.margins(x=0.12)
        axis.set_xlabel("estimated nJ a sequence, event-driven (45nm-fp32-sram)")
        axis.set_ylabel("test accuracy, %")
        axis.legend(frameon=False)
        save(figure, arguments.plot)


if __name__ == "__main__":
    main()
