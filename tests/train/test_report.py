"""A finished run: its report, its plots, and scoring it again."""

import json
import re
from pathlib import Path

import pytest
import torch

from srnn.train import main, plots
from srnn.train.checkpoints import read_checkpoint
from srnn.train.console import percent
from srnn.train.look import Look
from srnn.train.rescore import evaluate_run
from srnn.train.tasks import Naming


def test_report(finished):
    text = (finished / "report.md").read_text()
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(links) == 4
    for link in links:
        content = (finished / link).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5000
    summary = json.loads((finished / "summary.json").read_text())
    assert f"| test accuracy | {percent(summary['test']['accuracy'])} |" in text
    assert "| `batch_size` | `16` |" in text
    (config,) = re.findall(r"`srnn-train --config (\S+)` repeats the run", text)
    assert Path(config).name == "config.yaml"


def test_summary(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert set(summary["test"]) == {"loss", "accuracy"}
    assert summary["test_sequences"] == 32
    assert 1 <= summary["best_epoch"] <= 2
    assert summary["parameters"] == 376
    assert 0 < summary["rates"]["layer1"] < 1
    assert summary["spikes_per_sequence"] == pytest.approx(summary["rates"]["layer1"] * 8 * 24)


def test_scored_again(finished, capsys):
    capsys.readouterr()
    assert main.evaluate([str(finished)]) == 0
    accuracy = json.loads((finished / "summary.json").read_text())["test"]["accuracy"]
    assert f"test accuracy           {percent(accuracy)}\n" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed"])
@pytest.mark.parametrize("readout", ["softmax-sum", "count"])
def test_scored_again_exactly(precision, readout, train):
    from srnn.train.console import Console
    from srnn.train.run_folder import RunFolder

    folder = train("--precision", precision, "--readout", readout)
    scores = evaluate_run(RunFolder(folder), None, None, Console())
    assert scores == json.loads((folder / "summary.json").read_text())["test"]


def test_double_precision_reaches_the_plots(tiny, tmp_path):
    assert main.train(tiny("--precision", "64-true", "--epochs", 1, "--name", "run")) == 0
    assert (tmp_path / "recall" / "run" / "plots" / "raster.png").exists()


def test_the_test_set_is_read_once_and_last(train, trained_and_read):
    train()
    assert trained_and_read == ["trained", "read"]


def test_the_weights_that_validation_chose_are_tested(train, monkeypatch):
    scored = []

    evaluate = Naming.evaluate

    def noted(task, network, batch_size):
        scored.append({name: value.tolist() for name, value in network.state_dict().items()})
        return evaluate(task, network, batch_size)

    monkeypatch.setattr(Naming, "evaluate", noted)
    folder = train("--epochs", 3, "--seed", 16)  # of which the second is the best
    kept = {}
    for name in ("best", "last"):
        state = read_checkpoint(folder / "checkpoints" / f"{name}.ckpt")["state_dict"]
        kept[name] = {key.removeprefix("network."): value for key, value in state.items()}
    assert kept["best"].keys() >= scored[0].keys()
    best, last = ({key: kept[name][key].tolist() for key in scored[0]} for name in kept)
    assert scored == [best]
    assert scored != [last]


def test_learning_curves_of_a_table_with_gaps(tmp_path):
    table = tmp_path / "metrics.csv"
    table.write_text(
        "epoch,batch,train/loss,val/loss,train/accuracy,spikes/rate_layer1,train/grad_norm\n"
        "1,1,2.0,,0.1,0.2,\n1,2,0.001,1.5,0.9,0.1,3.0\n"
    )
    plots.learning_curves(table, "accuracy", "title", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000


@pytest.mark.parametrize(("inputs", "rate"), [(300, 0.3), (1, 0.5), (4, 0.0)])
def test_raster_of_many_few_and_silent_neurons(inputs, rate, network, tmp_path):
    net = network(inputs=inputs, hidden=(200, 3), threshold=0.01 if rate else 1e6)
    signal = (torch.rand(30, 1, inputs) < rate).float() * (1 if inputs > 1 else 0.37)
    with torch.no_grad():
        _, record = net(signal, keep_spikes=True, keep_membranes=True)
    activity = {"input": signal[:, 0]}
    activity |= {f"layer{i}": spikes[:, 0] for i, spikes in enumerate(record.spikes, start=1)}
    membranes, thresholds = record.membranes[0][:, 0], torch.full((30, 200), 0.01)
    path = tmp_path / "raster.png"
    plots.raster(Look("title", activity, membranes, thresholds), path)
    assert path.stat().st_size > 5000


@pytest.mark.parametrize("classes", [2, 30])
def test_confusion_of_few_and_many_classes(classes, tmp_path):
    matrix = torch.diag(torch.arange(classes))  # the first class does not occur
    plots.confusion(matrix, [f"class {i}" for i in range(classes)], tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 5000


def test_time_constants_of_layers_that_differ(tmp_path):
    before = {
        "layer1.tau_mem": torch.tensor([2.0, 300.0]),
        "layer1.tau_adapt": torch.full((2,), 150.0),
        "readout.tau_mem": torch.tensor([20.0, 21.0]),
    }
    path = tmp_path / "taus.png"
    plots.time_constants(before, {name: tau * 1.1 for name, tau in before.items()}, path)
    assert path.stat().st_size > 5000


def test_scored_again_on_a_smaller_machine(train, capsys):
    folder = train()
    config = folder / "config.yaml"
    text = config.read_text()
    config.write_text(
        text.replace("threads: 1", "threads: 4096").replace("devices: 1", "devices: 64")
    )
    assert main.evaluate([str(folder)]) == 0
