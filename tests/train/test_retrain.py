"""--retrain: what the second stage does, and that a run of two stages resumes exactly."""

import csv
import json
import shutil
import signal

import pytest

from srnn.datasets import DataError, Splits
from srnn.train import experiment, main
from srnn.train.checkpoints import Checkpoints, read_checkpoint
from srnn.train.console import percent
from srnn.train.errors import NotFiniteError
from srnn.train.module import SequenceClassifier

# Validation chooses the second of three epochs. The first stage has 6 batches an epoch, the second
# one, on 128 sequences, 8; there is a checkpoint after every two of them.
FLAGS = ("--retrain", "--epochs", 3, "--seed", 16)
BATCH_END = "srnn.train.checkpoints.Checkpoints.on_train_batch_end"
EPOCH_END = "srnn.train.checkpoints.Checkpoints.on_train_epoch_end"
VALIDATION = "srnn.train.module.SequenceClassifier.validation_step"
KILL = [signal.SIGKILL]


def rows(folder):
    """The rows of a table, without what only one stage measures."""
    with open(folder / "metrics.csv", newline="") as file:
        table = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not k.startswith("val/")} for row in table]


def weights(checkpoint):
    """The weights in a checkpoint, to be compared with ==."""
    state = checkpoint["state_dict"].items()
    return {name: tensor.tolist() for name, tensor in state if name.startswith("network.")}


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_fresh_network_is_trained_on_all_sequences_up_to_the_epoch_chosen(train, monkeypatch):
    """As if one had trained on all of them from the start, for all epochs, and stopped early."""
    retrained = train(*FLAGS)
    load, end = experiment.build_data, Checkpoints.on_train_epoch_end
    after_epoch = []

    def load_joined(settings):
        splits = load(settings)
        return Splits(splits.info, splits.joined, splits.valid, lambda: splits.test)

    def remember(self, trainer, module):
        end(self, trainer, module)
        after_epoch.append(weights(read_checkpoint(self.folder.last)))

    monkeypatch.setattr(experiment, "build_data", load_joined)
    monkeypatch.setattr(Checkpoints, "on_train_epoch_end", remember)
    whole = train(*FLAGS[1:], "--schedule", "cosine", name="whole")
    assert summary_of(retrained)["best_epoch"] == 2
    assert weights(read_checkpoint(retrained / "retrain/checkpoints/last.ckpt")) == after_epoch[1]
    assert rows(retrained / "retrain") == [row for row in rows(whole) if int(row["epoch"]) <= 2]
    assert "val/" not in (retrained / "retrain" / "metrics.csv").read_text()


def test_the_first_stage_is_a_run_without_retraining(train):
    both, first = train(*FLAGS), train(*FLAGS[1:], name="first")
    assert (both / "metrics.csv").read_bytes() == (first / "metrics.csv").read_bytes()
    summaries = summary_of(both), summary_of(first)
    assert summaries[0]["retraining"] == {"epochs": 2, "sequences": 128}
    assert summaries[1]["retraining"] is None
    for name in ("validation", "epochs", "best_epoch"):
        assert summaries[0][name] == summaries[1][name]
    assert summaries[0]["epochs"] == 3
    assert not (first / "retrain").exists()


def test_the_test_set_is_read_once_and_last(train, trained_and_read):
    train(*FLAGS)
    assert trained_and_read == ["trained", "trained", "read"]


def test_what_it_says(train, capsys):
    train(*FLAGS)
    out = capsys.readouterr().out
    assert "\nretrain   then a fresh network on all 128 training and validation sequences" in out
    first, second = out.split("\nretraining on all 128 training sequences for 2 epochs\n")
    assert [line.split("  ")[0] for line in first.splitlines() if line.startswith("epoch")] == [
        *("epoch 1/3", "epoch 2/3", "epoch 3/3")
    ]
    epochs = [line for line in second.splitlines() if line.startswith("epoch")]
    assert [line.split("  ")[0] for line in epochs] == [
        *("epoch 1/2 of the retraining", "epoch 2/2 of the retraining")
    ]
    assert not any("validation" in line for line in epochs)
    assert "testing the retrained weights ..." in second
    assert "on training and validation sequences for 2 epochs (2 chosen on validation)\n" in second


def test_report_and_another_score(tiny, tmp_path, capsys):
    assert main.train(tiny(*FLAGS, "--name", "run")) == 0
    folder = tmp_path / "recall" / "run"
    text = (folder / "report.md").read_text()
    assert (
        "retrained on training and validation sequences for 2 epochs (2 chosen on validation)."
    ) in text
    assert "](retrain/learning_curves.png)" in text
    assert (folder / "retrain" / "learning_curves.png").stat().st_size > 5000
    capsys.readouterr()
    assert main.evaluate([str(folder)]) == 0
    out = capsys.readouterr().out
    assert "32 test sequences, weights of epoch 2 of the retraining\n" in out
    summary = summary_of(folder)
    assert f"test accuracy           {percent(summary['test']['accuracy'])}\n" in out
    assert f"test cross entropy      {summary['test']['loss']:.4f}\n" in out


MOMENTS = {
    "in the first stage": (BATCH_END, 9, "after"),
    "in the last batch of the first stage": (BATCH_END, 18, "after"),
    "before the last save of the first stage": (EPOCH_END, 3, "before"),
    "after the last save of the first stage": (EPOCH_END, 3, "after"),
    "between the stages": ("srnn.train.experiment.retraining", 1, "before"),
    "before the second table": ("srnn.train.metrics_csv.MetricsCSV.begin", 2, "before"),
    "after the second table's head": ("srnn.train.metrics_csv.MetricsCSV.begin", 2, "after"),
    "before the second stage's first checkpoint": (BATCH_END, 19, "after"),
    "after the second stage's first checkpoint": (BATCH_END, 20, "after"),
    "between two of its checkpoints": (BATCH_END, 23, "after"),
    "in the last batch of its first epoch": (BATCH_END, 26, "after"),
    "between its row and its save": (EPOCH_END, 4, "before"),
    "after its first epoch": (EPOCH_END, 4, "after"),
    "in its last epoch": (BATCH_END, 31, "after"),
    "after its last save": (EPOCH_END, 5, "after"),
    "while testing": ("srnn.train.tasks.Naming.evaluate", 1, "before"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(moment, tiny, disturbed, resumes):
    code, _ = disturbed(tiny(*FLAGS, "--name", "run"), MOMENTS[moment], KILL)
    assert code == -signal.SIGKILL
    resumes(*FLAGS)


def test_killed_in_both_stages(tiny, disturbed, resumes, capsys, tmp_path):
    arguments = tiny(*FLAGS, "--name", "run", "--resume", "auto")
    # In batch 9, then in batch 3 of the second stage after 10 of the first, then in its batch 7.
    for batch in (9, 13, 5):
        code, _ = disturbed(arguments, (BATCH_END, batch, "after"), KILL)
        assert code == -signal.SIGKILL
    resumes(*FLAGS, by_path=True)
    last = tmp_path / "recall" / "run" / "retrain" / "checkpoints" / "last.ckpt"
    assert f"\ngoing on from {last}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("moment", "place"),
    [
        ((BATCH_END, 8, "after"), "batch 3 of epoch 2"),
        ((VALIDATION, 6, "after"), "epoch 3"),
        ((BATCH_END, 18, "before"), "epoch 3"),
        ((BATCH_END, 20, "after"), "batch 3 of epoch 1 of the retraining"),
        ((BATCH_END, 26, "after"), "epoch 1 of the retraining"),
    ],
    ids=["first stage", "its last validation", "its last batch", "second stage", "its epoch"],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_stopped(number, moment, place, tiny, disturbed, resumes, tmp_path):
    code, error = disturbed(tiny(*FLAGS, "--name", "run"), moment, [number])
    folder = tmp_path / "recall" / "run"
    assert error == (
        f"srnn-train: stopped and saved after {place}; go on with: srnn-train --resume {folder}\n"
    )
    assert code == 130
    resumes(*FLAGS, by_path=True)


@pytest.mark.parametrize(
    "moment",
    [MOMENTS["between the stages"], MOMENTS["after the second table's head"]],
    ids=["between the stages", "before the first batch"],
)
def test_stopped_at_once(moment, tiny, disturbed, resumes):
    code, error = disturbed(tiny(*FLAGS, "--name", "run"), moment, [signal.SIGINT])
    assert code == 130
    assert error.startswith("srnn-train: stopped at once; --resume auto goes on")
    resumes(*FLAGS)


def test_a_retraining_that_was_stopped_is_not_what_counts(tiny, disturbed, tmp_path, capsys):
    disturbed(tiny(*FLAGS, "--name", "run"), MOMENTS["in its last epoch"], KILL)
    assert main.evaluate([str(tmp_path / "recall" / "run")]) == 0
    assert "weights of epoch 2, the best on validation\n" in capsys.readouterr().out


def test_going_on_for_more_epochs(train, outcome):
    flags = ("--retrain", "--seed", 16, "--schedule", "constant")
    folder = train(*flags, "--epochs", 1)
    assert summary_of(folder)["retraining"]["epochs"] == 1
    train(*flags, "--epochs", 3, "--resume", "auto")
    assert summary_of(folder)["retraining"]["epochs"] > 1
    assert outcome(folder) == outcome(train(*flags, "--epochs", 3, name="whole"))


def test_a_finished_run_is_not_retrained_afterwards(train, refused):
    """Its score on the test set has been seen."""
    folder = train(*FLAGS[1:])
    assert refused("--resume", folder, *FLAGS) == (
        "The run was started with --retrain False and cannot go on with True: leave the flag out, "
        "or start a new run."
    )


def test_nothing_is_left_of_a_first_stage_that_was_deleted(train, outcome):
    folder = train(*FLAGS)
    shutil.rmtree(folder / "checkpoints")
    (folder / "summary.json").unlink()
    train("--retrain", "--resume", "auto", "--hidden", 7)
    assert outcome(folder) == outcome(train("--retrain", "--hidden", 7, name="whole"))


def test_a_data_set_may_refuse(tiny, monkeypatch, tmp_path, capsys):
    load = experiment.build_data

    def no_joining():
        raise DataError("Validation is the test set.")

    def load_without(settings):
        splits = load(settings)
        return Splits(splits.info, splits.train, splits.valid, lambda: splits.test, no_joining)

    monkeypatch.setattr(experiment, "build_data", load_without)
    assert main.train(tiny(*FLAGS)) == 2
    assert capsys.readouterr() == ("", "srnn-train: Validation is the test set.\n")
    assert not list(tmp_path.iterdir())


def test_nan(refused, monkeypatch):
    step = SequenceClassifier.training_step

    def broken(self, batch, index):
        if self.total_steps == 3 * 8:
            raise NotFiniteError("Numbers stopped being finite.")
        step(self, batch, index)

    monkeypatch.setattr(SequenceClassifier, "training_step", broken)
    assert refused(*FLAGS, code=1) == (
        "Numbers stopped being finite. There is no earlier checkpoint of the retraining."
    )


def test_several_seeds(tiny, tmp_path, without_plots):
    flags = ("--retrain", "--epochs", 2, "--seed", 16, "--seeds", 2, "--name", "several")
    assert main.train(tiny(*flags)) == 0
    for seed in (16, 17):
        summary = summary_of(tmp_path / "recall" / f"several-seed{seed}")
        assert summary["retraining"]["epochs"] == summary["best_epoch"]
