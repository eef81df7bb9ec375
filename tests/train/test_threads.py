"""How many threads a run takes."""

import os

import pytest
import torch

from srnn.train import threads
from srnn.train.config import Experiment
from srnn.train.errors import ConfigError
from srnn.train.threads import choose_threads, usable_cores


@pytest.fixture
def cores(monkeypatch):
    """Pretend to have a number of cores; put torch's threads back afterwards."""
    before = torch.get_num_threads()
    yield lambda number: monkeypatch.setattr(threads, "usable_cores", lambda: number)
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("number", "settings", "chosen"),
    [
        (8, {}, 8),
        (8, {"threads": 3}, 3),
        (8, {"num_workers": 2}, 6),
        (8, {"devices": 2}, 4),
        (8, {"devices": 2, "num_workers": 1}, 3),
        (8, {"devices": 2, "threads": 4}, 4),
        (8, {"devices": 3}, 2),
        (2, {"num_workers": 4}, 1),
        (1, {"devices": 2}, 1),
        (1, {"devices": 2, "threads": 1}, 1),
    ],
)
def test_threads_share_the_cores(number, settings, chosen, cores):
    cores(number)
    experiment = Experiment(accelerator="cpu", hidden=[1000], **settings)  # wide enough to share
    assert choose_threads(experiment, channels=30) == chosen
    assert torch.get_num_threads() == chosen


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"threads": 9}, "this run may use 8 cores, so give at most 8"),
        ({"threads": 5, "devices": 2}, "this run may use 8 cores for 2 processes, so give at mo"),
    ],
)
def test_more_threads_than_cores(settings, sentence, cores):
    cores(8)
    with pytest.raises(ConfigError, match=sentence):
        choose_threads(Experiment(accelerator="cpu", **settings), channels=30)


def test_usable_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    affinity = len(os.sched_getaffinity(0))
    all_of_them = usable_cores()
    assert 1 <= all_of_them <= affinity
    for value, limit in (("1", 1), ("100000", all_of_them), ("0", all_of_them), ("x", all_of_them)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert usable_cores() == limit


def test_small_steps_are_not_shared(cores):
    cores(8)
    small = {"accelerator": "cpu", "batch_size": 64, "hidden": [128]}
    assert choose_threads(Experiment(**small), channels=30) == 1
    assert choose_threads(Experiment(**small), channels=700) == 8  # a wide input is
    assert choose_threads(Experiment(**small, threads=2), channels=30) == 2
