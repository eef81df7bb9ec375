"""tonic:NAME, whatever tonic's class is like: labels, splits, times, and refusals."""

import os
import sys

import numpy as np
import pytest

from srnn.datasets import DataError, load

from .recordings import (
    check_all,
    fake,
    parts,
    small,
    tonic,
)


@pytest.mark.parametrize("given", [bool, "-1/1", np.uint8])
def test_polarities_become_zero_and_one(root, monkeypatch, given):
    samples, made = small(10), []
    for events in samples:
        dtype = np.int8 if given == "-1/1" else given
        changed = events.astype([("x", np.int16), ("y", np.uint8), ("t", np.uint64), ("p", dtype)])
        for field in "xyt":
            changed[field] = events[field]
        changed["p"] = 2 * events["p"] - 1 if given == "-1/1" else events["p"]
        made.append(changed)
    fake(monkeypatch, made, [i % 2 for i in range(10)])
    splits = load("tonic:Fake", root, values="count", bin_ms=10, duration_ms=300, validation=0.2)
    check_all(splits.joined, [(e, i % 2) for i, e in enumerate(samples)], 30, 10_000, (4, 3, 2))


@pytest.mark.parametrize(
    ("label", "names"),
    [
        (lambda i: f"word {i % 3}", ("word 0", "word 1", "word 2")),
        (lambda i: np.array([i % 3 + 5]), ("5", "6", "7")),
        (lambda i: float(i % 3), ("0", "1", "2")),
    ],
)
def test_labels_are_read_where_none_are_listed_and_named_by_themselves(
    root, monkeypatch, label, names
):
    kind = fake(monkeypatch, small(60), [label(i) for i in range(60)])
    splits = load("tonic:Fake", root)
    assert splits.info.classes == names
    develop = set(kind.read)
    assert len(develop) == 48  # a fifth is for the test, and stays unread
    kind.read.clear()
    assert len(splits.test) == 12
    assert not develop & set(kind.read)


def test_labels_that_are_not_classes_are_refused(root, monkeypatch, one_sentence):
    fake(monkeypatch, small(10), [{"bbox": 1}] * 10)
    with pytest.raises(DataError, match="tonic:Fake is not for classification: the label of") as e:
        load("tonic:Fake", root)
    one_sentence(e)
    fake(monkeypatch, small(10), [7] * 10)
    with pytest.raises(DataError, match="labels that are no classes"):
        load("tonic:Fake", root)


def test_a_split_argument_gives_an_official_validation_part(root, monkeypatch):
    kind = fake(monkeypatch, [], [])
    by_part = {"train": small(10, 1), "valid": small(4, 2), "test": small(6, 3)}

    def init(self, save_to, split="train"):
        tonic.dataset.Dataset.__init__(self, save_to)
        if split not in by_part:
            raise ValueError(split)
        self.samples = by_part[split]
        self.words = [i % 2 for i in range(len(self.samples))]
        self.read.append(split)

    monkeypatch.setattr(kind, "__init__", init)
    splits = load("tonic:Fake", root, bin_ms=10, drop=0.9)
    assert [len(part) for part in parts(splits)] == [10, 4]
    assert splits.info.caveat == "epoch chosen on the official validation part"
    assert "test" not in kind.read
    assert len(splits.test) == 6
    # The validation recordings are varied once they are trained on, and not before.
    assert len(splits.joined) == 14
    assert splits.joined[13][0].sum() < splits.valid[3][0].sum()
    del by_part["valid"]
    splits = load("tonic:Fake", root, bin_ms=10)
    assert [len(part) for part in parts(splits)] == [9, 1]


def test_times_are_counted_from_the_start_unless_the_clock_is_absolute(root, monkeypatch):
    labels = [i % 2 for i in range(20)]
    fake(monkeypatch, small(20, milliseconds=100, first=40), labels)
    splits = load("tonic:Fake", root, bin_ms=10)
    assert splits.info.steps == 14
    assert not splits.joined[0][0][:4].any()
    fake(monkeypatch, small(20, milliseconds=100, first=10_000_000), labels)
    splits = load("tonic:Fake", root, bin_ms=10)
    assert splits.info.steps == 10
    assert splits.info.encoding.endswith("times counted from each recording's first event")
    assert all(splits.joined[i][0][0].any() for i in range(16))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("t", -5, "negative time, -5 microseconds"),
        ("x", 4, "off its sensor of 4 x 3 pixels, x from . to 4"),
        ("y", -1, "off its sensor of 4 x 3 pixels, y from -1 to 2"),
        ("p", 2, "polarities"),
    ],
)
def test_impossible_events_are_refused_by_sample(
    root, monkeypatch, one_sentence, field, value, message
):
    samples = small(10)
    for events in samples:
        events[field][3] = value
    fake(monkeypatch, samples, [i % 2 for i in range(10)])
    with pytest.raises(DataError, match=rf"Sample \d of the part 'all' .*{message}") as e:
        load("tonic:Fake", root)
    one_sentence(e)


def test_a_damaged_sample_is_named(root, nmnist, monkeypatch, one_sentence):
    def damaged(self, index):
        raise ValueError("cannot reshape")

    monkeypatch.setattr(tonic.datasets.NMNIST, "__getitem__", damaged)
    with pytest.raises(DataError, match=r"00000\.bin cannot be read \(cannot reshape\)") as e:
        load("tonic:NMNIST", root)
    one_sentence(e)


def test_an_unpacked_folder_that_was_emptied_is_answered_with_what_to_do(
    root, nmnist, one_sentence
):
    load("tonic:NMNIST", root)
    for path in (root / "NMNIST" / "Train").rglob("*.bin"):
        path.unlink()
    with pytest.raises(DataError, match=r"no samples of .* delete the file .*checked") as e:
        load("tonic:NMNIST", root)
    one_sentence(e)
    (root / "NMNIST" / ".train.zip.checked").unlink()
    assert len(load("tonic:NMNIST", root).joined) == 20


def test_what_is_unpacked_is_trusted_without_an_archive_where_a_marker_says_so(root, nmnist):
    load("tonic:NMNIST", root)
    (root / "NMNIST" / "train.zip").unlink()
    assert len(load("tonic:NMNIST", root).joined) == 20


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DSEC", "not for classification"),
        ("VPR", "not for classification"),
        ("nmnst", "did you mean 'tonic:NMNIST'.* Known are .*POKERDVS"),
        ("", "has no data set ''"),
        ("SHD", "use shd instead"),
        ("SSC", "use ssc instead"),
    ],
)
def test_what_is_not_there_is_refused_by_name(root, one_sentence, name, message):
    with pytest.raises(DataError, match=message) as e:
        load(f"tonic:{name}", root)
    one_sentence(e)


def test_all_that_is_left_of_tonic_is_for_classification():
    from srnn.datasets.tonic_events import _WITHOUT_CLASSES

    assert set(_WITHOUT_CLASSES) < set(tonic.datasets.__all__)
    left = set(tonic.datasets.__all__) - set(_WITHOUT_CLASSES) - {"SHD", "SSC"}
    assert left == {
        "ASLDVS",
        "CIFAR10DVS",
        "DVSGesture",
        "DVSLip",
        "NCALTECH101",
        "NMNIST",
        "NTIDIGITS18",
        "POKERDVS",
        "SMNIST",
    }


def test_without_tonic_the_extra_is_named(root, monkeypatch, one_sentence):
    monkeypatch.setitem(sys.modules, "tonic", None)
    monkeypatch.delitem(sys.modules, "tonic.datasets")
    with pytest.raises(DataError, match=r'pip install "srnn\[tonic\]"') as e:
        load("tonic:NMNIST", root)
    one_sentence(e)


def test_options_are_checked(root, nmnist):
    with pytest.raises(DataError, match="no option 'split'; it has augment_seed, bin_ms"):
        load("tonic:NMNIST", root, split="test")
    with pytest.raises(DataError, match="validation must lie between"):
        load("tonic:NMNIST", root, validation=2.0)
    with pytest.raises(DataError, match="duration_ms must lie between"):
        load("tonic:NMNIST", root, duration_ms=0)


def test_pixels_are_not_shifted_into_the_next_row(root, nmnist, one_sentence):
    with pytest.raises(DataError, match="34 x 34 pixels and 2 polarities, of which one row") as e:
        load("tonic:NMNIST", root, shift=1)
    one_sentence(e)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of newer Pythons, about threads
def test_two_processes_may_open_it_at_once(root, nmnist):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        sizes = list(pool.map(_training_size, [root] * 4))
    assert sizes == [20] * 4


def _training_size(root):
    return len(load("tonic:NMNIST", root).joined)
