"""The maze as a vectorised environment of gymnasium, on tensors.

    env = MazeVectorEnv(512)
    observations, _ = env.reset(seed=0)                            # [512, 17]
    for _ in range(env.maze.steps):
        actions = policy(observations)                             # [512], 0 to 3
        observations, rewards, ended, _, _ = env.step(actions)

It keeps the interface of `gymnasium.vector.VectorEnv`, with torch tensors in the place of NumPy's
arrays. The rules are those of `srnn.datasets.maze`. An episode ends (`terminations`, never
`truncations`) after its last step: the observation tells the time, so the end is a part of the task
and no value is to be bootstrapped from it. Nothing restarts by itself (`AutoresetMode.DISABLED`):
all mazes end in the same step, and `reset` begins the next episodes.

Needs gymnasium, which ``pip install "srnn[rl]"`` brings.
"""

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srnn.datasets._draws import check_whole
from srnn.datasets.maze import ACTIONS, CHANNELS, Maze, MazeState

try:
    from gymnasium.error import ResetNeeded
    from gymnasium.spaces import Box, Discrete
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'gymnasium is missing: pip install "srnn[rl]" brings it.', name=error.name
    ) from error


class MazeVectorEnv(VectorEnv[Tensor, Tensor, Tensor]):
    """A batch of mazes.

    Args:
        num_envs: Number of mazes.
        size: Cells along a side; odd.
        steps: Time steps of an episode.
        reward: What is paid for finding the reward.
        device: Where the tensors are.

    Attributes:
        maze: The rules.

    Raises:
        DataError: An option has no meaning.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 512,
        *,
        size: int = 13,
        steps: int = 200,
        reward: float = 10.0,
        device: torch.device | str = "cpu",
    ) -> None:
        check_whole("num_envs", num_envs, 1)
        self.maze = Maze(size, steps, reward, device)
        self.num_envs = num_envs
        highest = np.ones(CHANNELS, np.float32)
        highest[9], highest[12] = 0, reward
        self.single_observation_space = Box(np.zeros_like(highest), highest)
        self.single_action_space = Discrete(len(ACTIONS))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._state: MazeState | None = None

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Begin an episode in every maze, or in some of them.

        Args:
            seed: Of maze 0, with the numbers that follow for the others, or one for each; from 0 to
                below 2**62. None goes on with the streams there are; without any, they begin at
                random.
            options: ``reset_mask``, an array or tensor [num_envs] of bool, chooses the mazes; the
                others go on.

        Returns:
            The observations of all mazes, [num_envs, 17], and an empty dictionary.

        Raises:
            ValueError: There is another number of seeds than of mazes, a seed is out of range, or
                a mask has another shape or leaves out mazes that were never reset.
        """
        fresh = self._goes_on() if seed is None else self.maze.start(self._streams(seed))
        mask = (options or {}).get("reset_mask")
        if mask is not None:
            fresh = self._merged(torch.as_tensor(mask, device=self.maze.device), fresh)
        self._state = fresh
        return self.maze.observe(fresh), {}

    def step(self, actions: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Take a step in every maze.

        Args:
            actions: Positions in `srnn.datasets.maze.ACTIONS`, an array or tensor [num_envs].

        Returns:
            Observations [num_envs, 17] float32, rewards [num_envs] float32, terminations and
            truncations [num_envs] bool, and an empty dictionary.

        Raises:
            ResetNeeded: An episode is over, or none was begun.
            ValueError: The actions have another shape or are none.
        """
        if self._state is None or bool((self._state.step >= self.maze.steps).any()):
            raise ResetNeeded("There is an episode that is over or was never begun: call reset.")
        taken = torch.as_tensor(actions, device=self.maze.device)
        if taken.shape != (self.num_envs,) or taken.is_floating_point():
            raise ValueError(
                f"Actions must be whole numbers of shape [{self.num_envs}], not {taken.dtype} of "
                f"shape {list(taken.shape)}."
            )
        if not bool(((taken >= 0) & (taken < len(ACTIONS))).all()):
            raise ValueError(
                f"Actions go from 0 to {len(ACTIONS) - 1}, got {int(taken.min())} to "
                f"{int(taken.max())}."
            )
        self._state = state = self.maze.step(self._state, taken.long())
        ended = state.step >= self.maze.steps
        never = torch.zeros_like(ended)
        return self.maze.observe(state), state.paid, ended, never, {}

    def _goes_on(self) -> MazeState:
        if self._state is not None:
            return self.maze.start(self._state.seed, self._state.draws)
        return self.maze.start(self._streams(secrets.randbelow(2**61)))

    def _streams(self, seed: int | Sequence[int]) -> Tensor:
        seeds = list(seed) if isinstance(seed, Sequence) else range(seed, seed + self.num_envs)
        if len(seeds) != self.num_envs or not all(0 <= one < 2**62 for one in seeds):
            raise ValueError(
                f"{self.num_envs} mazes need one seed, or {self.num_envs} of them, from 0 to below "
                f"2**62, not {seed!r}."
            )
        return torch.tensor([int(one) for one in seeds], device=self.maze.device)

    def _merged(self, mask: Tensor, fresh: MazeState) -> MazeState:
        if mask.shape != (self.num_envs,) or mask.dtype != torch.bool:
            raise ValueError(
                f"reset_mask must be bool of shape [{self.num_envs}], not {mask.dtype} of shape "
                f"{list(mask.shape)}."
            )
        if self._state is None:
            raise ValueError("The first reset begins all episodes: leave reset_mask out.")
        both = zip(fresh, self._state, strict=True)
        return MazeState(*(torch.where(mask, new, old) for new, old in both))
