"""Scores of games: what they say by hand, and what srnn-eval prints under which rules."""

import json

import pytest
import torch

from srnn.datasets import load
from srnn.train import rescore_games
from srnn.train.build import build_network
from srnn.train.cli import parse
from srnn.train.console import Console
from srnn.train.game_scores import GameScores
from srnn.train.play_games import GamesPlayed, play_games
from srnn.train.rescore import restore
from srnn.train.rescore_games import interval, score_games
from srnn.train.run_folder import RunFolder

from . import players
from .players import CARTPOLE

TINY = players.TINY

# ------------------------------------------------------------------------------------ by hand


def test_the_interquartile_mean_leaves_the_best_and_the_worst_quarter_out():
    scores = GameScores()
    scores.update(torch.tensor([100.0, 1, 2, 3]))
    scores.update(torch.tensor([0.0, 4, 6, -50]))  # in order: -50, 0 | 1, 2, 3, 4 | 6, 100
    assert scores.compute() == {"score": 66 / 8, "iqm": 2.5, "wins": 6 / 8}
    scores.reset()
    scores.update(torch.tensor([-7.0]))
    assert scores.compute() == {"score": -7, "iqm": -7, "wins": 0}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # Of eight games, half won 21 to 0, the number k of those won in a draw is binomial:
        # P(k <= 0) = 0.4 %, P(k <= 1) = 3.5 %; P(k <= 6) = 96.5 %, P(k <= 7) = 99.6 %.
        ([-21] * 4 + [21] * 4, (-21 + 42 * 1 / 8, -21 + 42 * 7 / 8)),
        # Of four, one: P(k = 0) = 31.6 %; P(k <= 2) = 94.9 %, P(k <= 3) = 99.6 %.
        ([0, 1, 0, 0], (0, 3 / 4)),
        ([20, 20, 20], (20, 20)),
        ([-3], (-3, -3)),
    ],
)
def test_the_interval_is_that_of_the_means_of_draws(scores, expected):
    for _ in range(2):  # the same every time
        assert interval(torch.tensor(scores, dtype=torch.float32)) == expected


# ---------------------------------------------------------------------------------- srnn-eval


def rows_of(said):
    """The rows of the printed table by their rules, each a list of words."""
    split = [line.partition("  ") for line in said.splitlines()]
    return {
        rules: rest.split()
        for rules, _, rest in split
        if rules.startswith(("actions drawn", "best action"))
    }


@pytest.fixture
def rows(capsys, monkeypatch):
    """Run srnn-eval on a folder; give its rows by their rules, and what was played for each."""
    from srnn.train.main import evaluate

    played = []

    def watched(network, games, seeds, *, greedy):
        played.append(play_games(network, games, seeds, greedy=greedy))
        return played[-1]

    monkeypatch.setattr(rescore_games, "play_games", watched)

    def run(folder, *flags):
        capsys.readouterr()  # what the training said, the same score among it
        assert evaluate([str(folder), *flags]) == 0
        said = capsys.readouterr().out
        lines = rows_of(said)
        return said, dict(zip(lines, zip(lines.values(), played, strict=True), strict=True))

    return run


def cells(played, interval, won):
    """The cells of a row, worked out anew; of two games, both are the middle half."""
    mean = f"{float(played.scores.mean()):.2f}"
    steps = float(played.steps.sum())
    spikes = f"{float(played.counts[0].sum()) / steps:.1f}" if played.counts else "-"
    return [mean, *interval, mean, *won, f"{steps / 2:.0f}", spikes]


def test_cartpole_is_scored_with_actions_drawn_and_with_the_best(train, rows):
    folder = train("--hidden", "8")
    said, found = rows(folder, "--games", "2")
    assert list(found) == ["actions drawn", "best action"]
    assert f"2 x 2 games, seeds {2**30} to {2**30 + 1}" in said
    network, _ = restore(RunFolder(folder), RunFolder(folder).read_config(), load(CARTPOLE).info)
    for greedy, (row, played) in zip((False, True), found.values(), strict=True):
        again = play_games(network, load(CARTPOLE).test, [2**30, 2**30 + 1], greedy=greedy)
        low, high = sorted(again.scores.tolist())
        # Of two games, either is drawn twice one time of four.
        assert row == cells(again, [f"{low:.2f}", "..", f"{high:.2f}"], ["100", "%"])
        assert torch.equal(played.scores, again.scores)


def test_a_run_scores_again_as_it_was_scored(train, rows):
    folder = train("--model", "lstm", "--hidden", "5")
    summary = json.loads((folder / "summary.json").read_text())
    _, found = rows(folder)
    row, played = found["actions drawn"]
    assert len(played.scores) == summary["test_sequences"] == 4
    assert row[0] == f"{summary['test']['score']:.2f}"
    assert row[4] == f"{summary['test']['iqm']:.2f}"
    assert row[-1] == "-"  # an LSTM has no spikes


@pytest.mark.parametrize(
    ("flags", "kinds"),
    [
        ((), (0, 0.25)),
        (("--data.sticky", "0.25"), (0.25, 0)),
        (("--data.sticky", "0.1"), (0.1, 0, 0.25)),
    ],
)
def test_pong_is_scored_with_sticky_actions_too(flags, kinds, capsys, monkeypatch):
    """Under the rules of its training first; what comes of two games is made up."""
    asked = []

    def made_up(network, games, seeds, *, greedy):
        asked.append((greedy, games.info.encoding.partition("sticky actions ")[2], list(seeds)))
        scores, steps = torch.tensor([21.0, -21 + 2 * len(asked)]), torch.tensor([100, 300])
        return GamesPlayed(scores, steps, (torch.tensor([[400.0, 800]]),), 800)

    monkeypatch.setattr(rescore_games, "play_games", made_up)
    experiment, _ = parse(["--dataset", "pong", *flags])
    network = build_network(experiment, load("pong").info)
    first = score_games(network, experiment, 2, Console())
    assert first == {"score": 1, "iqm": 1, "wins": 0.5}
    expected = [(greedy, sticky) for sticky in kinds for greedy in (False, True)]
    seeds = [2**30, 2**30 + 1]
    assert asked == [
        (greedy, f"{sticky:g}" if sticky else "", seeds) for greedy, sticky in expected
    ]
    said = capsys.readouterr().out
    assert f"{len(expected)} x 2 games, seeds {2**30} to {2**30 + 1}" in said
    found = rows_of(said)
    assert list(found) == [
        ("best action" if greedy else "actions drawn") + (f", sticky {sticky:g}" if sticky else "")
        for greedy, sticky in expected
    ]
    for number, row in enumerate(found.values(), start=1):
        mean, low = f"{number}.00", f"{2 * number - 21}.00"
        assert row == [mean, low, "..", "21.00", mean, "50", "%", "200", "3.0"]
