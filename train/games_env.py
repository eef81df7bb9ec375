"""Games as an environment of torchrl, with which any of its algorithms can play them."""

from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor

from srnn.datasets.games import GameInfo, Games

from ._torchrl import Binary, Categorical, Composite, EnvBase, Unbounded


class GamesEnv(EnvBase):
    """Games side by side.

    What it puts into a TensorDict, over [places]:

    | key                             | shape      | meaning                                     |
    |---------------------------------|------------|---------------------------------------------|
    | observation                     | [channels] | what is seen                                |
    | began                           | [1] bool   | whether this is the first step of a game    |
    | reward                          | [1]        | what the last step paid                     |
    | terminated, truncated, done     | [1] bool   | whether it ended the game, broke it off     |

    ``began`` is the reset mask of a recurrent network. It is told here and not by torchrl's
    ``InitTracker``, since a game that a checkpoint brings back is in its middle at the first step:
    :meth:`go_on` begins with it, where ``reset`` begins new games.

    Args:
        games: the games.
        info: what they are.
    """

    def __init__(self, games: Games, info: GameInfo) -> None:
        places = len(games)
        super().__init__(batch_size=torch.Size([places]))
        self.games = games
        self.observation_spec = Composite(
            observation=Unbounded(shape=(places, info.channels), dtype=torch.float32),
            began=Binary(n=1, shape=(places, 1), dtype=torch.bool),
            shape=(places,),
        )
        self.action_spec = Categorical(len(info.classes), shape=(places,), dtype=torch.int64)
        self.reward_spec = Unbounded(shape=(places, 1), dtype=torch.float32)
        ends = ("done", "terminated", "truncated")
        self.done_spec = Composite(
            {end: Binary(n=1, shape=(places, 1), dtype=torch.bool) for end in ends},
            shape=(places,),
        )

    def _reset(self, tensordict: TensorDictBase | None = None, **options: Any) -> TensorDictBase:
        """Begin new games, at the places of ``_reset`` or at all."""
        if tensordict is not None and "_reset" in tensordict.keys():  # noqa: SIM118
            began = tensordict["_reset"].view(-1)
            return self._seen(self.games.renew(began), began)
        observation, fresh = self.games.begin()
        if not fresh.all():  # a game in which nothing was done yet is a new one
            observation = self.games.renew(~fresh)
        return self._seen(observation, torch.ones_like(fresh))

    def go_on(self) -> TensorDictBase:
        """Give what ``reset`` does, but of the games as they are, such as restored ones."""
        return self._seen(*self.games.begin())

    def _seen(self, observation: Tensor, began: Tensor) -> TensorDictBase:
        """What is seen between two steps, where no game is over."""
        nothing = torch.zeros(len(self.games), 1, dtype=torch.bool)
        return TensorDict(
            {
                "observation": observation,
                "began": began[:, None],
                "done": nothing,
                "terminated": nothing.clone(),
                "truncated": nothing.clone(),
            },
            batch_size=self.batch_size,
        )

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Take an action everywhere."""
        moved = self.games.step(tensordict["action"])
        return TensorDict(
            {
                "observation": moved.observations,
                "began": torch.zeros(len(self.games), 1, dtype=torch.bool),
                "reward": moved.rewards[:, None],
                "done": (moved.terminated | moved.truncated)[:, None],
                "terminated": moved.terminated[:, None],
                "truncated": moved.truncated[:, None],
            },
            batch_size=self.batch_size,
        )

    def _set_seed(self, seed: int | None) -> None:
        """Nothing is random here but the games, which have seeds of their own."""
