"""report.md: a finished run on one page."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from srnn.datasets import Info

from .config import SPIKING, Experiment, useless
from .console import counted, duration, percent, with_caveat
from .run_folder import CONFIG, RunFolder, write_atomically

SCORE_TITLES = {
    "accuracy": "accuracy",
    "reward": "reward an episode",
    "score": "score of a game",
    "iqm": "interquartile mean",
    "wins": "games won",
    "macro_f1": "macro F1",
    "published": "published metric",
    "loss": "cross entropy",
}

_PLAIN = {"loss": ".4f", "reward": ".2f", "score": ".2f", "iqm": ".2f"}
"""How scores that are no shares are formatted."""


def score_rows(scores: Mapping[str, float], caveat: str) -> list[tuple[str, str]]:
    """Return title and formatted value of every score, with a caveat beside those to quote."""
    return [
        (title, with_caveat(format_score(name, scores[name]), "" if name == "loss" else caveat))
        for name, title in SCORE_TITLES.items()
        if name in scores
    ]


def format_score(name: str, value: float) -> str:
    """Format a score: a percentage, but for the loss and rewards."""
    return format(value, _PLAIN[name]) if name in _PLAIN else percent(value)


def in_tables(name: str) -> tuple[float, str]:
    """By what a score is multiplied in a table, and what its title ends with: 100 and ``, %``."""
    return (1.0, "") if name in _PLAIN else (100.0, ", %")


def about_scores(caveat: str) -> list[str]:
    """Return the paragraph that a report of scores with a caveat opens with, if there is one."""
    return [f"**About every score here: {caveat}.**"] if caveat else []


def how_retrained(summary: Mapping[str, Any]) -> str:
    """Say on what and for how long a run was retrained, from its summary.json."""
    return (
        "on training and validation sequences for "
        f"{counted(summary['retraining']['epochs'], 'epoch')} "
        f"({summary['best_epoch']} chosen on validation)"
    )


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
    validation = with_caveat(format_score(info.score, summary["validation"]), info.caveat)
    rows = [
        *([f"test {title}", value] for title, value in score_rows(summary["test"], info.caveat)),
        [f"validation {SCORE_TITLES[info.score]}, by which the epoch was chosen", validation],
        ["epoch chosen", f"{summary['best_epoch']} of {summary['epochs']}"],
        *(
            [["spikes a sequence, test", f"{summary['spikes_per_sequence']:.0f}"]]
            if summary["rates"]
            else []
        ),
        *(
            [f"firing rate of {layer}, test", percent(rate)]
            for layer, rate in summary["rates"].items()
        ),
        ["learned parameters", summary["parameters"]],
        ["training time", f"{duration(summary['seconds'])} on {summary['device']}"],
        ["seed", experiment.seed],
        ["commit", summary["commit"]],
    ]
    again = {"Learning curves of the retraining": "retrain/learning_curves.png"}
    plots = {
        "Learning curves": "plots/learning_curves.png",
        **(again if experiment.retrain else {}),
        "One test sequence": "plots/raster.png",
        "Time constants before and after training": "plots/time_constants.png",
        "Confusion matrix, test": "plots/confusion.png",
    }
    figures = [
        f"## {title}\n\n![{title}]({path})"
        for title, path in plots.items()
        if (folder.path / path).is_file()  # a baseline has no time constants
    ]
    unused = set() if experiment.model == "srnn" else set(SPIKING)
    unused |= useless(experiment.dataset)
    settings = [
        [f"`{name}`", f"`{value}`"]
        for name, value in asdict(experiment).items()
        if name not in unused
    ]
    text = "\n\n".join(
        [
            f"# {info.title}",
            *about_scores(info.caveat),
            f"Data: {info.encoding}. Split: {info.split}.",
            *(
                [f"The network was retrained {how_retrained(summary)}."]
                if experiment.retrain
                else []
            ),
            table(["", ""], rows),
            *figures,
            "## Settings",
            f"`srnn-train --config {os.path.relpath(folder.path / CONFIG)}` repeats the run.",
            table(["setting", "value"], settings),
            f"Data source: {info.source}. Licence: {info.licence}. Please cite: {info.citation}.",
        ]
    )
    write_atomically(folder.report, text + "\n")
