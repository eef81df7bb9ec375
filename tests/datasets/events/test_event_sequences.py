"""From events to tensors: dense inputs, augmentation, and exact resumption."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.datasets import SequenceLoader
from srnn.datasets.augment import Augmentation
from srnn.datasets.binning import Binning
from srnn.datasets.event_cache import binned
from srnn.datasets.event_sequences import EventSequences

from .helpers import BINNING, INFO, OPTIONS, batches

TINY = Binning(1_000, 6, (5, 1, 1), 1)


class Lists:
    """Events in memory: step and channel of each sequence."""

    def __init__(self, source, binning):
        self.source, self.binning, self.asked = source, binning, []

    def take(self, indices, epoch):
        self.asked.append((tuple(indices), epoch))
        return self.binning.apply([self.source[i] for i in indices])[0]


@settings(deadline=None)
@given(
    words=st.lists(
        st.lists(st.tuples(st.integers(0, 7_000), st.integers(0, 4)), max_size=12), min_size=1
    ),
    values=st.sampled_from(["binary", "count"]),
    data=st.data(),
)
def test_the_tensor_is_what_a_loop_makes(recordings, cochlea_events, words, values, data):
    source = recordings([cochlea_events(*np.array(w).reshape(-1, 2).T) for w in words], (5, 1, 1))
    labels = np.arange(len(words)) * 3
    chosen = np.array(data.draw(st.permutations(range(len(words)))))
    binning = replace(TINY, binary=values == "binary")
    sequences = EventSequences(INFO, Lists(source, binning), binning, labels, chosen)
    size = st.integers(0, len(words) - 1)
    indices = data.draw(st.lists(size, min_size=1, max_size=6))
    inputs, targets = sequences.__getitems__(indices)
    expected = torch.zeros(6, len(indices), 5)
    for position, index in enumerate(indices):
        for time, channel in words[chosen[index]]:
            if time < 6_000:
                expected[time // 1000, position, channel] += 1
    if values == "binary":
        expected.clamp_(max=1)
    assert inputs.equal(expected)
    assert inputs.dtype == torch.float32
    assert targets.tolist() == [3 * chosen[index] for index in indices]
    assert targets.dtype == torch.int64
    assert len(sequences) == len(words)


def test_an_item_is_a_batch_of_one(part):
    sequences = part()
    inputs, targets = sequences.__getitems__(range(14))
    assert inputs.shape == (100, 14, 700)
    for index in range(14):
        item, target = sequences[index]
        assert item.equal(inputs[:, index])
        assert target == targets[index] == index % 3
        assert target.shape == ()
    assert not inputs[:, 3].any()
    assert sequences[-1][0].equal(inputs[:, -1])


def test_counts_of_the_same_place(recordings, cochlea_events):
    source = recordings([cochlea_events([0, 1, 2, 3_000], [1, 1, 1, 2])], (5, 1, 1))
    for binary, count in ((True, 1), (False, 3)):
        binning = replace(TINY, binary=binary)
        lists = binned(source, binning)
        sequences = EventSequences(INFO, lists, binning, np.zeros(1, int), np.arange(1))
        inputs, _ = sequences.__getitems__([0, 0])
        assert inputs[0, :, 1].tolist() == [count, count]
        assert inputs.sum() == 2 * (count + 1)


def test_the_chosen_ones_have_their_own_labels(part, file):
    chosen = np.array([11, 2, 7])
    sequences = part(chosen=chosen)
    everything, labels = part().__getitems__([2, 7, 11])
    inputs, targets = sequences.__getitems__([1, 2, 0])
    assert inputs.equal(everything)
    assert targets.equal(labels)
    assert len(sequences) == 3


def test_the_epoch_is_passed_on(recordings, cochlea_events):
    lists = Lists(recordings([cochlea_events([0], [0])] * 3, (5, 1, 1)), TINY)
    sequences = EventSequences(INFO, lists, TINY, np.zeros(3, int), np.arange(3))
    loader = SequenceLoader(sequences, 2)
    batches(loader, 3)
    loader.load_state_dict({"epoch": 7, "batch": 1})
    batches(loader)
    assert [epoch for _, epoch in lists.asked] == [0, 0, 1, 1, 2, 2, 7]


class TestAugmentation:
    def test_of_training_only(self, part):
        plain, _ = part().__getitems__(range(14))
        valid, _ = part(training=False, **OPTIONS).__getitems__(range(14))
        train, _ = part(**OPTIONS).__getitems__(range(14))
        assert valid.equal(plain)
        assert not train.equal(plain)
        held_out = part(training=False, **OPTIONS)
        held_out.set_epoch(1)
        assert held_out.__getitems__(range(14))[0].equal(plain)

    def test_is_that_of_the_binned_events(self, part, file):
        sequences = part(**OPTIONS, chosen=np.array([5, 9]))
        sequences.set_epoch(4)
        events = binned(file, BINNING).take([9, 5])
        augmentation = Augmentation(20, 0.1, 10 / 14, 0.1, 3)
        events = augmentation(events, [9, 5], 4, 100, 700)
        expected = torch.zeros(100, 2, 700)
        expected[events.step, events.sequence, events.channel] = 1
        assert sequences.__getitems__([1, 0])[0].equal(expected)

    def test_changes_with_the_epoch(self, part):
        loader = SequenceLoader(part(**OPTIONS), 14)
        first, second = batches(loader, 2)
        assert first != second
        assert batches(SequenceLoader(part(**OPTIONS), 14), 2) == [first, second]
        other = part(**OPTIONS | {"augment_seed": 4})
        assert batches(SequenceLoader(other, 14)) != [first]

    @pytest.mark.parametrize("position", [(0, 0), (0, 2), (1, 0), (1, 3), (2, 4)])
    def test_resumed_within_an_epoch(self, position, part):
        def loader():
            return SequenceLoader(part(**OPTIONS), 3, shuffle=True, seed=1)

        whole = batches(loader(), 4)
        assert len(whole) == 20
        assert len({str(batch) for batch in whole}) == 20
        epoch, taken = position
        stopped = loader()
        batches(stopped, epoch)
        for _ in zip(range(taken), stopped, strict=False):
            pass
        state = stopped.state_dict()
        continued = loader()
        continued.load_state_dict(state)
        assert batches(continued, 4 - epoch) == whole[5 * epoch + taken :]

    @pytest.mark.parametrize("workers", [1, 2])
    def test_with_any_number_of_workers(self, workers, part):
        alone = SequenceLoader(part(**OPTIONS), 3, shuffle=True)
        shared = SequenceLoader(part(**OPTIONS), 3, shuffle=True, num_workers=workers)
        assert batches(shared, 2) == batches(alone, 2)

    def test_with_any_batch_size(self, part):
        sequences = part(**OPTIONS)
        sequences.set_epoch(2)
        whole, _ = sequences.__getitems__(range(14))
        for order in ([13, 0, 5], [5], [5, 5, 13]):
            assert sequences.__getitems__(order)[0].equal(whole[:, order])
