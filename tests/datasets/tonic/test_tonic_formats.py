"""Every data set of tonic by small files in its own format."""

import gzip
import hashlib
import io
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from srnn.datasets import DataError, load
from srnn.datasets.tonic_source import TonicPart

from .recordings import (
    as_bin,
    as_npy,
    check_all,
    published,
    recording,
    tonic,
    zipped,
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tonic unpacks without a filter
def test_dvs_gesture_has_milliseconds_and_is_pooled(root, monkeypatch, no_download):
    sensor, written = (128, 128, 2), []
    for part in ("Train", "Test"):
        members = {}
        for user in ("user02_led", "user01_fluorescent_led"):
            for label in range(10):
                events = recording([len(written)], sensor, milliseconds=900)
                columns = [events[f] for f in "xyp"] + [events["t"] // 1000]
                name = f"ibmGesture{part}/{user}/{label}.npy"
                members[name] = as_npy(np.stack(columns, 1).astype(float))
                written.append((part, events, label))
        archive = root / "DVSGesture" / f"ibmGesture{part}.tar.gz"
        published(archive, members, monkeypatch, tonic.datasets.DVSGesture, f"{part.lower()}_md5")
    splits = load("tonic:DVSGesture", root)
    assert splits.info.channels == 2 * 32 * 32
    assert "32" in splits.info.encoding or "4 x 4" in splits.info.encoding
    assert splits.info.steps in (90, 89)
    splits = load("tonic:DVSGesture", root, pool=1, values="count", bin_ms=20, duration_ms=900)
    expected = [(events, label) for part, events, label in written if part == "Train"]
    check_all(splits.joined, expected, 45, 20_000, sensor)
    # By path, whatever the order of the file system: user01 comes first.
    part = TonicPart("DVSGesture", root, "train", ("train", True))
    assert "user01_fluorescent_led/0.npy" in part.describe(0)


def test_ntidigits_are_single_digits(root, monkeypatch, no_download):
    path = root / "NTIDIGITS18" / "n-tidigits.hdf5"
    path.parent.mkdir()
    written = {}
    with h5py.File(path, "w") as file:
        for part in ("train", "test"):
            names = [f"man-ae-{word}" for word in ("o", "1", "12", "z", "3", "4-5", "9")]
            names = [
                f"{name.rsplit('-', 1)[0]}{i}-{name.rsplit('-', 1)[1]}"
                for i, name in enumerate(names)
            ]
            file[f"{part}_labels"] = np.array(names, "S")
            for i, name in enumerate(names):
                events = recording([part == "test", i], (64, 1, 1), milliseconds=800)
                file[f"{part}_addresses/{name}"] = events["x"]
                file[f"{part}_timestamps/{name}"] = events["t"] / 1e6 + 1e-7
                written[part, name] = events
    right = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(tonic.datasets.NTIDIGITS18, "file_md5", right)
    splits = load("tonic:NTIDIGITS18", root, values="count", bin_ms=10, validation=0.3)
    assert splits.info.classes == ("o", *"123456789", "z")
    assert splits.info.channels == 64
    names = [("o", 0), ("1", 1), ("z", 10), ("3", 3), ("9", 9), ("5", 5)]
    for part, sequences in (("train", splits.joined), ("test", splits.test)):
        expected = []
        for (of, name), events in written.items():
            word = name.rsplit("-", 1)[1]
            if of == part and len(word) == 1:
                audio = events[["t", "x", "p"]].copy()
                expected.append((audio, dict(names)[word]))
        assert len(expected) == 6
        check_all(sequences, expected, splits.info.steps, 10_000, (64, 1, 1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_poker_takes_an_archive_that_was_put_there(root, monkeypatch, no_download, one_sentence):
    if not (Path(tonic.datasets.__file__).parent / "pips_train.tar.gz").exists():
        with pytest.raises(DataError, match=r"put pips_train\.tar\.gz into") as e:
            load("tonic:POKERDVS", root)
        one_sentence(e)
    sensor, train = (35, 35, 2), []
    for part in ("train", "test"):
        members = {}
        for i in range(12):
            label = ["cl", "he", "di", "sp"][i % 4]
            events = recording([part == "test", i], sensor, milliseconds=40)
            columns = np.stack([events[field] for field in "txyp"], 1)
            members[f"pips_{part}/{label}/{i:02}.npy"] = as_npy(columns)
            train += [(events, i % 4)] if part == "train" else []
        archive = root / "POKERDVS" / f"pips_{part}.tar.gz"
        published(archive, members, monkeypatch, tonic.datasets.POKERDVS, f"{part}_md5")
    splits = load("tonic:POKERDVS", root, values="count", bin_ms=1, duration_ms=40)
    assert splits.info.classes == ("cl", "he", "di", "sp")
    check_all(splits.joined, train, 40, 1000, sensor)
    assert not (root / "POKERDVS" / "pips_test").exists()
    assert len(splits.test) == 12
    assert len(load("tonic:POKERDVS", root).joined) == 12


def test_dvs_lip_is_put_there_by_hand_and_checked(root, monkeypatch, one_sentence):
    with pytest.raises(DataError, match=r"put DVS-Lip\.zip \(from https://drive") as e:
        load("tonic:DVSLip", root)
    one_sentence(e)
    members = {}
    lip = np.dtype([("t", np.int32), ("x", np.int8), ("y", np.int8), ("p", np.int8)])
    for part in ("train", "test"):
        for i in range(10):
            events = recording([part == "test", i], (128, 128, 2), first=10_000 * i)
            name = f"DVS-Lip/{part}/{'young' if i % 2 else 'accused'}/{i}.npy"
            members[name] = as_npy(events.astype(lip))
    kind, archive = tonic.datasets.DVSLip, root / "DVSLip" / "DVS-Lip.zip"
    published(archive, members, monkeypatch, kind, "file_md5")
    right = archive.read_bytes()
    archive.write_bytes(right[:-1])
    with pytest.raises(DataError, match="is cut off, or not the published file"):
        load("tonic:DVSLip", root)
    archive.write_bytes(right)
    monkeypatch.setattr(kind, "_folder_contains_at_least_n_files_of_type", lambda *_: True)
    splits = load("tonic:DVSLip", root)
    archive.unlink()  # which is as good as gone once it is unpacked
    for marker in archive.parent.glob(".*.checked"):
        marker.unlink()
    again = load("tonic:DVSLip", root)
    assert torch.equal(again.joined[3][0], splits.joined[3][0])
    assert [len(splits.joined), len(splits.test)] == [10, 10]
    # Its clock is that of the session.
    assert "times counted from each recording's first event" in splits.info.encoding
    assert splits.info.steps <= 151
    assert all(splits.joined[i][0][0].any() for i in range(10))


def test_smnist_is_generated_from_its_files(root, monkeypatch, no_download):
    random = np.random.default_rng(0)
    folder = root / "smnist"
    folder.mkdir()
    kind = tonic.datasets.SMNIST
    for part in ("train", "test"):
        images = random.integers(0, 256, (10, 784), np.uint8)
        contents = {
            "images": np.array([2051, 10, 28, 28], ">u4").tobytes() + images.tobytes(),
            "labels": np.array([2049, 10], ">u4").tobytes() + bytes(range(10)),
        }
        for what, content in contents.items():
            path = folder / f"{getattr(kind, f'{part}_{what}_file')}.gz"
            path.write_bytes(gzip.compress(content))
            right = hashlib.md5(path.read_bytes()).hexdigest()
            monkeypatch.setattr(kind, f"{part}_{what}_md5", right)
    splits = load("tonic:SMNIST", root, values="count", bin_ms=1)
    assert (splits.info.channels, splits.info.steps) == (99, 1566)
    assert sorted(splits.joined[i][1].item() for i in range(10)) == list(range(10))
    assert not (folder / "t10k-images-idx3-ubyte").exists()
    made = kind(root, train=False)
    check_all(splits.test, [made[i] for i in range(10)], 1566, 1000, (99, 1, 1))


def test_caltech_has_words_for_labels_and_no_split(root, monkeypatch, no_download):
    members, written = {}, []
    for i in range(30):
        events = recording(i, (170, 150, 2))
        label = ("yin_yang", "BACKGROUND_Google", "accordion")[i % 3]
        members[f"Caltech101/{label}/image_{i:04}.bin"] = as_bin(events)
        for field in "xy":
            events[field] -= events[field].min()
        written.append((events, ("BACKGROUND_Google", "accordion", "yin_yang").index(label)))
    archive = root / "NCALTECH101" / "N-Caltech101-archive.zip"
    published(archive, members, monkeypatch, tonic.datasets.NCALTECH101, "file_md5")
    splits = load("tonic:NCALTECH101", root, values="count", pool=1, bin_ms=50, duration_ms=300)
    assert splits.info.channels == 240 * 180 * 2
    assert splits.info.classes == ("BACKGROUND_Google", "accordion", "yin_yang")
    assert splits.info.caveat.startswith("no official split: test drawn by us")
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [22, 2, 6]
    found = [check_all(s, written, 6, 50_000, (240, 180, 2)) for s in (splits.joined, splits.test)]
    assert len(found[0] | found[1]) == 30


def test_asl_has_columns_and_archives_in_an_archive(root, monkeypatch, no_download):
    inner, written = {"a": {}, "c": {}}, []
    for i in range(20):
        letter, events = "ac"[i % 2], recording(i, (240, 180, 2), 90, first=100_000 + 3 * i)
        columns = {"ts": events["t"], "x": events["x"], "y": 179 - events["y"], "pol": events["p"]}
        file = io.BytesIO()
        scipy.io.savemat(file, {k: v[:, None].astype(np.uint32) for k, v in columns.items()})
        inner[letter][f"{letter}/{letter}_{i:04}.mat"] = file.getvalue()
        events["t"] -= events["t"].min()
        written.append((events, "ac".index(letter) * 2))
    members = {f"Yin_{letter}.zip": zipped(mats) for letter, mats in inner.items()}
    archive = root / "ASLDVS" / "ASLDVS.zip"
    published(archive, members, monkeypatch, tonic.datasets.ASLDVS, "file_md5")
    splits = load("tonic:ASLDVS", root, values="count", pool=1, bin_ms=10, duration_ms=90)
    assert len(splits.info.classes) == 26
    check_all(splits.joined, written, 9, 10_000, (240, 180, 2))
    assert load("tonic:ASLDVS", root).info.channels == 30 * 23 * 2


def test_a_missing_optional_package_is_named(root, monkeypatch, no_download, one_sentence):
    kind = tonic.datasets.CIFAR10DVS
    members = {
        name: zipped({f"{name[:-4]}/{i}.aedat4": b"" for i in range(2)})
        for name in kind.data_filename
    }
    archive = root / "CIFAR10DVS" / "CIFAR10DVS.zip"
    published(archive, members, monkeypatch, kind, "file_md5")
    monkeypatch.setitem(sys.modules, "aedat", None)
    with pytest.raises(DataError, match="pip install aedat") as e:
        load("tonic:CIFAR10DVS", root)
    one_sentence(e)
    monkeypatch.setattr(
        "tonic.datasets.cifar10dvs.read_aedat4",
        lambda path: recording(1, (128, 128, 2)).astype(kind.dtype),
    )
    splits = load("tonic:CIFAR10DVS", root)
    assert splits.info.classes[-1] == "truck"
    assert sorted(splits.joined[i][1].item() for i in range(16))[0] in (0, 1)
