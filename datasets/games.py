"""Games, as a task: several of them side by side, each from a seed of its own.

**Task.** At every step, a player sees an observation and takes one of a few actions; what counts is
the score of a game, the sum of what it was paid from its first step to its last.

**A game is a seed.** Given its seed and the actions, everything in a game is decided, wherever and
beside whatever it is played. So two players can be given the same games; and a game that was
interrupted is brought back by playing its actions again, however its emulator keeps its state.

**Split.** Training, validation and test games have different seeds: those of training are counted
up without end, those of validation and test are the same whenever they are played.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srnn.datasets._base import DataError, EpisodeInfo, SequenceDataset, Splits
from srnn.datasets._draws import check_whole

VALIDATION, TEST = 2**29, 2**30
"""Seeds of the first validation game and the first test game."""
_TASKS = 2**26
"""Between the seeds of two tasks of one kind."""


class Moved(NamedTuple):
    """What a step brought about.

    Attributes:
        observations: what players see now, [games, channels] float32.
        rewards: what the step paid, [games] float32.
        terminated: games that it ended, [games] bool.
        truncated: games that it broke off, since they took too long, [games] bool.
    """

    observations: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor


Screens = Callable[[int, Sequence[int]], Iterator[NDArray[np.uint8]]]
"""Gives the screens of a game, [height, width, 3], after each of its actions."""


class World(Protocol):
    """Where games are played side by side, in places that are numbered from 0."""

    def begin(self, places: NDArray[np.bool_], seeds: NDArray[np.int64]) -> Tensor:
        """Begin games at some places, from a seed each; return what is seen at all of them.

        The first time, games are begun at all places.
        """
        ...

    def step(self, actions: NDArray[np.int64]) -> Moved:
        """Take an action at every place. After its end, a game may do anything."""
        ...


@dataclass(frozen=True)
class GameInfo(EpisodeInfo):
    """What a game is.

    Attributes:
        shape: of an observation, which is flattened to ``channels``.
        signs: whether players learn from the sign of a reward alone, as is usual with Atari's.
        points: whether every reward decides a point, and what comes after it is another matter.
    """

    shape: tuple[int, ...] = ()
    signs: bool = False
    points: bool = False

    @property
    def score(self) -> str:
        """The score of a game."""
        return "score"


class Games:
    """Games side by side, of which one that has ended makes room for the next.

    Args:
        world: where they are played.
        places: how many are played at once, at most as many as there are seeds.
        seeds: of the games, in the order in which they are begun.
    """

    def __init__(self, world: World, places: int, seeds: Sequence[int]) -> None:
        self._world = world
        self._all = seeds
        self._next = places
        self._seeds = np.array(seeds[:places], dtype=np.int64)
        self._taken: list[list[int]] = [[] for _ in range(places)]
        self._begun = False

    def __len__(self) -> int:
        return len(self._seeds)

    @property
    def seeds(self) -> NDArray[np.int64]:
        """Seed of the game at every place; -1 where there is none any more."""
        return self._seeds.copy()

    @property
    def steps(self) -> NDArray[np.int64]:
        """Steps taken in the game at every place."""
        return np.array([len(taken) for taken in self._taken])

    def begin(self) -> tuple[Tensor, Tensor]:
        """Begin the first games, or go on with those under way or of a restored position.

        Returns:
            What is seen now, [places, channels]; and where a game is at its first step, [places].
        """
        if not self._begun:
            self._begun = True
            self._seen = self._replay()
        fresh = torch.tensor([not actions for actions in self._taken])
        return self._seen, fresh

    def step(self, actions: Tensor) -> Moved:
        """Take an action in every game, [places] int64."""
        chosen = actions.numpy()
        for taken, action in zip(self._taken, chosen.tolist(), strict=True):
            taken.append(action)
        moved = self._world.step(chosen)
        self._seen = moved.observations
        return moved

    def renew(self, places: Tensor) -> Tensor:
        """Begin the next games at some places, [places] bool; return what is seen at all.

        Where all games have been begun, a place stays empty: what is seen there means nothing.
        """
        for place in np.flatnonzero(places.numpy()):
            left = self._next < len(self._all)
            self._seeds[place] = self._all[self._next] if left else -1
            self._taken[place] = []
            self._next += left
        which = places.numpy() & (self._seeds >= 0)
        if which.any():
            self._seen = self._world.begin(which, self._seeds[which])
        return self._seen

    def position(self) -> dict[str, Any]:
        """What brings the games back to where they are: numbers and tensors only."""
        return {
            "next": self._next,
            "seeds": torch.from_numpy(self.seeds),
            "actions": [torch.tensor(taken, dtype=torch.int16) for taken in self._taken],
        }

    def restore(self, position: dict[str, Any]) -> None:
        """Go to a position that :meth:`position` gave, at the next :meth:`begin`."""
        self._next = position["next"]
        self._seeds = position["seeds"].numpy().copy()
        self._taken = [actions.tolist() for actions in position["actions"]]
        self._begun = False

    def _replay(self) -> Tensor:
        """Play what has been played of every game, so that all come to their present together."""
        lengths = [len(taken) for taken in self._taken]
        longest = max(lengths)
        seen = self._world.begin(np.ones(len(self), dtype=bool), self._seeds)
        for step in range(longest):
            late = np.array([step == longest - length for length in lengths])
            if step and late.any():
                self._world.begin(late, self._seeds[late])
            # What a place does before its game begins is of no account.
            actions = [
                taken[step - longest] if longest - step <= len(taken) else 0
                for taken in self._taken
            ]
            seen = self._world.step(np.array(actions, dtype=np.int64)).observations
        unplayed = np.array([not taken for taken in self._taken])
        if longest and unplayed.any():
            seen = self._world.begin(unplayed, self._seeds[unplayed])
        return seen


class GameSet(SequenceDataset):
    """Games of one kind, to be played; an item is the seed of one.

    To learn from, games are played without end, and cut into stretches: a training set has no games
    of its own, and its size says how many stretches of ``info.steps`` steps make an epoch.

    Args:
        info: What the game is.
        make: Makes a world of a number of places.
        screens: Gives the screen after each action of a game, [height, width, 3] uint8, by its seed
            and its actions.
        first: Seed of the first game; the others follow.
        size: Number of games, or of stretches.

    Attributes:
        endless: Seeds of the games to learn from.
        seeds: Seeds of the games to score.
    """

    def __init__(
        self,
        info: GameInfo,
        make: Callable[[int], World],
        screens: Screens,
        first: int,
        size: int,
    ) -> None:
        super().__init__(info)
        self.info: GameInfo = info
        self.make = make
        self.screens = screens
        self.endless = range(first, first + _TASKS)
        self.seeds = self.endless[:size]

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Seeds, [batch] int64, and as many zeros: what is right is not known."""
        seeds = torch.as_tensor(indices) + self.endless[0]
        return seeds, torch.zeros_like(seeds)


def said_split(steps: int, train: int, valid: int, test: int) -> str:
    """The sentence on how games are told apart; see `game_splits`."""
    return (
        f"games by seed: {train} stretches of {steps} steps an epoch to train, {valid} games to "
        f"validate and {test} others to test"
    )


def game_splits(
    info: GameInfo,
    make: Callable[[int], World],
    screens: Screens,
    *,
    train: int,
    valid: int,
    test: int,
    task_seed: int,
) -> Splits:
    """Training, validation and test games of one kind.

    Args:
        info: What the game is.
        make: Makes a world of a number of places.
        screens: As for `GameSet`.
        train: Stretches that make an epoch.
        valid: Number of validation games.
        test: Number of test games.
        task_seed: Number of the seeds' range.

    Raises:
        DataError: An option has no meaning.
    """
    for name, number in (("steps", info.steps), ("train", train), ("valid", valid), ("test", test)):
        check_whole(name, number, 1)
    check_whole("task_seed", task_seed, 0)
    if task_seed > 7 or max(valid, test) > _TASKS:
        raise DataError(
            f"task_seed must be below 8, and valid and test at most {_TASKS}; got {task_seed}, "
            f"{valid} and {test}."
        )
    first = task_seed * _TASKS

    def refuse() -> SequenceDataset:
        raise DataError(
            "There are as many games to learn from as one wants: leave --retrain out, and train "
            "for more epochs instead."
        )

    return Splits(
        info,
        GameSet(info, make, screens, first, train),
        GameSet(info, make, screens, VALIDATION + first, valid),
        lambda: GameSet(info, make, screens, TEST + first, test),
        joined=refuse,
    )
