"""Events straight to bits: the very bits that NumPy's arrays give, by every variation."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnn.datasets import load, packing
from srnn.datasets.augment import Augmentation
from srnn.datasets.event_cache import EventLists
from srnn.datasets.packed import pack
from srnn.datasets.packing import pack_lists, packs

# One that is there and refused fails the tests.
pytestmark = pytest.mark.skipif(not packing._LIBRARY.exists(), reason="no compiled library")


def lists_of(recordings, steps, dtype=np.uint16):
    """Lists as a cache holds them, of recordings that are lists of (step, channel)."""
    lists = EventLists.__new__(EventLists)
    ordered = [sorted(recording) for recording in recordings]
    lists.channels = np.array([channel for r in ordered for _, channel in r], dtype)
    per_step = [np.bincount([s for s, _ in r], minlength=steps) for r in ordered]
    lists.per_step = np.array(per_step, np.uint32).reshape(-1, steps)
    lists.offsets = np.cumsum([0, *map(len, ordered)], dtype=np.int64)
    return lists


def by_numpy(lists, chosen, channels, augmentation, epoch):
    steps = lists.per_step.shape[1]
    events = lists.take(chosen)
    if augmentation is not None:
        events = augmentation(events, list(chosen), epoch, steps, channels)
    row = events.step * len(chosen) + events.sequence
    return pack(row, events.channel, (steps, len(chosen), channels))


@given(
    size=st.tuples(st.integers(1, 9), st.sampled_from([1, 63, 64, 65, 140, 300])),
    augmentation=st.none()
    | st.builds(
        Augmentation,
        shift=st.integers(0, 70),
        stretch=st.sampled_from([0.0, 0.1, 0.9]),
        drop=st.sampled_from([0.0, 0.3]),
        seed=st.integers(0, 2**70),
    ),
    epoch=st.integers(0, 100),
    dtype=st.sampled_from([np.uint16, np.uint32]),
    data=st.data(),
)
def test_they_are_the_bits_that_numpy_gives(size, augmentation, epoch, dtype, data):
    steps, channels = size
    event = st.tuples(st.integers(0, steps - 1), st.integers(0, channels - 1))
    recordings = data.draw(st.lists(st.lists(event, max_size=40), min_size=1, max_size=4))
    chosen = data.draw(st.lists(st.integers(0, len(recordings) - 1), max_size=5))
    lists = lists_of(recordings, steps, dtype)
    chosen = np.array(chosen, np.int64)
    expected = by_numpy(lists, chosen, channels, augmentation, epoch)
    packed = pack_lists(lists, chosen, channels, augmentation, epoch)
    assert packed.channels == channels
    assert packed.words.dtype == expected.words.dtype
    assert packed.words.equal(expected.words)


@pytest.mark.parametrize("events", [0, 1, 2, 3, 4, 5, 2000, 2001])
def test_odd_and_even_numbers_of_draws(events):
    """A draw of PCG64 gives two numbers, and what one use leaves of it the next one takes."""
    random = np.random.default_rng(events)
    recording = random.integers(0, (50, 700), (events, 2)).tolist()
    lists = lists_of([recording] * 3, 50)
    varied = Augmentation(shift=20, stretch=0.2, drop=0.5, seed=7)
    for number in range(3):
        chosen = np.array([number])
        expected = by_numpy(lists, chosen, 700, varied, 4).words
        assert pack_lists(lists, chosen, 700, varied, 4).words.equal(expected)
        assert events < 6 or bool(expected.any())


def test_numbers_beyond_the_recordings_are_refused():
    lists = lists_of([[(0, 3)], [(1, 4)]], 2)
    for number in (-1, 2):
        with pytest.raises(IndexError, match="recordings 0 to 1"):
            pack_lists(lists, np.array([0, number]), 10, None, 0)


SMALL = {"train": 24, "test": 4, "split": "random", "bin_ms": 50.0, "shift": 4, "stretch": 0.2}


def test_data_sets_take_it_and_do_without_it(monkeypatch):
    """Training and validation; jitter is drawn by NumPy alone."""
    parts = [(load("shd-synth", **SMALL | more), more) for more in ({}, {"jitter_ms": 20.0})]
    asked = []

    def spied(*arguments):
        asked.append(arguments)
        return pack_lists(*arguments)

    monkeypatch.setattr("srnn.datasets.event_sequences.pack_lists", spied)
    for splits, more in parts:
        for name, part in (("train", splits.train), ("valid", splits.valid)):
            asked.clear()
            packed, targets = part.packed().__getitems__([2, 0, 1])
            assert bool(asked) == (not more or name == "valid")
            dense, labels = part.__getitems__([2, 0, 1])
            assert packed.dense().equal(dense)
            assert targets.equal(labels)
            with monkeypatch.context() as without:
                without.setattr(packing, "library", lambda: None)
                asked.clear()
                assert part.packed().__getitems__([2, 0, 1])[0].words.equal(packed.words)
                assert not asked


def test_what_the_library_does_not_know():
    class Other(Augmentation):
        """Variations of a user's own."""

    assert packs(None)
    assert packs(Augmentation(shift=1, stretch=0.1, drop=0.1))
    assert not packs(Augmentation(shift=1, jitter=0.1))
    assert not packs(Other(shift=1))


@pytest.fixture
def load_anew(monkeypatch, tmp_path, caplog):
    """Load a copy of the library, after a change; give what is said."""
    original = packing._LIBRARY
    monkeypatch.setattr(packing, "_LIBRARY", tmp_path / "copy.so")

    def load(change):
        packing._LIBRARY.unlink(missing_ok=True)  # never into a file that is loaded
        shutil.copy(original, packing._LIBRARY)
        change(packing._LIBRARY)
        found = packing.library.__wrapped__()
        assert (found is None) == (bool(caplog.text) or not packing._LIBRARY.exists())
        return caplog.text

    return load


def outdate(library):
    source = library.with_name("packing.cpp")
    source.write_text("")
    os.utime(source, (library.stat().st_mtime + 1,) * 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda library: None, ""),
        (lambda library: library.unlink(), ""),
        (lambda library: library.write_bytes(b"no library"), "cannot be loaded"),
        (outdate, "older than its source"),
    ],
)
def test_a_library_of_no_use_is_named(change, said, load_anew):
    found = load_anew(change)
    assert said in found
    assert bool(said) == bool(found)


def test_another_numpy_or_another_version_is_noticed(load_anew, monkeypatch):
    class Fields(packing.ctypes.Structure):
        _fields_ = (("one", packing.ctypes.c_int64),)

    with monkeypatch.context() as other:
        other.setattr(packing, "_Batch", Fields)
        assert "another version of srnn" in load_anew(lambda _: None)
    with monkeypatch.context() as other:
        other.setattr(np.random, "PCG64", np.random.PCG64DXSM)
        assert "other random numbers" in load_anew(lambda _: None)
