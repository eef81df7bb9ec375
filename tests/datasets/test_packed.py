"""Inputs as bits: the same spikes as the dense tensor, whatever made them."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srnn.datasets import SequenceLoader, load
from srnn.datasets.packed import pack

SMALL = {"train": 24, "test": 4, "split": "random", "bin_ms": 50.0, "shift": 4, "stretch": 0.2}


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 200)),
    data=st.data(),
)
def test_unpacked_they_are_what_was_packed(shape, data):
    steps, batch, channels = shape
    place = st.tuples(st.integers(0, steps * batch - 1), st.integers(0, channels - 1))
    places = data.draw(st.lists(place, max_size=30))
    expected = torch.zeros(steps * batch, channels)
    for row, channel in places:
        expected[row, channel] = 1
    rows, on = np.array(places, np.int64).reshape(-1, 2).T
    packed = pack(rows, on.astype(np.int32), shape)
    assert packed.words.shape == (steps, batch, (channels + 63) // 64)
    assert packed.dense().equal(expected.view(shape))
    # Bit by bit in Python's own integers: none is set beyond the last channel.
    for row, words in zip(expected, packed.words.flatten(0, 1).tolist(), strict=True):
        bits = sum((word % 2**64) << (64 * w) for w, word in enumerate(words))
        assert bits == sum(1 << int(c) for c in row.nonzero())


def test_every_bit_of_a_word_is_a_channel():
    packed = pack(np.zeros(64, np.int64), np.arange(64), (1, 1, 64))
    assert packed.words.tolist() == [[[-1]]]
    assert packed.dense().equal(torch.ones(1, 1, 64))


def test_a_piece_of_the_time():
    packed = pack(np.array([0, 1, 2]), np.array([3, 4, 65]), (3, 1, 70))
    piece = packed.during(slice(1, 3))
    assert (packed.steps, piece.steps) == (3, 2)
    assert piece.dense().equal(packed.dense()[1:3])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_the_same_batches_packed(workers):
    splits = load("shd-synth", **SMALL)
    packed = splits.train.packed()
    assert packed is not None
    assert len(packed) == len(splits.train)
    for epoch in range(2):  # with augmentation, no epoch is like another
        dense, bits = [
            list(SequenceLoader(data, 8, shuffle=True, seed=epoch, num_workers=workers))
            for data in (splits.train, packed)
        ]
        for (inputs, targets), (spikes, labels) in zip(dense, bits, strict=True):
            assert inputs.any()
            assert spikes.dense().equal(inputs)
            assert labels.equal(targets)


def test_one_sequence():
    splits = load("shd-synth", **SMALL)
    inputs, target = splits.train.packed()[-1]
    expected, label = splits.train[-1]
    assert inputs.dense()[:, 0].equal(expected)
    assert target.equal(label)


def test_only_spikes_have_bits():
    assert load("shd-synth", **SMALL, values="count").train.packed() is None
    assert load("recall", train=8, valid=8, test=8).train.packed() is None


def test_they_pickle():
    packed = pack(np.array([1]), np.array([2]), (2, 1, 70))
    assert pickle.loads(pickle.dumps(packed)).dense().equal(packed.dense())
