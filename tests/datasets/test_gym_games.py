"""Environments of gymnasium that cannot be learned, or not be shown."""

import gymnasium
import numpy as np
import pytest
import torch

from srnn.datasets import DataError, load
from srnn.datasets.games import Games


class Broken(gymnasium.Env):
    """What it shows at its third step is no number any more; it draws no pictures."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(3), {}

    def step(self, action):
        self.steps += 1
        return np.array([0, np.nan if self.steps == 3 else 1, 0]), 0.0, False, False, {}


@pytest.fixture
def broken():
    gymnasium.register("Broken-v0", entry_point=lambda **_: Broken())
    yield "gym:Broken-v0"
    del gymnasium.registry["Broken-v0"]


def test_an_observation_that_is_not_finite_is_refused(broken):
    games = Games(load(broken).train.make(2), 2, [0, 1])
    games.begin()
    for _ in range(2):
        games.step(torch.tensor([0, 1]))
    with pytest.raises(DataError, match="Broken-v0 gave an observation of which channel 1 is nan"):
        games.step(torch.tensor([0, 1]))


def test_an_environment_without_pictures_cannot_be_shown(broken):
    with pytest.raises(DataError, match="Broken-v0 cannot be shown: it draws no pictures"):
        next(load(broken).test.screens(0, [1, 0]))
