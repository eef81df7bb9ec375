import numpy as np
import pytest
import torch

from srnn.datasets import DataError, load

SMALL = {"train": 200, "valid": 50, "test": 50}


def everything(dataset):
    return dataset.__getitems__(range(len(dataset)))


def by_segment(inputs, symbols=4, segments=8):
    """Spikes [segments, populations, batch]: the symbols', then store, then recall."""
    time, batch, _ = inputs.shape
    shape = (segments, time // segments, batch, symbols + 2, 5)
    return inputs.reshape(shape).sum((1, 4)).transpose(1, 2)


def test_shapes_and_defaults():
    splits = load("recall")
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (2048, 512, 1024)
    inputs, targets = splits.train.__getitems__([5, 6, 7])
    assert inputs.shape == (120, 3, 30)
    assert (splits.info.steps, splits.info.channels) == (120, 30)
    assert inputs.dtype == torch.float32
    assert set(inputs.unique().tolist()) == {0.0, 1.0}
    assert targets.shape == (3,)
    assert targets.dtype == torch.int64
    assert len(splits.info.classes) == 4
    assert splits.info.split.startswith("generated")


@pytest.mark.parametrize(("symbols", "segments", "min_gap"), [(4, 8, 2), (2, 4, 2), (7, 10, 0)])
def test_without_noise_the_rules_can_be_read_off(symbols, segments, min_gap):
    options = {"symbols": symbols, "segments": segments, "min_gap": min_gap}
    splits = load("recall", rate=1.0, noise=0.0, segment_steps=3, **options, **SMALL)
    inputs, targets = everything(splits.train)
    spikes = by_segment(inputs, symbols, segments)
    assert set(spikes.unique().tolist()) == {0.0, 15.0}
    active = spikes > 0
    assert (active[:-1, :symbols].sum(1) == 1).all()  # one symbol in every segment but the last
    assert not active[-1, :symbols].any()
    assert active[-1, symbols + 1].all()  # recall in the last segment and nowhere else
    assert not active[:-1, symbols + 1].any()
    assert (active[:, symbols].sum(0) == 1).all()  # one store segment
    store = active[:, symbols].int().argmax(0)
    assert set(store.tolist()) == set(range(segments - 1 - min_gap))
    shown = active[:, :symbols].int().argmax(1)
    assert torch.equal(shown[store, torch.arange(200)], targets)


def test_who_remembers_the_store_segment_solves_the_task():
    inputs, targets = everything(load("recall").train)
    spikes = by_segment(inputs)
    store = spikes[:, 4].argmax(0)
    answers = spikes[store, :4, torch.arange(len(targets))].argmax(1)
    assert (answers == targets).float().mean() > 0.99


def test_who_does_not_is_near_chance():
    # The symbol shown last is never stored; 2048 answers have a standard error of 0.0096.
    inputs, targets = everything(load("recall").train)
    answers = by_segment(inputs)[-2, :4].argmax(0)
    assert (answers == targets).float().mean() == pytest.approx(0.25, abs=0.04)
    assert (torch.bincount(targets) / len(targets)).numpy() == pytest.approx(0.25, abs=0.04)


def test_spike_rates_in_closed_form():
    rate, noise = 0.3, 0.05
    inputs, _ = everything(load("recall", noise=noise, train=4096).train)
    ask = inputs[105:].reshape(15, 4096, 6, 5)
    # 307,200 draws each: standard errors below 0.001.
    assert ask[:, :, 5].mean() == pytest.approx(1 - (1 - rate) * (1 - noise), abs=0.005)
    assert ask[:, :, :5].mean() == pytest.approx(noise, abs=0.005)


def test_the_size_of_one_split_does_not_touch_the_others():
    one = load("recall", train=100, valid=50, test=30)
    other = load("recall", train=7, valid=50, test=90)
    assert torch.equal(everything(one.valid)[0], everything(other.valid)[0])
    one_test, other_test = everything(one.test), everything(load("recall", train=5, test=30).test)
    assert torch.equal(one_test[0], other_test[0])
    assert torch.equal(one_test[1], other_test[1])


def test_the_splits_differ_and_the_seed_decides():
    sizes = {"train": 50, "valid": 50, "test": 50}
    splits = load("recall", **sizes)
    drawn = [everything(part)[0] for part in (splits.train, splits.valid, splits.test)]
    drawn.append(everything(load("recall", task_seed=1, **sizes).train)[0])
    for index, one in enumerate(drawn):
        assert not any(torch.equal(one, other) for other in drawn[index + 1 :])
    assert torch.equal(everything(load("recall", **sizes).train)[0], drawn[0])


def test_the_sequences_of_a_seed_are_the_same_for_ever():
    # Written down once: targets, spikes of every sequence, and those of the first one's first step.
    splits = load("recall", train=12, valid=8, test=8, segments=5, segment_steps=6)
    for part, answers, counts, first in (
        (
            splits.train,
            [3, 3, 1, 3, 3, 1, 2, 0, 2, 3, 1, 0],
            [75, 50, 67, 61, 51, 64, 69, 60, 46, 69, 59, 67],
            [15, 16, 17],
        ),
        (splits.valid, [2, 2, 3, 3, 2, 2, 0, 2], [79, 53, 58, 53, 63, 69, 71, 58], [10, 14, 24]),
        (splits.test, [2, 0, 1, 0, 2, 2, 3, 2], [64, 62, 74, 63, 54, 59, 59, 52], [10, 11, 21]),
    ):
        inputs, targets = everything(part)
        assert targets.tolist() == answers
        assert inputs.sum((0, 2)).tolist() == counts
        assert inputs[0, 0].nonzero().flatten().tolist() == first


def test_the_global_random_state_is_left_alone():
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state()
    load("recall", **SMALL)
    assert np.random.get_state()[1].tolist() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symbols": 1}, "symbols must be a whole number of at least 2"),
        ({"segment_steps": 0}, "segment_steps must be"),
        ({"rate": 1.2}, "rate must lie between 0 and 1"),
        ({"noise": -0.1}, "noise must lie between 0 and 1"),
        ({"min_gap": -1}, "min_gap must be"),
        ({"segments": 3}, "A gap of 2 segments leaves none of 3 to store in"),
        ({"train": 0}, "train must be a whole number of at least 1"),
        ({"task_seed": -1}, "task_seed must be"),
    ],
)
def test_a_value_without_meaning_is_refused(options, message, one_sentence):
    with pytest.raises(DataError, match=message) as error:
        load("recall", **options)
    one_sentence(error)


def test_the_smallest_task_there_is():
    splits = load("recall", segments=2, min_gap=0, **SMALL)
    assert splits.train[0][0].shape == (30, 30)
