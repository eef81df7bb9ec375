"""A comparison where every step has a label: energy over the sequence, and Weights & Biases."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import srnn.datasets
from srnn.datasets import Info, SequenceDataset, Splits
from srnn.meters import DEFAULT_PROFILE
from srnn.train.build import build_data
from srnn.train.compare.options import parse_compare
from srnn.train.compare.roles import compared
from srnn.train.compare.scoring import score
from srnn.train.compare.training import taken

INFO = Info("echo", "Echo of the step before", 2, 30, ("low", "high"), True, *("text",) * 5)


class Echo(SequenceDataset):
    """A step's label is the first channel a step before; nothing happens in the second half."""

    def __init__(self, size, seed):
        super().__init__(INFO)
        draw = np.random.default_rng(seed).random((INFO.steps, size, 2)) < 0.4
        draw[INFO.steps // 2 :] = False
        self.inputs = torch.from_numpy(draw).float()

    def __len__(self):
        return self.inputs.shape[1]

    def __getitems__(self, indices):
        inputs = self.inputs[:, list(indices)]
        return inputs, inputs[..., 0].roll(1, 0).long()


@pytest.fixture
def echo(monkeypatch):
    """Make the task known by its name."""

    def build():
        return Splits(INFO, Echo(48, 0), Echo(16, 1), lambda: Echo(24, 2))

    monkeypatch.setitem(srnn.datasets.DATASETS, "echo", build)


FLAGS = [
    *("--dataset", "echo", "--readout", "stream", "--hidden", "6", "--epochs", "1"),
    *("--batch-size", "16", "--threads", "1", "--trials", "2", "--seeds", "2"),
    *("--widths", "[]", "--penalties", "[]", "--baselines", "lstm"),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_energy_over_the_sequence_and_a_run_of_weights_and_biases(
    echo, quickly, tmp_path, monkeypatch
):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    assert quickly(tmp_path, "--wandb", "offline", tiny=FLAGS) == 0
    folder = tmp_path / "echo" / "compare"
    text = (folder / "report.md").read_text()
    assert "![Energy over the sequence](plots/over_time.png)" in text
    assert (folder / "plots" / "over_time.png").stat().st_size > 5000
    assert re.search(r"\| network .* test macro F1, %", text)
    # One run of W&B for the comparison, and one for each of the six trainings.
    assert len(list(folder.glob("wandb/offline-run-*/*.wandb"))) == 1
    runs = sorted((folder / "echo").iterdir())
    assert len(runs) == 2 * (2 + 1)
    assert all(any(run.glob("wandb/offline-run-*/*.wandb")) for run in runs)
    (tables,) = folder.glob("wandb/offline-run-*/files/media/table")
    # Networks, ratios, energies, those without the input layer, and trials.
    assert len(list(tables.glob("*.json"))) == 5

    assert "Not over the sequence" not in text

    paths = re.findall(r"`([^`]+seed\d)`", text)
    settings = parse_compare([*FLAGS, "--run-dir", str(tmp_path)]).experiments["srnn"]
    splits = build_data(replace(settings, data={}))
    scored = score(taken(paths), splits, 24, torch.device("cpu"), None, lambda _: None)
    for one in compared(scored):
        steps = one.over_time(DEFAULT_PROFILE)
        assert len(steps) == INFO.steps
        assert sum(steps) == pytest.approx(one.nanojoules(DEFAULT_PROFILE)[0])
        # Where nothing comes in, only the hidden layers and the readout still work.
        assert np.mean(steps[INFO.steps // 2 :]) < np.mean(steps[: INFO.steps // 2])


def test_a_network_with_ticks_is_left_out_over_the_sequence(echo, quickly, tmp_path):
    once = ("--trials", 1, "--seeds", 1)
    assert quickly(tmp_path, *once, "--ticks", 2, tiny=FLAGS) == 0
    folder = tmp_path / "echo" / "compare"
    assert (folder / "plots" / "over_time.png").exists()
    said = "Not over the sequence, whose steps they do not take one by one: SRNN 6."
    assert said in (folder / "report.md").read_text()
