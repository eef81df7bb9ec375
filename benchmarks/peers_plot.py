"""The plot of benchmarks/kernels.py: cost against time steps and width, gain against sparsity."""

import statistics
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

_LOOKS = {
    "srnn, events": ("C0", "o"),
    "srnn, dense input": ("C2", "s"),
    "snnTorch RLeaky": ("C3", "^"),
}
_PANELS = {
    "time": ("steps", "time steps"),
    "width": ("neurons", "neurons"),
    "density": ("density", "share of the input that is one"),
    "rate": ("gain", "firing rate"),
}


def plot(path: Path, measured: list[dict[str, Any]]) -> None:
    """Draw every sweep that was measured.

    Args:
        path: PNG file to write.
        measured: contents of the JSON files of the sweeps.
    """
    sweeps = {result["what"]: result["results"] for result in measured}
    panels = [name for name in _PANELS if name in sweeps]
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.6), squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        attribute, label = _PANELS[panel]
        runs = list(sweeps[panel].values())
        for name, (colour, marker) in _LOOKS.items():
            x = [
                run["rates"]["srnn, events"] if panel == "rate" else run["case"][attribute]
                for run in runs
            ]
            y = [statistics.median(run["times"][name]) for run in runs]
            axis.loglog(x, y, color=colour, marker=marker, markersize=4, label=name)
        axis.set_xlabel(label)
        axis.grid(alpha=0.3, which="both")
    axes[0, 0].set_ylabel("CPU time of a training step, ms")
    axes[0, 0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
