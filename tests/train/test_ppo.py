"""Learning from games: advantages, and whole runs and comparisons on CartPole."""

import csv
import json
import signal
import sys
import time

import numpy as np
import pytest
import torch

from srnn.train.cli import parse
from srnn.train.metrics_csv import read_metrics
from srnn.train.ppo import PPO, advantages

from . import players
from .players import CARTPOLE, MODELS

TINY = players.TINY


@pytest.fixture
def train(train_and_draw):
    """Plots and all."""
    return train_and_draw


# ------------------------------------------------------------------------------- the advantages


def experiment(*flags):
    return parse(["--env", "CartPole-v1", *flags])[0]


def test_advantages_by_hand():
    """Four steps, each paid 1; a game ends at the second, and one is broken off at the last."""
    options = experiment("--discount", "0.5", "--trace", "0.5")
    value = torch.tensor([1.0, 2, 3, 4])[:, None, None]
    after = torch.tensor([2.0, 9, 4, 8])[:, None, None]  # 9 is of another game, 8 of this one
    done = torch.tensor([False, True, False, True])[:, None, None]
    terminated = torch.tensor([False, True, False, False])[:, None, None]
    reward = torch.ones(4, 1, 1)
    advantage, target = advantages(value, after, reward, done, terminated, options)
    last = 1 + 0.5 * 8 - 4
    third = 1 + 0.5 * 4 - 3 + 0.25 * last
    second = 1 - 2
    first = 1 + 0.5 * 2 - 1 + 0.25 * second
    expected = torch.tensor([first, second, third, last])[:, None, None]
    torch.testing.assert_close(advantage, expected)
    torch.testing.assert_close(target, expected + value)


# ------------------------------------------------------------------------------------ whole runs


@pytest.mark.parametrize("flags", MODELS.values(), ids=MODELS)
def test_a_killed_run_goes_on_as_if_nothing_had_been(flags, train, tiny, disturbed):
    """Weights, metrics and games; the kill is in the middle of games, and of an epoch."""
    whole = train(*flags, name="whole")
    moment = ("srnn.train.ppo.PPO.training_step", 12, "before")
    code, _ = disturbed(tiny(*flags, "--name", "again"), moment, [signal.SIGKILL])
    assert code == -signal.SIGKILL
    again = train(*flags, "--resume", "auto", name="again")
    assert (again / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    one, other = (
        torch.load(f / "checkpoints/last.ckpt", weights_only=True) for f in (whole, again)
    )
    seeds = [position["games"]["seeds"].tolist() for (position,) in (one["games"], other["games"])]
    assert seeds[0] == seeds[1]
    for name, weights in one["state_dict"].items():
        assert torch.equal(weights, other["state_dict"][name]), name


def test_ctrl_c_saves_and_the_run_goes_on(train, tiny, tmp_path, monkeypatch):
    from srnn.train.main import train as command

    whole = train(name="whole")
    step = PPO.training_step

    def pressed(self, batch, index):
        step(self, batch, index)
        if int(self.batches) == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(PPO, "training_step", pressed)
    assert command(tiny("--name", "again")) == 130
    monkeypatch.setattr(PPO, "training_step", step)
    again = train("--resume", "auto", name="again")
    assert (again / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--parts", "5"), "--parts shares out the games that are played at once, and 5 are more"),
        (("--tbptt", "8"), "is learned by stretches of --data.steps: leave --tbptt out."),
        (("--retrain",), "train for more epochs instead."),
        (("--encoder", "dense(4)"), "--encoder stands before an rnn, gru, lstm, stpn or m-stpn"),
        (("--model", "lstm", "--encoder", "conv(4@3s1)"), "needs inputs with a height and a width"),
        (("--model", "lstm", "--ticks", "2"), "--ticks is a setting of spiking networks"),
        (("--policy-clip", "1.5"), "--policy-clip must be above 0 and below 1; got 1.5."),
        (("--policy-clip", "1"), "--policy-clip must be above 0 and below 1; got 1.0."),
        (("--policy-clip", "0"), "--policy-clip must be above 0 and below 1; got 0.0."),
    ],
)
def test_flags_without_a_meaning(flags, sentence, tiny, capsys):
    from srnn.train.main import train as command

    assert command(tiny(*flags, "--name", "run")) == 2
    assert sentence in capsys.readouterr().err


def test_an_environment_that_shows_what_is_no_number(refused, monkeypatch):
    from gymnasium.envs.classic_control import CartPoleEnv

    outcome = np.array([0.1, np.inf, np.nan, 0.1]), 1.0, False, False, {}
    monkeypatch.setattr(CartPoleEnv, "step", lambda self, action: outcome)
    assert refused("--name", "run") == (
        "CartPole-v1 gave an observation of which channel 1 is inf: mend the environment, or wrap "
        "it in one that shows finite numbers alone."
    )


@pytest.mark.parametrize("module", ["torchrl.data", "gymnasium"])
def test_a_missing_package_is_named(module, tiny, capsys, monkeypatch):
    from srnn.train.main import train as command

    for own in ("_torchrl", "gaming", "games_env", "player", "ppo"):
        monkeypatch.delitem(sys.modules, f"srnn.train.{own}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    missing = module.partition(".")[0]
    assert command(tiny("--name", "run")) == 2
    assert f'{missing} is missing: pip install "srnn[pong]" brings it.' in capsys.readouterr().err


def test_what_a_run_leaves_behind(train, capsys):
    folder = train("--hidden", "8")
    said = capsys.readouterr().out
    assert "steps a second (playing" in said
    assert "score" in said
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["test"]) == {"score", "iqm", "wins"}
    assert summary["test_sequences"] == 4
    series = read_metrics(folder / "metrics.csv")
    assert {"train/loss", "train/entropy", "train/kl", "val/score"} <= set(series)
    assert len(series["val/score"]) == 2
    for plot in ("learning_curves", "raster", "time_constants"):
        assert (folder / "plots" / f"{plot}.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_spiking_network_learns_to_balance_a_pole_within_two_minutes(tmp_path):
    """The whole recipe; the task counts as solved at 475 of 500 (without learning: 22)."""
    from srnn.train.main import train

    began = time.process_time()
    flags = ("--env", "CartPole-v1", "--threads", "1")
    assert train([*flags, "--run-dir", str(tmp_path), "--name", "run"]) == 0
    assert time.process_time() - began < 120
    summary = json.loads((tmp_path / CARTPOLE / "run" / "summary.json").read_text())
    assert summary["test"]["score"] >= 475


# ------------------------------------------------------------------------------- comparisons


def test_a_comparison_of_players_is_told_for_a_step(train, tmp_path):
    from srnn.train.main import compare

    runs = [train("--hidden", "8", name="one"), train("--model", "lstm", "--hidden", "4", name="b")]
    flags = ("--run-dir", str(tmp_path), "--name", "both", "--threads", "1")
    assert compare(["--runs", *map(str, runs), *flags]) == 0
    folder = tmp_path / CARTPOLE / "compare-both"
    text = (folder / "report.md").read_text()
    for said in ("test score of a game", "nJ a step", "LSTM 4", "means a step"):
        assert said in text, said
    with open(folder / "table.csv", newline="") as file:
        spiking, lstm = csv.DictReader(file)
    summary = json.loads((runs[0] / "summary.json").read_text())
    assert float(spiking["test score of a game"]) == pytest.approx(summary["test"]["score"])
    # Each weight of the LSTM and of its readout once a step, and three products a unit; the state
    # is zero at the first step of a game.
    steps = json.loads((runs[1] / "summary.json").read_text())["test"]["score"]  # 1 for each
    expected = 4 * 4 * (4 + 4) + 3 * 4 + 3 * 4 - 4 * 4 * 4 / steps
    assert float(lstm["MACs"]) == pytest.approx(expected)


def test_a_player_of_memristors_has_an_estimate_of_what_they_draw_in_a_game(train, tmp_path):
    from srnn.train.main import compare

    flags = ("--model", "m-stpn", "--synapses.dt", "0.02")
    run = train(*flags, "--hidden", "5")
    spiking = train("--hidden", "8", name="spiking")
    flags = ("--run-dir", str(tmp_path), "--name", "both", "--threads", "1")
    assert compare(["--runs", str(spiking), str(run), *flags]) == 0
    folder = tmp_path / CARTPOLE / "compare-both"
    text = (folder / "report.md").read_text()
    assert "Estimated energy of simulated memristors, a game" in text
    assert "Only the power of a device at rest was measured" in text
    with open(folder / "devices.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert int(row["devices"]) == 5 * (4 + 5)
    assert float(row["share of products %"]) == pytest.approx(100 * 45 / (45 + 5 * 3))
    # About what they draw at rest, since little has been learned: 4.3 nW each, 0.02 s a step.
    steps = json.loads((run / "summary.json").read_text())["test"]["score"]  # 1 for each
    assert float(row["mJ bias"]) == pytest.approx(1e3 * 4.3e-9 * 45 * 0.02 * steps, rel=0.3)
    assert float(row["mJ lowest"]) < float(row["mJ"]) < float(row["mJ highest"])


def test_joules_of_games_are_refused(train, tmp_path, capsys):
    from srnn.train.main import compare

    run = train("--hidden", "8")
    assert compare(["--runs", str(run), "--measure-energy", "--run-dir", str(tmp_path)]) == 2
    assert "--measure-energy times a network on sequences" in capsys.readouterr().err
