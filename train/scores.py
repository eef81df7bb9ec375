"""How well a network does on a set of sequences: loss, accuracy and what else a data set reports.

| score     | meaning                                                                            |
|-----------|------------------------------------------------------------------------------------|
| loss      | mean cross entropy of the labelled targets                                         |
| accuracy  | share of right answers among the labelled targets                                  |
| macro_f1  | F1 averaged over classes, where every step has a label: classes there are unequal  |
| published | the published metric of the data set, where it differs from ``accuracy`` (``ecg``) |

A network that plays episodes has one score, ``reward``: what it earns in one, on average.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection, SumMetric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from srnn.datasets import IGNORE, Info
from srnn.datasets.ecg import published_score

_PUBLISHED = {"ecg": published_score}


def criterion(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy over the labelled targets; zero where there is none.

    Args:
        logits: [batch, classes] or [time, batch, classes].
        targets: [batch] or [time, batch], with ``IGNORE`` where there is no label.
    """
    flat = targets.flatten()
    total = nn.functional.cross_entropy(
        logits.reshape(len(flat), -1), flat, ignore_index=IGNORE, reduction="sum"
    )
    return total / (flat != IGNORE).sum().clamp(min=1)


class Scorer(Protocol):
    """What adds scores up over batches; a module, so that a checkpoint or a device takes it."""

    def names(self) -> list[str]:
        """Names of the scores, in their order."""
        ...

    def compute(self) -> dict[str, float]:
        """Return the scores of everything added since the last reset."""
        ...

    def reset(self) -> None:
        """Forget everything added."""
        ...


class Rewards(nn.Module):
    """The mean reward of episodes, accumulated over batches.

    Args:
        **options: what the metric of torchmetrics is given, such as ``sync_on_compute``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.reward = MeanMetric(**options)

    def update(self, rewards: Tensor) -> None:
        """Add a batch, [time, batch]."""
        self.reward.update(rewards.sum(0))

    def compute(self) -> dict[str, float]:
        """Return the mean of everything added since the last reset."""
        return {"reward": float(self.reward.compute())}

    def names(self) -> list[str]:
        """Names of the scores."""
        return ["reward"]

    def reset(self) -> None:
        """Forget everything added."""
        self.reward.reset()


class Scores(nn.Module):
    """Scores accumulated over batches.

    Args:
        info: the data set.
        **options: what every one of the metrics from torchmetrics is given, such as
            ``sync_on_compute``.
    """

    def __init__(self, info: Info, **options: Any) -> None:
        super().__init__()
        labels = {"num_classes": len(info.classes), "ignore_index": IGNORE, **options}
        metrics: dict[str, Any] = {"accuracy": MulticlassAccuracy(average="micro", **labels)}
        if info.streaming:
            metrics["macro_f1"] = MulticlassF1Score(average="macro", **labels)
        self.labelled = MetricCollection(metrics, compute_groups=False)
        self.loss = MeanMetric(**options)
        self.confusion = MulticlassConfusionMatrix(**labels)
        self.published = _PUBLISHED.get(info.name)
        if self.published is not None:
            self.right, self.scored = SumMetric(**options), SumMetric(**options)

    @torch.no_grad()
    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add a batch; see :func:`criterion` for the shapes."""
        predictions = logits.argmax(-1)
        labelled = int((targets != IGNORE).sum())
        if labelled:
            self.loss.update(criterion(logits, targets), labelled)
            self.labelled.update(predictions.flatten(), targets.flatten())
            self.confusion.update(predictions.flatten(), targets.flatten())
        if self.published is not None:
            right, scored = self.published(predictions, targets)
            self.right.update(right)
            self.scored.update(scored)

    def compute(self) -> dict[str, float]:
        """Return the scores of everything added since the last reset."""
        scores = {"loss": float(self.loss.compute())}
        scores |= {name: float(value) for name, value in self.labelled.compute().items()}
        if self.published is not None:
            scores["published"] = float(self.right.compute() / self.scored.compute())
        return scores

    def names(self) -> list[str]:
        """Names of the scores, in their order."""
        published = [] if self.published is None else ["published"]
        return ["loss", *map(str, self.labelled.keys()), *published]

    def reset(self) -> None:
        """Forget everything added."""
        metrics: Iterator[Any] = self.children()
        for metric in metrics:
            metric.reset()
