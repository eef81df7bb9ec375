"""Maze: find a hidden reward, remember where it is, and go back to it from wherever one lands.

A grid of `size` x `size` cells with a wall around it and a pillar on every cell of two even
coordinates, except the centre (# wall, . free, S start):

    #########
    #.......#
    #.#.#.#.#
    #.......#
    #.#.S.#.#      size 9: 41 free cells
    #.......#      size 13, the default: 97
    #.#.#.#.#
    #.......#
    #########

**Rules.** An episode hides the reward in a free cell drawn at random and starts at the centre. In
each of its `steps` time steps the player moves by one cell: up, down, left or right; into a wall,
it stays. Where it comes upon the reward it is paid `reward`, and put on another free cell drawn at
random; the reward stays where it is. The view is the same at many places, so that only memory of
the way finds back. The episode ends for good after `steps`: nothing is to be expected beyond.

**Observation**, 17 channels:

| channel | content                                                                            |
|---------|------------------------------------------------------------------------------------|
| 0..8    | the 3 x 3 cells around the player, row by row: 1 a wall, 0 free                    |
| 9       | 0; unused, kept so that sizes are the published ones                               |
| 10      | 1                                                                                  |
| 11      | t / `steps`, the share of the episode that is over, t = 0, 1, ...                  |
| 12      | the payment of the step before, 0 or `reward`                                      |
| 13..16  | one-hot: the action of the step before, up, down, left, right; none at the start   |

**Levels.** A player that moves at random gets 5.48 an episode on size 13 and 14.77 on size 9: exact
means of the Markov chain that the rules make of it. One that knows the maze and the reward gets
about `steps` * `reward` / (mean distance): 275 and 432, the reward's place averaged out.

Source: Miconi, Rawal, Clune and Stanley 2019 (ICLR), in the form of Rodriguez, Guo and Moraitis
2022 (ICML). Where the published text is open, this is what we take: the reward may be hidden in the
centre, since only then the mean of a random player is the published code's, 5.50 +- 0.06 and
14.69 +- 0.10.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from srnn.datasets._base import DataError
from srnn.datasets._draws import check_number, check_whole
from srnn.datasets._splitmix import below

ACTIONS = ("up", "down", "left", "right")
CHANNELS = 9 + 4 + len(ACTIONS)


class MazeState(NamedTuple):
    """Where a batch of episodes stands; every field is a tensor [batch].

    Attributes:
        position: Cell of the player, row * size + column.
        goal: Cell of the reward.
        step: Time steps taken in this episode.
        paid: Payment of the step before.
        action: Action of the step before; -1 if there is none.
        seed: Seed of the random stream of each maze.
        draws: How many numbers were drawn from it, over all episodes.
    """

    position: Tensor
    goal: Tensor
    step: Tensor
    paid: Tensor
    action: Tensor
    seed: Tensor
    draws: Tensor


class Maze:
    """The rules of the maze, for a batch of episodes at once.

    The mazes of a batch do not touch one another: each has a random stream of its own, so that
    maze i does the same alone and in a batch, on every device.

    Args:
        size: Cells along a side; odd.
        steps: Time steps of an episode.
        reward: What is paid for finding the reward.
        device: Where the tensors are.

    Raises:
        DataError: An option has no meaning.

    Example:
        >>> maze = Maze()
        >>> state = maze.start(torch.tensor([1, 2, 3]))           # three mazes, their seeds
        >>> state = maze.step(state, torch.tensor([0, 0, 3]))     # up, up, right
        >>> maze.observe(state).shape, state.paid
        (torch.Size([3, 17]), tensor([0., 0., 0.]))
    """

    def __init__(
        self,
        size: int = 13,
        steps: int = 200,
        reward: float = 10.0,
        device: torch.device | str = "cpu",
    ) -> None:
        check_whole("size", size, 5)
        if size % 2 == 0:
            raise DataError(f"size must be odd, so that the maze has a centre, not {size}.")
        check_whole("steps", steps, 1)
        check_number("reward", reward, 0, 10**6)
        self.size, self.steps, self.reward = size, steps, float(reward)
        self.device = torch.device(device)

        self.centre = size**2 // 2
        walls = torch.zeros(size, size, dtype=torch.bool)
        walls[::2, ::2] = True
        walls[[0, -1]] = True
        walls[:, [0, -1]] = True
        walls.view(-1)[self.centre] = False
        self.walls = walls.flatten().to(self.device)
        self.free = self.walls.logical_not().nonzero().flatten()
        self._moves = torch.tensor([-size, size, -1, 1], device=self.device)
        rows = torch.tensor([[-size], [0], [size]])
        self._view = (rows + torch.tensor([-1, 0, 1])).flatten().to(self.device)

    def to(self, device: torch.device | str) -> "Maze":
        """The same rules with their tensors on a device."""
        if self.device == torch.device(device):
            return self
        return Maze(self.size, self.steps, self.reward, device)

    def start(self, seed: Tensor, draws: Tensor | None = None) -> MazeState:
        """Begin an episode in every maze.

        Args:
            seed: Seed of each maze, [batch] int64.
            draws: Numbers drawn from its stream before; None for a new stream.
        """
        draws = torch.ones_like(seed) if draws is None else draws + 1
        none = torch.zeros_like(seed)
        return MazeState(
            position=none + self.centre,
            goal=self.free[below(len(self.free), seed, draws)],
            step=none,
            paid=none.float(),
            action=none - 1,
            seed=seed,
            draws=draws,
        )

    def step(self, state: MazeState, action: Tensor) -> MazeState:
        """Take a step in every maze.

        Args:
            state: Where the episodes stand; none of them is over.
            action: Positions in `ACTIONS`, [batch] int64.
        """
        ahead = state.position + self._moves[action]
        position = torch.where(self.walls[ahead], state.position, ahead)
        found = position == state.goal
        draws = state.draws + found
        place = below(len(self.free) - 1, state.seed, draws)
        other = self.free[place + (self.free[place] >= state.goal)]  # any free cell but the goal
        return MazeState(
            position=torch.where(found, other, position),
            goal=state.goal,
            step=state.step + 1,
            paid=found.float() * self.reward,
            action=action,
            seed=state.seed,
            draws=draws,
        )

    def observe(self, state: MazeState) -> Tensor:
        """What the players see, [batch, 17] float32."""
        batch = len(state.position)
        seen = torch.zeros(batch, CHANNELS, dtype=torch.float32, device=self.device)
        seen[:, :9] = self.walls[state.position[:, None] + self._view].float()
        seen[:, 10] = 1.0
        seen[:, 11] = state.step / self.steps
        seen[:, 12] = state.paid
        actions = torch.arange(len(ACTIONS), device=self.device)
        seen[:, 13:] = (state.action[:, None] == actions).float()
        return seen
