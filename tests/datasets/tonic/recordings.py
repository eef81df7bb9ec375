"""Recordings in the formats of tonic's data sets, and what tonic itself makes of them."""

import hashlib
import io
import tarfile
import zipfile

import numpy as np
import pytest
import torch

tonic = pytest.importorskip("tonic")
pytest.importorskip("tonic.datasets")
pytest.importorskip("tonic.transforms")

EVENT = np.dtype([("t", int), ("x", int), ("y", int), ("p", int)])


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
