"""A caveat of a data set stands beside every score that anybody gets to read."""

import json
import re

import pytest
import torch
from matplotlib.figure import Figure

from srnn.datasets import IGNORE, Info, SequenceDataset
from srnn.train import main, plots
from srnn.train.look import look_at

ACCURACY = re.compile(r"\b(?:accuracy|validation) +\d+\.\d+ %(.*)")
"""An accuracy in what is printed, and what follows it in its line."""


def accuracies(text):
    """What follows each accuracy in a text, up to the next one."""
    found = [part for line in text.splitlines() for part in re.split(r"(?=validation )", line)]
    return [match[1] for match in map(ACCURACY.search, found) if match]


@pytest.fixture
def titles(monkeypatch):
    """The titles of all learning curves drawn."""
    draw, found = plots.learning_curves, []

    def learning_curves(*arguments):
        with monkeypatch.context() as patched:
            patched.setattr(Figure, "suptitle", lambda _, text, **__: found.append(text))
            draw(*arguments)

    monkeypatch.setattr(plots, "learning_curves", learning_curves)
    return found


def test_everything_to_read(caveat, titles, tiny, tmp_path, capsys):
    flags = ("--retrain", "--seeds", 2, "--name", "several")
    assert main.train(tiny(*flags)) == 0
    out = capsys.readouterr().out
    runs = tmp_path / "recall"

    marked = f" ({caveat})"
    # The validation of each epoch, and the test, for each of two seeds.
    found = [line for line in out.splitlines() if re.search(r"validation \d|^test accuracy", line)]
    assert len(found) >= 2 * (2 + 1)
    assert all(re.search(rf"(validation|accuracy) +[\d.]+ %{re.escape(marked)}", x) for x in found)
    assert out.count(f"\ncaveat    {caveat}\n") == 2
    assert f"test accuracy{marked}" in out.splitlines()[-5]  # the head of the seeds' table

    assert set(titles) == {
        f"Store and recall of 4 symbols{marked}",
        f"Store and recall of 4 symbols, retraining{marked}",
    }

    for seed in (0, 1):
        folder = runs / f"several-seed{seed}"
        assert json.loads((folder / "summary.json").read_text())["caveat"] == caveat
        report = (folder / "report.md").read_text()
        assert report.split("\n\n")[1] == f"**About every score here: {caveat}.**"
        rows = [line for line in report.splitlines() if re.search(r"accuracy.* %", line)]
        assert len(rows) == 2
        assert all(row.endswith(f"{marked} |") for row in rows)
    several = (runs / "several.md").read_text()
    assert several.split("\n\n")[1] == f"**About every score here: {caveat}.**"
    assert f"| test accuracy{marked} | test cross entropy |" in several

    assert main.evaluate([str(folder)]) == 0
    found = accuracies(capsys.readouterr().out)
    assert len(found) == 1
    assert found[0] == marked


def test_without_one_nothing_is_added(finished, titles, tiny, capsys):
    assert main.train(tiny("--name", "plain")) == 0
    out = capsys.readouterr().out
    assert "caveat" not in out
    assert {rest[:1] for rest in accuracies(out)} <= {"", " "}
    assert not any(rest.startswith(" (") for rest in accuracies(out))
    assert titles == ["Store and recall of 4 symbols"]
    report = (finished / "report.md").read_text()
    assert report.split("\n\n")[1].startswith("Data: ")
    assert json.loads((finished / "summary.json").read_text())["caveat"] == ""


class OneStream(SequenceDataset):
    """A streaming sequence of five steps."""

    def __init__(self, caveat):
        super().__init__(Info("one", "One", 3, 5, ("a", "b"), True, *("text",) * 5, caveat))

    def __len__(self):
        return 1

    def __getitems__(self, indices):
        return torch.ones(5, 1, 3), torch.tensor([0, 1, IGNORE, 0, 1])[:, None]


def test_a_look_at_the_steps_of_one_sequence(network):
    title = look_at(network(readout="stream"), OneStream("mind this"), 0).title
    assert re.fullmatch(
        r"One, sequence 0: right at \d+ % of its labelled steps \(mind this\)", title
    )
