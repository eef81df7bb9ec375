"""A run that was killed or stopped, and resumed, ends as one that was not: to the last bit."""

import os
import random
import signal
import time

import pytest

BATCH_END = "srnn.train.checkpoints.Checkpoints.on_train_batch_end"
EPOCH_END = "srnn.train.checkpoints.Checkpoints.on_train_epoch_end"
KILL = [signal.SIGKILL]

# An epoch has 6 batches; after 2 and 4 of them, and at its end, there is a checkpoint.
MOMENTS = {
    "before the first checkpoint": (BATCH_END, 1, "after"),
    "right after a checkpoint": (BATCH_END, 4, "after"),
    "right before a checkpoint": (BATCH_END, 4, "before"),
    "between two checkpoints": (BATCH_END, 5, "after"),
    "in the first batch of an epoch": (BATCH_END, 7, "after"),
    "in the last batch of an epoch": (BATCH_END, 6, "after"),
    "in the last batch of all": (BATCH_END, 12, "after"),
    "while a checkpoint is written": ("os.replace", 3, "before"),  # the first one: config.yaml
    "in a validation": ("srnn.train.module.SequenceClassifier.validation_step", 1, "after"),
    "in the last validation": ("srnn.train.module.SequenceClassifier.validation_step", 4, "after"),
    "between an epoch's row and save": (EPOCH_END, 1, "before"),
    "between the best and the last save": ("os.replace", 5, "before"),
    "after an epoch's save": (EPOCH_END, 1, "after"),
    "after the last save": (EPOCH_END, 2, "after"),
    "while testing": ("srnn.train.tasks.Naming.evaluate", 1, "before"),
    "at a random batch": (BATCH_END, random.Random(0).randint(7, 12), "after"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(moment, tiny, disturbed, resumes):
    code, _ = disturbed(tiny("--name", "run"), MOMENTS[moment], KILL)
    assert code == -signal.SIGKILL
    resumes()


@pytest.mark.parametrize("moment", ["between two checkpoints", "after an epoch's save"])
def test_killed_and_resumed_by_its_path(moment, tiny, disturbed, resumes):
    disturbed(tiny("--name", "run"), MOMENTS[moment], KILL)
    resumes(by_path=True)


@pytest.mark.parametrize(
    "flags",
    [
        ("--tbptt", "10"),
        ("--schedule", "constant"),
        ("--num-workers", "1"),
        ("--hidden", "6,5", "--neuron", "lif", "--optimizer", "adamax"),
    ],
    ids=" ".join,
)
def test_killed_with_other_settings(flags, tiny, disturbed, resumes):
    code, _ = disturbed(tiny(*flags, "--name", "run"), (BATCH_END, 9, "after"), KILL)
    assert code == -signal.SIGKILL
    resumes(*flags)


def test_killed_twice(tiny, disturbed, resumes):
    arguments = tiny("--name", "run", "--resume", "auto")
    for batch in (5, 4):
        code, _ = disturbed(arguments, (BATCH_END, batch, "after"), KILL)
        assert code == -signal.SIGKILL
    resumes()


def test_killed_early_and_found_by_name_only(tiny, disturbed, tmp_path, refused):
    disturbed(tiny("--name", "run"), MOMENTS["before the first checkpoint"], KILL)
    path = tmp_path / "recall" / "run"
    assert "no run with a checkpoint" in refused("--resume", path)
    assert "exists already" in refused("--name", "run")


@pytest.mark.parametrize(
    ("moment", "place"),
    [
        ((BATCH_END, 3, "after"), "batch 4 of epoch 1"),
        ((BATCH_END, 5, "before"), "batch 5 of epoch 1"),
        (("srnn.train.module.SequenceClassifier.training_step", 6, "before"), "epoch 1"),
        (("srnn.train.module.SequenceClassifier.validation_step", 1, "after"), "epoch 1"),
        ((EPOCH_END, 1, "before"), "epoch 1"),
    ],
    ids=["between batches", "in a batch", "in the last batch", "in validation", "while saving"],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_stopped(number, moment, place, tiny, disturbed, resumes, tmp_path):
    code, error = disturbed(tiny("--name", "run"), moment, [number])
    folder = tmp_path / "recall" / "run"
    assert error == (
        f"srnn-train: stopped and saved after {place}; go on with: srnn-train --resume {folder}\n"
    )
    assert code == 130
    resumes(by_path=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_stopped_together_with_the_workers_of_its_loader(number, tiny, disturbed, resumes):
    flags = ("--num-workers", "1")
    code, error = disturbed(tiny("--name", "run", *flags), (BATCH_END, 3, "after"), [number])
    assert "stopped and saved after batch 4 of epoch 1" in error
    assert (code, error.count("\n")) == (130, 1), error
    resumes(*flags)


def test_stopped_in_the_last_epoch_after_its_last_batch_is_just_finished(
    tiny, disturbed, reference, outcome, tmp_path, without_plots
):
    moment = ("srnn.train.module.SequenceClassifier.validation_step", 4, "after")
    code, error = disturbed(tiny("--name", "run"), moment, [signal.SIGINT])
    assert (code, error) == (0, "")
    assert outcome(tmp_path / "recall" / "run") == reference(tiny)


@pytest.mark.parametrize(
    "moment",
    [(BATCH_END, 5, "before"), ("srnn.train.checkpoints.Checkpoints.on_train_start", 1, "before")],
    ids=["twice in a batch", "before the first batch"],
)
def test_stopped_at_once(moment, tiny, disturbed, resumes):
    code, error = disturbed(tiny("--name", "run"), moment, [signal.SIGINT] * 2)
    assert code == 130
    assert error == (
        "srnn-train: stopped at once; --resume auto goes on from the last checkpoint, if there is "
        "one.\n"
    )
    resumes()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_signal_from_outside_at_a_random_moment(number, code, tiny, start, resumes, tmp_path):
    process, finish = start(tiny("--name", "run", "--epochs", "12"))
    table = tmp_path / "recall" / "run" / "metrics.csv"
    while not (table.exists() and table.read_bytes().count(b"\n") > 4):
        assert process.is_alive()
        time.sleep(0.001)
    time.sleep(random.Random(int(number)).random() * 0.1)
    os.kill(process.pid, number)
    assert finish()[0] == code
    resumes("--epochs", "12")
