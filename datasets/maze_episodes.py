"""Maze, as a task: episodes to train, validate and test a player on.

**Task.** The rules and what a player sees stand in `srnn.datasets.maze`. At every step, a network
is asked for a score of each of the four actions, and for the reward that it still expects; what
counts is the reward of an episode.

**Split.** Every episode is a maze with a random stream of its own: where the reward is hidden, and
where the player is put. Those of validation and test are the same whenever they are played;
training goes on along its streams, so that no two epochs have an episode in common.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from srnn.datasets._base import DataError, EpisodeInfo, SequenceDataset, Splits
from srnn.datasets._draws import check_whole
from srnn.datasets._splitmix import below
from srnn.datasets.maze import ACTIONS, CHANNELS, Maze

_APART = 2**32
"""Between the seeds of two splits, and of two tasks."""
_EPOCH = 2**20
"""Between the draws of a stream in two epochs: more than an episode can take."""


class MazeEpisodes(SequenceDataset):
    """Episodes of the maze.

    What happens in an episode is up to the player. As sequences, which is what its items are, they
    are those of one that moves at random: observations, and the action taken at each.

    Args:
        info: What the task is.
        rules: The maze.
        first: Seed of the first episode; the others follow.
        size: Number of episodes.
        fresh: Whether every epoch has episodes of its own.
    """

    def __init__(
        self, info: EpisodeInfo, rules: Maze, first: int, size: int, *, fresh: bool = False
    ) -> None:
        super().__init__(info)
        self.rules = rules
        self._first, self._size, self._fresh = first, size, fresh
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self._epoch = epoch if self._fresh else 0

    def __len__(self) -> int:
        return self._size

    def beginnings(self) -> "MazeBeginnings":
        """The same episodes, to be played."""
        return MazeBeginnings(self)

    def begin(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """What `Maze.start` needs to begin some episodes: seeds and counts of draws, [batch]."""
        seeds = torch.as_tensor(indices) + self._first
        return seeds, torch.full_like(seeds, self._epoch * _EPOCH)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Observations [time, batch, 17] float32 and actions [time, batch] int64."""
        state = self.rules.start(*self.begin(indices))
        seen, taken = [], []
        for step in range(self.rules.steps):
            seen.append(self.rules.observe(state))
            # Of streams that no maze uses: theirs are numbered from 0.
            taken.append(
                below(len(ACTIONS), -state.seed - 1, torch.full_like(state.draws, step + 1))
            )
            state = self.rules.step(state, taken[-1])
        return torch.stack(seen), torch.stack(taken)


class MazeBeginnings(SequenceDataset):
    """Episodes of the maze that are to be played: an item is the seed and the draws of a maze.

    Args:
        episodes: Which.
    """

    def __init__(self, episodes: MazeEpisodes) -> None:
        super().__init__(episodes.info)
        self._episodes = episodes

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self._episodes.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._episodes)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Seeds and counts of draws, both [batch] int64: the arguments of `Maze.start`."""
        return self._episodes.begin(indices)


def maze(
    *,
    size: int = 13,
    steps: int = 200,
    reward: float = 10.0,
    train: int = 6400,
    valid: int = 512,
    test: int = 2048,
    task_seed: int = 0,
) -> Splits:
    """Maze: 17 channels, 200 steps; a random player gets 5.48 an episode.

    Args:
        size: Cells along a side of the maze; odd.
        steps: Time steps of an episode.
        reward: What is paid for finding the reward.
        train: Training episodes of an epoch; every epoch has new ones.
        valid: Number of validation episodes.
        test: Number of test episodes.
        task_seed: Seed of all episodes.

    Raises:
        DataError: An option has no meaning.
    """
    rules = Maze(size, steps, reward)
    if steps >= _EPOCH:
        raise DataError(f"steps must be below {_EPOCH}, not {steps}.")
    for name, number in (("train", train), ("valid", valid), ("test", test)):
        check_whole(name, number, 1)
        if number > _APART:
            raise DataError(f"{name} must be at most {_APART}, not {number}.")
    check_whole("task_seed", task_seed, 0)
    if task_seed >= 2**26:
        raise DataError(f"task_seed must be below {2**26}, not {task_seed}.")
    info = EpisodeInfo(
        name="maze",
        title=f"Maze {size} x {size}",
        channels=CHANNELS,
        steps=steps,
        classes=ACTIONS,
        streaming=True,
        split=f"generated from seed {task_seed}: {train} new episodes an epoch to train, {valid} "
        f"to validate and {test} to test",
        encoding="walls around the player, time, reward and action of the step before",
        licence="generated; none needed",
        citation="Miconi, Rawal, Clune and Stanley, Backpropamine: training self-modifying neural "
        "networks with differentiable neuromodulated plasticity, ICLR 2019; in the form of "
        "Rodriguez, Guo and Moraitis, Short-term plasticity neurons learning to learn and forget, "
        "ICML 2022",
        source="generated by srnn.datasets.maze_episodes",
    )
    first = 3 * task_seed * _APART

    def refuse() -> SequenceDataset:
        raise DataError(
            "The maze has as many training episodes as one wants: leave --retrain out, and train "
            "for more epochs instead."
        )

    return Splits(
        info,
        MazeEpisodes(info, rules, first, train, fresh=True),
        MazeEpisodes(info, rules, first + _APART, valid),
        lambda: MazeEpisodes(info, rules, first + 2 * _APART, test),
        joined=refuse,
    )
