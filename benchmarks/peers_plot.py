"""The plot of benchmarks/kernels.py: what a training step costs, and how much less ours does."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

_LOOKS = {
    "srnn, events": ("C0", "o"),
    "srnn, dense input": ("C2", "s"),
    "snnTorch RLeaky": ("C3", "^"),
    "torch LSTM": ("C7", "v"),
}
_PANELS = {
    "time": ("steps", "time steps"),
    "width": ("neurons", "neurons of the layer"),
    "density": ("density", "share of the input that is one, %"),
    "rate": ("gain", "share of steps in which ours fires, %"),
}
_RATIOS = {
    ("snnTorch RLeaky", "srnn, events"): "snnTorch RLeaky / srnn, events",
    ("snnTorch RLeaky", "srnn, dense input"): "snnTorch RLeaky / srnn, dense input",
    ("torch LSTM", "srnn, events"): "torch LSTM / srnn, events",
}


def plot(path: Path, measured: list[dict[str, Any]]) -> None:
    """Draw every sweep that was measured: cost above, ratios below; bars are quartiles.

    Args:
        path: PNG file to write.
        measured: contents of the JSON files of the sweeps.
    """
    sweeps = {result["what"]: result["results"] for result in measured}
    panels = [name for name in _PANELS if name in sweeps]
    size = (3.6 * len(panels) + 0.6, 6.6)
    figure, axes = plt.subplots(2, len(panels), figsize=size, sharex="col", squeeze=False)
    for panel, cost, gain in zip(panels, axes[0], axes[1], strict=True):
        runs = list(sweeps[panel].values())
        attribute, label = _PANELS[panel]
        x = [run["case"][attribute] for run in runs]
        if panel == "rate":
            x = [run["rates"]["srnn, events"] for run in runs]
        x = [100 * value for value in x] if label.endswith("%") else x
        for name, (colour, marker) in _LOOKS.items():
            samples = [run["times"][name] for run in runs]
            _line(cost, x, samples, color=colour, marker=marker, label=name)
        for (slower, faster), name in _RATIOS.items():
            colour, marker = _LOOKS[faster if slower == "snnTorch RLeaky" else slower]
            pairs = [zip(r["times"][slower], r["times"][faster], strict=True) for r in runs]
            ratios = [[a / b for a, b in pair] for pair in pairs]
            _line(gain, x, ratios, color=colour, marker=marker, label=name)
        for axis in (cost, gain):
            axis.set(xscale="log", yscale="log", xticks=x)
            axis.grid(alpha=0.3, which="both")
            for ticks in (axis.xaxis, axis.yaxis):
                ticks.set_major_formatter(FuncFormatter(_in_words))
                ticks.set_minor_formatter(NullFormatter())
        gain.set(xlabel=label, ylim=(1.7, 40), yticks=[2, 3, 5, 7, 10, 15, 20, 30])
        cost.set_ylim(5, 9000)
    axes[0, 0].set_ylabel("CPU time of a training step, ms")
    axes[1, 0].set_ylabel("times faster")
    axes[0, 0].legend(fontsize=8)
    axes[1, -1].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _in_words(value: float, _: int) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _line(axis: Axes, x: Sequence[float], samples: Sequence[list[float]], **looks: Any) -> None:
    """Draw medians, with the quartiles as bars."""
    cuts = [statistics.quantiles(sample, n=4, method="inclusive") for sample in samples]
    below = [median - low for low, median, _ in cuts]
    above = [high - median for _, median, high in cuts]
    middle = [median for _, median, _ in cuts]
    axis.errorbar(x, middle, yerr=(below, above), markersize=4, capsize=2, **looks)
