"""The cache of binned events: built once, whole or not there, and noticed when damaged."""

import json
import logging
import multiprocessing
import pickle

import numpy as np
import pytest

from srnn.datasets import EventOptions, SequenceLoader, event_cache
from srnn.datasets.binning import Binning
from srnn.datasets.event_cache import EventLists, binned, cache_root
from srnn.datasets.event_sequences import EventSequences
from srnn.datasets.spike_file import SpikeFile

from .helpers import ARRAYS, BINNING, everything, only_folder, same


def test_a_cache_holds_what_binning_gives(source, cache):
    lists = binned(source, BINNING)
    expected, lost = BINNING.apply(source.recordings)
    assert same(everything(lists), expected)
    assert (len(lists), lists.lost, len(lists.channels)) == (20, lost, len(expected.step))
    assert len(lists.channels) + lists.lost == lists.total == sum(map(len, source.recordings))
    assert only_folder(cache).name.startswith("recordings-14000us-100x700-")


@pytest.mark.parametrize(("limit", "size"), [("_AT_ONCE", 7), ("_EVENTS_AT_ONCE", 100)])
def test_more_than_is_binned_at_once(source, monkeypatch, limit, size):
    half = Binning(14_000, 50, source.sensor, 1)
    whole = binned(source, half)
    assert whole.lost > 100
    monkeypatch.setattr(event_cache, limit, size)
    portions = [len(portion) for portion in event_cache._portions(source)]
    assert len(portions) > 2
    assert sum(portions) == len(source)
    source.identity = "in pieces"
    pieces = binned(source, half)
    assert same(everything(pieces), everything(whole))
    assert pieces.lost == whole.lost


def test_any_order_and_any_number_of_times(source):
    lists = binned(source, BINNING)
    for indices in ([3], [5, 5, 0, 19, 5], []):
        expected, _ = BINNING.apply([source.recordings[i] for i in indices])
        assert same(lists.take(indices), expected)


def test_built_once(source, cache, caplog):
    caplog.set_level(logging.INFO)
    first = binned(source, BINNING)
    assert source.read == list(range(20))
    assert "binning 20 recordings of recordings, once" in caplog.text
    caplog.clear()
    assert same(everything(binned(source, BINNING)), everything(first))
    assert source.read == list(range(20))
    assert "once" not in caplog.text
    only_folder(cache)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_recordings_without_events(count, recordings, cochlea_events):
    empty = recordings([cochlea_events([], [])] * count, (700, 1, 1))
    lists = binned(empty, BINNING)
    assert (len(lists), lists.total, lists.lost) == (count, 0, 0)
    assert same(everything(lists), BINNING.apply(empty.recordings)[0])
    binned(empty, BINNING)
    assert len(empty.read) == count


def test_more_channels_than_16_bits(recordings, cochlea_events):
    wide = (100_000, 1, 1)
    source = recordings([cochlea_events([0, 0], [99_999, 65_536])], wide)
    lists = binned(source, Binning(1000, 1, wide, 1))
    assert lists.take([0]).channel.tolist() == [65_536, 99_999]


@pytest.mark.parametrize(
    "binning",
    [
        Binning(7_000, 100, (700, 1, 1), 1),
        Binning(14_000, 99, (700, 1, 1), 1),
        Binning(14_000, 100, (700, 1, 1), 5),
        Binning(14_000, 100, (701, 1, 1), 1),
    ],
)
def test_another_binning_has_another_cache(binning, source, cache):
    binned(source, BINNING)
    lists = binned(source, binning)
    assert len(source.read) == 40
    assert len(list(cache.iterdir())) == 2
    assert same(everything(lists), binning.apply(source.recordings)[0])


def test_another_file_has_another_cache(path, cache, write_spikes, spoken, tmp_path):
    def first_channels(path):
        return binned(SpikeFile(path), BINNING).take([0]).channel.tolist()

    def written(path):
        file = SpikeFile(path)
        return BINNING.apply([file[0]])[0].channel.tolist()

    before = first_channels(path)
    # Of the same name in another folder, and in the place of the first one.
    other = write_spikes(tmp_path / "other" / path.name, spoken(20, seed=2))
    assert first_channels(other) == written(other) != before
    write_spikes(path, spoken(20, seed=3))
    assert first_channels(path) == written(path) != before
    assert len(list(cache.iterdir())) == 3


def test_lost_events_are_reported_whenever_it_is_opened(recordings, cochlea_events, caplog, cache):
    source = recordings([cochlea_events([0, 1, 5_000, 9_000], [0] * 4)] * 2, (700, 1, 1))
    for _ in range(2):
        caplog.clear()
        assert binned(source, Binning(1000, 5, (700, 1, 1), 1)).lost == 4
        assert "recordings: 4 of 8 events come after 5 ms and are left out" in caplog.text
    caplog.clear()
    binned(source, Binning(1000, 10, (700, 1, 1), 1))
    assert "left out" not in caplog.text


def test_pickled_as_its_folder(source):
    lists = binned(source, BINNING)
    pickled = pickle.dumps(lists)
    assert len(pickled) < 500
    assert same(everything(pickle.loads(pickled)), everything(lists))


def test_it_is_mapped_and_cannot_be_written_to(source):
    lists = binned(source, BINNING)
    for name in ARRAYS:
        assert isinstance(getattr(lists, name), np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        lists.channels[0] = 1


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_give_the_same_batches(method, path):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("only elsewhere")
    file = SpikeFile(path)
    sequences = EventSequences(None, binned(file, BINNING), BINNING, file.labels, np.arange(20))
    loader = SequenceLoader(sequences, 6, shuffle=True, num_workers=2)
    loader.multiprocessing_context = method
    batches = zip(loader, SequenceLoader(sequences, 6, shuffle=True), strict=True)
    for (x1, y1), (x2, y2) in batches:
        assert x1.equal(x2)
        assert y1.equal(y2)
        assert x1.any()


class TestDamage:
    def rebuilt(self, source, cache, caplog):
        """Open a damaged cache: it has to be noticed, and to be whole afterwards."""
        before, caplog_before = len(source.read), len(caplog.records)
        lists = binned(source, BINNING)
        assert len(source.read) == before + 20
        (record,) = caplog.records[caplog_before:]
        assert record.levelname == "WARNING"
        assert "is damaged" in record.message
        assert "is built again" in record.message
        assert same(everything(lists), BINNING.apply(source.recordings)[0])
        only_folder(cache)
        binned(source, BINNING)
        assert len(source.read) == before + 20

    @pytest.mark.parametrize("name", ARRAYS)
    @pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
    def test_a_flipped_bit(self, name, place, source, cache, caplog):
        binned(source, BINNING)
        path = only_folder(cache) / name
        content = bytearray(path.read_bytes())
        content[int(place * (len(content) - 1))] ^= 4
        path.write_bytes(content)
        self.rebuilt(source, cache, caplog)

    @pytest.mark.parametrize("name", [*ARRAYS, "manifest.json"])
    @pytest.mark.parametrize("change", ["shorter", "longer", "empty", "gone", "a folder"])
    def test_another_length(self, name, change, source, cache, caplog):
        binned(source, BINNING)
        path = only_folder(cache) / name
        content = path.read_bytes()
        if change in ("gone", "a folder"):
            path.unlink()
            if change == "a folder":
                path.mkdir()
        else:
            changed = {"shorter": content[:-2], "longer": content + b"\1\2", "empty": b""}
            path.write_bytes(changed[change])
        self.rebuilt(source, cache, caplog)

    @pytest.mark.parametrize(
        "content",
        [b"\xff\xfe", b"null", b"[]", b'"text"', b"{}", b'{"manifest": {}}', b"{" * 100],
    )
    def test_a_manifest_of_garbage(self, content, source, cache, caplog):
        binned(source, BINNING)
        (only_folder(cache) / "manifest.json").write_bytes(content)
        self.rebuilt(source, cache, caplog)

    def test_a_flipped_bit_anywhere_in_the_manifest(self, source, cache):
        lists = binned(source, BINNING)
        folder = only_folder(cache)
        path = folder / "manifest.json"
        whole = path.read_bytes()
        described = json.loads(whole)["manifest"]["described"]
        for place in range(len(whole)):
            changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
            path.write_bytes(changed)
            try:
                event_cache._verify(folder, described)
            except (event_cache._DamagedError, ValueError, LookupError, TypeError):
                continue
            assert EventLists(folder).lost == lists.lost
            assert json.loads(changed) == json.loads(whole), "only white space may differ"

    def test_a_cache_of_something_else(self, source, cache, caplog, spoken):
        binned(source, BINNING)
        here = only_folder(cache)
        source.identity, source.recordings = "other", source.recordings[::-1]
        binned(source, BINNING)
        (there,) = set(cache.iterdir()) - {here}
        for path in there.iterdir():
            path.unlink()
        there.rmdir()
        here.rename(there)
        self.rebuilt(source, cache, caplog)

    def test_found_by_two_processes_at_the_same_time(self, source, cache, monkeypatch):
        binned(source, BINNING)
        folder = only_folder(cache)
        verify = event_cache._verify

        def slow(*_):
            # The other process was faster: it has found the damage and moved the folder away.
            monkeypatch.setattr(event_cache, "_verify", verify)
            folder.rename(cache / "moved")
            raise event_cache._DamagedError("so it is")

        monkeypatch.setattr(event_cache, "_verify", slow)
        lists = binned(source, BINNING)
        assert same(everything(lists), BINNING.apply(source.recordings)[0])
        assert {path.name for path in cache.iterdir()} == {"moved", folder.name}


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("SRNN_CACHE", str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    monkeypatch.setenv("SRNN_CACHE", "~/b")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / "b"
    for unset in ("", None):
        monkeypatch.setenv("SRNN_CACHE", unset) if unset == "" else monkeypatch.delenv("SRNN_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache_root() == tmp_path / "xdg" / "srnn-cache"
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert cache_root() == tmp_path / ".cache" / "srnn-cache"


def test_augmentation_needs_no_cache_of_its_own(source, cache):
    for options in (EventOptions(), EventOptions(shift=3, jitter_ms=5)):
        binned(source, options.binning(source.sensor, 14, 1400))
    only_folder(cache)
    assert len(source.read) == 20
