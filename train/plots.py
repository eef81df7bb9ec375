"""Plots of a run, as PNG files: learning curves, a raster, time constants, a confusion matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no display is needed, or wanted, on a training machine

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch import Tensor

from .look import Look
from .metrics_csv import read_metrics
from .report import SCORE_TITLES
from .run_folder import naming

STYLE: Any = {
    "figure.dpi": 120,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
}
"""What every plot looks like."""
_MOST_CURVES = 8
"""Analog channels that are drawn as curves, one above the other."""
_MOST_NEURONS = 128
"""Neurons of a layer that a raster shows; more could not be told apart."""
_MOST_CHANNELS = 1024
"""Input channels that it shows: more, because neighbours belong together."""


def _label(column: str) -> str:
    """What a curve is called: train, val, mean, largest, or the name of a layer."""
    kind, _, name = column.partition("/")
    if name.startswith("grad_norm"):
        return "largest" if name.endswith("max") else "mean"
    return name.removeprefix("rate_") if kind == "spikes" else {"val": "validation"}.get(kind, kind)


def _label_decades(axis: Axis, ratio: float) -> None:
    """Label a logarithmic axis with plain numbers, fewer of them where it spans many decades."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 100 else (1, 3)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file and let go of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        figure.savefig(path)
    plt.close(figure)


def learning_curves(metrics: Path, score: str, title: str, path: Path) -> None:
    """Plot loss, score, firing rates and gradient norm against batches.

    Args:
        metrics: a metrics.csv.
        score: the score by which the epoch was chosen.
        title: what was learned.
        path: the PNG file.
    """
    series = read_metrics(metrics)
    loss, gradient = "loss", "gradient norm, before clipping"
    panels = {
        loss: ["train/loss", "val/loss"],
        SCORE_TITLES[score]: [f"train/{score}", f"val/{score}"],
        "spikes per neuron and step": [name for name in series if name.startswith("spikes/")],
        gradient: ["train/grad_norm", "train/grad_norm_max"],
    }
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(9, 5.8), sharex=True)
        figure.suptitle(title, wrap=True)
        for axis, (title, columns) in zip(axes.flat, panels.items(), strict=True):
            names = [name for name in columns if name in series]
            if not names:  # a baseline has no firing rates
                axis.set_axis_off()
                continue
            for name in names:
                marker = "o" if name.startswith("val/") else None
                axis.plot(*zip(*series[name], strict=True), marker=marker, ms=3, label=_label(name))
            axis.set_title(title)
            axis.legend(frameon=False)
            values = [value for name in names for _, value in series[name]]
            if title in (loss, gradient) and max(values) > 10 * min(values) > 0:
                axis.set_yscale("log")
                _label_decades(axis.yaxis, max(values) / min(values))
        axes[1, 0].set_ylim(bottom=0)
        for axis in axes[1]:
            axis.set_xlabel("batches")
        save(figure, path)


def _draw_activity(axis: Axes, values: np.ndarray) -> None:
    """Draw [time, channels]: events as ticks, a few analog channels as curves, many as an image."""
    channels = values.shape[1]
    if np.isin(values, (-1, 0, 1)).all():
        step, channel = np.nonzero(values)
        height = 120 / channels  # of a tick, in points: rows just touch
        axis.scatter(
            step,
            channel,
            s=min(max(height, 0.7), 8) ** 2,
            marker="|",
            color="black",
            linewidths=0.8,
        )
    elif channels <= _MOST_CURVES:
        axis.plot(
            values / max(1e-9, np.abs(values).max()) * 0.8 + np.arange(channels) - 0.4, lw=0.8
        )
    else:
        axis.imshow(values.T, aspect="auto", cmap="Greys", interpolation="none")
    axis.set_ylim(-0.5, channels - 0.5)
    axis.set_yticks(range(0, channels, max(1, channels // 4)))


def raster(look: Look, path: Path) -> None:
    """Plot what a network does on one sequence, and membrane and threshold of one of its neurons.

    Args:
        look: what there is to see.
        path: the PNG file.
    """
    panels = len(look.activity) + (look.thresholds is not None)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            panels, 1, figsize=(9, 1.9 * panels), sharex=True, squeeze=False
        )
        for axis, (name, values) in zip(axes[:, 0], look.activity.items(), strict=False):
            most = _MOST_CHANNELS if name == "input" else _MOST_NEURONS
            shown = min(values.shape[1], most)
            _draw_activity(axis, values[:, :shown].numpy())
            more = f" (first {shown} of {values.shape[1]})" if shown < values.shape[1] else ""
            rate = float((values != 0).float().mean())
            axis.set_title(f"{name}{more}: {100 * rate:.1f} % active a step", loc="left")
            axis.set_ylabel("channel" if name == "input" else "neuron")
        if look.thresholds is not None:
            _draw_neuron(axes[-1, 0], look)
        axes[-1, 0].set_xlabel("time step")
        figure.suptitle(look.title)
        save(figure, path)


def _draw_neuron(axis: Axes, look: Look) -> None:
    """Draw membrane, threshold and spikes of one neuron of the first layer."""
    assert look.membranes is not None
    assert look.thresholds is not None
    name, spikes = list(look.activity.items())[1]
    # The neuron whose activity is typical of those that fire: neither silent nor the loudest.
    counts = spikes.sum(0)
    active = counts.argsort()[(counts == 0).sum() :]
    chosen = int(active[len(active) // 2]) if len(active) else 0
    axis.plot(look.membranes[:, chosen], label="membrane", lw=1)
    axis.plot(look.thresholds[:, chosen], label="threshold", lw=1)
    fired = np.nonzero(spikes[:, chosen].numpy())[0]
    axis.plot(fired, look.thresholds[fired, chosen], "k|", ms=8, label="spike")
    axis.set_title(f"neuron {chosen} of {name}", loc="left")
    axis.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)


def time_constants(before: Mapping[str, Tensor], after: Mapping[str, Tensor], path: Path) -> None:
    """Plot the distribution of every layer's time constants before and after training.

    Args:
        before: values by name, in steps.
        after: likewise.
        path: the PNG file.
    """
    kinds = list(dict.fromkeys(name.split(".")[1] for name in after))
    layers = list(dict.fromkeys(name.split(".")[0] for name in after))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(kinds), len(layers), figsize=(3 * len(layers), 2.4 * len(kinds)), squeeze=False
        )
        for row, kind in zip(axes, kinds, strict=True):
            for axis, layer in zip(row, layers, strict=True):
                name = f"{layer}.{kind}"
                if name not in after:
                    axis.set_axis_off()
                    continue
                values = [before[name].numpy(), after[name].numpy()]
                low, high = np.concatenate(values).min() * 0.95, np.concatenate(values).max() * 1.05
                wide = high > 8 * low
                bins = np.geomspace(low, high, 21) if wide else np.linspace(low, high, 21)
                axis.hist(values[0], bins, color="0.75", label="before training")
                axis.hist(values[1], bins, histtype="step", color="C0", lw=1.5, label="after")
                if wide:
                    axis.set_xscale("log")
                    _label_decades(axis.xaxis, high / low)
                axis.set_title(f"{layer} {kind}")
                axis.set_xlabel("steps")
        axes[0, 0].set_ylabel("neurons")
        axes[0, 0].legend(frameon=False, fontsize=7)
        save(figure, path)


def confusion(matrix: Tensor, classes: Sequence[str], path: Path) -> None:
    """Plot a confusion matrix: rows are the true classes, and add up to one.

    Args:
        matrix: counts [true, predicted].
        classes: their names.
        path: the PNG file.
    """
    counts = matrix.double()
    shares = (counts / counts.sum(1, keepdim=True).clamp(min=1)).numpy()
    size = 2.2 + 0.32 * len(classes)
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(size + 0.6, size))
        image = axis.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        axis.spines[:].set_visible(False)
        axis.set_xticks(range(len(classes)), classes, rotation=90)
        axis.set_yticks(range(len(classes)), classes)
        axis.set_xlabel("predicted")
        axis.set_ylabel("true")
        if len(classes) <= 20:
            for (i, j), share in np.ndenumerate(shares):
                if share >= 0.005:
                    colour = "white" if share > 0.5 else "black"
                    axis.text(j, i, f"{share:.2f}", ha="center", va="center", color=colour, size=6)
        figure.colorbar(image, label="share of the true class", shrink=0.8)
        save(figure, path)
