"""Playing given games to their ends, to score a network, or to look at it.

A game goes the same way each time it is played, wherever: the actions in it are drawn by random
numbers that depend on the game's seed and the step, and on nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srnn import Record
from srnn.datasets._splitmix import uniform
from srnn.datasets.games import Games, GameSet, Moved

from .build import Network

_PLACES = 16
"""Games that are played at once: more wait for the longest at the end, fewer take more calls."""


class GameStep(NamedTuple):
    """A step of games that are played side by side.

    Attributes:
        seeds: of the games, [places] int64; -1 where none is left.
        seen: what was seen, [places, channels].
        outputs: of the network: scores of the actions and the value, [places, actions + 1].
        record: what the network did.
        action: what was done, [places].
        moved: what came of it.
    """

    seeds: NDArray[np.int64]
    seen: Tensor
    outputs: Tensor
    record: Record
    action: Tensor
    moved: Moved


@dataclass(frozen=True)
class GamesPlayed:
    """What came of some games.

    Attributes:
        scores: of each, [games] float32.
        steps: of each, [games] int64.
        counts: spikes of every neuron, [1, neurons], over all games and ticks, one tensor a layer.
        ticks: time steps of the network that they were counted over.
    """

    scores: Tensor
    steps: Tensor
    counts: tuple[Tensor, ...]
    ticks: int


@torch.no_grad()
def steps_of_games(
    network: Network, games: GameSet, seeds: Sequence[int], *, greedy: bool = False
) -> Iterator[GameStep]:
    """Play games, on the device of the network, step by step until all have ended.

    Args:
        network: with a readout at every step, of the actions' scores and the value.
        games: what they are.
        seeds: which.
        greedy: whether always to take the action with the best score, instead of drawing one.
    """
    device = next(network.parameters()).device
    places = min(_PLACES, len(seeds))
    played = Games(games.make(places), places, seeds)
    seen, began = played.begin()
    state = None
    while (now := played.seeds >= 0).any():
        # Where all games are new, the network has no state yet, and needs no mask.
        reset = began[None].to(device) if state is not None and bool(began.any()) else None
        outputs, record = network(seen[None].to(device), state, reset=reset)
        state = record.state
        scores = outputs[0, :, :-1].cpu()
        action = scores.argmax(-1) if greedy else _draw(scores.softmax(-1), played)
        before = played.seeds
        moved = played.step(action)
        yield GameStep(before, seen, outputs[0], record, action, moved)
        began = (moved.terminated | moved.truncated) & torch.from_numpy(now)
        seen = played.renew(began) if began.any() else moved.observations


def play_games(
    network: Network, games: GameSet, seeds: Sequence[int], *, greedy: bool = False
) -> GamesPlayed:
    """Play games to their ends; see :func:`steps_of_games`."""
    number = {seed: index for index, seed in enumerate(seeds)}
    scores, steps = torch.zeros(len(seeds)), torch.zeros(len(seeds), dtype=torch.int64)
    counts: tuple[Tensor, ...] = ()
    ticks = 0
    for step in steps_of_games(network, games, seeds, greedy=greedy):
        places = np.flatnonzero(step.seeds >= 0)
        which = [number[int(seed)] for seed in step.seeds[places]]
        scores[which] += step.moved.rewards[places]
        steps[which] += 1
        fired = tuple(count[places].sum(0, keepdim=True) for count in step.record.counts)
        counts = tuple(map(torch.add, counts, fired)) if counts else fired
        ticks += step.record.steps * len(places)
    return GamesPlayed(scores, steps, counts, ticks)


def _draw(chances: Tensor, games: Games) -> Tensor:
    """Draw an action at every place, [places], by chances [places, actions]."""
    step = torch.from_numpy(games.steps) + 1
    numbers = uniform(torch.from_numpy(games.seeds), step)
    # All but the last action: that one takes what rounding leaves of the sum too.
    return (chances.double().cumsum(-1)[:, :-1] <= numbers[:, None]).sum(-1)
