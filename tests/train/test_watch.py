"""What a run says: header, warnings, progress."""

import re
import time
from dataclasses import fields

import pytest

from srnn.train.config import Experiment, flag
from srnn.train.watch import health_warnings

FLAGS = {flag(field.name) for field in fields(Experiment)}


@pytest.mark.parametrize(
    ("rates", "gradient", "found"),
    [
        ({"layer1": 0.1, "layer2": 0.02}, 5.0, []),
        ({"layer1": 0.0, "layer2": 0.02}, 5.0, ["layer1 is silent"]),
        ({"layer1": 0.0005, "layer2": 0.9}, 5.0, ["layer1 is silent", "layer2 is saturated"]),
        ({"layer1": 0.1}, 1e4, ["The gradient explodes"]),
        ({"layer1": 0.1}, float("inf"), ["The gradient explodes"]),
        ({"layer1": 0.1}, float("nan"), ["The gradient explodes"]),
    ],
)
def test_health(rates, gradient, found):
    warnings = health_warnings(rates, gradient)
    assert [w for w, f in zip(warnings, found, strict=True) if not w.startswith(f)] == []


def test_advice_names_flags_that_exist():
    for warning in health_warnings({"layer1": 0.0, "layer2": 0.9}, 1e6):
        advised = set(re.findall(r"--[a-z-]+[a-z]", warning))
        assert advised
        assert advised <= FLAGS


@pytest.mark.parametrize(
    ("flags", "warning"),
    [
        (("--threshold", 1e6), "warning: layer1 is silent (0.00 % of its neurons fire in a step)"),
        (("--input-gain", 1e4, "--adaptation-strength", 0), "warning: layer1 is saturated ("),
        (("--surrogate", "multi_gaussian(gamma=7)"), "warning: The gradient explodes ("),
    ],
    ids=["silent", "saturated", "exploding"],
)
def test_an_unhealthy_run_says_so_once(flags, warning, train, capsys):
    train(*flags)
    assert capsys.readouterr().out.count(warning) == 1


def test_a_healthy_run_does_not_warn(train, capsys):
    train()
    captured = capsys.readouterr()
    assert "warning" not in captured.out
    assert captured.err == ""


@pytest.fixture
def lines(train, capsys):
    """What a tiny run of two layers prints."""
    folder = train("--hidden", "8,6", "--accelerator", "cpu")
    return folder, capsys.readouterr().out


def test_header(lines):
    folder, out = lines
    assert out.startswith(
        "Store and recall of 4 symbols: recurrent ALIF network 30-8-6-4, readout softmax-sum\n"
        "device    cpu (as asked for); 1 CPU threads; 32-true\n"
    )
    assert "data      96 training and 32 validation sequences, 24 steps of 30 channels" in out
    assert re.search(r"^kernel    (cpu|torch) \(.+\)$", out, re.M)
    assert "split     generated from seed 0: 96 sequences to train, 32 to validate and 32" in out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    # weights, biases, recurrent weights and biases, two time constants a neuron
    assert rows["layer1"][1:3] == ["8", str(8 * (30 + 1) + 8 * (8 + 1) + 16)]
    assert rows["layer2"][1:3] == ["6", str(6 * (8 + 1) + 6 * (6 + 1) + 12)]
    assert rows["readout"][1:3] == ["4", str(4 * (6 + 1) + 4)]
    for row, ranges in (("layer1", 2), ("readout", 1)):
        numbers = [float(word) for word in rows[row][3:] if word not in ("..", "-")]
        assert len(numbers) == 2 * ranges
        assert all(low <= high for low, high in zip(numbers[::2], numbers[1::2], strict=True))
    total = sum(int(rows[name][2]) for name in ("layer1", "layer2", "readout"))
    assert f"training  {total} parameters, 2 epochs of 6 batches of 16; adam, learning rate" in out
    expected = r"^expected  about \d+\.\d s an epoch, \d+\.\d s for all 2, without validation$"
    assert re.search(expected, out, re.M)
    assert f"\nrun       {folder}\n" in out


def test_first_batches_epochs_and_summary(lines):
    folder, out = lines
    number = r"\d+\.\d+"
    assert re.search(
        rf"^after 2 batches: firing rates layer1 {number} %, layer2 {number} %; gradient norm "
        rf"{number}, largest {number}$",
        out,
        re.M,
    )
    epochs = re.findall(rf"^epoch \d/2  loss {number}  accuracy {number} %  validation", out, re.M)
    assert len(epochs) == 2
    assert re.search(rf"^test accuracy +{number} %$", out, re.M)
    assert re.search(rf"^report +{re.escape(str(folder / 'report.md'))}$", out, re.M)


def test_a_log_is_plain(lines):
    assert "\x1b" not in lines[1]
    assert "\r" not in lines[1]


def test_a_terminal_has_a_bar(train, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    train("--epochs", 1)
    out = capsys.readouterr().out
    assert "━" in out
    assert "\x1b" in out


def test_a_resumed_epoch_is_timed_from_its_resumption(tiny, train, disturbed, capsys):
    moment = ("srnn.train.checkpoints.Checkpoints.on_train_batch_end", 4, "after")
    disturbed(tiny("--name", "run"), moment, [9])
    before = time.monotonic()
    train("--resume", "auto")
    took = time.monotonic() - before
    (seconds,) = re.findall(r"^epoch 1/2 .* (\d+\.\d) s, ", capsys.readouterr().out, re.M)
    assert float(seconds) <= took
