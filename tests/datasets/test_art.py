from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.datasets import DataError, load
from srnn.datasets.art import SYMBOLS

SMALL = {"train": 40, "valid": 30, "test": 20}


def everything(dataset):
    return dataset.__getitems__(range(len(dataset)))


def texts(dataset):
    """Every sequence as it reads, and the digit asked for."""
    inputs, targets = everything(dataset)
    assert (inputs.sum(-1) == 1).all()
    rows = inputs.argmax(-1).T.tolist()
    return ["".join(SYMBOLS[s] for s in row) for row in rows], [SYMBOLS[t] for t in targets]


def test_shapes_and_defaults():
    splits = load("art")
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (100_000, 10_000, 20_000)
    inputs, targets = splits.train.__getitems__([5, 6, 7, 99_999])
    assert inputs.shape == (9, 4, 37)
    assert (splits.info.steps, splits.info.channels, splits.info.streaming) == (9, 37, False)
    assert inputs.dtype == torch.float32
    assert set(inputs.unique().tolist()) == {0.0, 1.0}
    assert targets.shape == (4,)
    assert targets.dtype == torch.int64
    one, target = splits.train[6]
    assert torch.equal(one, inputs[:, 1])
    assert target == targets[1]
    assert "".join(splits.info.classes) == "abcdefghijklmnopqrstuvwxyz0123456789?"


def test_the_sequences_of_a_seed_are_the_same_for_ever():
    # Written down once.
    splits = load("art", train=4, valid=3, test=3)
    assert texts(splits.train) == (["r6g7l7??r", "u4k3r5??k", "i5t9n1??t", "x1y6j7??y"], [*"6396"])
    assert texts(splits.valid) == (["o0q1h3??h", "t3r1o9??o", "l0y4g7??g"], [*"397"])
    assert texts(splits.test) == (["k9v4t5??k", "b5n5c2??b", "b9a8p3??p"], [*"953"])


@settings(max_examples=40, deadline=None)
@given(pairs=st.integers(1, 26), seed=st.integers(0, 2**40))
def test_who_reads_the_text_knows_the_answer(pairs, seed):
    splits = load("art", pairs=pairs, task_seed=seed, **SMALL)
    for part in (splits.train, splits.valid, splits.test):
        for text, answer in zip(*texts(part), strict=True):
            assert len(text) == 2 * pairs + 3 == splits.info.steps
            letters, values = text[: 2 * pairs : 2], text[1 : 2 * pairs : 2]
            assert letters.isalpha()
            assert len(set(letters)) == pairs
            assert values.isdigit()
            assert text[-3:-1] == "??"
            assert dict(zip(letters, values, strict=True))[text[-1]] == answer


@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_a_set_of_pairs_occurs_in_one_split_only(pairs):
    # Of one and two pairs there are 260 and 32,500 sets, so that any overlap would show; drawn
    # independently, 20,000 tests on three pairs would have hundreds of known sets.
    splits = load("art", pairs=pairs)
    parts = [splits.train, splits.valid, splits.test]
    sets = []
    for part in parts:
        shown = everything(part)[0].argmax(-1)[: 2 * pairs].T.reshape(-1, pairs, 2)
        codes = (shown[:, :, 0] * 37 + shown[:, :, 1]).sort(1).values
        sets.append({tuple(row) for row in codes.tolist()})
    for index, one in enumerate(sets):
        assert not any(one & other for other in sets[index + 1 :])
    if pairs == 1:
        assert [len(one) for one in sets] == [200, 20, 40]  # all there are


def test_levels_of_those_who_bind_nothing():
    # 100,000 answers: standard errors below 0.0016, of which the tolerance is four.
    inputs, targets = everything(load("art").train)
    values = inputs.argmax(-1)[1:6:2].T
    counts = torch.nn.functional.one_hot(values, 37).sum(1)
    most_frequent = counts.argmax(1)
    assert (targets == most_frequent).double().mean() == pytest.approx(0.43, abs=0.0064)
    assert (targets == values[:, 1]).double().mean() == pytest.approx(0.40, abs=0.0064)
    share = torch.bincount(targets, minlength=37) / len(targets)
    assert share[26:36].numpy() == pytest.approx(0.1, abs=0.004)
    assert not share[:26].any()
    assert not share[36]


def test_symbols_and_questions_are_uniform():
    splits = load("art", pairs=4, train=50_000, valid=1, test=1)
    symbols = everything(splits.train)[0].argmax(-1)
    # Standard errors of the shares: 0.0009 for a letter, 0.0013 for a digit, 0.0019 for a place.
    for place in range(4):
        letters = torch.bincount(symbols[2 * place], minlength=26) / 50_000
        assert letters.numpy() == pytest.approx(1 / 26, abs=0.004)
        values = torch.bincount(symbols[2 * place + 1] - 26, minlength=10) / 50_000
        assert values.numpy() == pytest.approx(0.1, abs=0.006)
        asked = (symbols[2 * place] == symbols[-1]).double().mean()
        assert asked == pytest.approx(0.25, abs=0.008)


def test_a_smaller_split_is_the_beginning_of_a_larger_one_and_touches_no_other():
    one = load("art", train=6000, valid=50, test=30)
    other = load("art", train=100, valid=900, test=9000)
    for name in ("train", "valid", "test"):
        longer, shorter = (everything(getattr(splits, name)) for splits in (one, other))
        size = min(len(longer[1]), len(shorter[1]))
        assert torch.equal(longer[0][:, :size], shorter[0][:, :size])
        assert torch.equal(longer[1][:size], shorter[1][:size])


def test_the_seed_decides():
    first, again, other = (texts(load("art", task_seed=seed, **SMALL).train) for seed in (0, 0, 1))
    assert first == again
    assert not set(first[0]) & set(other[0])


def test_the_global_random_state_is_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state()
    everything(load("art", **SMALL).test)
    assert np.random.get_state()[1].tolist() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": 0}, "pairs must be a whole number of at least 1"),
        ({"pairs": 27}, "pairs must be at most 26, one for each letter, not 27"),
        ({"train": 0}, "train must be a whole number of at least 1"),
        ({"test": 1.5}, "test must be a whole number"),
        ({"task_seed": -1}, "task_seed must be"),
    ],
)
def test_a_value_without_meaning_is_refused(options, message, one_sentence):
    with pytest.raises(DataError, match=message) as error:
        load("art", **options)
    one_sentence(error)


def test_repeats_are_as_rare_as_chance_has_it():
    # 46.8 million sequences, 10/13 of them to train on: 100,000 have 139 +- 12 pairs of equals.
    repeats = Counter(texts(load("art").train)[0])
    assert sum(n * (n - 1) // 2 for n in repeats.values()) == pytest.approx(139, abs=60)
