import dataclasses
import hashlib

import h5py
import numpy as np
import pytest

from srnn.datasets import heidelberg

from .helpers import SAMPLES


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Make a file that is there the published one."""

    def make(name, part, path):
        files = {"shd": heidelberg.SHD_FILES, "ssc": heidelberg.SSC_FILES}[name]
        md5 = hashlib.md5(path.read_bytes()).hexdigest() if name == "shd" else None
        changed = dataclasses.replace(files[part], md5=md5, samples=SAMPLES[name][part])
        monkeypatch.setitem(files, part, changed)

    return make


@pytest.fixture
def root(tmp_path, write_spikes, spoken, publish):
    """A data root with small files; sample i of each has i + 1 events at 0 s, in its channels."""
    for name, parts in SAMPLES.items():
        for seed, (part, count) in enumerate(parts.items()):
            path = tmp_path / name.upper() / f"{name}_{part}.h5"
            samples = [
                (
                    np.concatenate([np.zeros(i + 1), 0.1 + 0.9 * times]),
                    np.concatenate([range(i + 1), units]),
                )
                for i, (times, units) in enumerate(spoken(count, seed))
            ]
            speaker = np.arange(count, dtype=np.uint16) * 7 % (10 if part == "train" else 12)
            write_spikes(path, samples, speaker=speaker)
            publish(name, part, path)
    return tmp_path


@pytest.fixture
def read(monkeypatch):
    """Note which datasets of which files are read."""
    noted = set()

    def spy(name):
        original = getattr(h5py.Dataset, name)

        def noting(self, *arguments, **options):
            noted.add((self.file.filename.rpartition("/")[2], self.name))
            return original(self, *arguments, **options)

        monkeypatch.setattr(h5py.Dataset, name, noting)

    for name in ("__getitem__", "__iter__", "__array__", "astype", "asstr", "read_direct"):
        spy(name)
    return noted
