"""Weights & Biases without a network: what the run's file holds."""

import json
import struct
import time
from contextlib import suppress

import pytest

from srnn.train.metrics_csv import read_metrics

pytest.importorskip("wandb")


def records(path):
    """Read the records of a .wandb file, which a process of W&B's own may not have ended yet."""
    from google.protobuf.message import DecodeError

    patience = time.monotonic() + 10
    while True:
        with suppress(DecodeError):  # of a record that is there in part
            found = list(parsed(path.read_bytes()))
            if found and found[-1].HasField("exit"):
                return found
        assert time.monotonic() < patience, f"{path} has no end"
        time.sleep(0.1)


def parsed(content):
    """Read LevelDB's log format after a header of seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    position, parts = 7, b""
    while position + 7 <= len(content):
        if 32768 - position % 32768 < 7:  # no header fits into the rest of a block
            position += 32768 - position % 32768
        _, size, kind = struct.unpack_from("<IHB", content, position)
        parts += content[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a whole record, or its last part
            yield Record.FromString(parts)
            parts = b""


def items(updates):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in updates}


@pytest.fixture
def offline(tiny, tmp_path, monkeypatch, caveat):
    """The folder of an offline run of two stages, on data with a caveat."""
    from srnn.train.main import train

    monkeypatch.setenv("WANDB_SILENT", "true")
    assert train(tiny("--wandb", "offline", "--retrain", "--name", "run")) == 0
    return tmp_path / "recall" / "run"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_offline_run(offline, caveat):
    (path,) = offline.glob("wandb/offline-run-*/*.wandb")
    config, summary, history = {}, {}, []
    for record in records(path):
        config |= items(record.run.config.update) | items(record.config.update)
        summary |= items(record.run.summary.update) | items(record.summary.update)
        if record.history.item:
            history.append(items(record.history.item))
    assert config["hidden"] == [8]
    assert config["batch_size"] == 16
    assert config["data"]["train"] == 96
    assert config["commit"]
    names = ["train/loss", "val/accuracy", "spikes/rate_layer1", "tau/layer1.tau_mem"]
    for folder, prefix in ((offline, ""), (offline / "retrain", "retrain-")):
        table = read_metrics(folder / "metrics.csv")
        for name in names:
            key = prefix + name
            logged = [(row[f"{prefix}batch"], row[key]) for row in history if key in row]
            assert logged == table.get(name, [])
    assert config["caveat"] == summary["caveat"] == caveat
    accuracy = json.loads((offline / "summary.json").read_text())["test"]["accuracy"]
    assert summary["test/accuracy"] == accuracy
    assert any(name.startswith("plots/raster") for row in history for name in row)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_resumed_run_goes_on_under_its_id_and_no_other_has_it(
    tiny, without_plots, tmp_path, monkeypatch
):
    from srnn.train.main import train

    monkeypatch.setenv("WANDB_SILENT", "true")
    flags = ("--wandb", "offline", "--schedule", "constant", "--name", "run", "--epochs")
    assert train(tiny(*flags, 1)) == 0
    assert train(tiny(*flags, 2, "--resume", "auto", "--wandb-group", "other")) == 0
    assert train([*tiny(*flags, 1), "--run-dir", str(tmp_path / "elsewhere")]) == 0
    ids = {}
    for path in tmp_path.glob("**/*.wandb"):
        ids[path] = {r.run.run_id for r in records(path) if r.run.run_id}
    own = [ids[path] for path in ids if path.is_relative_to(tmp_path / "recall")]
    (other,) = (ids[path] for path in ids if path.is_relative_to(tmp_path / "elsewhere"))
    assert len(own) == 2
    assert own[0] == own[1] != other
    assert len(own[0]) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_that_fails_is_closed(tiny, tmp_path, monkeypatch):
    """Otherwise the next one in the process would go on with its curves."""
    import wandb

    from srnn.train import experiment
    from srnn.train.errors import NotFiniteError
    from srnn.train.main import train

    def fails(*args, **options):
        assert wandb.run is not None
        raise NotFiniteError("Numbers stopped being finite.")

    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setattr(experiment, "fit", fails)
    assert train(tiny("--wandb", "offline", "--name", "run")) == 1
    assert wandb.run is None
