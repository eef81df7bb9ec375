"""NMNIST from its archive to tensors: the files, their checks, and what tonic makes of them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from srnn.datasets import DataError, load
from srnn.datasets.tonic_source import TonicPart, TonicSource

from .recordings import (
    check_all,
    parts,
    tonic,
)


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


def test_a_folder_that_cannot_be_searched_is_one_sentence(
    open_folder, somebody_else, no_download, one_sentence
):
    (open_folder / "NMNIST").mkdir(mode=0o700)
    with somebody_else(), pytest.raises(DataError, match="checked cannot be looked for") as e:
        load("tonic:NMNIST", open_folder)
    one_sentence(e)


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
