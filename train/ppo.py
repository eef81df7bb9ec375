"""Learning from games by proximal policy optimisation (PPO), on stretches of several at once.

The network plays a stretch of T steps in all games; its weights are then updated several times on
what happened, with the state before the first step as it was, and the gradient through all T steps:

    delta_t = r_t + discount (1 - e_t) V_{t+1} - V_t            e_t: step t ends what it is about
    A_t     = delta_t + discount trace (1 - e_t) A_{t+1}        advantage of the action taken
    R_t     = A_t + V_t

    rho     = pi(a_t) / pi_played(a_t)                          now, over when it was played
    loss    = mean over t and games of
              - min(rho A'_t, clamp(rho, 1 - c, 1 + c) A'_t)    A' has mean 0 and deviation 1
              + value_weight (R_t - V_t)^2
              - entropy_weight H(pi)

A game that is broken off, for taking too long, is no end: V of what is seen then stands for the
rest. Where every reward decides a point (Pong), a point is an end, though the game and the
network's memory go on: what comes after it has nothing to do with what led to it.

| symbol         | meaning                                             | unit  | range  | default |
|----------------|-----------------------------------------------------|-------|--------|---------|
| T              | steps of a stretch: the data set's ``steps``        | steps | >= 1   | 64      |
| r_t            | reward, or its sign, where the game says so         | -     | -      | -       |
| discount       | worth of the next step's reward                     | 1     | 0 to 1 | 0.99    |
| trace          | share of the next advantage (GAE's lambda)          | 1     | 0 to 1 | 0.95    |
| policy_clip, c | how far the policy moves in a stretch               | 1     | (0, 1) | 0.2     |
| value_weight   | weight of the value's error                         | 1     | >= 0   | 0.5     |
| entropy_weight | weight of the entropy, which keeps a player curious | 1     | >= 0   | 0.01    |
| passes         | times that every step is learned from               | 1     | >= 1   | 3       |
| parts          | updates of a pass, each on its share of the games   | 1     | >= 1   | 4       |

The advantages and the loss are torchrl's.

Of several processes each plays games of its own, draws random numbers of its own, and learns from
what it has seen; the gradients of an update are averaged, and the weights stay the same in all.

Source: Schulman et al. 2016 (GAE), 2017 (PPO); defaults of CleanRL's ``ppo_atari_lstm``; Wijmans et
al. 2020 (several processes).
"""

import time
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import (
    ProbabilisticTensorDictModule,
    ProbabilisticTensorDictSequential,
    TensorDictModule,
)
from torch import Tensor, nn
from torch.distributions import Categorical

from srnn.datasets.games import Games, GameSet

from ._torchrl import ClipPPOLoss, generalized_advantage_estimate
from .build import Network
from .config import Experiment
from .game_scores import GameScores
from .games_env import GamesEnv
from .learner import Learner
from .play_games import play_games
from .player import Player, collect
from .processes import gathered

LOSSES = ("loss_objective", "loss_critic", "loss_entropy")
"""What ClipPPOLoss gives, of which the sum is the loss."""


def advantages(
    value: Tensor,
    after: Tensor,
    reward: Tensor,
    done: Tensor,
    terminated: Tensor,
    options: Experiment,
) -> tuple[Tensor, Tensor]:
    """A_t and R_t of a stretch; everything is [time, games, 1].

    Args:
        value: V_t.
        after: the value after each step, which counts where the step did not end a game.
        reward: r_t.
        done: whether a step ended a game, a point, or broke a game off.
        terminated: whether it ended a game or a point.
        options: the settings: ``discount`` and ``trace``.
    """
    return generalized_advantage_estimate(
        *(options.discount, options.trace, value, after, reward),
        done=done,
        terminated=terminated,
        time_dim=0,
    )


class PPO(Learner):
    """Trains a network to play.

    Args:
        network: the network.
        games: the training games.
        options: the settings, of which those of the training are used.
        total_steps: batches of the whole training, over which the learning rate is scheduled.
    """

    def __init__(
        self, network: Network, games: GameSet, options: Experiment, total_steps: int
    ) -> None:
        info = games.info
        points = ["points_won"] if info.points else []
        means = ["loss", "score", *points, "entropy", "kl"]
        super().__init__(network, info, options, total_steps, GameScores(), means)
        self.shown = ("score", *points)
        self._game = info
        self.set = games
        self.games: Games
        self.env: GamesEnv
        self.player: Player
        self.now: TensorDictBase | None = None
        self._positions: list[dict[str, Any]] | None = None
        self._draws = torch.Generator()
        self._process, self._processes = 0, 1
        self._criterion = _criterion(options)
        self._scored: Tensor
        self._seconds = {"playing": 0.0, "updating": 0.0}
        self._steps = 0

    def setup(self, stage: str) -> None:
        """Set the games up."""
        self.take_share(self.trainer.global_rank, self.trainer.world_size)

    def take_share(self, process: int, processes: int) -> None:
        """Set up the games that are those of one of several processes."""
        self._process, self._processes = process, processes
        places = self.options.batch_size
        own = self.set.endless[process::processes]
        self.games = Games(self.set.make(places), places, own)
        self.env = GamesEnv(self.games, self._game)
        (seed,) = np.random.SeedSequence([self.options.seed, process]).generate_state(1)
        self._draws.manual_seed(int(seed))
        self.player = Player(self.network, places, self._game.channels, self._draws)
        self._scored = torch.zeros(places)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Play a stretch in all games, and learn from it."""
        if self.now is None:
            self._begin()
        before, began = self.player.state, time.perf_counter()
        played, self.now = collect(self.env, self.player, self.now, self._game.steps)
        self._seconds["playing"] += time.perf_counter() - began
        self._steps += played.numel()
        finished = self._finish_games(played)
        learned = self._learn(played, before)
        won, lost = ((sign * played["next", "reward"] > 0).sum().item() for sign in (1, -1))
        values: dict[str, tuple[float, int]] = {}
        if len(finished):
            values["score"] = float(finished.mean()), len(finished)
        if self._game.points and won + lost:
            values["points_won"] = won / (won + lost), won + lost
        for averages in (self.recent, self.epoch_means):
            averages.update(None, **values)
        self.finish_batch(*learned)

    def _begin(self) -> None:
        """Begin the first games, or go on with those of a checkpoint."""
        if self._positions is None:
            self.now = self.env.reset()
            return
        position, self._positions = self._positions[self._process], None
        self.games.restore(position["games"])
        self.player.remember(position["state"])
        self._scored = position["scored"]
        self._draws.set_state(position["draws"])
        self.now = self.env.go_on()

    def _finish_games(self, played: TensorDictBase) -> Tensor:
        """Add up what a stretch paid; returns the scores of the games that ended in it."""
        finished = []
        after = played["next"]
        for rewards, ended in zip(after["reward"][..., 0], after["done"][..., 0], strict=True):
            self._scored += rewards
            finished.append(self._scored[ended])
            self._scored = torch.where(ended, 0.0, self._scored)
        return torch.cat(finished)

    def _learn(self, played: TensorDictBase, before: Any) -> tuple[Tensor, Tensor, Any]:
        """Update the weights on a stretch, and return what the last update was made from."""
        options, after = self.options, played["next"]
        reward = after["reward"].sign() if self._game.signs else after["reward"]
        point = (reward != 0) & self._game.points
        advantage, target = advantages(
            *(played["value"], after["value"], reward),
            *(after["done"] | point, after["terminated"] | point, options),
        )
        began = time.perf_counter()
        for _ in range(options.passes):
            order = torch.randperm(played.shape[1], generator=self._draws)
            for places in order.tensor_split(options.parts):
                part = TensorDict(
                    {
                        "action": played["action"][:, places],
                        "log_prob": played["log_prob"][:, places],
                        "advantage": advantage[:, places],
                        "value_target": target[:, places],
                    },
                    batch_size=(len(played), len(places)),
                    device=self.device,
                )
                inputs = played["observation"][:, places].to(self.device)
                reset = played["began"][:, places, 0].to(self.device)
                state = None if before is None else self.network.select_state(before, places)
                outputs, record = self.network(inputs, state, reset=reset)
                part["logits"], part["value"] = outputs[..., :-1], outputs[..., -1:]
                losses = self._criterion(part)
                loss = sum((losses[name] for name in LOSSES), torch.zeros(()))
                grad_norm = self.update(inputs, loss, record)
                size = len(places)
                self.account(
                    grad_norm,
                    record,
                    size,
                    loss=(loss.item(), size),
                    entropy=(losses["entropy"].item(), size),
                    kl=(losses["kl_approx"].item(), size),
                )
        self._seconds["updating"] += time.perf_counter() - began
        return inputs, loss, record

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Play the validation games; nothing is drawn from the training's random numbers."""
        seeds, _ = batch
        played = play_games(self.network, self.set, seeds.tolist())
        self.scores.update(played.scores.to(self.device))  # where processes exchange them

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add where the games of every process are, and what the network remembers of them."""
        super().on_save_checkpoint(checkpoint)
        if self.now is None:
            return
        own = {
            "games": self.games.position(),
            "state": self.player.remembered(),
            "scored": self._scored,
            "draws": self._draws.get_state(),
        }
        checkpoint["games"] = gathered(own)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the games' position, to go on from with the next batch."""
        super().on_load_checkpoint(checkpoint)
        self._positions = checkpoint.get("games")

    def note(self) -> str:
        """Say how fast it went since the last note: steps of games in a second of training."""
        acting = self.player.take_seconds()
        seconds = self._seconds | {"acting": acting}
        seconds["playing"] -= acting
        total = sum(seconds.values())
        shares = ", ".join(f"{name} {part / total:.0%}" for name, part in seconds.items())
        speed, self._steps = self._steps * self._processes / total, 0
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return f"{speed:.0f} steps a second ({shares})"


def _criterion(options: Experiment) -> ClipPPOLoss:
    """The loss of what a network has made of a stretch: its logits and values are given."""
    policy = ProbabilisticTensorDictSequential(
        TensorDictModule(nn.Identity(), ["logits"], ["logits"]),
        ProbabilisticTensorDictModule(
            in_keys=["logits"],
            out_keys=["action"],
            distribution_class=Categorical,
        ),
    )
    value = TensorDictModule(nn.Identity(), ["value"], ["value"])
    criterion = ClipPPOLoss(
        policy,
        value,
        clip_epsilon=options.policy_clip,
        entropy_coeff=options.entropy_weight,
        critic_coeff=options.value_weight,
        loss_critic_type="l2",
        normalize_advantage=True,
    )
    criterion.set_keys(sample_log_prob="log_prob", value="value")
    return criterion
