"""Games, as a task of an experiment: learned by PPO, scored by playing."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from srnn.datasets import SequenceDataset
from srnn.datasets.games import Games, GameSet

from .build import Network
from .config import Experiment
from .evaluation import Evaluation, Firing
from .game_scores import GameScores
from .games_env import GamesEnv
from .learner import Learner
from .play_games import play_games, steps_of_games
from .player import Player, collect
from .ppo import PPO
from .report import format_score

_LOOKED_AT = 400
"""Steps of a game that are shown: more could not be told apart."""


class Gaming:
    """Games, to learn from or to be scored in.

    Args:
        dataset: the games.
    """

    per = "step"

    def __init__(self, dataset: GameSet) -> None:
        self.dataset = dataset
        self.info = dataset.info
        self._rehearsed: GamesEnv | None = None

    def form(self, network: Network, device: torch.device) -> SequenceDataset:
        """The games' seeds, as they are."""
        return self.dataset

    def learner(self, network: Network, options: Experiment, total_steps: int) -> Learner:
        """Proximal policy optimisation."""
        return PPO(network, self.dataset, options, total_steps)

    def rehearse(self, network: Network, options: Experiment) -> None:
        """Play a stretch, and go through it as often as is learned from it."""
        places, device = options.batch_size, next(network.parameters()).device
        if self._rehearsed is None:  # emulators take longer to set up than a batch does
            games = Games(self.dataset.make(places), places, self.dataset.endless)
            self._rehearsed = GamesEnv(games, self.info)
        with torch.random.fork_rng():
            player = Player(network, places, self.info.channels)
            now = self._rehearsed.reset()
            played, _ = collect(self._rehearsed, player, now, self.info.steps)
        for _ in range(options.passes):
            for seen in played["observation"].tensor_split(options.parts, 1):
                network(seen.to(device))[0].sum().backward()

    def evaluate(self, network: Network, batch_size: int) -> Evaluation:
        """Play all games, the same way every time."""
        played = play_games(network, self.dataset, self.dataset.seeds)
        scores, firing = GameScores(sync_on_compute=False), Firing(network)
        scores.update(played.scores)
        firing.add_counts(played.counts, played.ticks)
        return firing.evaluation(scores.compute(), None, len(self.dataset))

    def observed(self, network: Network, batch_size: int) -> Iterator[Tensor]:
        """What was seen in every game, from its first step to its last, one game after another."""
        seen: dict[int, list[Tensor]] = {seed: [] for seed in self.dataset.seeds}
        for step in steps_of_games(network, self.dataset, self.dataset.seeds):
            for place, seed in enumerate(step.seeds.tolist()):
                if seed >= 0:  # sparse, since a hundred games would not fit the memory otherwise
                    seen[seed].append(step.seen[place].to_sparse())
        for seed in self.dataset.seeds:
            yield torch.stack(seen.pop(seed)).to_dense()[:, None]

    def sequence(self, network: Network, index: int) -> tuple[Tensor, Callable[[Tensor], str]]:
        """What was seen in the first steps of a game, and its score by then."""
        seen, score = [], 0.0
        for step in steps_of_games(network, self.dataset, [self.dataset.seeds[index]]):
            seen.append(step.seen)
            score += float(step.moved.rewards)
            if len(seen) == _LOOKED_AT:
                break
        points = format_score("score", score)
        title = f"{self.info.title}, game {index}, {len(seen)} steps: score {points}"
        return torch.stack(seen), lambda outputs: title
