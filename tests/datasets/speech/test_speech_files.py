"""The files: layout, balance, determinism, density, and that they are whole or not there."""

import logging
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import h5py
import numpy as np
import pytest

from srnn.datasets import DataError
from srnn.datasets.speech import files, write_files
from srnn.datasets.speech.phonemes import WORDS


def read(path):
    with h5py.File(path) as file:
        found = {}
        file.visititems(
            lambda name, item: found.update(
                {name: item[:]} if isinstance(item, h5py.Dataset) else {}
            )
        )
    return found


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert len(one[name]) == len(other[name])
        for a, b in zip(one[name], other[name], strict=True):
            if np.asarray(a).tobytes() != np.asarray(b).tobytes():
                return False
    return True


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("digits"), train=200, test=40, workers=1)


def test_the_layout_is_that_of_the_published_files(pair):
    assert [path.name for path in pair] == ["shd_train.h5", "shd_test.h5"]
    for path, size in zip(pair, (200, 40), strict=True):
        with h5py.File(path) as file:
            assert h5py.check_vlen_dtype(file["spikes/times"].dtype) == np.float16
            assert h5py.check_vlen_dtype(file["spikes/units"].dtype) == np.uint16
            assert file["labels"].dtype == file["extra/speaker"].dtype == np.uint16
            assert file["extra/keys"].dtype.kind == "S"
            assert set(file["extra/meta_info"]) == {"gender", "age", "body_height"}
            assert {len(column) for column in file["extra/meta_info"].values()} == {12}
            assert set(file) == {"spikes", "labels", "extra"}
            assert [key.decode() for key in file["extra/keys"]] == list(WORDS)
            assert set(file["extra/meta_info/gender"][:]) == {b"male", b"female"}
        data = read(path)
        columns = ("spikes/times", "spikes/units", "labels", "extra/speaker")
        assert {len(data[column]) for column in columns} == {size}
        for times, units in zip(data["spikes/times"], data["spikes/units"], strict=True):
            assert len(times) == len(units) > 500
            assert np.isfinite(times).all()
            assert times[0] >= 0
            assert times[-1] < 1.35
            assert (np.diff(times) >= 0).all()
            assert units.max() < 700


def test_the_speakers_of_the_test_are_unknown(pair):
    train, test = map(read, pair)
    assert set(test["extra/speaker"]) == {4, 5}
    assert set(train["extra/speaker"]) == set(range(12)) - {4, 5}


def test_words_and_speakers_are_balanced(pair):
    train, test = map(read, pair)
    pairs = np.stack([train["labels"], train["extra/speaker"]])
    assert (np.unique(pairs, axis=1, return_counts=True)[1] == 1).all()
    assert pairs.shape[1] == 200
    assert (np.bincount(test["labels"]) == 2).all()
    assert np.bincount(test["extra/speaker"])[4:].tolist() == [20, 20]
    # And the order tells nothing.
    assert len(set(train["labels"][:40])) > 12


@pytest.mark.parametrize("size", [1, 7, 33, 215, 500])
def test_the_parts_of_any_size_are_balanced(size):
    for split in (0, 1):
        plan = files._plan(split, size, 0)
        assert len(plan) == size
        for column in (2, 3):
            counts = np.unique([sample[column] for sample in plan], return_counts=True)[1]
            assert counts.max() - counts.min() <= 1


def test_the_density_is_that_of_the_published_test_file(pair):
    """6258 of 100 x 700 cells are not empty on average, and 12788 at most."""
    cells = []
    for path in pair:
        data = read(path)
        for times, units in zip(data["spikes/times"], data["spikes/units"], strict=True):
            bins = np.minimum(times.astype(float) / 0.014, 99).astype(int)
            cells.append(len(np.unique(bins * 700 + units)))
    assert np.mean(cells) == pytest.approx(6258, rel=0.1)
    assert max(cells) < 12788


def test_the_workers_change_nothing_and_the_seed_everything(tmp_path):
    made = {
        name: [
            *map(read, write_files(tmp_path / name, train=26, test=2, seed=seed, workers=workers))
        ]
        for name, seed, workers in (("one", 3, 1), ("two", 3, 2), ("other", 4, 1))
    }
    assert all(map(same, made["one"], made["two"]))
    assert not any(map(same, made["one"], made["other"]))


def test_a_sample_does_not_depend_on_how_many_there_are():
    voices = files.speakers(0)
    few = {sample.number: sample for sample in files._plan(0, 30, 0)}
    many = {sample.number: sample for sample in files._plan(0, 300, 0)}
    assert all(many[number] == sample for number, sample in few.items())
    once, again = (files.draw_spikes(plan[7], voices, 0) for plan in (few, many))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(once, again, strict=True))


def test_the_test_file_does_not_depend_on_the_training_file(tmp_path):
    a, b = (write_files(tmp_path / str(n), train=n, test=5, workers=1)[1] for n in (3, 8))
    assert same(read(a), read(b))


def test_the_first_spikes_are_the_same_for_ever():
    # Written down once: with a change, `VERSION` has to count up.
    times, units = files.draw_spikes(files.Sample(0, 0, 0, 0), files.speakers(0), 0)
    assert (len(times), units[:5].tolist()) == (12068, [288, 645, 165, 471, 500])


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, error):
    kept = tmp_path / "shd_test.h5"
    kept.write_bytes(b"what was there before")
    write, calls = files._write, []

    def break_off(path, *rest):
        calls.append(path)
        write(path, *rest)
        if len(calls) == 2:
            raise error

    monkeypatch.setattr(files, "_write", break_off)
    with pytest.raises(error):
        write_files(tmp_path, train=3, test=2, workers=1)
    assert len(calls) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["shd_test.h5"]
    assert kept.read_bytes() == b"what was there before"


def test_a_folder_that_cannot_be_written(tmp_path, one_sentence):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="could not be written") as error:
        write_files(tmp_path / "file" / "below", train=1, test=1, workers=1)
    one_sentence(error)


def test_a_full_disk(tmp_path, full_disk, one_sentence):
    """Where HDF5 itself would end the process."""
    with full_disk(), pytest.raises(DataError, match="could not be written") as error:
        write_files(tmp_path, train=50, test=1, workers=1)
    assert "name another folder for caches with SRNN_CACHE" in one_sentence(error)
    assert not list(tmp_path.iterdir())


def test_workers_end_with_a_process_that_is_killed(tmp_path):
    script = tmp_path / "generate.py"
    script.write_text(
        "import os, signal\n"
        "from srnn.datasets.speech import files\n"
        "if __name__ == '__main__':\n"
        "    spikes = files._generate(files._plan(0, 5000, 0), 0, workers=2)\n"
        "    next(spikes)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as process:
        # They have inherited the pipe, which ends when the last of them has.
        assert process.communicate(timeout=60) == (b"", None)
    assert process.returncode == -signal.SIGKILL


def test_without_worker_processes_the_work_is_done_here(tmp_path, monkeypatch, caplog):
    class Broken:
        def __init__(self, *_, **__):
            pass

        def map(self, draw, chunks):
            yield draw(chunks[0])
            raise BrokenProcessPool("a process ended")

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(files, "ProcessPoolExecutor", Broken)
    with caplog.at_level(logging.WARNING):
        broken = write_files(tmp_path / "broken", train=30, test=2, workers=2)
    assert "working in this process" in caplog.text
    whole = write_files(tmp_path / "whole", train=30, test=2, workers=1)
    assert all(map(same, map(read, broken), map(read, whole)))


@pytest.mark.parametrize(
    "option",
    [{"train": 0}, {"test": -1}, {"seed": -1}, {"seed": 1.0}, {"workers": 0}, {"train": True}],
)
def test_an_option_without_meaning(option, tmp_path, one_sentence):
    with pytest.raises(DataError, match=next(iter(option))) as error:
        write_files(tmp_path / "never", **option)
    one_sentence(error)
    assert not (tmp_path / "never").exists()
