"""What goes wrong while a run goes on: damaged files, a full disk, missing data, NaN."""

import os
import pickle
import random
import urllib.error

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from srnn.train import experiment, main
from srnn.train.checkpoints import read_checkpoint
from srnn.train.errors import ConfigError
from srnn.train.module import SequenceClassifier
from srnn.train.run_folder import RunFolder

NAN = float("nan")


@pytest.fixture
def evaluation_refused(refused):
    """Run srnn-eval on a folder, which has to fail, and give its one sentence."""
    return lambda folder: refused(str(folder), command=main.evaluate, tiny=lambda *flags: flags)


def test_a_checkpoint_of_another_shape(train, evaluation_refused, refused):
    folder = train("--epochs", 1, "--schedule", "constant")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("- 8\n", "- 9\n"))
    for name, sentence in (
        ("best", evaluation_refused(folder)),
        ("last", refused("--resume", folder, "--hidden", 9)),
    ):
        assert sentence.startswith(
            f"The checkpoint {folder / 'checkpoints' / name}.ckpt does not fit the network of its "
            "config.yaml: layers.0."
        )


def test_a_changed_configuration(train, evaluation_refused):
    folder = train("--epochs", 1, "--schedule", "constant")
    with open(folder / "config.yaml", "a") as file:
        file.write("epoch: 3\n")
    assert "was written by another version of srnn, or changed." in evaluation_refused(folder)


class _Code:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"nonsense",
        lambda content: random.Random(0).randbytes(len(content)),
        lambda content: pickle.dumps({"state_dict": _Code()}),
        lambda content: pickle.dumps([1, 2]),
    ],
    ids=["truncated", "empty", "text", "noise", "code", "a list"],
)
def test_a_damaged_checkpoint(damage, train, evaluation_refused, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = train("--epochs", 1, "--schedule", "constant")
    for name in ("best", "last"):
        path = folder / "checkpoints" / f"{name}.ckpt"
        path.write_bytes(damage(path.read_bytes()))
        sentence = f"The checkpoint {path} is damaged or no checkpoint of srnn."
        assert (evaluation_refused(folder) if name == "best" else refused("--resume", folder)) == (
            sentence
        )
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [[1, 2], {"weights": 3}, torch.zeros(3), {"state_dict": 3}])
def test_a_checkpoint_of_something_else(content, tmp_path):
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(ConfigError, match=r"is damaged or no checkpoint of srnn\.$"):
        read_checkpoint(tmp_path / "other.ckpt")


def test_no_checkpoint_yet(train, evaluation_refused):
    folder = train("--epochs", 1, "--schedule", "constant")
    (folder / "checkpoints" / "best.ckpt").unlink()
    assert evaluation_refused(folder).startswith("There is no checkpoint")


def test_a_table_that_is_gone(train, refused):
    folder = train("--epochs", 1, "--schedule", "constant")
    (folder / "metrics.csv").unlink()
    before = contents(folder)
    assert refused("--resume", folder, "--epochs", 2).startswith(
        f"{folder / 'metrics.csv'} is missing or shorter than when the checkpoint was written"
    )
    assert contents(folder) == before


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_has_more_epochs_already(epochs, train, refused):
    folder = train("--epochs", 3, "--schedule", "constant")
    before = contents(folder)
    assert refused("--resume", folder, "--epochs", epochs) == (
        f"The run {folder} has come to epoch 3 already, and cannot end after {epochs}: leave "
        "--epochs out, or start a new run."
    )
    assert contents(folder) == before


def test_a_run_is_trained_by_one_process_at_a_time(train, refused):
    folder = train("--epochs", 1, "--schedule", "constant")
    before = contents(folder)
    with RunFolder(folder).held():
        assert refused("--resume", folder, "--epochs", 2) == (
            f"The run {folder} is being trained by another process: wait for it, or give a new run "
            "another --name."
        )
    assert contents(folder) == before


def test_runs_that_begin_within_a_second_have_folders_of_their_own(tiny, without_plots, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "default_name", lambda _: "ralif")
        for _ in range(3):
            assert main.train(tiny("--epochs", 1)) == 0
    names = {path.name for path in (tmp_path / "recall").iterdir()}
    assert names == {"ralif-seed0", "ralif-seed0-2", "ralif-seed0-3"}


@pytest.mark.parametrize(
    ("unwritten", "moment", "size"),
    [
        (
            "checkpoints/last.ckpt",
            ("module.SequenceClassifier.training_step", 3, "after"),
            4096,
        ),
        ("metrics.csv", ("metrics_csv.MetricsCSV._append", 4, "before"), 400),
        ("plots/learning_curves.png", ("tasks.Naming.evaluate", 1, "after"), 4096),
    ],
)
def test_a_full_disk(unwritten, moment, size, tiny, disturbed, tmp_path, train, outcome):
    folder = tmp_path / "recall" / "run"
    name, *when = moment
    code, error = disturbed(tiny("--name", "run"), (f"srnn.train.{name}", *when), size)
    assert code == 1
    assert error == (
        f"srnn-train: {folder / unwritten} could not be written (File too large): make room or "
        "choose another --run-dir, then go on with --resume auto.\n"
    )
    assert not list(folder.rglob("*.part"))
    read_checkpoint(folder / "checkpoints" / "last.ckpt")
    resumed = train("--resume", "auto")
    assert outcome(resumed) == outcome(train(name="whole"))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (lambda tmp: ("--run-dir", tmp / "file"), "could not be written (Not a directory)"),
        (lambda tmp: ("--name", "x" * 300), "could not be written (File name too long)"),
    ],
)
def test_a_folder_that_cannot_be(flags, sentence, refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert sentence in refused(*flags(tmp_path), code=1)


@pytest.mark.parametrize("dataset", ["smnist", "ecg"])
def test_missing_data_without_network(dataset, refused, tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    data = tmp_path / "data"
    data.mkdir()
    flags = ["--dataset", dataset, "--data-dir", str(data), "--threads", "1"]
    sentence = refused(*flags, tiny=lambda *flags: flags)
    assert str(data) in sentence
    assert "SRNN_DATA" in sentence


@pytest.fixture
def breaks(monkeypatch):
    """Have something done to the module before a batch, counted from one."""

    def at(batch, what):
        step = SequenceClassifier.training_step

        def broken(self, data, index):
            if int(self.batches) + 1 == batch:
                data = what(self.network, data) or data
            return step(self, data, index)

        monkeypatch.setattr(SequenceClassifier, "training_step", broken)

    return at


def _break_gradient(network, _):
    network.layers[1].projection.weight.register_hook(lambda gradient: gradient * NAN)


@torch.no_grad()
def _break_weights(network, _):
    network.layers[1].neuron.recurrent.weight[0, 0] = NAN


def _break_current(network, _):
    network.layers[1].projection.register_forward_hook(lambda *args: args[-1] * NAN)


CAUSES = {
    "the states of layer2": _break_current,
    "the input data": lambda _, data: (data[0] * NAN, data[1]),
    "the weights of layers.1.neuron.recurrent.weight": _break_weights,
    "the gradient of layers.1.projection.weight": _break_gradient,
}


@pytest.mark.parametrize("where", CAUSES)
@pytest.mark.parametrize("batch", [1, 9])
def test_nan(where, batch, breaks, refused, tmp_path):
    breaks(batch, CAUSES[where])
    sentence = refused("--hidden", "8,7", "--name", "run", code=1)
    epoch = 1 + (batch - 1) // 6
    assert sentence.startswith(
        f"Numbers stopped being finite at batch {batch} (epoch {epoch}): first seen in {where}; "
    )
    last = tmp_path / "recall" / "run" / "checkpoints" / "last.ckpt"
    if batch == 1:
        assert sentence.endswith("There is no earlier checkpoint.")
    else:
        assert sentence.endswith(f"The last good checkpoint is {last}.")
        weights = read_checkpoint(last)["state_dict"].items()
        assert all(w.isfinite().all() for name, w in weights if name.startswith("network."))


def test_an_update_to_infinity_reaches_no_checkpoint(refused, tmp_path):
    @torch.no_grad()
    def overshoot(optimizer, *_):
        optimizer.param_groups[0]["params"][0][0] = float("inf")

    hook = register_optimizer_step_post_hook(overshoot)
    try:
        sentence = refused("--checkpoint-every", 1, code=1)
    finally:
        hook.remove()
    assert "first seen in the weights of layers.0.projection.weight;" in sentence
    assert not list(tmp_path.rglob("*.ckpt"))
