"""What PPO learns from: the policy by which it was played, and targets that end with a point."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import Categorical

from srnn.baselines import RNN
from srnn.datasets import load
from srnn.datasets.games import GameSet, Moved
from srnn.train.cli import parse
from srnn.train.ppo import PPO

from .players import CARTPOLE, NETWORKS


def learner_of(network, games, *flags):
    """A learner whose weights stay as they are, and what it computes every loss from."""
    options, _ = parse(["--env", "CartPole-v1", *flags])
    learner = PPO(network, games, options, 1)
    learner.take_share(0, 1)
    learner.update = lambda inputs, loss, record: torch.zeros(())
    learner.finish_batch = lambda *learned: None
    parts = []
    criterion = learner._criterion.forward
    learner._criterion.forward = lambda part: parts.append(part.clone()) or criterion(part)
    return learner, parts


# ----------------------------------------------------------------------------------- the masks


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_while_no_weight_has_changed_the_policy_is_the_one_that_played(make):
    """Of every action, the ratio of its probabilities is 1; games end within both stretches."""
    torch.manual_seed(0)
    games = load(CARTPOLE, steps=60).train
    flags = ("--batch-size", "4", "--parts", "2", "--passes", "2")
    learner, parts = learner_of(make().double(), games, *flags)
    for _ in range(2):
        parts.clear()
        before = learner.games.seeds
        learner.training_step((None, None), 0)
        assert (learner.games.seeds != before).sum() >= 2  # games have ended
    assert len(parts) == 4
    for part in parts:
        assert part.shape == (60, 2)
        now = Categorical(logits=part["logits"]).log_prob(part["action"])
        torch.testing.assert_close(now, part["log_prob"], rtol=1e-8, atol=1e-9)
        # R_t = A_t + V_t, with V_t of now and of when it was played.
        target = part["advantage"] + part["value"]
        torch.testing.assert_close(target, part["value_target"], rtol=1e-8, atol=1e-9)
    assert abs(learner.recent.values()["kl"]) < 1e-8


# --------------------------------------------------------------------------------- the targets


class Paying:
    """A world that pays what it is to, whatever is done, by whether a game's seed is odd.

    What is seen is the number of steps taken.
    """

    pays = ((2, 2, 0, 0, -2, 2), (-2, 0, -2, 0))

    def __init__(self, places):
        self.seeds, self.steps = np.zeros((2, places), dtype=np.int64)

    def begin(self, places, seeds):
        self.seeds[places], self.steps[places] = seeds, 0
        return self.seen()

    def step(self, actions):
        scripts = [self.pays[seed % 2] for seed in self.seeds]
        paid = [script[step] for script, step in zip(scripts, self.steps, strict=True)]
        self.steps += 1
        over = torch.from_numpy((self.seeds % 2 == 1) & (self.steps == 4))
        return Moved(self.seen(), torch.tensor(paid).float(), over, torch.zeros_like(over))

    def seen(self):
        return torch.from_numpy(self.steps)[:, None].float()


def test_targets_of_points_and_signs_by_hand():
    """A trace of 1 makes them what is still paid, halved a step, whatever a network expects.

    The games of seeds 0 and 1 are played, and that of seed 2 after the second, which ends with its
    fourth step; the last step of the stretch decides a point.
    """
    torch.manual_seed(0)
    known = load(CARTPOLE).train.info
    info = replace(known, channels=1, steps=6, shape=(1,), signs=True, points=True)
    games = GameSet(info, Paying, lambda seed, actions: iter(()), 0, 1)
    flags = ("--batch-size", "2", "--parts", "1", "--passes", "1")
    flags = (*flags, "--discount", "0.5", "--trace", "1")
    learner, parts = learner_of(RNN(1, [4], 3, readout="stream"), games, *flags)
    learner.training_step((None, None), 0)
    (part,) = parts
    assert part["value"].abs().min() > 1e-3
    targets = part["value_target"][..., 0].T.tolist()
    assert sorted(targets) == [
        pytest.approx([-1, -0.5, -1, 0, 1, 1], abs=1e-6),
        pytest.approx([1, 1, -0.25, -0.5, -1, 1], abs=1e-6),
    ]
    # What is told of it is of the rewards as they are: one game, and five points of eight.
    means = learner.recent.values()
    assert means["score"] == -4
    assert means["points_won"] == pytest.approx(5 / 8)
