"""Transforms of tonic, against its own binning."""

import logging
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
import torch

from srnn.datasets import DataError, EventOptions, SequenceLoader
from srnn.datasets.binning import Binning
from srnn.datasets.event_transforms import TransformedEvents

from .helpers import BINNING, OPTIONS, batches

SENSOR = (700, 1, 1)


@pytest.fixture(scope="module")
def transforms():
    return pytest.importorskip("tonic").transforms


def by_hand(file, index, transform, transforms, seed):
    """Apply a transform and tonic's own binning."""
    before = np.random.get_state()
    np.random.seed(np.random.SeedSequence(seed).generate_state(4))
    events = transform(file[index])
    np.random.set_state(before)
    events = events[(events["t"] >= 0) & (events["x"] >= 0) & (events["x"] < 700)]
    if len(events) == 0:
        return np.zeros((100, 700))
    events["p"] = 0  # tonic's noise has another polarity than its reader of SHD
    frame = transforms.ToFrame(SENSOR, time_window=14_000, start_time=0, end_time=1_400_000)
    return frame(np.sort(events, order="t"))[:, 0]


def transform_of(transforms, name):
    return {
        "drop": transforms.DropEvent(p=0.3),
        "jitter": transforms.TimeJitter(std=30_000, clip_negative=False),
        "noise": transforms.UniformNoise(sensor_size=SENSOR, n=20),
        "skew": transforms.TimeSkew(coefficient=(0.5, 1.5)),
        "several": transforms.Compose(
            [
                transforms.DropEvent(p=0.2),
                transforms.TimeJitter(std=5_000, clip_negative=True),
                transforms.UniformNoise(sensor_size=SENSOR, n=(5, 10)),
            ]
        ),
    }[name]


class TestTransforms:
    @pytest.mark.parametrize("name", ["drop", "jitter", "noise", "skew", "several"])
    def test_as_by_hand(self, name, part, file, transforms):
        transform = transform_of(transforms, name)
        chosen = np.array([i for i in range(14) if len(file[i]) > 20])  # some need events
        assert len(chosen) > 4
        sequences = part(transform=transform, values="count", augment_seed=2, chosen=chosen)
        for epoch in (0, 1):
            sequences.set_epoch(epoch)
            inputs, targets = sequences.__getitems__(range(len(chosen)))
            for position, index in enumerate(chosen):
                seed = [2, epoch, int(index)]
                expected = by_hand(file, index, transform, transforms, seed)
                np.testing.assert_array_equal(inputs[:, position], expected)
            assert targets.tolist() == file.labels[chosen].tolist()

    def test_of_a_camera_as_by_hand(self, recordings, transforms):
        sensor = (6, 5, 2)
        random = np.random.default_rng(0)
        events = np.zeros(300, [("x", int), ("y", int), ("t", int), ("p", int)])
        for field, size in zip("xypt", (*sensor, 100_000), strict=True):
            events[field] = (
                np.sort(random.integers(size, size=300))
                if field == "t"
                else (random.integers(size, size=300))
            )
        transform = transforms.Compose(
            [
                transforms.Denoise(filter_time=3_000),
                transforms.DropEvent(p=0.3),
                transforms.RandomFlipLR(sensor_size=sensor, p=0.5),
                transforms.UniformNoise(sensor_size=sensor, n=20),
            ]
        )
        binning = Binning(10_000, 10, sensor, 1)
        source = recordings([events], sensor)
        taken = TransformedEvents(source, binning, [transform], 7).take([0], 2)
        ours = np.zeros((10, 60))
        np.add.at(ours, (taken.step, taken.channel), 1)

        np.random.seed(np.random.SeedSequence([7, 2, 0]).generate_state(4))
        to_frame = transforms.ToFrame(sensor, time_window=10_000, start_time=0, end_time=100_000)
        theirs = to_frame(np.sort(transform(events.copy()), order="t"))
        assert 20 < theirs.sum() < 300
        np.testing.assert_array_equal(ours, theirs.reshape(10, 60))

    def test_the_same_for_the_same_recording_and_epoch(self, part, transforms):
        options = {"transform": transforms.TimeJitter(std=30_000, clip_negative=True)}
        sequences = part(**options)
        first, _ = sequences.__getitems__(range(14))
        np.random.random(5)
        for order in ([7], [9, 2, 9], [13, 12]):
            assert sequences.__getitems__(order)[0].equal(first[:, order])
        sequences.set_epoch(1)
        second, _ = sequences.__getitems__(range(14))
        assert not second.equal(first)
        other, _ = part(**options, augment_seed=1).__getitems__(range(14))
        assert not other.equal(first)
        sequences.set_epoch(0)
        assert sequences.__getitems__(range(14))[0].equal(first)

    def test_numpys_global_state_is_left_alone(self, part, transforms):
        sequences = part(transform=transforms.UniformNoise(sensor_size=SENSOR, n=20))
        np.random.seed(3)
        expected = np.random.random(8)
        np.random.seed(3)
        np.random.standard_normal()  # leaves a second number for the next call
        state = np.random.get_state()
        sequences.__getitems__(range(14))
        for before, after in zip(state, np.random.get_state(), strict=True):
            np.testing.assert_array_equal(before, after)
        np.random.seed(3)
        assert (np.random.random(8) == expected).all()

    def test_numpys_global_state_is_given_back_after_an_error(self, part):
        def broken(events):
            np.random.random()
            raise RuntimeError("the transform's own")

        state = np.random.get_state()[1].copy()
        position = np.random.get_state()[2]
        with pytest.raises(RuntimeError, match="the transform's own"):
            part(transform=broken)[0]
        assert (np.random.get_state()[1] == state).all()
        assert np.random.get_state()[2] == position

    def test_those_for_training_come_last_and_are_for_training_only(self, part):
        order = []

        def first(events):
            order.append("first")
            return events

        def second(events):
            order.append("second")
            return events[:0]

        train = part(transform=first, train_transform=second)
        assert not train[5][0].any()
        assert order == ["first", "second"]
        valid = part(transform=first, train_transform=second, training=False)
        assert valid[5][0].equal(part()[5][0])
        assert order == ["first", "second", "first"]

    def test_what_a_network_is_judged_by_stays_in_epoch_0(self, part, transforms):
        transform = transforms.TimeJitter(std=30_000, clip_negative=True)
        valid = part(transform=transform, training=False)
        loader = SequenceLoader(valid, 4)
        first, second = batches(loader), batches(loader)
        assert first == second
        train = part(transform=transform)
        train.set_epoch(0)
        assert batches(SequenceLoader(train, 4)) == first
        assert batches(loader) != batches(SequenceLoader(part(training=False), 4))
        again = batches(SequenceLoader(train, 4), 2)
        assert again[:4] == first
        assert again[4:] != first

    def test_augmentation_comes_after_binning(self, part):
        sequences = part(transform=lambda events: events[::-1], **OPTIONS)
        assert sequences.__getitems__(range(14))[0].equal(
            part(**OPTIONS).__getitems__(range(14))[0]
        )

    def test_no_cache_is_written(self, part, cache):
        part(transform=lambda events: events)[0]
        assert not cache.exists()
        part(train_transform=lambda events: events, training=False)
        assert cache.exists()

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_in_workers(self, method, part, transforms):
        if method not in multiprocessing.get_all_start_methods():
            pytest.skip("only elsewhere")
        sequences = part(transform=transforms.TimeJitter(std=30_000, clip_negative=True))
        expected = batches(SequenceLoader(sequences, 4, shuffle=True))
        loader = SequenceLoader(sequences, 4, shuffle=True, num_workers=2)
        loader.multiprocessing_context = method
        assert batches(loader) == expected

    def test_frames_are_refused(self, part, transforms, one_sentence):
        to_frame = transforms.ToFrame(sensor_size=SENSOR, n_time_bins=10)
        with pytest.raises(DataError, match=r"ndarray .* leave transforms to frames out") as error:
            part(transform=transforms.Compose([to_frame]))[0]
        one_sentence(error)

    @pytest.mark.parametrize(
        "transform",
        [
            lambda _: None,
            lambda events: torch.zeros(3),
            lambda events: events["t"],
            lambda events: events[["x", "p"]],
            lambda events: list(events),
        ],
        ids=["nothing", "a tensor", "times", "no times", "a list"],
    )
    def test_other_things_are_refused(self, transform, part, one_sentence):
        with pytest.raises(DataError, match="leave transforms to frames out") as error:
            part(transform=transform)[0]
        one_sentence(error)

    @pytest.mark.parametrize("field", ["y", "p"])
    def test_a_camera_needs_all_its_fields(self, field, recordings, one_sentence):
        kind = [("x", int), ("y", int), ("t", int), ("p", int)]
        source = recordings([np.ones(3, kind)], (4, 4, 2))
        names = [name for name, _ in kind if name != field]
        events = TransformedEvents(
            source, Binning(10, 2, source.sensor, 1), [lambda e: e[names]], 0
        )
        with pytest.raises(DataError, match="leave transforms to frames out") as error:
            events.take([0], 0)
        one_sentence(error)

    def test_events_moved_off_the_sensor_are_left_out(self, part, file):
        def move(events):
            events["x"] += 650
            events["t"] -= 200_000
            return events

        inputs, _ = part(transform=move, values="count").__getitems__(range(14))
        for index in range(14):
            events = file[index]
            stay = events[(events["x"] < 50) & (events["t"] >= 200_000)]
            assert inputs[:, index].sum() == len(stay)
            for event in stay:
                assert inputs[(event["t"] - 200_000) // 14_000, index, event["x"] + 650]

    def test_events_moved_off_a_camera(self, recordings):
        kind = [("x", float), ("y", float), ("t", float), ("p", int)]
        rows = [(1, 1, 5, 1), (4, 1, 5, 1), (1, 4, 5, 1), (1, 1, 5, 2), (-1, 1, 5, 0)]
        rows += [(1, 1, -0.5, 0), (1, 1, float("nan"), 0), (1, 1, 19.9, 0)]
        source = recordings([np.array(rows, kind)], (4, 4, 2))
        events = TransformedEvents(source, Binning(10, 2, source.sensor, 1), [lambda e: e], 0)
        taken = events.take([0], 0)
        assert (taken.step.tolist(), taken.channel.tolist()) == ([0, 1], [21, 5])

    def test_events_moved_behind_the_end_are_reported_once(self, part, file, caplog):
        def delay(events):
            events["t"] += 700_000
            return events

        late = (file[0]["t"] >= 700_000).sum()
        assert late > 0
        sequences = part(transform=delay)
        for _ in range(2):
            sequences[0]
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.message.startswith("shd_train: events that transforms move behind the end")
        assert f" {late} in the first batch" in record.message

    def test_what_a_transform_does_in_place_is_not_kept(self, part):
        def clear(events):
            events["t"] = 0
            return events

        sequences = part(transform=clear)
        assert sequences[1][0].equal(sequences[1][0])
        assert part()[1][0][1:].any()


def test_the_encoding_in_words(transforms):
    plain = EventOptions()
    binary = replace(BINNING, binary=True)
    assert plain.phrase(binary) == "700 channels, 100 steps of 14 ms, binary"
    several = EventOptions(
        values="count", shift=20, drop=0.1, transform=transforms.DropEvent(p=0.5)
    )
    assert several.phrase(BINNING) == (
        "700 channels, 100 steps of 14 ms, counts, transform DropEvent(p=0.5); in training "
        "channels shifted by up to 20, 10 % of events dropped"
    )
