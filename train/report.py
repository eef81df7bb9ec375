"""report.md: a finished run on one page."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from srnn.datasets import Info

from .config import Experiment
from .console import duration, percent
from .run_folder import CONFIG, RunFolder, write_atomically

SCORE_TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "published": "published metric",
    "loss": "cross entropy",
}


def score_rows(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return title and formatted value of every score."""
    return [
        (SCORE_TITLES[name], f"{value:.4f}" if name == "loss" else percent(value))
        for name, value in ((name, scores[name]) for name in SCORE_TITLES if name in scores)
    ]


def table(columns: list[str], rows: list[list[Any]]) -> str:
    """Format a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write_report(
    folder: RunFolder, experiment: Experiment, info: Info, summary: Mapping[str, Any]
) -> None:
    """Write the report of a finished run.

    Args:
        folder: its folder, with plots.
        experiment: its settings.
        info: its data.
        summary: its result, as in summary.json.
    """
    scores = score_rows(summary["test"])
    rows = [
        *([f"test {title}", value] for title, value in scores),
        ["validation accuracy, by which the epoch was chosen", percent(summary["validation"])],
        ["epoch chosen", f"{summary['best_epoch']} of {experiment.epochs}"],
        ["spikes a sequence, test", f"{summary['spikes_per_sequence']:.0f}"],
        *(
            [f"firing rate of {layer}, test", percent(rate)]
            for layer, rate in summary["rates"].items()
        ),
        ["learned parameters", summary["parameters"]],
        ["training time", f"{duration(summary['seconds'])} on {summary['device']}"],
        ["seed", experiment.seed],
        ["commit", summary["commit"]],
    ]
    plots = {
        "Learning curves": "learning_curves",
        "One test sequence": "raster",
        "Time constants before and after training": "time_constants",
        "Confusion matrix, test": "confusion",
    }
    figures = [f"## {title}\n\n![{title}](plots/{name}.png)" for title, name in plots.items()]
    settings = [[f"`{name}`", f"`{value}`"] for name, value in asdict(experiment).items()]
    text = "\n\n".join(
        [
            f"# {info.title}",
            f"Data: {info.encoding}. Split: {info.split}.",
            table(["", ""], rows),
            *figures,
            "## Settings",
            f"`srnn-train --config {os.path.relpath(folder.path / CONFIG)}` repeats the run.",
            table(["setting", "value"], settings),
            f"Data source: {info.source}. Licence: {info.licence}. Please cite: {info.citation}.",
        ]
    )
    write_atomically(folder.report, text + "\n")
