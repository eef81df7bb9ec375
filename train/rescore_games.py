"""Scoring a player again, over as many games as one likes and under harder rules.

Actions are drawn by their chances, as in training, or the best one is always taken; and in Atari's
games they may be sticky: with a probability of 0.25 an action is replaced by the one before, so
that no sequence of actions can be learned by heart (Machado et al. 2018). All are played with the
same seeds, which no training or validation has used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import bootstrap
from torch import Tensor

from srnn.datasets.games import GameSet

from .build import Network, build_data
from .config import Experiment
from .console import Console
from .game_scores import GameScores
from .play_games import GamesPlayed, play_games

STICKY = 0.25
"""Probability with which an action is replaced by the one before, where actions are sticky."""
_RESAMPLES = 10_000
"""Draws of the bootstrap."""


@dataclass(frozen=True)
class Rules:
    """How games are played.

    Attributes:
        greedy: whether the best action is taken always.
        sticky: probability that an action is replaced by the one before.
    """

    greedy: bool
    sticky: float

    def __str__(self) -> str:
        actions = "best action" if self.greedy else "actions drawn"
        return f"{actions}, sticky {self.sticky:g}" if self.sticky else actions


def score_games(
    network: Network, experiment: Experiment, games: int | None, console: Console
) -> dict[str, float]:
    """Play the test games under all rules, and print how they went.

    Args:
        network: the player.
        experiment: the settings of its run.
        games: how many; by default those of the run.
        console: where to.

    Returns:
        The scores under the rules that it was trained with, actions drawn.
    """
    first: dict[str, float] = {}
    rows = []
    for rules, test in _variants(experiment, games):
        played = play_games(network, test, test.seeds, greedy=rules.greedy)
        scores = GameScores(sync_on_compute=False)
        scores.update(played.scores)
        found = scores.compute()
        first = first or found
        rows.append([str(rules), *_row(found, played)])
    console.line(f"{len(rows)} x {len(test)} games, seeds {test.seeds[0]} to {test.seeds[-1]}")
    columns = ["actions", "mean score", "95 % interval", "interquartile", "won", "steps", "spikes"]
    console.table(columns, rows)
    console.line(
        "steps: of a game; spikes: a step, all ticks of it; interval: bootstrap of the mean"
    )
    return first


def _variants(experiment: Experiment, games: int | None) -> Iterator[tuple[Rules, GameSet]]:
    """All rules, those of the training first, with the games to play under them."""
    usual = experiment.data.get("sticky", 0.0)
    kinds = [usual]
    if not experiment.dataset.startswith("gym:"):
        kinds += [sticky for sticky in (0.0, STICKY) if sticky != usual]
    for sticky in kinds:
        data = dict(experiment.data)
        if sticky != usual:
            data["sticky"] = sticky
        if games is not None:
            data["test"] = games
        test = build_data(replace(experiment, data=data)).test
        assert isinstance(test, GameSet)
        for greedy in (False, True):
            yield Rules(greedy, sticky), test


def _row(found: dict[str, float], played: GamesPlayed) -> list[str]:
    low, high = interval(played.scores)
    steps = int(played.steps.sum())
    spikes = sum(float(count.sum()) for count in played.counts)
    return [
        f"{found['score']:.2f}",
        f"{low:.2f} .. {high:.2f}",
        f"{found['iqm']:.2f}",
        f"{100 * found['wins']:.0f} %",
        f"{steps / len(played.scores):.0f}",
        f"{spikes / steps:.1f}" if played.counts else "-",
    ]


def interval(scores: Tensor) -> tuple[float, float]:
    """The 95 % interval of the mean score by the bootstrap, the same every time.

    Args:
        scores: of the games, [games].
    """
    values = scores.double().numpy()
    if len(values) < 2 or np.ptp(values) == 0:  # no spread to draw from
        return float(values.mean()), float(values.mean())
    found = bootstrap(
        (values,), np.mean, n_resamples=_RESAMPLES, method="percentile", rng=0
    ).confidence_interval
    return float(found.low), float(found.high)
