"""Several processes on one machine."""

import json
import subprocess

import pytest

from srnn.train.checkpoints import read_checkpoint
from srnn.train.metrics_csv import read_metrics

from .processes import COMMAND, TORCHRUN


@pytest.mark.slow
@pytest.mark.skipif(not COMMAND.exists(), reason="needs the installed command")
@pytest.mark.parametrize(
    ("torchrun", "flags", "stages"),
    [
        (False, [], [""]),
        (False, ["--tbptt", "7"], [""]),
        (False, ["--retrain"], ["", "retrain"]),
        (True, ["--retrain"], ["", "retrain"]),
    ],
    ids=["by itself", "several updates a batch", "retrained", "by torchrun, retrained"],
)
def test_two_processes_train_as_one_with_batches_twice_as_large(
    torchrun, flags, stages, tiny, train, tmp_path
):
    two = tiny("--devices", 2, "--accelerator", "cpu", "--batch-size", 8, "--name", "two", *flags)
    command = [*(TORCHRUN if torchrun else ()), COMMAND, *two]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    if not torchrun:  # which has remarks of its own
        assert done.stderr == ""
    assert done.stdout.count("\nrun       ") == 1
    assert [path.name for path in (tmp_path / "recall").iterdir()] == ["two"]
    two, one = tmp_path / "recall" / "two", train(*flags, name="one")
    for stage in stages:
        folders = (two / stage, one / stage)
        weights = [read_checkpoint(f / "checkpoints/last.ckpt")["state_dict"] for f in folders]
        for name, value in weights[0].items():
            if name.startswith("network."):
                assert value.allclose(weights[1][name], rtol=1e-3, atol=1e-5), name
        tables = [read_metrics(folder / "metrics.csv") for folder in folders]
        for name in ("val/accuracy", "val/loss", "train/loss", "train/accuracy"):
            rows = [table.get(name, []) for table in tables]
            for row, expected in zip(*rows, strict=True):
                assert row == pytest.approx(expected, rel=1e-3), name
    tests = [json.loads((f / "summary.json").read_text())["test"]["loss"] for f in (two, one)]
    assert tests[0] == pytest.approx(tests[1], rel=1e-3)
