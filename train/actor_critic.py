"""Learning from rewards: the advantage actor-critic (A2C) on whole episodes.

An episode is played without gradients, step by step (:mod:`srnn.train.play`). The network then runs
once more over what it saw, as over any sequence, which gives pi_t and V_t again, differentiably:

    R_t  = r_t + discount R_{t+1},   R_T = 0            an episode ends for good
    loss = mean over t and episodes of
           - (R_t - V_t) log pi_t(a_t)                  the actor; no gradient through R_t - V_t
           + value_weight (R_t - V_t)^2                 the critic
           + certainty_weight sum_a pi_t(a)^2           keeps the actor from being certain too soon

| symbol           | meaning                          | unit                 | range  | default |
|------------------|----------------------------------|----------------------|--------|---------|
| r_t              | reward of step t                 | what the task pays   | -      | -       |
| a_t              | action of step t                 | position             | -      | -       |
| discount         | worth of the next step's reward  | 1                    | 0 to 1 | 0.9     |
| value_weight     | weight of the critic's error     | 1                    | >= 0   | 0.1     |
| certainty_weight | weight of the actor's certainty  | what the task pays   | >= 0   | 0.03    |

Source: Mnih et al. 2016 (ICML), in the form of Miconi et al. 2019 (ICLR), whose values are the
defaults, and of Rodriguez, Guo and Moraitis 2022 (ICML). Their first 100 batches make no update,
and Adam's epsilon is 1e-4 there; neither is so here.
"""

import torch
from torch import Tensor

from srnn.datasets import Info
from srnn.datasets.maze_episodes import MazeEpisodes

from .build import Network
from .config import Experiment
from .learner import Learner
from .play import Played, play, play_the_same
from .scores import Rewards


def returns(rewards: Tensor, discount: float) -> Tensor:
    """The discounted sum of all rewards from each step on, R_t.

    Args:
        rewards: [time, batch].
        discount: worth of the next step's reward.
    """
    total, sums = torch.zeros_like(rewards[0]), []
    for reward in reversed(rewards.unbind(0)):
        total = reward + discount * total
        sums.append(total)
    return torch.stack(sums[::-1])


def actor_critic_loss(outputs: Tensor, played: Played, options: Experiment) -> Tensor:
    """The loss of a batch of episodes.

    Args:
        outputs: the network's: scores of the actions and V_t, [time, batch, actions + 1].
        played: what happened.
        options: the settings: ``discount``, ``value_weight`` and ``certainty_weight``.
    """
    scores, value = outputs[..., :-1], outputs[..., -1]
    log_pi = scores.log_softmax(-1)
    advantage = returns(played.rewards, options.discount) - value
    of_action = log_pi.gather(-1, played.actions[..., None])[..., 0]
    actor = -(advantage.detach() * of_action).mean()
    critic = advantage.square().mean()
    certainty = log_pi.exp().square().sum(-1).mean()
    return actor + options.value_weight * critic + options.certainty_weight * certainty


class ActorCritic(Learner):
    """Trains a network to earn rewards.

    Args:
        network: the network.
        info: the task.
        options: the settings, of which those of the training are used.
        total_steps: batches of the whole training, over which the learning rate is scheduled.
        episodes: the training episodes, for their rules.
    """

    def __init__(
        self,
        network: Network,
        info: Info,
        options: Experiment,
        total_steps: int,
        episodes: MazeEpisodes,
    ) -> None:
        means = ("loss", "reward")
        super().__init__(network, info, options, total_steps, Rewards(), means)
        self.episodes = episodes

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Play a batch of episodes and update the weights."""
        played = play(self.network, self.episodes.rules, batch)
        outputs, record = self.network(played.observations)
        loss = actor_critic_loss(outputs, played, self.options)
        grad_norm = self.update(played.observations, loss, record)
        episodes = played.actions.shape[1]
        reward = float(played.rewards.sum()) / episodes
        self.account(
            grad_norm, record, episodes, loss=(loss.item(), episodes), reward=(reward, episodes)
        )
        self.finish_batch(played.observations, loss, record)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Score one batch; the same random numbers every time, and none of the training's."""
        played = play_the_same(self.network, self.episodes.rules, batch, index)
        self.scores.update(played.rewards)
