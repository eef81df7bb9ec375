import gzip
import hashlib
import io
import os
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from srnn.datasets import DataError, load
from srnn.datasets.tonic_source import TonicPart, TonicSource

tonic = pytest.importorskip("tonic")
pytest.importorskip("tonic.datasets")
pytest.importorskip("tonic.transforms")

EVENT = np.dtype([("t", int), ("x", int), ("y", int), ("p", int)])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SRNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def no_download(monkeypatch):
    """Fail where tonic would go to the network."""

    def refuse(*_, **__):
        raise AssertionError("tonic tried to download")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("requests.get", refuse)


def recording(seed, sensor, milliseconds=300, events=200, first=0):
    """Random events, in the order of time; whole milliseconds."""
    random = np.random.default_rng(seed)
    made = np.empty(events, EVENT)
    made["t"] = 1000 * (first + np.sort(random.integers(0, milliseconds, events)))
    for field, size in zip("xyp", sensor, strict=True):
        made[field] = random.integers(0, size, events)
    return made


def frames(events, sensor, width, steps):
    """What tonic makes of a recording in the order of time, as it takes for granted."""
    events = events[np.argsort(events["t"], kind="stable")]
    to_frame = tonic.transforms.ToFrame(
        sensor, time_window=width, start_time=0, end_time=steps * width
    )
    return torch.from_numpy(to_frame(events).reshape(steps, -1).astype(np.float32))


def published(path, members, monkeypatch, kind, attribute):
    """Write an archive, and let tonic know it by its md5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    monkeypatch.setattr(kind, attribute, hashlib.md5(path.read_bytes()).hexdigest())
    return path


def as_bin(events):
    """The format of N-MNIST and N-Caltech101: five bytes an event."""
    t, p = events["t"], events["p"]
    columns = [events["x"], events["y"], (p << 7) | (t >> 16), (t >> 8) & 255, t & 255]
    return np.stack(columns, 1).astype(np.uint8).tobytes()


def as_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def nmnist(root, monkeypatch, no_download):
    """Twenty training and six test digits, in archives; what is in them by path."""
    kind, written = tonic.datasets.NMNIST, {}
    for part, size in (("train", 20), ("test", 6)):
        members = {}
        for i in range(size):
            events = recording([part == "test", i], (34, 34, 2))
            name = f"{part.title()}/{i % 2}/{i:05}.bin"
            members[name], written[name] = as_bin(events), events
        archive = root / "NMNIST" / f"{part}.zip"
        published(archive, members, monkeypatch, kind, f"{part}_md5")
    return written


def parts(splits):
    return splits.train, splits.valid


def digest(tensor):
    return hashlib.md5(tensor.numpy().tobytes()).hexdigest()


def check_all(sequences, expected, steps, width, sensor):
    """Compare sequences with tonic's frames, whatever their order; return their labels."""
    wanted = {digest(frames(e, sensor, width, steps)): label for e, label in expected}
    assert len(wanted) == len(expected)
    seen = []
    for inputs, target in (sequences[i] for i in range(len(sequences))):
        key = digest(inputs)
        assert wanted[key] == target
        seen.append(key)
    assert len(set(seen)) == len(seen)
    return set(seen)


def test_nmnist_is_what_tonic_makes_of_it(root, nmnist):
    splits = load("tonic:NMNIST", root, values="count", bin_ms=10, validation=0.25)
    info = splits.info
    assert (info.name, info.title, info.classes[1]) == ("tonic:NMNIST", "N-MNIST", "1 - one")
    assert (info.channels, info.steps) == (2 * 34 * 34, 30)
    assert "Orchard" in info.citation
    assert "random part" in info.caveat
    assert [len(part) for part in parts(splits)] == [15, 5]
    train = [(e, int(name.split("/")[1])) for name, e in nmnist.items() if "Train" in name]
    fitted = check_all(splits.train, train, 30, 10_000, (34, 34, 2))
    validated = check_all(splits.valid, train, 30, 10_000, (34, 34, 2))
    assert not fitted & validated
    assert len(check_all(splits.joined, train, 30, 10_000, (34, 34, 2))) == 20
    test = [(e, int(name.split("/")[1])) for name, e in nmnist.items() if "Test" in name]
    assert len(check_all(splits.test, test, 30, 10_000, (34, 34, 2))) == 6


def test_no_test_sample_is_read_before_the_end(root, nmnist, monkeypatch):
    read = []
    original = tonic.datasets.NMNIST.__getitem__
    monkeypatch.setattr(
        tonic.datasets.NMNIST,
        "__getitem__",
        lambda self, index: read.append(self.data[index]) or original(self, index),
    )
    splits = load("tonic:NMNIST", root)
    splits.train[0], splits.valid[0], splits.joined[0]
    assert read
    assert not any("/Test/" in path for path in read)
    assert splits.test[0]
    assert any("/Test/" in path for path in read)


def test_the_defaults_come_from_the_data_and_options_win(root, nmnist):
    info = load("tonic:NMNIST", root).info
    assert info.steps * 2 in (298, 300)  # 300 ms / 100 is nearer to 2 than to 5
    assert "1156" not in info.encoding
    assert "steps of 2 ms, binary" in info.encoding
    info = load("tonic:NMNIST", root, duration_ms=1000, pool=2).info
    assert (info.steps, info.channels) == (100, 2 * 17 * 17)


def test_a_transform_of_tonic_is_applied(root, nmnist):
    merged = tonic.transforms.MergePolarities()
    splits = load("tonic:NMNIST", root, transform=merged, bin_ms=10, values="count")
    plain = load("tonic:NMNIST", root, bin_ms=10, values="count")
    inputs, both = splits.train[0][0], plain.train[0][0].view(30, 2, -1)
    assert torch.equal(inputs.view(30, 2, -1)[:, 0], both.sum(1))


def test_an_archive_is_unpacked_once_and_again_if_that_was_interrupted(root, nmnist, monkeypatch):
    load("tonic:NMNIST", root)
    unpacked = root / "NMNIST" / "Train" / "1" / "00019.bin"
    before = unpacked.stat().st_mtime_ns
    load("tonic:NMNIST", root)
    assert unpacked.stat().st_mtime_ns == before
    # As a process leaves it that is killed while it unpacks: no marker, and a file missing.
    (root / "NMNIST" / ".train.zip.checked").unlink()
    unpacked.unlink()
    monkeypatch.setattr(
        tonic.datasets.NMNIST, "_check_exists", lambda _: True
    )  # tonic would trust it
    assert len(load("tonic:NMNIST", root).joined) == 20


def test_a_cut_off_archive_is_refused(root, nmnist, one_sentence):
    archive = root / "NMNIST" / "train.zip"
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train\.zip is cut off, or not the published file") as e:
        load("tonic:NMNIST", root)
    one_sentence(e)
    assert not list((root / "NMNIST").glob(".train*"))


def test_a_download_that_was_cut_off_is_begun_again(root, nmnist, monkeypatch):
    archive = root / "NMNIST" / "train.zip"
    whole = archive.read_bytes()
    archive.unlink()

    def killed(url, path):
        Path(path).write_bytes(whole[:1000])
        raise KeyboardInterrupt

    monkeypatch.setattr("tonic.download_utils._get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr("tonic.download_utils._urlretrieve", killed)
    with pytest.raises(KeyboardInterrupt):
        load("tonic:NMNIST", root)
    assert archive.stat().st_size == 1000
    monkeypatch.setattr(
        "tonic.download_utils._urlretrieve", lambda url, path: Path(path).write_bytes(whole)
    )
    assert len(load("tonic:NMNIST", root).joined) == 20


def test_a_missing_network_is_one_sentence(root, monkeypatch, one_sentence):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for name, archive in (("NMNIST", "train.zip"), ("NTIDIGITS18", "n-tidigits.hdf5")):
        with pytest.raises(DataError, match="could not be downloaded") as e:
            load(f"tonic:{name}", root)
        assert archive in one_sentence(e)
    assert not list(root.glob("*/.*"))


def test_a_read_only_folder_is_used_as_it_is(root, nmnist, monkeypatch, caplog):
    splits = load("tonic:NMNIST", root)
    for marker in (root / "NMNIST").glob(".*.checked"):
        marker.unlink()

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("srnn.datasets.tonic_files.hold_part", refuse)
    monkeypatch.setattr(tonic.datasets.NMNIST, "_check_exists", lambda _: True)
    again = load("tonic:NMNIST", root)
    assert torch.equal(again.train[3][0], splits.train[3][0])
    assert "unpacked stays unchecked" in caplog.text


def test_other_content_is_binned_anew(root, nmnist):
    splits = load("tonic:NMNIST", root, bin_ms=10, duration_ms=300)
    path = root / "NMNIST" / "Train" / "0" / "00000.bin"
    path.write_bytes(b"")
    again = load("tonic:NMNIST", root, bin_ms=10, duration_ms=300)
    assert splits.joined[0][0].any()
    assert not again.joined[0][0].any()


def test_a_source_pickles_as_its_description(root, nmnist):
    source = TonicSource(TonicPart("NMNIST", root, "train", ("train", True)), (34, 34, 2))
    again = pickle.loads(pickle.dumps(source))
    assert again.identity == source.identity
    assert np.array_equal(again[7], source[7])


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


def fake(monkeypatch, samples, labels, **attributes):
    """A class of tonic in memory; samples and labels by part, or alone where there is no part."""

    class Fake(tonic.dataset.Dataset):
        sensor_size = (4, 3, 2)

        def __init__(self, save_to):
            super().__init__(save_to)
            self.samples, self.words = samples, labels

        def __len__(self):
            return len(self.samples)

        def __getitem__(self, index):
            self.read.append(index)
            return self.samples[index].copy(), self.words[index]

    Fake.read = []
    for name, value in attributes.items():
        setattr(Fake, name, value)
    monkeypatch.setattr(tonic.datasets, "Fake", Fake, raising=False)
    monkeypatch.setattr(tonic.datasets, "__all__", [*tonic.datasets.__all__, "Fake"])
    return Fake


def small(size, seed=0, **options):
    return [recording([seed, i], (4, 3, 2), events=20, **options) for i in range(size)]


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of newer Pythons, about threads
def test_pixels_are_not_shifted_into_the_next_row(root, nmnist, one_sentence):
    with pytest.raises(DataError, match="34 x 34 pixels and 2 polarities, of which one row") as e:
        load("tonic:NMNIST", root, shift=1)
    one_sentence(e)


def test_two_processes_may_open_it_at_once(root, nmnist):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        sizes = list(pool.map(_training_size, [root] * 4))
    assert sizes == [20] * 4


def _training_size(root):
    return len(load("tonic:NMNIST", root).joined)
