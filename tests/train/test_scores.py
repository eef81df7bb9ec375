"""Scores against numbers worked out by hand."""

import math

import pytest
import torch

from srnn.datasets import IGNORE, Info
from srnn.train.scores import Scores, criterion


def info(name="toy", streaming=True):
    return Info(name, "Toy", 3, 5, ("a", "b", "c"), streaming, *("text",) * 5)


def logits_for(predictions):
    """Logits whose largest is the prediction: log(4) against 0 twice, so a softmax of 2/3."""
    return torch.nn.functional.one_hot(torch.tensor(predictions), 3) * math.log(4.0)


# Five steps of two sequences; X has no label.
X = IGNORE
TARGETS = torch.tensor([[0, 1], [X, 1], [2, X], [0, 1], [X, 2]])
PREDICTIONS = [[0, 1], [1, 0], [2, 2], [1, 1], [0, 0]]
# Labelled: a predicted as a, b; b as b, a, b; c as c, a. Right are 4 of 7.
F1 = [2 * 1 / (2 + 3), 2 * 2 / (3 + 3), 2 * 1 / (2 + 1)]
CONFUSION = [[1, 1, 0], [1, 2, 0], [1, 0, 1]]
LOSS = (4 * math.log(3 / 2) + 3 * math.log(6)) / 7


@pytest.fixture
def scored():
    def score(name, splits, first=()):
        scores = Scores(info(name))
        logits = logits_for([*first, *PREDICTIONS])
        targets = torch.cat([torch.full((len(first), 2), X), TARGETS])
        for part in torch.arange(2).split(splits):
            scores.update(logits[:, part], targets[:, part])
        return scores

    return score


@pytest.mark.parametrize("splits", [2, 1])
def test_streaming_scores(scored, splits):
    scores = scored("toy", splits)
    values = scores.compute()
    assert values == pytest.approx({"loss": LOSS, "accuracy": 4 / 7, "macro_f1": sum(F1) / 3})
    assert list(values) == scores.names()
    assert scores.confusion.compute().tolist() == CONFUSION


@pytest.mark.parametrize("splits", [2, 1])
def test_the_published_metric_of_ecg(scored, splits):
    """It leaves out ten steps and counts unlabelled ones as class a: 3 and 2 of 5 are right."""
    values = scored("ecg", splits, first=[[1, 2]] * 10).compute()
    assert values["published"] == 0.5
    assert values["accuracy"] == pytest.approx(4 / 7)


def test_one_label_a_sequence():
    scores = Scores(info(streaming=False))
    scores.update(logits_for([0, 1, 2]), torch.tensor([0, 1, 1]))
    scores.update(logits_for([1]), torch.tensor([0]))
    assert scores.compute() == pytest.approx({"loss": math.log(3), "accuracy": 0.5})
    scores.reset()
    scores.update(logits_for([1]), torch.tensor([1]))
    assert scores.compute()["accuracy"] == 1.0


def test_a_batch_without_labels_changes_nothing(scored):
    scores = scored("toy", 2)
    scores.update(torch.randn(5, 2, 3), torch.full((5, 2), X))
    assert scores.compute()["loss"] == pytest.approx(LOSS)


def test_criterion_leaves_unlabelled_steps_out():
    logits = torch.randn(5, 2, 3, requires_grad=True)
    criterion(logits, TARGETS).backward()
    assert ((logits.grad == 0).all(-1) == (TARGETS == X)).all()
    assert criterion(logits, torch.full((5, 2), X)).item() == 0.0
    assert criterion(logits_for(PREDICTIONS), TARGETS).item() == pytest.approx(LOSS)
