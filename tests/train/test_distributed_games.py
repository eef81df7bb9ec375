"""Several processes that play, each its own games, and learn from all of them."""

import os
import signal
import subprocess
import time

import pytest
import torch

from srnn.datasets import load
from srnn.train.build import build_network
from srnn.train.checkpoints import read_checkpoint
from srnn.train.cli import parse
from srnn.train.learner import gradient_norm
from srnn.train.metrics_csv import read_metrics
from srnn.train.ppo import PPO

from . import players
from .players import CARTPOLE
from .processes import COMMAND, TORCHRUN

TINY = players.TINY
TWO = ("--devices", "2", "--accelerator", "cpu")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COMMAND.exists(), reason="needs the installed command"),
]


def run(flags, launcher=()):
    command = [*launcher, COMMAND, *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def gradients_of(process, options, games):
    """The gradients of the first update of one of two processes, without any other."""
    network = build_network(options, games.info)
    learner = PPO(network, games, options, 1)
    learner.take_share(process, 2)

    def update(inputs, loss, record):
        loss.backward()
        return torch.zeros(())

    learner.update, learner.finish_batch = update, lambda *learned: None
    learner.training_step((None, None), 0)
    return learner, [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize(
    ("model", "launcher"), [("srnn", ()), ("lstm", TORCHRUN)], ids=["srnn", "lstm, by torchrun"]
)
def test_two_processes_average_the_gradients_of_games_of_their_own(model, launcher, tiny, tmp_path):
    """One update of all games, against two learners that know nothing of each other."""
    once = ("--epochs", "1", "--passes", "1", "--parts", "1", "--data.train", "8", "--hidden", "6")
    flags = tiny("--model", model, *once, *TWO, "--name", "two")
    run(flags, launcher)
    saved = read_checkpoint(tmp_path / CARTPOLE / "two" / "checkpoints/last.ckpt")
    played = [position["games"] for position in saved["games"]]
    for process, games in enumerate(played):
        assert {seed % 2 for seed in games["seeds"].tolist()} == {process}
    assert not all(map(torch.equal, *(games["actions"] for games in played)))

    options, _ = parse([*flags, "--name", "none"])
    games = load(CARTPOLE, steps=16, train=8, valid=3, test=4).train
    (learner, one), (_, other) = (gradients_of(process, options, games) for process in (0, 1))
    parameters = list(learner.network.parameters())
    for parameter, a, b in zip(parameters, one, other, strict=True):
        parameter.grad = (a + b) / 2
    norm = gradient_norm([parameter.grad for parameter in parameters])
    torch.nn.utils.clip_grads_with_norm_(parameters, options.clip_norm, norm)
    ((optimizer,), _) = learner.configure_optimizers()
    optimizer.step()
    for name, weights in learner.network.state_dict().items():
        torch.testing.assert_close(
            saved["state_dict"][f"network.{name}"], weights, rtol=1e-5, atol=1e-6
        )
    shown = read_metrics(tmp_path / CARTPOLE / "two" / "metrics.csv")
    ((_, shown_norm),) = shown["train/grad_norm"]
    assert shown_norm == pytest.approx(float(norm), rel=1e-4)


def test_two_processes_that_were_stopped_go_on_as_if_nothing_had_been(tiny, tmp_path):
    flags = (*TWO, "--hidden", "6", "--data.train", "64", "--checkpoint-every", "1")
    flags = (*flags, "--log-every", "5")
    run(tiny(*flags, "--name", "whole"))
    folder = tmp_path / CARTPOLE / "again"
    last = folder / "checkpoints/last.ckpt"
    started = subprocess.Popen(
        [COMMAND, *tiny(*flags, "--name", "again")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 200
    while not last.exists() and started.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGINT)
    _, said = started.communicate(timeout=200)
    assert started.returncode == 130, said
    assert said.count("go on with: srnn-train --resume") == 1
    run(["--resume", str(folder)])
    whole, again = (
        read_checkpoint(tmp_path / CARTPOLE / name / "checkpoints/last.ckpt")
        for name in ("whole", "again")
    )
    for one, other in zip(whole["games"], again["games"], strict=True):
        for part in ("seeds", "actions"):
            assert all(map(torch.equal, *([*each["games"][part]] for each in (one, other))))
        assert all(map(torch.equal, one["state"], other["state"]))
        assert torch.equal(one["scored"], other["scored"])
        assert torch.equal(one["draws"], other["draws"])
    for name, weights in whole["state_dict"].items():
        if name.startswith("network."):
            assert torch.equal(weights, again["state_dict"][name]), name
    # What both have summed up by then goes on in the first: other sums, so other last digits.
    rows = [read_metrics(tmp_path / CARTPOLE / name / "metrics.csv") for name in ("whole", "again")]
    assert rows[0].keys() == rows[1].keys()
    for name, row in rows[0].items():
        for one, other in zip(row, rows[1][name], strict=True):
            assert one == pytest.approx(other, rel=1e-4), name


def test_validation_games_are_shared_out(tiny, tmp_path):
    """All are played, and once: an odd number by two processes."""
    flags = ("--epochs", "1", "--hidden", "6", "--data.valid", "5", "--lr", "1e-30")
    run(tiny(*flags, *TWO, "--name", "two"))
    run(tiny(*flags, "--name", "one"))
    ((_, two),), ((_, one),) = (
        read_metrics(tmp_path / CARTPOLE / name / "metrics.csv")["val/score"]
        for name in ("two", "one")
    )
    assert two == one


def test_fewer_validation_games_than_processes_are_refused(tiny, capsys):
    from srnn.train.main import train

    assert train(tiny(*TWO, "--data.valid", "1", "--name", "two")) == 2
    assert (
        "2 processes validate on at least one each, and there are 1 to" in capsys.readouterr().err
    )
