"""How well a player does: the mean score of its games, and how sure that is.

| score | meaning                                                                     |
|-------|-----------------------------------------------------------------------------|
| score | mean score of a game                                                        |
| iqm   | interquartile mean: of the middle half of all games                         |
| wins  | share of the games that ended with a score above zero                       |

Source of the interquartile mean: Agarwal et al. 2021 (NeurIPS).
"""

import torch
from scipy.stats import trim_mean
from torch import Tensor, nn
from torchmetrics import CatMetric


class GameScores(nn.Module):
    """The scores of games, gathered over batches.

    Args:
        **options: what the metric of torchmetrics is given, such as ``sync_on_compute``.
    """

    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.games = CatMetric(**options)

    def update(self, scores: Tensor) -> None:
        """Add some games, [games]."""
        self.games.update(scores)

    def compute(self) -> dict[str, float]:
        """Return the scores of everything added since the last reset."""
        scores = torch.atleast_1d(torch.as_tensor(self.games.compute())).double().cpu()
        return {
            "score": float(scores.mean()),
            "iqm": float(trim_mean(scores.numpy(), 0.25)),
            "wins": float((scores > 0).double().mean()),
        }

    def names(self) -> list[str]:
        """Names of the scores, in their order."""
        return ["score", "iqm", "wins"]

    def reset(self) -> None:
        """Forget everything added."""
        self.games.reset()
