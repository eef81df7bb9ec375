"""SHD and SSC: their files and options, and that the test file is read at the end."""

import dataclasses
import gzip
import hashlib
import zipfile

import h5py
import numpy as np
import pytest

from srnn.datasets import DataError, heidelberg, load

from .helpers import SAMPLES, numbers, through

VARIED = {"shift": 30, "stretch": 0.2, "jitter_ms": 20, "drop": 0.3}


def test_what_they_are(root):
    for name, classes in (("shd", 3), ("ssc", 3)):
        splits = load(name, root)
        info = splits.info
        assert (info.name, info.channels, info.steps) == (name, 700, 100)
        assert info.classes == ("zero", "eins", "fünf")
        assert not info.streaming
        assert info.encoding == "700 channels, 100 steps of 14 ms, binary"
        assert info.licence == "CC BY 4.0"
        assert splits.train.info == splits.valid.info == splits.test.info == info
        inputs, targets = splits.train.__getitems__([0, 2])
        assert inputs.shape == (100, 2, 700)
        assert targets.tolist() == [n % classes for n in np.array(numbers(splits.train))[[0, 2]]]


def test_the_published_sizes_and_checksums():
    # As of the published loaders; see the reference of the data sets.
    shd, ssc = heidelberg.SHD_FILES, heidelberg.SSC_FILES
    assert [file.samples for file in shd.values()] == [8156, 2264]
    assert [file.samples for file in ssc.values()] == [75466, 9981, 20382]
    assert [file.name for file in (*shd.values(), *ssc.values())] == [
        *("shd_train.h5", "shd_test.h5", "ssc_train.h5", "ssc_valid.h5", "ssc_test.h5")
    ]
    tonic = pytest.importorskip("tonic")
    theirs = tonic.datasets.SHD, tonic.datasets.SSC
    for ours, cls in zip((shd, ssc), theirs, strict=True):
        for part, file in ours.items():
            assert file.archive_md5 == getattr(cls, f"{part}_md5")
            assert f"{file.name}.zip" == getattr(cls, f"{part}_zip")
        assert heidelberg._ADDRESSES[0] == cls.base_url


class TestTheEnd:
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("shd", {}),
            ("shd", {"split": "random"}),
            ("shd", {"transform": lambda events: events}),
            ("shd", {"train_transform": lambda events: events, "drop": 0.5}),
            ("ssc", {}),
            ("ssc", {"values": "count", "drop": 0.5}),
        ],
    )
    def test_no_test_sample_is_read_before(self, name, options, root, read):
        splits = load(name, root, **options)
        through(splits.train)
        through(splits.valid)
        through(splits.joined)
        test = f"{name}_test.h5"
        assert {file for file, _ in read} == {f"{name}_{p}.h5" for p in SAMPLES[name]} - {test}
        through(splits.test)
        of_test = {dataset for file, dataset in read if file == test}
        assert {"/spikes/times", "/spikes/units", "/labels"} <= of_test

    def test_no_test_sample_could_be_read_before(self, root, write_spikes, publish):
        # Nothing can be made of this file but its length.
        path = root / "SHD" / "shd_test.h5"
        write_spikes(path, [([np.nan], [9_999])] * 11, labels=np.full(11, 99, np.uint16))
        publish("shd", "test", path)
        splits = load("shd", root)
        through(splits.train)
        through(splits.valid)
        through(splits.joined)
        with pytest.raises(DataError, match="labels outside of its 3 classes"):
            _ = splits.test
        with pytest.raises(DataError, match="labels outside of its 3 classes"):
            load("shd", root, split="test")

    def test_it_is_read_once(self, root):
        splits = load("shd", root)
        assert splits.test is splits.test
        assert numbers(splits.test) == list(range(11))

    @pytest.mark.parametrize(("name", "part"), [("shd", "test"), ("ssc", "valid"), ("ssc", "test")])
    def test_another_order_of_classes_is_refused(
        self, name, part, root, write_spikes, publish, one_sentence
    ):
        path = root / name.upper() / f"{name}_{part}.h5"
        keys = np.array([b"eins", b"zero", b"zwei"])
        write_spikes(path, [([0.0], [0])] * SAMPLES[name][part], keys=keys)
        publish(name, part, path)
        with pytest.raises(DataError, match=f"{part}.h5 has other classes than") as error:
            _ = load(name, root).test
        one_sentence(error)
        if part == "test":
            load(name, root)  # it is not looked into before the end


@pytest.mark.parametrize("name", ["shd", "ssc"])
class TestAugmentation:
    def test_validation_and_test_are_as_they_are(self, name, root):
        plain, varied = load(name, root), load(name, root, **VARIED)
        for part in ("valid", "test"):
            x1, y1 = getattr(plain, part).__getitems__(range(8))
            dataset = getattr(varied, part)
            for epoch in (0, 3):
                dataset.set_epoch(epoch)
                x2, y2 = dataset.__getitems__(range(8))
                assert x1.equal(x2)
                assert y1.equal(y2)
        x1, y1 = plain.train.__getitems__(range(8))
        x2, y2 = varied.train.__getitems__(range(8))
        assert not x1.equal(x2)
        assert y1.equal(y2)

    def test_joined_is_all_of_the_training_file_and_augmented_throughout(self, name, root):
        plain, varied = load(name, root).joined, load(name, root, **VARIED).joined
        counts = SAMPLES[name]
        expected = list(range(counts["train"])) + list(range(counts.get("valid", 0)))
        assert numbers(plain) == expected
        x1, y1 = plain.__getitems__(range(len(plain)))
        varied.set_epoch(0)
        first, targets = varied.__getitems__(range(len(varied)))
        varied.set_epoch(1)
        second, _ = varied.__getitems__(range(len(varied)))
        assert targets.equal(y1)
        for index in range(len(plain)):
            if x1[:, index].sum() > 20:
                assert not first[:, index].equal(x1[:, index])
                assert not first[:, index].equal(second[:, index])

    def test_the_info_says_what_is_done(self, name, root):
        info = load(name, root, bin_ms=4, duration_ms=1000, pool=5, **VARIED).info
        assert (info.channels, info.steps) == (140, 250)
        assert info.encoding == (
            "140 channels, 5 pooled to one, 250 steps of 4 ms, binary; in training channels "
            "shifted by up to 30, speed varied by up to 20 %, times jittered by 5 steps, 30 % of "
            "events dropped"
        )


def test_the_parts_of_ssc_are_its_files(root):
    splits = load("ssc", root)
    assert numbers(splits.train) == list(range(20))
    assert numbers(splits.valid) == list(range(9))
    assert numbers(splits.test) == list(range(13))
    assert splits.info.split.startswith("the published one: 20 samples to train, 9 to validate")
    assert splits.info.caveat == "epoch chosen on the published validation set"


@pytest.mark.parametrize(
    "speaker", ["text", "none", "numbers"], ids=["text", "no speakers", "numbers"]
)
def test_ssc_needs_no_speakers(speaker, root, write_spikes):
    # Its speakers are thousands, known by hashes in the data that it is made from.
    expected = {part: numbers(getattr(load("ssc", root), part)) for part in ("train", "test")}
    for part, count in SAMPLES["ssc"].items():
        given = {
            "text": [f"{number:08x}" for number in range(count)],
            "none": None,
            "numbers": np.arange(count),
        }[speaker]
        samples = [(np.zeros(i + 1), np.arange(i + 1)) for i in range(count)]
        path = root / "SSC" / f"ssc_{part}.h5"
        write_spikes(path, samples, speaker=given, described=False)
    splits = load("ssc", root)
    assert {part: numbers(getattr(splits, part)) for part in ("train", "test")} == expected
    assert len(splits.joined) == 29


def test_shd_needs_speakers_for_its_split_by_them(root, write_spikes, publish, one_sentence):
    path = root / "SHD" / "shd_train.h5"
    write_spikes(path, [([0.0], [0])] * 40, speaker=["3b195250"] * 40)
    publish("shd", "train", path)
    with pytest.raises(DataError, match="has no list 'extra/speaker' of integers") as error:
        load("shd", root)
    one_sentence(error)
    assert len(load("shd", root, split="random").joined) == 40


def test_the_bits_of_ssc_joined_are_its_inputs(root):
    joined = load("ssc", root).joined
    inputs, targets = joined.packed().__getitems__([25, 3, 20])
    dense, expected = joined.__getitems__([25, 3, 20])
    assert inputs.dense().equal(dense)
    assert targets.equal(expected)
    assert load("ssc", root, values="count").joined.packed() is None


def test_lost_events_are_reported(root, caplog):
    load("shd", root, duration_ms=700)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "events come after 700 ms and are left out" in record.message
    assert record.message.startswith("shd_train: ")


def test_one_cache_for_all_splits(root, cache):
    load("shd", root)
    load("shd", root, fold=1, shift=3, drop=0.1)
    splits = load("shd", root, split="random")
    _ = splits.joined
    assert len(list(cache.iterdir())) == 1
    _ = splits.test
    assert len(list(cache.iterdir())) == 2


def test_a_shift_leaves_some_channels(root, one_sentence):
    load("shd", root, pool=5, shift=139)
    with pytest.raises(DataError, match="shift=140 would move all of the 140 channels") as error:
        load("shd", root, pool=5, shift=140)
    one_sentence(error)


class TestFiles:
    def refused(self, name, root, one_sentence, message):
        with pytest.raises(DataError, match=message) as error:
            load(name, root)
        return one_sentence(error)

    @pytest.mark.parametrize("part", ["train", "test"])
    def test_another_checksum(self, part, root, one_sentence):
        path = root / "SHD" / f"shd_{part}.h5"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        message = self.refused("shd", root, one_sentence, "not the published file .*delete it")
        assert str(path) in message

    @pytest.mark.parametrize("name", ["shd", "ssc"])
    def test_a_file_that_is_still_packed(self, name, root, one_sentence):
        path = root / name.upper() / f"{name}_train.h5"
        path.write_bytes(gzip.compress(path.read_bytes()))
        message = self.refused(name, root, one_sentence, "is still packed: rename it to")
        assert str(path) in message

    @pytest.mark.parametrize("name", ["shd", "ssc"])
    def test_exchanged_files(self, name, root, one_sentence):
        train, test = (root / name.upper() / f"{name}_{part}.h5" for part in ("train", "test"))
        train.rename(root / "other")
        test.rename(train)
        (root / "other").rename(test)
        reason = {"shd": "not the published file", "ssc": "has 13 samples, and the published file"}
        assert str(train) in self.refused(name, root, one_sentence, reason[name])

    @pytest.mark.parametrize("part", ["train", "valid", "test"])
    def test_another_number_of_samples(self, part, root, write_spikes, one_sentence):
        path = root / "SSC" / f"ssc_{part}.h5"
        write_spikes(path, [([0.0], [0])] * 5)
        message = f"has 5 samples, and the published file {SAMPLES['ssc'][part]}"
        assert str(path) in self.refused("ssc", root, one_sentence, message)

    def test_a_file_of_something_else(self, root, publish, one_sentence):
        path = root / "SHD" / "shd_train.h5"
        with h5py.File(path, "w") as file:
            file["data"] = np.zeros(40)
        publish("shd", "train", path)
        self.refused("shd", root, one_sentence, "no file of the Heidelberg data sets")

    def test_a_missing_file_without_network(self, root, monkeypatch, one_sentence):
        (root / "SHD" / "shd_train.h5").unlink()
        monkeypatch.setattr(heidelberg, "_ADDRESSES", ("http://127.0.0.1:1/",))
        message = self.refused("shd", root, one_sentence, "by hand")
        assert "http://127.0.0.1:1/shd_train.h5.zip" in message

    def test_the_published_archives(self, root, monkeypatch):
        expected = numbers(load("shd", root).train)
        for part, file in list(heidelberg.SHD_FILES.items()):
            path = root / "SHD" / file.name
            archive = path.with_name(f"{file.name}.zip")
            with zipfile.ZipFile(archive, "w") as opened:
                opened.write(path, file.name)
            path.unlink()
            md5 = hashlib.md5(archive.read_bytes()).hexdigest()
            changed = dataclasses.replace(file, archive_md5=md5)
            monkeypatch.setitem(heidelberg.SHD_FILES, part, changed)
        assert numbers(load("shd", root).train) == expected


class TestOptions:
    def test_those_of_the_set_and_those_of_events(self, root):
        splits = load("shd", root, bin_ms=4, duration_ms=1000, values="count", split="random")
        assert splits.info.steps == 250
        assert splits.info.encoding.endswith("counts")
        assert "at random" in splits.info.split

    @pytest.mark.parametrize("name", ["shd", "ssc", "shd-synth"])
    @pytest.mark.parametrize("option", ["bins", "events", "encoding"])
    def test_an_unknown_one_is_answered_with_the_list(self, name, option, root, one_sentence):
        with pytest.raises(DataError, match=f"has no option '{option}'; it has ") as error:
            load(name, root, **{option: 1})
        listed = one_sentence(error).partition("it has ")[2].rstrip(".").split(", ")
        assert {"bin_ms", "pool", "shift", "transform"} <= set(listed)
        assert ("held_out" in listed) == (name != "ssc")
        assert not {"root", "events"} & set(listed)

    @pytest.mark.parametrize(
        "options",
        [
            {"bin_ms": 0},
            {"pool": 701},
            {"shift": -1},
            {"jitter_ms": "1"},
            {"drop": 2},
            {"values": "counts"},
            {"transform": "Denoise"},
            {"augment_seed": -3},
        ],
    )
    def test_a_value_without_meaning_is_refused_before_anything_is_binned(
        self, options, root, cache, one_sentence
    ):
        for name in ("shd", "ssc"):
            with pytest.raises(DataError, match=next(iter(options))) as error:
                load(name, root, **options)
            one_sentence(error)
        assert not cache.exists()
