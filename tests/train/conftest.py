import json
import multiprocessing
import runpy
from dataclasses import replace
from functools import wraps
from pathlib import Path

import pytest
import torch

import srnn.datasets

TINY = [
    *("--dataset", "recall", "--data.train", "96", "--data.valid", "32", "--data.test", "32"),
    *("--data.segments", "4", "--data.segment_steps", "6", "--hidden", "8", "--epochs", "2"),
    *("--batch-size", "16", "--threads", "1", "--log-every", "2", "--checkpoint-every", "2"),
]
"""A run of a second: 2 epochs of 6 batches, a checkpoint and a row after every second of them."""

CHILD = Path(__file__).with_name("disturbed.py")


@pytest.fixture
def tiny(request, tmp_path):
    """Give the flags of a tiny run under the test's own folder, followed by others.

    A module with other tiny runs has flags of its own, called TINY.
    """
    own = getattr(request.module, "TINY", TINY)
    return lambda *flags: [*own, "--run-dir", str(tmp_path), *map(str, flags)]


@pytest.fixture
def without_plots(monkeypatch):
    """Leave the plots out, which take longer than a tiny run."""
    from srnn.train import experiment

    monkeypatch.setattr(experiment, "_draw", lambda *_: None)


@pytest.fixture
def train_and_draw(tiny, tmp_path):
    """Run srnn-train, which has to succeed, and give its folder."""
    from srnn.train.main import train as command

    def run(*flags, name="run"):
        assert command(tiny(*flags, "--name", name)) == 0
        (folder,) = tmp_path.glob(f"*/{name}")
        return folder

    return run


@pytest.fixture
def train(train_and_draw, without_plots):
    """The same, but for the plots."""
    return train_and_draw


@pytest.fixture
def refused(tiny, capsys):
    """Run a command that has to fail, and give its one sentence."""
    from srnn.train.main import train as command

    def run(*flags, code=2, command=command, tiny=tiny):
        capsys.readouterr()
        assert command(tiny(*flags)) == code
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        assert error.startswith("srnn-")
        assert "Traceback" not in error
        return error.strip().partition(": ")[2]

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of one finished run, plots and all."""
    from srnn.train.main import train as command

    root = tmp_path_factory.mktemp("finished")
    assert command([*TINY, "--run-dir", str(root), "--name", "run"]) == 0
    return root / "recall" / "run"


@pytest.fixture(scope="session")
def network():
    """Make a small network that learns with multi-Gaussian surrogates."""
    from srnn import SRNN

    def make(*, inputs=3, hidden=(4,), classes=2, **options):
        torch.manual_seed(0)
        return SRNN(inputs, hidden, classes, tau_mem="normal(5, 1)", **options)

    return make


@pytest.fixture(scope="session")
def _processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["srnn.train.cli", "srnn.train.experiment"])
    return context


@pytest.fixture
def start(_processes, tmp_path):
    """Start a command in a process of its own; ``happening`` comes at ``moment``: disturbed.py."""
    started = []

    def begin(arguments, moment=None, happening=None, command="train"):
        out = tmp_path / f"process{len(started)}"
        settings = {"ARGUMENTS": arguments, "MOMENT": moment, "HAPPENING": happening}
        settings["COMMAND"] = command
        process = _processes.Process(
            target=runpy.run_path, args=(str(CHILD), settings | {"OUT": str(out)})
        )
        process.start()
        started.append(process)

        def finish():
            process.join(60)
            return process.exitcode, out.with_suffix(".err").read_text()

        return process, finish

    yield begin
    for process in started:
        process.kill()
        process.join()
        process.close()


@pytest.fixture
def disturbed(start):
    """Run a command in a process of its own to its end; give exit code and standard error."""
    return lambda *arguments, **options: start(*arguments, **options)[1]()


def _plain(value):
    """Turn the tensors of nested containers into lists, so that == compares all bits."""
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), list(value.shape), value.numpy().tobytes()]
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


@pytest.fixture(scope="session")
def outcome():
    """Give all that a run came to, except for times: to be compared with ==."""
    from srnn.train.checkpoints import read_checkpoint

    def comparable(path):
        checkpoint = read_checkpoint(path)
        for state in checkpoint["callbacks"].values():
            state.pop("seconds", None)
            for unused in ("python", "numpy"):  # generators that no seed decides, and nothing reads
                state.get("random", {}).pop(unused, None)
        # How Lightning counts its own loops differs after a resume, in what was begun and redone.
        del checkpoint["loops"]
        return _plain(checkpoint)

    def read(folder):
        stages = [folder, *folder.glob("retrain")]
        checkpoints = [comparable(stage / "checkpoints" / "last.ckpt") for stage in stages]
        metrics = [(stage / "metrics.csv").read_bytes() for stage in stages]
        summary = json.loads((folder / "summary.json").read_text())
        del summary["seconds"]
        return checkpoints, metrics, summary

    return read


@pytest.fixture(scope="session")
def reference(tmp_path_factory, outcome):
    """Give the outcome of an uninterrupted run with some flags."""
    from srnn.train.main import train as command

    known = {}

    def of(tiny, *flags):
        if flags not in known:
            root = tmp_path_factory.mktemp("reference")
            arguments = tiny(*flags, "--run-dir", root, "--name", "run")
            assert command(arguments) == 0
            known[flags] = outcome(root / "recall" / "run")
        return known[flags]

    return of


@pytest.fixture
def resumes(tiny, train, tmp_path, reference, outcome):
    """Resume the run "run" and compare it with an uninterrupted one."""
    from srnn.train.main import train as command

    def check(*flags, by_path=False):
        folder = tmp_path / "recall" / "run"
        if by_path:
            assert command(tiny(*flags, "--resume", folder)) == 0
        else:
            train(*flags, "--resume", "auto")
        checkpoint, metrics, summary = outcome(folder)
        assert metrics == reference(tiny, *flags)[1]
        assert checkpoint == reference(tiny, *flags)[0]
        assert summary == reference(tiny, *flags)[2]

    return check


@pytest.fixture
def caveat(monkeypatch):
    """Give recall something that the readers of its scores must know, and say what."""
    text = "made up for a test"
    build = srnn.datasets.DATASETS["recall"]

    @wraps(build)
    def with_caveat(**options):
        splits = build(**options)
        splits.info = replace(splits.info, caveat=text)
        for part in (splits.train, splits.valid):
            part.info = splits.info
        return splits

    monkeypatch.setitem(srnn.datasets.DATASETS, "recall", with_caveat)
    return text


@pytest.fixture
def trained_and_read(monkeypatch):
    """What happens from here on, in its order: a fit has ended, or the test set is read."""
    from lightning.pytorch import Trainer

    from srnn.train import experiment

    events = []
    load, fit = experiment.build_data, Trainer.fit

    def watched(settings):
        splits = load(settings)
        read = splits._read_test
        splits._read_test = lambda: events.append("read") or read()
        return splits

    monkeypatch.setattr(experiment, "build_data", watched)
    monkeypatch.setattr(Trainer, "fit", lambda *a, **k: (fit(*a, **k), events.append("trained")))
    return events
