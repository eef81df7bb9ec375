import csv

import pytest

from srnn.train import experiment, main

DATA = [
    *("--dataset", "recall", "--data.train", "96", "--data.valid", "32", "--data.test", "32"),
    *("--data.segments", "4", "--data.segment_steps", "6"),
]
TINY = [
    *DATA,
    *("--hidden", "8", "--epochs", "2", "--batch-size", "16", "--threads", "1"),
    *("--trials", "2", "--seeds", "2", "--widths", "4", "--penalties", "1"),
    *("--baselines", "rnn"),
]
"""A comparison of a dozen runs of half a second."""


@pytest.fixture(scope="session")
def quickly():
    """Run srnn-compare in a folder, without the plots of its runs."""

    def run(root, *flags, tiny=TINY):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(experiment, "_draw", lambda *_: None)
            return main.compare([*tiny, "--run-dir", str(root), *map(str, flags)])

    return run


@pytest.fixture
def tiny_comparison(tmp_path):
    """The flags of a tiny comparison, by the name "tiny", under the test's own folder."""
    return [*TINY, "--run-dir", str(tmp_path), "--name", "tiny"]


@pytest.fixture(scope="session")
def finished(quickly, tmp_path_factory):
    """The folder of a finished comparison."""
    root = tmp_path_factory.mktemp("compared")
    assert quickly(root, "--name", "tiny") == 0
    return root / "recall" / "compare-tiny"


@pytest.fixture(scope="session")
def rows():
    """Read a CSV table: the rows by the first column."""

    def read(path):
        with open(path, newline="") as file:
            return {row[next(iter(row))]: row for row in csv.DictReader(file)}

    return read
