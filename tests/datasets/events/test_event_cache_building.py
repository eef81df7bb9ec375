"""Building a cache of events: by several processes, broken off, and without room."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from srnn.datasets import DataError, event_cache
from srnn.datasets.event_cache import binned
from srnn.datasets.spike_file import SpikeFile

from .helpers import BINNING, everything, only_folder, same


class TestBuilding:
    def test_two_processes_at_the_same_time(self, path, cache, tmp_path):
        code = (
            "import pathlib, sys, time\n"
            "from srnn.datasets.binning import Binning\n"
            "from srnn.datasets.event_cache import binned\n"
            "from srnn.datasets.spike_file import SpikeFile\n"
            "go, here, path = map(pathlib.Path, sys.argv[1:])\n"
            "class Waiting(SpikeFile):\n"
            "    def __getitem__(self, index):\n"
            "        here.touch()\n"
            "        while index == 0 and not go.exists(): time.sleep(0.001)\n"
            "        return super().__getitem__(index)\n"
            "lists = binned(Waiting(path), Binning(14000, 100, (700, 1, 1), 1))\n"
            "print(lists.total, len(lists), int(lists.channels.astype(int).sum()))\n"
        )
        go, marks = tmp_path / "go", [tmp_path / "one", tmp_path / "two"]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, go, mark, path],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for mark in marks
        ]
        try:
            end = time.monotonic() + 60
            while not all(mark.exists() for mark in marks):
                assert time.monotonic() < end
                assert all(process.poll() is None for process in processes)
                time.sleep(0.01)
        finally:
            go.touch()
            results = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], results
        assert results[0] == results[1]
        only_folder(cache)
        lists = binned(SpikeFile(path), BINNING)
        printed = [lists.total, 20, lists.channels.astype(int).sum()]
        assert results[0][0].split() == [str(number) for number in printed]

    @pytest.mark.parametrize("error", [DataError("x."), ValueError("x"), KeyboardInterrupt()])
    def test_an_exception_leaves_nothing(self, error, source, cache):
        broken = source.recordings[13]
        source.recordings[13] = None

        class Breaking(type(source)):
            def __getitem__(self, index):
                if self.recordings[index] is None:
                    raise error
                return super().__getitem__(index)

        source.__class__ = Breaking
        with pytest.raises(type(error)):
            binned(source, BINNING)
        assert list(cache.iterdir()) == []
        source.recordings[13] = broken
        assert len(binned(source, BINNING)) == 20
        only_folder(cache)

    def test_a_killed_process_leaves_nothing_under_the_name(self, path, cache):
        code = (
            "import os, signal, sys, pathlib\n"
            "from srnn.datasets import event_cache\n"
            "from srnn.datasets.binning import Binning\n"
            "from srnn.datasets.spike_file import SpikeFile\n"
            "event_cache._AT_ONCE = 4\n"
            "class Killing(SpikeFile):\n"
            "    def __getitem__(self, index):\n"
            "        if index == 13: os.kill(os.getpid(), signal.SIGKILL)\n"
            "        return super().__getitem__(index)\n"
            "event_cache.binned(Killing(pathlib.Path(sys.argv[1])), "
            "Binning(14000, 100, (700, 1, 1), 1))\n"
        )
        result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
        assert result.returncode == -signal.SIGKILL, result.stderr
        (part,) = cache.iterdir()
        assert part.name.startswith(".shd_train-")
        file = SpikeFile(path)
        lists = binned(file, BINNING)
        assert same(everything(lists), BINNING.apply([file[i] for i in range(20)])[0])
        # What it left is not touched while another process might still be at it.
        assert part.is_dir()
        assert {p.name for p in cache.iterdir()} == {part.name, lists.folder.name}

    def test_what_is_left_over_is_removed_after_a_day(self, source, cache):
        folder = binned(source, BINNING).folder
        day = time.time() - 25 * 3600
        parts = {}
        for name in (f".{folder.name}.old.part", f".{folder.name}.new.part", ".else-1us.old.part"):
            parts[name] = cache / name
            parts[name].mkdir()
            (parts[name] / "channels").write_bytes(b"123")
            if "old" in name:
                os.utime(parts[name], (day, day))
        (folder / "offsets").unlink()
        binned(source, BINNING)
        assert sorted(p.name for p in cache.iterdir()) == sorted([*list(parts)[1:], folder.name])

    def test_what_is_left_over_of_a_file_with_an_odd_name(self, source, cache):
        source.name = "a[1]*"
        folder = binned(source, BINNING).folder
        part = cache / f".{folder.name}.old.part"
        part.mkdir()
        os.utime(part, (0, 0))
        (folder / "offsets").unlink()
        binned(source, BINNING)
        assert not part.exists()

    def test_a_build_that_ends_while_another_begins(self, source, cache, monkeypatch):
        folder = binned(source, BINNING).folder
        (folder / "offsets").unlink()
        gone = cache / f".{folder.name}.gone.part"
        monkeypatch.setattr(type(cache), "glob", lambda *_: iter([gone]))
        assert len(binned(source, BINNING)) == 20

    def test_a_disk_that_does_not_keep_what_is_written(
        self, source, monkeypatch, one_sentence, cache
    ):
        def lie(*_):
            raise event_cache._DamagedError("it is something else")

        monkeypatch.setattr(event_cache, "_verify", lie)
        with pytest.raises(DataError, match=r"cannot be read back .* SRNN_CACHE") as error:
            binned(source, BINNING)
        one_sentence(error)


class TestNoRoom:
    def refused(self, source, one_sentence, message):
        with pytest.raises(DataError, match=message) as error:
            binned(source, BINNING)
        assert "SRNN_CACHE" in one_sentence(error)

    def test_a_full_disk(self, recordings, cochlea_events, cache, full_disk, one_sentence):
        times = np.arange(40_000) % 1_400_000
        big = recordings([cochlea_events(times, times % 700)] * 5, (700, 1, 1))
        with full_disk():
            self.refused(big, one_sentence, "could not be written .*File too large")
        assert list(cache.iterdir()) == []
        assert binned(big, BINNING).total == 200_000

    def test_a_file_in_the_place_of_the_folder(self, source, cache, one_sentence):
        cache.write_bytes(b"")
        self.refused(source, one_sentence, "could not be written")

    def test_a_folder_that_is_read_only(
        self, source, open_folder, somebody_else, monkeypatch, one_sentence
    ):
        monkeypatch.setenv("SRNN_CACHE", str(open_folder))
        os.chmod(open_folder, 0o755)
        with somebody_else():
            self.refused(source, one_sentence, "Permission denied")

    def test_a_folder_that_cannot_be_looked_into(
        self, source, open_folder, somebody_else, monkeypatch, one_sentence
    ):
        monkeypatch.setenv("SRNN_CACHE", str(open_folder / "cache"))
        os.chmod(open_folder, 0o700)
        with somebody_else():
            self.refused(source, one_sentence, "Permission denied")

    def test_a_damaged_cache_of_somebody_else(
        self, source, open_folder, somebody_else, monkeypatch, one_sentence
    ):
        monkeypatch.setenv("SRNN_CACHE", str(open_folder))
        (binned(source, BINNING).folder / "offsets").write_bytes(b"")
        os.chmod(open_folder, 0o755)
        with somebody_else():
            self.refused(source, one_sentence, "Permission denied")

    def test_a_whole_cache_of_somebody_else(self, source, open_folder, somebody_else, monkeypatch):
        monkeypatch.setenv("SRNN_CACHE", str(open_folder))
        binned(source, BINNING)
        os.chmod(open_folder, 0o755)
        with somebody_else():
            assert len(binned(source, BINNING)) == 20
        assert len(source.read) == 20
