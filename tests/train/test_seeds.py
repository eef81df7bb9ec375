"""Several runs of one experiment."""

import json
import statistics

import pytest

from srnn.train import experiment, seeds
from srnn.train.errors import Stopped
from srnn.train.main import train as command

FLAGS = ("--seeds", 2, "--seed", 3, "--name", "several", "--epochs", 1)


@pytest.fixture
def several(tiny, tmp_path, without_plots):
    """Run the seeds 3 and 4; give the two summaries and the table's last row."""

    def run(*flags):
        assert command(tiny(*FLAGS, *flags)) == 0
        runs = tmp_path / "recall"
        summaries = [
            json.loads((runs / f"several-seed{seed}" / "summary.json").read_text())
            for seed in (3, 4)
        ]
        return summaries, (runs / "several.md").read_text().splitlines()[2:-2]

    return run


def test_mean_and_spread(several, capsys, tmp_path):
    summaries, table = several()
    assert {path.name for path in (tmp_path / "recall").iterdir()} == {
        *("several-seed3", "several-seed4", "several.md")
    }
    accuracies = [100 * summary["test"]["accuracy"] for summary in summaries]
    losses = [summary["test"]["loss"] for summary in summaries]
    assert losses[0] != losses[1]
    expected = [
        f"{statistics.mean(accuracies):.1f} % ± {statistics.stdev(accuracies):.1f}",
        f"{statistics.mean(losses):.4f} ± {statistics.stdev(losses):.4f}",
    ]
    assert table[0] == "| seed | test accuracy | test cross entropy |"
    assert table[-1] == f"| mean ± sd | {expected[0]} | {expected[1]} |"
    assert [row.split(" | ")[0] for row in table[2:4]] == ["| 3", "| 4"]
    out = capsys.readouterr().out
    assert all(text in out for text in expected)


def test_resumed_after_the_first(several, tiny, monkeypatch, refused, tmp_path):
    run = experiment.run
    seen = []

    def stopping(single, folder, console):
        seen.append(single.seed)
        if single.seed == 4:
            raise Stopped("stopped and saved after batch 2 of epoch 1; go on with: ...")
        return run(single, folder, console)

    with monkeypatch.context() as patched:
        patched.setattr(seeds, "run", stopping)
        assert refused(*FLAGS, code=130) == (
            "seed 4 stopped and saved after batch 2 of epoch 1; go on with the same flags and "
            "--name several --resume auto"
        )
    assert seen == [3, 4]
    first = tmp_path / "recall" / "several-seed3"
    before = (first / "summary.json").stat().st_mtime_ns
    resumed = several("--resume", "auto")
    assert (first / "summary.json").stat().st_mtime_ns == before
    again = several("--resume", "auto")  # all have finished
    assert again == resumed
    assert "cannot go on with 0.1" in refused(*FLAGS, "--resume", "auto", "--lr", 0.1)


def test_seeds_that_have_finished_go_on_where_there_are_to_be_more_epochs(several, tiny, tmp_path):
    constant = ("--schedule", "constant")
    assert command(tiny(*constant, "--epochs", 1, "--seed", 3, "--name", "several-seed3")) == 0
    summaries, _ = several(*constant, "--resume", "auto", "--epochs", 2)
    assert [summary["epochs"] for summary in summaries] == [2, 2]


def test_all_seeds_are_looked_at_before_the_first_is_trained(
    tiny, refused, without_plots, tmp_path
):
    other = ("--epochs", 1, "--seed", 4, "--name", "several-seed4", "--lr", 0.1)
    assert command(tiny(*other)) == 0
    assert "cannot go on with" in refused(*FLAGS, "--resume", "auto")
    assert {path.name for path in (tmp_path / "recall").iterdir()} == {"several-seed4"}
