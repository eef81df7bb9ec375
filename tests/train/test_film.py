"""srnn-watch: a film of a game, and what has none."""

import sys

import pytest

from .players import TINY


@pytest.mark.parametrize("flags", [("--hidden", "12"), ("--model", "lstm", "--hidden", "5")])
def test_a_film_of_a_game(flags, tmp_path, capsys):
    from PIL import Image

    from srnn.train.main import train, watch

    tiny = [*TINY[2:], "--data.train", "4", "--data.valid", "1", "--data.test", "2"]
    tiny += ["--epochs", "1", "--run-dir", str(tmp_path)]
    assert train(["--dataset", "pong", *tiny, "--name", "run", *flags]) == 0
    folder = tmp_path / "pong" / "run"
    assert watch([str(folder), "--game-number", "1", "--steps", "4"]) == 0
    assert "4 steps, score" in capsys.readouterr().out
    with Image.open(folder / "plots" / "game1.gif") as film:
        assert film.n_frames == 4
        pictures = []
        for frame in range(4):
            film.seek(frame)
            pictures.append(film.convert("L").tobytes())
    assert len(set(pictures)) == 4


def test_what_cannot_be_watched(train, capsys, tmp_path):
    from srnn.train.main import watch

    folder = train("--hidden", "4")
    assert watch([str(folder), "--game-number", "4"]) == 2
    assert "--game-number must be 0 to 3; got 4." in capsys.readouterr().err
    assert watch([str(folder), "--game-number", "-1"]) == 2
    assert "--game-number must be 0 to 3; got -1." in capsys.readouterr().err
    assert watch([str(tmp_path)]) == 2
    assert "There is no run in" in capsys.readouterr().err


def test_what_cannot_be_shown_is_said_in_one_sentence(train, refused, monkeypatch):
    """And leaves no film behind."""
    from srnn.train.main import watch

    folder = train("--hidden", "4")
    monkeypatch.setitem(sys.modules, "pygame", None)
    sentence = refused(folder, command=watch, tiny=lambda *flags: [*map(str, flags)])
    assert sentence == (
        "CartPole-v1 cannot be shown: pygame is not installed, run "
        '`pip install "gymnasium[classic-control]"`.'
    )
    assert not (folder / "plots" / "game0.gif").exists()
