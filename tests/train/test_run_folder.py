"""Files of a run: written whole or not at all, and read back."""

import os
import subprocess

import pytest

from srnn.train import run_folder
from srnn.train.config import Experiment
from srnn.train.errors import ConfigError
from srnn.train.metrics_csv import MetricsCSV, read_metrics
from srnn.train.run_folder import RunFolder, newest_unfinished, write_atomically


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(function, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space left") as error:
        write_atomically(path, b"new")
    assert error.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_makes_the_folder(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "file", b"bytes")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"bytes"


def test_settings_are_read_back(tmp_path):
    folder = RunFolder(tmp_path / "run")
    experiment = Experiment(hidden=[3, 4], lr=0.1 + 0.2, data={"noise": 1e-300}, threshold=1)
    folder.write_config(experiment)
    assert folder.read_config() == experiment
    (folder.path / "config.yaml").write_text("epochs: [3]\n")
    with pytest.raises(ConfigError, match="another version"):
        folder.read_config()


def test_the_newest_unfinished_run(tmp_path):
    assert newest_unfinished(tmp_path / "nowhere") is None
    for age, name in enumerate(["newest", "middle", "oldest"]):
        folder = RunFolder(tmp_path / name)
        folder.write_config(Experiment())
        write_atomically(folder.last, b"")
        os.utime(folder.last, (1000 - age, 1000 - age))
    (tmp_path / "empty").mkdir()
    assert newest_unfinished(tmp_path).path.name == "newest"
    retraining = RunFolder(tmp_path / "oldest").retraining
    write_atomically(retraining.last, b"")
    assert newest_unfinished(tmp_path).path.name == "oldest"  # it is in its second stage
    retraining.last.unlink()
    RunFolder(tmp_path / "newest").write_summary({})
    assert newest_unfinished(tmp_path).path.name == "middle"
    (tmp_path / "middle" / "config.yaml").unlink()
    assert newest_unfinished(tmp_path).path.name == "oldest"


@pytest.fixture
def table(tmp_path):
    table = MetricsCSV(tmp_path / "run" / "metrics.csv", ["batch", "loss", "accuracy"])
    table.begin()
    return table


def test_rows_are_exact(table):
    table.log_metrics({"batch": 1, "loss": 0.1 + 0.2})
    table.log_metrics({"batch": 2, "accuracy": 1 / 3, "loss": float("inf")})
    assert table.path.read_text().splitlines() == [
        "batch,loss,accuracy",
        "1,0.30000000000000004,",
        f"2,inf,{1 / 3!r}",
    ]
    assert read_metrics(table.path) == {
        "batch": [(1, 1.0), (2, 2.0)],
        "loss": [(1, 0.1 + 0.2), (2, float("inf"))],
        "accuracy": [(2, 1 / 3)],
    }


def test_a_table_is_cut_back(table):
    table.log_metrics({"batch": 1})
    size = table.size()
    table.log_metrics({"batch": 2})
    table.cut(size)
    assert table.path.read_text() == "batch,loss,accuracy\n1,,\n"
    with pytest.raises(ConfigError, match="is missing or shorter"):
        table.cut(size + 1)


def test_a_new_run_begins_a_new_table(table):
    table.log_metrics({"batch": 1})
    table.begin()
    assert table.path.read_text() == "batch,loss,accuracy\n"


def test_a_name_that_is_no_column(table):
    with pytest.raises(KeyError, match="lss"):
        table.log_metrics({"batch": 1, "lss": 0.0})


def test_another_draw_of_the_task_is_noticed(tmp_path):
    folder = RunFolder(tmp_path)
    folder.check_drawn({})
    folder.write_drawn({"permutation": [2, 0, 1]})
    folder.check_drawn({"permutation": [2, 0, 1]})
    with pytest.raises(ConfigError, match="another draw of the task"):
        folder.check_drawn({"permutation": [0, 1, 2]})


# ------------------------------------------------------------------------------- one at a time


def test_a_folder_is_held_by_one(tmp_path):
    folder = RunFolder(tmp_path / "recall" / "run")
    with folder.held():
        with pytest.raises(ConfigError, match="is being trained by another process"):
            folder.held().__enter__()
        with RunFolder(tmp_path / "recall" / "other").held():
            pass
        assert [path.name for path in (tmp_path / "recall").iterdir()] == ["run"]
    assert not list(tmp_path.iterdir())  # nothing was put there
    with folder.held():
        (folder.path / "config.yaml").touch()
    assert (folder.path / "config.yaml").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_worker_that_outlives_its_run_does_not_hold_the_folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    (tmp_path / "run").mkdir()
    listens, tells = os.pipe()
    with folder.held():
        worker = os.fork()
        if not worker:
            os.close(tells)
            os.read(listens, 1)  # until the test is over
            os._exit(0)
    try:
        with folder.held():
            pass
    finally:
        os.close(tells)
        os.waitpid(worker, 0)
        os.close(listens)


def test_an_installed_copy_within_another_repository_has_no_commit(tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    installed = tmp_path / "lib" / "run_folder.py"
    installed.parent.mkdir()
    installed.touch()
    monkeypatch.setattr(run_folder, "__file__", str(installed))
    assert run_folder.commit() == "unknown"
    subprocess.run([*git, "add", str(installed)], check=True)
    assert len(run_folder.commit()) >= 9
