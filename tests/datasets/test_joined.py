"""Training and validation sequences as one dataset."""

import pytest
import torch

from srnn.datasets import Info, PackedSpikes, SequenceDataset, SequenceLoader, Splits, load
from srnn.datasets._joined import JoinedSequences


class Numbers(SequenceDataset):
    """Two steps and one channel; every sequence and its targets are a number of its own."""

    def __init__(self, numbers, streaming):
        super().__init__(Info("numbers", "", 2, 1, ("a", "b"), streaming, *("text",) * 5))
        self.numbers = torch.tensor(numbers)
        self.epochs = []

    @property
    def drawn(self):
        return {"order": [1, 0]}

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __len__(self):
        return len(self.numbers)

    def __getitems__(self, indices):
        assert len(indices) > 0, "no part is asked for nothing"
        chosen = self.numbers[list(indices)]
        inputs = chosen.float().expand(2, -1)[..., None]
        return inputs, torch.stack([chosen, -chosen]) if self.info.streaming else chosen


@pytest.fixture(params=[False, True], ids=["one target", "a target a step"])
def splits(request):
    train, valid = (Numbers(numbers, request.param) for numbers in ([10, 11, 12], [20, 21]))
    return Splits(train.info, train, valid, lambda: pytest.fail("nobody asked for the test set"))


@pytest.mark.parametrize(
    ("indices", "numbers"),
    [
        ([4, 0, 3, 3, 2, 1], [21, 10, 20, 20, 12, 11]),
        ([2, 0], [12, 10]),
        ([4, 3], [21, 20]),
        (range(5), [10, 11, 12, 20, 21]),
    ],
    ids=["both", "first", "second", "a range"],
)
def test_a_batch_keeps_its_order(indices, numbers, splits):
    inputs, targets = splits.joined.__getitems__(indices)
    assert inputs[..., 0].tolist() == [numbers, numbers]
    assert inputs.dtype == torch.float32
    assert targets.dtype == torch.int64
    expected = [numbers, [-n for n in numbers]] if splits.info.streaming else numbers
    assert targets.tolist() == expected


def test_every_sequence_is_there_once(splits):
    assert len(splits.joined) == 5
    loader = SequenceLoader(splits.joined, 2, shuffle=True)
    assert sorted(int(x) for inputs, _ in loader for x in inputs[0]) == [10, 11, 12, 20, 21]
    assert float(splits.joined[-1][0][0]) == 21


def test_what_was_drawn_and_the_epoch_are_those_of_the_parts(splits):
    assert splits.joined.drawn == splits.train.drawn
    assert splits.joined.info == splits.info
    splits.joined.set_epoch(3)
    assert splits.train.epochs[-1] == splits.valid.epochs[-1] == 3


def test_joined_once(splits):
    assert splits.joined is splits.joined


def test_a_dataset_may_join_by_itself(splits):
    own = JoinedSequences(splits.valid, splits.train)
    other = Splits(
        splits.info, splits.train, splits.valid, lambda: splits.train, joined=lambda: own
    )
    assert other.joined is own


class Bits(Numbers):
    """The same with a packed form: sequence number n has the bits of n in its one word."""

    def packed(self):
        return PackedNumbers(self)


class PackedNumbers(SequenceDataset):
    def __init__(self, dense):
        super().__init__(dense.info)
        self.dense = dense

    def __len__(self):
        return len(self.dense)

    def set_epoch(self, epoch):
        self.dense.set_epoch(epoch)

    def __getitems__(self, indices):
        chosen = self.dense.numbers[list(indices)]
        return PackedSpikes(chosen.expand(2, -1)[..., None], 5), chosen

    def __getitem__(self, index):
        inputs, targets = self.__getitems__([index])
        return inputs, targets[0]


def test_bits_stay_bits():
    train, valid = Bits([10, 11, 12], False), Bits([20, 21], False)
    packed = JoinedSequences(train, valid).packed()
    assert len(packed) == 5
    for indices, numbers in (([4, 0, 3, 3], [21, 10, 20, 20]), ([2, 0], [12, 10]), ([4], [21])):
        inputs, targets = packed.__getitems__(indices)
        assert inputs.words[..., 0].tolist() == [numbers, numbers]
        assert (inputs.channels, inputs.steps) == (5, 2)
        assert targets.tolist() == numbers
    for index, number in ((1, 11), (-1, 21), (3, 20)):
        inputs, target = packed[index]
        assert inputs.words.tolist() == [[[number]], [[number]]]
        assert target == number
    with pytest.raises(IndexError):
        packed[5]
    packed.set_epoch(3)
    assert train.epochs[-1] == valid.epochs[-1] == 3


def test_bits_only_where_both_have_them():
    bits, plain = Bits([10], False), Numbers([20], False)
    for pair in ((bits, plain), (plain, bits), (plain, plain)):
        assert JoinedSequences(*pair).packed() is None


def test_of_a_real_task():
    splits = load("recall", train=6, valid=4, test=1, segments=4, segment_steps=3)
    inputs, targets = splits.joined.__getitems__([7, 1, 6])
    (x1, y1), (x2, y2) = splits.train.__getitems__([1]), splits.valid.__getitems__([1, 0])
    assert inputs.equal(torch.cat([x2[:, :1], x1, x2[:, 1:]], 1))
    assert targets.equal(torch.cat([y2[:1], y1, y2[1:]]))
