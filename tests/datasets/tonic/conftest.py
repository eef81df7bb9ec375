"""Places and files that the tests of tonic's data sets share."""

import pytest

from .recordings import (
    as_bin,
    published,
    recording,
    tonic,
)


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
