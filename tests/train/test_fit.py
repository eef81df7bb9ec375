"""What a training is made of: the order of its batches, the rate that each is learned at."""

import csv
from types import SimpleNamespace

import pytest
import torch

from srnn.datasets import load
from srnn.train.build import build_network
from srnn.train.config import Experiment
from srnn.train.fit import _Data


def test_the_table_tells_the_rate_that_a_batch_was_learned_at(train):
    folder = train("--lr", 0.01, "--schedule", "linear", "--log-every", 1)
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:  # 12 batches, of which the last has a rate too
        assert float(row["lr"]) == pytest.approx(0.01 * (1 - (int(row["batch"]) - 1) / 12))
    assert {int(row["batch"]) for row in rows} == set(range(1, 13))


def orders(seed, epochs):
    """The training sequences of some epochs, in the order in which they come."""
    splits = load("recall", train=24, valid=8, test=8)
    experiment = Experiment(seed=seed, batch_size=8)
    stage = SimpleNamespace(train=splits.train, valid=splits.valid)
    data = _Data(experiment, stage, build_network(experiment, splits.info))
    data.trainer = SimpleNamespace(global_rank=0, world_size=1)
    loader = data.train_dataloader()
    return [torch.cat([inputs for inputs, _ in loader], 1) for _ in range(epochs)]


def test_batches_come_in_an_order_of_the_seed_and_the_epoch():
    one, two = orders(3, 2)
    assert not torch.equal(one, two)
    assert not torch.equal(one, orders(4, 1)[0])
    assert torch.equal(one, orders(3, 1)[0])

    def sequences(epoch):
        return sorted(epoch.transpose(0, 1).flatten(1).tolist())

    assert sequences(one) == sequences(two)
