"""SHD: which samples train, and which validate."""

import numpy as np
import pytest

from srnn.datasets import DataError, load
from srnn.datasets.heidelberg import held_out_speakers

from .helpers import numbers


class TestSpeakers:
    @pytest.mark.parametrize("held_out", [1, 2, 3, 4, 9])
    def test_every_fold_is_disjoint_and_together_they_are_all(self, held_out, root):
        speaker = np.arange(40) * 7 % 10
        seen = set()
        for fold in range(-(-10 // held_out)):
            splits = load("shd", root, held_out=held_out, fold=fold)
            fitted, validated = numbers(splits.train), numbers(splits.valid)
            assert sorted(fitted + validated) == list(range(40))
            here = set(speaker[validated].tolist())
            assert not here & set(speaker[fitted].tolist())
            assert len(here) == held_out
            seen |= here
            listed = ", ".join(map(str, sorted(here)))
            plural = "s" if held_out > 1 else ""
            assert f"all of speaker{plural} {listed};" in splits.info.split
            assert f"{len(fitted)} samples of the training file to train" in splits.info.split
            assert f"and {len(validated)} to validate" in splits.info.split
            assert splits.info.caveat == "epoch chosen on held-out speakers"
        assert seen == set(range(10))

    def test_folds_that_divide_the_speakers_share_none(self):
        speakers = np.repeat(np.arange(10), 3)
        folds = [held_out_speakers(speakers, 2, fold) for fold in range(5)]
        assert sorted(np.concatenate(folds).tolist()) == list(range(10))
        assert all(fold == sorted(fold) for fold in folds)

    def test_who_is_held_out_is_the_same_for_ever(self):
        # Written down once.
        folds = [held_out_speakers(np.arange(10), 2, fold) for fold in range(5)]
        assert folds == [[5, 8], [3, 7], [2, 4], [0, 6], [1, 9]]

    def test_it_is_the_same_every_time_and_for_any_numbering(self):
        speakers = np.random.default_rng(0).integers(0, 10, 500)
        first = held_out_speakers(speakers, 2, 0)
        assert held_out_speakers(speakers[::-1], 2, 0) == first
        renamed = held_out_speakers(speakers * 3 + 5, 2, 0)
        assert renamed == [3 * speaker + 5 for speaker in first]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"held_out": 0}, "held_out must be a whole number of at least 1"),
            ({"held_out": 10}, "held_out=10 of 10 speakers leaves none to train on"),
            ({"held_out": 2.0}, "held_out must be a whole number"),
            ({"fold": -1}, "fold must be a whole number of at least 0"),
            (
                {"fold": 5},
                "fold=5 does not exist: with held_out=2 of 10 speakers the last one is 4",
            ),
            ({"held_out": 3, "fold": 4}, "the last one is 3"),
        ],
    )
    def test_a_number_without_meaning_is_refused(self, options, message, root, one_sentence):
        with pytest.raises(DataError, match=message) as error:
            load("shd", root, **options)
        one_sentence(error)


class TestRandom:
    def test_a_share_is_held_out(self, root):
        for share, count in ((0.2, 8), (0.5, 20)):
            splits = load("shd", root, split="random", validation=share)
            validated = numbers(splits.valid)
            assert len(validated) == count
            assert sorted(numbers(splits.train) + validated) == list(range(40))
            assert validated != list(range(count))
            assert numbers(load("shd", root, split="random", validation=share).valid) == validated
        assert splits.info.caveat == (
            "epoch chosen on a random part of the training file, speakers shared"
        )
        assert "20 to validate, drawn at random with a fixed seed" in splits.info.split

    @pytest.mark.parametrize("share", [0, 1, 0.001, -1, "0.2"])
    def test_a_share_without_meaning_is_refused(self, share, root, one_sentence):
        with pytest.raises(DataError, match="validation") as error:
            load("shd", root, split="random", validation=share)
        one_sentence(error)


class TestTest:
    def test_it_says_so(self, root):
        splits = load("shd", root, split="test")
        assert splits.info.caveat == "EPOCH CHOSEN ON THE TEST SET"
        assert "epochs are chosen on the test file" in splits.info.split
        assert "all 40 samples" in splits.info.split
        assert splits.valid is splits.test
        assert numbers(splits.train) == list(range(40))
        assert numbers(splits.valid) == list(range(11))

    def test_it_cannot_be_joined(self, root, one_sentence):
        with pytest.raises(DataError, match="split=test leaves nothing to retrain on") as error:
            _ = load("shd", root, split="test").joined
        one_sentence(error)

    def test_it_is_not_augmented(self, root):
        plain, varied = (
            load("shd", root, split="test", drop=drop).valid.__getitems__(range(11))[0]
            for drop in (0, 0.9)
        )
        assert varied.equal(plain)


@pytest.mark.parametrize("split", ["speakers", "random", "test"])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"held_out": 0}, "held_out must be a whole number of at least 1, not 0"),
        ({"fold": -1}, "fold must be a whole number of at least 0, not -1"),
        ({"validation": 7}, "validation must lie between 0 and 1, not at 7"),
        ({"validation": "half"}, "validation must be a number, not 'half'"),
    ],
)
def test_a_value_without_meaning_is_refused_where_it_is_not_used(
    split, option, message, root, one_sentence
):
    with pytest.raises(DataError, match=message) as error:
        load("shd", root, split=split, **option)
    one_sentence(error)


def test_an_unknown_split_is_refused(root, one_sentence):
    for split in ("speaker", None, 3):
        with pytest.raises(DataError, match="split must be speakers, random, test") as error:
            load("shd", root, split=split)
        one_sentence(error)
