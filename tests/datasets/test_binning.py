"""Binning against tonic, against a naive count, and in closed form."""

import dataclasses
import math
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.datasets import DataError
from srnn.datasets.binning import Binning
from srnn.datasets.event_sequences import EventOptions
from srnn.datasets.spike_file import SpikeFile

DVS = [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)]


def frames(binning, recordings):
    """Number of events of every place, [recordings, steps, channels], and the number lost."""
    events, lost = binning.apply(recordings)
    counts = np.zeros((len(recordings), binning.steps, binning.channels), np.int64)
    np.add.at(counts, (events.sequence, events.step, events.channel), 1)
    return counts, lost


def counted_one_by_one(binning, recordings):
    counts = np.zeros((len(recordings), binning.steps, binning.channels), np.int64)
    (width, height, _), pool, lost = binning.sensor, binning.pool, 0
    across, down = math.ceil(width / pool), math.ceil(height / pool)
    for number, events in enumerate(recordings):
        for event in events:
            step = int(event["t"]) // binning.width
            if step >= binning.steps:
                lost += 1
                continue
            y = int(event["y"]) // pool if height > 1 else 0
            p = int(event["p"]) if binning.sensor[2] > 1 else 0
            counts[number, step, (p * down + y) * across + int(event["x"]) // pool] += 1
    return counts, lost


def draw_dvs(random, count, sensor, end):
    width, height, polarities = sensor
    recordings = []
    for _ in range(count):
        events = np.zeros(random.integers(80), DVS)
        events["x"] = random.integers(width, size=len(events))
        events["y"] = random.integers(height, size=len(events))
        events["t"] = random.integers(end, size=len(events))
        events["p"] = random.integers(polarities, size=len(events))
        recordings.append(events)
    return recordings


@pytest.fixture(scope="module")
def tonic():
    return pytest.importorskip("tonic")


def to_frame(tonic, events, sensor, binning):
    if len(events) == 0:  # for which tonic makes no frames
        width, height, polarities = sensor
        rows = (height,) if "y" in events.dtype.names else ()
        return np.zeros((binning.steps, polarities, *rows, width))
    transform = tonic.transforms.ToFrame(
        sensor_size=sensor,
        time_window=binning.width,
        start_time=0,
        end_time=binning.width * binning.steps,
    )
    return transform(events[np.argsort(events["t"], kind="stable")])


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    bin_ms=st.sampled_from([0.5, 1, 2.5, 4, 10, 14, 33.333]),
    duration_ms=st.sampled_from([1, 250, 1000, 1400]),
)
def test_a_file_is_binned_as_tonic_reads_and_bins_it(
    tonic, write_spikes, spoken, seed, bin_ms, duration_ms
):
    with tempfile.TemporaryDirectory() as folder:
        path = write_spikes(Path(folder, "SHD", "shd_train.h5"), spoken(5, seed))
        # Without an archive beside it, tonic would download one.
        path.with_name("shd_train.h5.zip").touch()
        theirs = tonic.datasets.SHD(folder, train=True)
        ours = SpikeFile(path)
        binning = Binning.of(ours.sensor, bin_ms, duration_ms, 1)
        counts, lost = frames(binning, [ours[i] for i in range(5)])
        assert len(theirs) == len(ours) == 5
        total = 0
        for number in range(5):
            events, label = theirs[number]
            total += len(events)
            assert label == ours.labels[number]
            np.testing.assert_array_equal(events, ours[number])
            expected = to_frame(tonic, events, (700, 1, 1), binning)
            assert expected.shape == (binning.steps, 1, 700)
            np.testing.assert_array_equal(counts[number], expected[:, 0])
        assert counts.sum() + lost == total


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 9),
    height=st.integers(2, 7),
    pool=st.integers(1, 4),
)
def test_a_camera_is_binned_as_tonic_bins_it(tonic, seed, width, height, pool):
    sensor, pool = (width, height, 2), min(pool, max(width, height))
    recordings = draw_dvs(np.random.default_rng(seed), 3, sensor, 60_000)
    binning = Binning.of(sensor, 7, 50, pool)
    counts, lost = frames(binning, recordings)
    for events, ours in zip(recordings, counts, strict=True):
        theirs = to_frame(tonic, events, sensor, binning)
        assert theirs.shape == (8, 2, height, width)
        # Blocks at the border are smaller where the side is no multiple.
        padded = np.pad(theirs, [(0, 0), (0, 0), (0, -height % pool), (0, -width % pool)])
        blocks = padded.reshape(8, 2, padded.shape[2] // pool, pool, -1, pool)
        np.testing.assert_array_equal(ours, blocks.sum((3, 5)).reshape(8, -1))
    assert lost == sum((events["t"] >= 56_000).sum() for events in recordings)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 12),
    height=st.integers(1, 5),
    polarities=st.integers(1, 2),
    pool=st.integers(1, 5),
    microseconds=st.integers(1, 20_000),
    duration=st.integers(1, 100),
)
def test_every_event_is_counted_once_or_reported_lost(
    seed, width, height, polarities, pool, microseconds, duration
):
    sensor = (width, height, polarities)
    recordings = draw_dvs(np.random.default_rng(seed), 3, sensor, 80_000)
    binning = Binning(microseconds, duration, sensor, min(pool, max(width, height)))
    counts, lost = frames(binning, recordings)
    expected, expected_lost = counted_one_by_one(binning, recordings)
    np.testing.assert_array_equal(counts, expected)
    assert lost == expected_lost
    assert counts.sum() + lost == sum(map(len, recordings))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_events_come_in_the_order_of_sequence_step_and_channel(seed):
    recordings = draw_dvs(np.random.default_rng(seed), 4, (3, 2, 2), 50_000)
    binning = Binning(10_000, 4, (3, 2, 2), 1)
    events, _ = binning.apply(recordings)
    rows = list(zip(*events, strict=True))
    assert rows == sorted(rows)
    shuffled = [np.random.default_rng(1).permutation(events) for events in recordings]
    for one, other in zip(events, binning.apply(shuffled)[0], strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.int64


def test_the_edges_of_bins(cochlea_events):
    binning = Binning.of((5, 1, 1), bin_ms=10, duration_ms=30, pool=1)
    assert (binning.steps, binning.channels) == (3, 5)
    times = [0, 9_999, 10_000, 10_001, 19_999, 20_000, 29_999, 30_000, 10**12]
    events, lost = binning.apply([cochlea_events(times, [0, 0, 1, 1, 1, 2, 2, 3, 3])])
    assert events.step.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert events.channel.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert lost == 2


def test_an_incomplete_last_bin_is_a_whole_one(cochlea_events):
    binning = Binning.of((5, 1, 1), bin_ms=10, duration_ms=21, pool=1)
    assert binning.steps == 3
    events, lost = binning.apply([cochlea_events([29_999, 30_000], [4, 4])])
    assert (events.step.tolist(), lost) == ([2], 1)


def test_the_same_place_twice_is_two_events(cochlea_events):
    binning = Binning(1000, 4, (8, 1, 1), 1)
    events, lost = binning.apply([cochlea_events([2500, 100, 2500, 2501], [7, 3, 7, 7])])
    assert list(zip(*events, strict=True)) == [(0, 0, 3), (0, 2, 7), (0, 2, 7), (0, 2, 7)]
    assert lost == 0


def test_nothing_is_binned_to_nothing(cochlea_events):
    binning = Binning(1000, 4, (8, 1, 1), 1)
    empty = cochlea_events([], [])
    for recordings in ([], [empty], [empty, empty]):
        events, lost = binning.apply(recordings)
        assert [len(column) for column in events] == [0, 0, 0]
        assert lost == 0
    events, _ = binning.apply([empty, cochlea_events([0], [1]), empty])
    assert list(zip(*events, strict=True)) == [(1, 0, 1)]


def test_neighbours_are_pooled(cochlea_events):
    binning = Binning.of((7, 1, 1), bin_ms=1, duration_ms=1, pool=3)
    assert (binning.grid, binning.channels) == ((3, 1, 1), 3)
    counts, _ = frames(binning, [cochlea_events([0] * 7, range(7))])
    assert counts.tolist() == [[[3, 3, 1]]]
    assert Binning.of((700, 1, 1), 4, 1000, 5).channels == 140
    assert Binning.of((700, 1, 1), 4, 1000, 700).channels == 1


def test_the_channels_of_a_camera():
    events = np.array([(3, 1, 0, 1), (0, 0, 0, 0), (4, 2, 0, 0)], DVS)
    binning = Binning(1000, 1, (5, 3, 2), 1)
    assert binning.apply([events])[0].channel.tolist() == [0, 2 * 5 + 4, (1 * 3 + 1) * 5 + 3]
    pooled = Binning(1000, 1, (5, 3, 2), 2)
    assert pooled.grid == (3, 2, 2)
    assert pooled.apply([events])[0].channel.tolist() == [0, 1 * 3 + 2, (1 * 2 + 0) * 3 + 1]


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("bin_ms", [0.5, 1, 4, 10])
def test_no_rounding_moves_an_event(kind, bin_ms, write_spikes, tmp_path):
    # What the file says, in exact arithmetic: 10 ms are not 0.01 s, which no float is.
    near = np.arange(1, 1400) / 1000
    around = [np.nextafter(near.astype(kind), kind(end)) for end in (-1, 2)]
    times = np.sort(np.concatenate([near.astype(kind), *around]))
    path = write_spikes(tmp_path / "edges.h5", [(times, np.zeros(len(times)))], time=kind)
    binning = Binning.of((700, 1, 1), bin_ms, 2000, 1)
    events, lost = binning.apply([SpikeFile(path)[0]])
    width = Fraction(bin_ms) / 1000
    assert events.step.tolist() == [Fraction(float(t)) // width for t in times]
    assert lost == 0


def test_whole_milliseconds_stay_in_their_bin(cochlea_events):
    # 0.57 / 0.01 is 56.99999999999999, and 1.1 / 0.1 is 11.000000000000002.
    for bin_ms in (1, 2, 5, 7, 10, 14, 100):
        edges = range(0, 1400, bin_ms)
        binning = Binning.of((1, 1, 1), bin_ms, 1400, 1)
        times = [1000 * edge for edge in edges] + [1000 * edge + 999 for edge in edges]
        events, _ = binning.apply([cochlea_events(times, [0] * len(times))])
        assert events.step.tolist() == sorted(2 * list(range(len(edges))))


@pytest.mark.parametrize(
    ("bin_ms", "duration_ms", "width", "steps"),
    [
        (14.0, 1400.0, 14_000, 100),
        (4, 1000, 4_000, 250),
        (0.1, 0.7, 100, 7),
        (0.29, 58, 290, 200),
        (1.001, 1400, 1_001, 1399),
        (0.001, 1, 1, 1000),
        (2000, 1, 2_000_000, 1),
    ],
)
def test_the_number_of_steps(bin_ms, duration_ms, width, steps):
    # 0.29 * 1000 is 290.0 and a bit less: truncating would make bins of 289 microseconds.
    binning = Binning.of((700, 1, 1), bin_ms, duration_ms, 1)
    assert (binning.width, binning.steps) == (width, steps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bin_ms": 0}, "bin_ms must lie between 0.001"),
        ({"bin_ms": -4}, "bin_ms must lie between"),
        ({"bin_ms": float("nan")}, "bin_ms must lie between"),
        ({"bin_ms": float("inf")}, "bin_ms must lie between"),
        ({"bin_ms": "4"}, "bin_ms must be a number, not '4'"),
        ({"bin_ms": True}, "bin_ms must be a number, not True"),
        ({"bin_ms": 0.0015}, "bin_ms must be whole microseconds, not 0.0015 ms"),
        ({"bin_ms": 4.0001}, "bin_ms must be whole microseconds"),
        ({"duration_ms": 0}, "duration_ms must lie between"),
        ({"duration_ms": -1.0}, "duration_ms must lie between"),
        ({"duration_ms": float("nan")}, "duration_ms must lie between"),
        ({"duration_ms": [1000]}, "duration_ms must be a number"),
        ({"pool": 0}, "pool must be a whole number of at least 1"),
        ({"pool": 2.0}, "pool must be a whole number"),
        ({"pool": 701}, "pool=701 is larger than the sensor, 700 x 1"),
        ({"bin_ms": 0.001}, "bin_ms=0.001 makes 1400000 steps of 1400 ms, and 65536 are the most"),
    ],
)
def test_a_binning_without_meaning_is_refused(options, message, one_sentence):
    with pytest.raises(DataError, match=message) as error:
        EventOptions(**options).binning((700, 1, 1), 14, 1400)
    one_sentence(error)


@given(st.lists(st.tuples(st.integers(0, 4_999), st.integers(0, 6)), max_size=40))
def test_a_binary_binning_has_every_place_once(cochlea_events, places):
    events = cochlea_events(*np.array(places, int).reshape(-1, 2).T)
    every, late = Binning(1000, 4, (7, 1, 1), 2).apply([events, events])
    once, late_too = Binning(1000, 4, (7, 1, 1), 2, binary=True).apply([events, events])
    assert late == late_too == 2 * sum(time >= 4000 for time, _ in places)
    assert list(zip(*once, strict=True)) == sorted(set(zip(*every, strict=True)))


def test_a_data_set_has_its_own_binning_unless_another_is_asked_for():
    own = Binning.of((700, 1, 1), 14, 1400, 1)
    assert EventOptions(values="count").binning((700, 1, 1), 14, 1400) == own
    binary = dataclasses.replace(own, binary=True)
    assert EventOptions().binning((700, 1, 1), 14, 1400) == binary
    assert EventOptions(bin_ms=4).binning((700, 1, 1), 14, 1000).steps == 250
    assert EventOptions(duration_ms=700).binning((700, 1, 1), 14, 1400).steps == 50
    assert EventOptions(pool=5).binning((700, 1, 1), 14, 1400, 2).channels == 140
    assert EventOptions().binning((700, 1, 1), 14, 1400, 2).channels == 350


def test_a_binning_in_words():
    cochlea = Binning.of((700, 1, 1), 4, 1000, 1)
    assert cochlea.phrase == "700 channels, 250 steps of 4 ms, counts"
    pooled = dataclasses.replace(cochlea, pool=5, width=2_500)
    assert pooled.phrase == "140 channels, 5 pooled to one, 250 steps of 2.5 ms, counts"
    camera = Binning.of((128, 128, 2), 10, 1000, 4, binary=True)
    assert camera.phrase == "2048 channels, 4 x 4 pixels pooled to one, 100 steps of 10 ms, binary"
