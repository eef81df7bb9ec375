import subprocess
import sys

import numpy as np
import pytest
import torch

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.error import ResetNeeded  # noqa: E402
from gymnasium.vector import AutoresetMode  # noqa: E402

from srnn.datasets import DataError  # noqa: E402
from srnn.datasets.maze_env import MazeVectorEnv  # noqa: E402


def play(env, actions, **reset):
    """Observations [steps + 1, mazes, 17] and rewards [steps, mazes] of given actions."""
    first, _ = env.reset(**reset)
    played = [env.step(taken)[:2] for taken in actions]
    observations, rewards = zip(*played, strict=True)
    return torch.stack([first, *observations]), torch.stack(rewards)


def test_the_interface_of_gymnasium():
    env = MazeVectorEnv(6)
    assert isinstance(env, gymnasium.vector.VectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert env.num_envs == 6
    assert env.single_action_space == gymnasium.spaces.Discrete(4)
    assert env.action_space.shape == (6,)
    assert env.observation_space.shape == (6, 17)
    observations, info = env.reset(seed=3)
    assert info == {}
    env.action_space.seed(0)
    for step in range(1, 201):
        assert observations.numpy() in env.observation_space
        observations, rewards, ended, cut, info = env.step(env.action_space.sample())
        assert observations.dtype == rewards.dtype == torch.float32
        assert rewards.shape == ended.shape == cut.shape == (6,)
        assert set(rewards.tolist()) <= {0.0, 10.0}
        assert torch.equal(observations[:, 12], rewards)
        assert ended.tolist() == [step == 200] * 6
        assert not cut.any()
        assert info == {}
    env.close()


def test_a_maze_plays_the_same_alone_and_in_a_batch():
    actions = torch.randint(4, (200, 12))
    seen, paid = play(MazeVectorEnv(12, size=5), actions, seed=40)
    assert (paid.sum(0) > 0).all()
    for i in (0, 7, 11):
        alone = MazeVectorEnv(1, size=5)
        for seed in (40 + i, [40 + i]):
            seen_alone, paid_alone = play(alone, actions[:, i, None], seed=seed)
            assert torch.equal(seen_alone[:, 0], seen[:, i])
            assert torch.equal(paid_alone[:, 0], paid[:, i])


def test_seeds_decide_and_later_episodes_go_on():
    actions = torch.randint(4, (200, 8))
    env, again = MazeVectorEnv(8, size=5), MazeVectorEnv(8, size=5)
    first, second = play(env, actions, seed=1), play(env, actions)
    assert not torch.equal(first[0], second[0])
    for one, other in ((first, play(again, actions, seed=1)), (second, play(again, actions))):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    assert not torch.equal(play(env, actions, seed=2)[0], first[0])
    unseeded = [play(MazeVectorEnv(8, size=5), actions)[0] for _ in range(2)]
    assert not torch.equal(*unseeded)


def test_some_mazes_begin_anew_while_others_go_on():
    actions = torch.randint(4, (60, 3))
    whole, _ = play(MazeVectorEnv(3, size=5, steps=60), actions, seed=9)
    env = MazeVectorEnv(3, size=5, steps=60)
    play(env, actions[:20], seed=9)
    mask = np.array([False, True, False])
    seen, _ = env.reset(options={"reset_mask": mask})
    assert torch.equal(seen[~mask], whole[20][~mask])
    assert seen[1, 11:].tolist() == [0, 0, 0, 0, 0, 0]
    for step in range(20, 60):
        seen, _, ended, _, _ = env.step(actions[step])
        assert torch.equal(seen[~mask], whole[step + 1][~mask])
    assert ended.tolist() == [True, False, True]
    assert seen[1, 11] == pytest.approx(40 / 60)
    with pytest.raises(ResetNeeded):
        env.step(actions[0])


def test_an_episode_has_to_be_begun(one_sentence):
    env = MazeVectorEnv(2, steps=1)
    with pytest.raises(ResetNeeded, match="call reset") as error:
        env.step(torch.zeros(2, dtype=torch.int64))
    one_sentence(error)
    with pytest.raises(ValueError, match="first reset begins all episodes"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset()
    env.step([0, 1])
    with pytest.raises(ResetNeeded):
        env.step([0, 1])


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0, 1, 2], r"whole numbers of shape \[2\], not torch.int64 of shape \[3\]"),
        ([0.0, 1.0], "not torch.float32 of shape"),
        ([0, 4], "from 0 to 3, got 0 to 4"),
        ([-1, 0], "from 0 to 3, got -1 to 0"),
    ],
)
def test_actions_that_are_none_are_refused(actions, message, one_sentence):
    env = MazeVectorEnv(2)
    env.reset()
    with pytest.raises(ValueError, match=message) as error:
        env.step(torch.tensor(actions))
    one_sentence(error)


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        ({"seed": [1]}, r"2 mazes need one seed, or 2 of them, .* not \[1\]"),
        ({"seed": -1}, "from 0 to below 2"),
        ({"seed": 2**62 - 1}, "from 0 to below 2"),
        ({"options": {"reset_mask": np.ones(3, bool)}}, r"bool of shape \[2\], not .* \[3\]"),
        ({"options": {"reset_mask": np.ones(2)}}, "not torch.float64"),
    ],
)
def test_a_reset_without_meaning_is_refused(reset, message, one_sentence):
    env = MazeVectorEnv(2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message) as error:
        env.reset(**reset)
    one_sentence(error)


def test_sizes_are_checked():
    with pytest.raises(DataError, match="num_envs must be a whole number of at least 1"):
        MazeVectorEnv(0)
    with pytest.raises(DataError, match="size must be odd"):
        MazeVectorEnv(2, size=8)


def test_without_gymnasium_one_is_told_what_to_install_and_the_rest_works():
    code = """
import sys
sys.modules["gymnasium"] = None
from srnn.datasets import load
from srnn.datasets.maze import Maze
load("art", train=2, valid=2)
try:
    import srnn.datasets.maze_env
except ModuleNotFoundError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == 'gymnasium is missing: pip install "srnn[rl]" brings it.'
