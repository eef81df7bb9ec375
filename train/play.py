"""Playing episodes: a network acts, step by step, and all that happened is kept.

At step t of an episode, the network sees o_t and gives for each action a a score l_t(a), and the
reward V_t that it expects from there on. It takes action a with probability

    pi_t(a) = exp l_t(a) / sum_b exp l_t(b)

Its state is carried from step to step, and begins anew with the episode.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from srnn.datasets.maze import Maze

from .build import Network


class Played(NamedTuple):
    """What happened in a batch of episodes.

    Attributes:
        observations: what the players saw, [time, batch, channels].
        actions: what they did, [time, batch].
        rewards: what it earned them, [time, batch].
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor


@torch.no_grad()
def play(
    network: Network,
    rules: Maze,
    batch: Iterable[Tensor],
    generator: torch.Generator | None = None,
) -> Played:
    """Play a batch of episodes from their start to their end, on the device of the network.

    Args:
        network: with a readout at every step, of the actions' scores and the expected reward.
        rules: of the maze.
        batch: which episodes: what `MazeEpisodes.begin` gives.
        generator: what actions are drawn by; by default torch's own.
    """
    device = next(network.parameters()).device
    rules = rules.to(device)
    maze, state = rules.start(*(part.to(device) for part in batch)), None
    seen, taken, earned = [], [], []
    for _ in range(rules.steps):
        observation = rules.observe(maze)
        outputs, record = network(observation[None], state)
        state = record.state
        chances = outputs[0, :, :-1].softmax(-1)
        action = torch.multinomial(chances, 1, generator=generator)[:, 0]
        maze = rules.step(maze, action)
        seen.append(observation)
        taken.append(action)
        earned.append(maze.paid)
    return Played(torch.stack(seen), torch.stack(taken), torch.stack(earned))


def play_the_same(network: Network, rules: Maze, batch: Iterable[Tensor], index: int) -> Played:
    """Play a batch the same way every time, without a draw from torch's own generator.

    Args:
        network: as for :func:`play`.
        rules: likewise.
        batch: likewise.
        index: number of the batch, by which the actions are drawn.
    """
    device = next(network.parameters()).device
    return play(network, rules, batch, torch.Generator(device).manual_seed(index))
