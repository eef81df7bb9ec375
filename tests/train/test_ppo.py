"""Learning from games: advantages, the state and its masks, and whole runs on CartPole."""

import csv
import json
import signal
import sys

import pytest
import torch
from torch.distributions import Categorical
from torchrl.envs.utils import check_env_specs

from srnn import SRNN
from srnn.baselines import GRU, LSTM, RNN
from srnn.datasets import load
from srnn.datasets.games import Games
from srnn.encoder import Encoder
from srnn.stpn import STPN
from srnn.train.cli import parse
from srnn.train.games_env import GamesEnv
from srnn.train.metrics_csv import read_metrics
from srnn.train.play_games import play_games
from srnn.train.player import Player, collect
from srnn.train.ppo import PPO, advantages
from srnn.train.tasks import task_of

CARTPOLE = "gym:CartPole-v1"
NETWORKS = {
    "SRNN": lambda: SRNN(4, [9], 3, readout="stream", ticks=2, input_gain=6.0, threshold=0.3),
    "RNN": lambda: RNN(4, [9], 3, readout="stream"),
    "GRU": lambda: GRU(4, [9, 8], 3, readout="stream"),
    "LSTM": lambda: LSTM(4, [9], 3, readout="stream", encoder=Encoder((4,), "dense(6)")),
    "STPN": lambda: STPN(4, [9], 3, readout="stream"),
}
TINY = [
    *("--env", "CartPole-v1", "--data.steps", "16", "--data.train", "32", "--data.valid", "3"),
    *("--data.test", "4", "--epochs", "2", "--batch-size", "4", "--parts", "2", "--passes", "2"),
    *("--threads", "1", "--log-every", "2", "--checkpoint-every", "2"),
]
"""A run of a second: 2 epochs of 8 batches, a checkpoint and a row after every second of them."""
MODELS = {
    "srnn": ("--hidden", "8"),
    "lstm": ("--model", "lstm", "--hidden", "6"),
    "stpn": ("--model", "stpn", "--hidden", "5"),
}


def env_of(places=4, name=CARTPOLE):
    games = load(name).train
    return GamesEnv(Games(games.make(places), places, games.endless), games.info)


def played_by(net, steps=60, stretches=1, places=4):
    """Stretches that a network plays, each with the state before it."""
    env, player = env_of(places), Player(net, places, 4)
    now, found = env.reset(), []
    for _ in range(stretches):
        before = player.state
        stretch, now = collect(env, player, now, steps)
        found.append((stretch, before))
    return found


@pytest.fixture
def tiny(tmp_path):
    return lambda *flags: [*TINY, "--run-dir", str(tmp_path), *map(str, flags)]


@pytest.fixture
def train(tiny, tmp_path):
    from srnn.train.main import train as command

    def run(*flags, name="run"):
        assert command(tiny(*flags, "--name", name)) == 0
        return tmp_path / CARTPOLE / name

    return run


# ------------------------------------------------------------------------------ the environment


@pytest.mark.parametrize("name", [CARTPOLE, "pong"])
def test_torchrl_finds_nothing_wrong_with_the_environment(name):
    check_env_specs(env_of(3, name))


def test_a_game_that_ended_makes_room_and_says_so():
    (stretch, _), *_ = played_by(NETWORKS["RNN"](), steps=80)
    ended = stretch["next", "done"][:-1, :, 0]
    assert ended.any()
    assert torch.equal(stretch["began"][1:, :, 0], ended)
    assert stretch["began"][0].all()
    # CartPole begins within 0.05 of the middle, and has left it at the end of a game.
    assert stretch["observation"][stretch["began"][..., 0]].abs().max() <= 0.05
    assert stretch["next", "observation"][stretch["next", "done"][..., 0]].abs().amax(1).min() > 0.1


# ------------------------------------------------------------------------ the state of a player


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_the_whole_stretch_gives_the_policy_by_which_actions_were_drawn(make):
    """Otherwise the ratio of PPO would not begin at 1. Games end and begin within the stretches."""
    torch.manual_seed(0)
    net = make().double()
    for stretch, before in played_by(net, stretches=2):
        reset = stretch["began"][..., 0]
        outputs, _ = net(stretch["observation"], before, reset=reset)
        policy = Categorical(logits=outputs[..., :-1])
        close = {"rtol": 1e-8, "atol": 1e-9}
        torch.testing.assert_close(
            policy.log_prob(stretch["action"]).detach(), stretch["log_prob"], **close
        )
        torch.testing.assert_close(outputs[..., -1:].detach(), stretch["value"], **close)
        assert reset[1:].any()
        wrong, _ = net(stretch["observation"], before)  # no mask, or another one: it must show
        assert not torch.allclose(wrong[..., -1:], stretch["value"], **close)
        shifted, _ = net(stretch["observation"], before, reset=reset.roll(1, 0))
        assert not torch.allclose(shifted[..., -1:], stretch["value"], **close)


def test_the_state_goes_on_from_stretch_to_stretch():
    torch.manual_seed(0)
    net = NETWORKS["LSTM"]().double()
    (_, none), (stretch, before) = played_by(net, steps=5, stretches=2)
    assert none is None
    forgotten, _ = net(stretch["observation"], reset=stretch["began"][..., 0])
    assert not torch.allclose(forgotten[0, :, -1:], stretch["value"][0])
    assert before is not None


def test_looking_ahead_changes_nothing():
    net = NETWORKS["SRNN"]()
    env, player = env_of(), Player(net, 4, 4)
    now = env.reset()
    player(now)
    before = [part.clone() for part in player.remembered()]
    player.value(now)
    assert all(map(torch.equal, before, player.remembered()))


# ------------------------------------------------------------------------------- the advantages


def experiment(*flags):
    return parse(["--env", "CartPole-v1", *flags])[0]


def test_advantages_by_hand():
    """Four steps, each paid 1; a game ends at the second, and one is broken off at the last."""
    options = experiment("--discount", "0.5", "--trace", "0.5")
    value = torch.tensor([1.0, 2, 3, 4])[:, None, None]
    after = torch.tensor([2.0, 9, 4, 8])[:, None, None]  # 9 is of another game, 8 of this one
    done = torch.tensor([False, True, False, True])[:, None, None]
    terminated = torch.tensor([False, True, False, False])[:, None, None]
    reward = torch.ones(4, 1, 1)
    advantage, target = advantages(value, after, reward, done, terminated, options)
    last = 1 + 0.5 * 8 - 4
    third = 1 + 0.5 * 4 - 3 + 0.25 * last
    second = 1 - 2
    first = 1 + 0.5 * 2 - 1 + 0.25 * second
    expected = torch.tensor([first, second, third, last])[:, None, None]
    torch.testing.assert_close(advantage, expected)
    torch.testing.assert_close(target, expected + value)


def test_the_value_after_a_game_that_was_broken_off_is_its_own():
    """CartPole is broken off after 500 steps; the value then is that of what was seen last."""
    net = RNN(4, [3], 3, readout="stream").double()
    env, player = env_of(1), Player(net, 1, 4)
    now = env.reset()
    keeps = {"state": None}

    class Balancing(Player):
        def forward(self, tensordict):
            keeps["state"] = self.state
            super().forward(tensordict)
            angle, speed = tensordict["observation"][0, 2:]
            tensordict["action"] = (3 * angle + speed > 0).long()[None]
            return tensordict

    player = Balancing(net, 1, 4)
    stretch, _ = collect(env, player, now, 501)
    (step,) = stretch["next", "truncated"][:, 0, 0].nonzero().flatten().tolist()
    assert step == 499
    whole, record = net(stretch["observation"][:500])
    seen = stretch["next", "observation"][499][None]
    expected = net(seen, record.state)[0][0, :, -1:]
    torch.testing.assert_close(stretch["next", "value"][499], expected.detach())
    assert not torch.allclose(stretch["next", "value"][499], stretch["value"][500])
    torch.testing.assert_close(stretch["next", "value"][498], whole[499, :, -1:].detach())


# ------------------------------------------------------------------------------- playing to score


@pytest.mark.parametrize("greedy", [False, True])
def test_a_game_is_played_the_same_way_beside_whatever_it_is_played(greedy):
    torch.manual_seed(0)
    net, games = NETWORKS["GRU"]().double(), load(CARTPOLE).test
    seeds = list(range(40))  # more than are played at once
    together = play_games(net, games, seeds, greedy=greedy)
    for seed in (0, 17, 39):
        alone = play_games(net, games, [seed], greedy=greedy)
        assert alone.scores[0] == together.scores[seed] == alone.steps[0]
    assert len(set(together.scores.tolist())) > 3


def test_the_spikes_of_all_games_are_counted():
    torch.manual_seed(0)
    net, games = NETWORKS["SRNN"](), load(CARTPOLE).test
    together = play_games(net, games, range(18))  # more than are played at once
    alone = [play_games(net, games, [seed]) for seed in range(18)]
    assert together.counts[0].sum() == sum(one.counts[0].sum() for one in alone) > 0
    assert together.ticks == sum(one.ticks for one in alone) == 2 * int(together.steps.sum())


def test_nothing_is_drawn_from_torchs_own_numbers():
    net, state = NETWORKS["RNN"](), torch.get_rng_state()
    play_games(net, load(CARTPOLE).test, [0, 1])
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------------------------------ whole runs


@pytest.mark.parametrize("flags", MODELS.values(), ids=MODELS)
def test_a_killed_run_goes_on_as_if_nothing_had_been(flags, train, tiny, tmp_path, monkeypatch):
    """Weights, metrics and games; the kill is in the middle of games, and of an epoch."""
    from srnn.train.main import train as command

    whole = train(*flags, name="whole")
    step = PPO.training_step

    def killed(self, batch, index):
        if int(self.batches) == 11:
            raise KeyboardInterrupt
        step(self, batch, index)

    monkeypatch.setattr(PPO, "training_step", killed)
    assert command(tiny(*flags, "--name", "again")) == 130
    monkeypatch.setattr(PPO, "training_step", step)
    again = train(*flags, "--resume", "auto", name="again")
    assert (again / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    one, other = (
        torch.load(f / "checkpoints/last.ckpt", weights_only=True) for f in (whole, again)
    )
    assert one["games"]["games"]["seeds"].tolist() == other["games"]["games"]["seeds"].tolist()
    for name, weights in one["state_dict"].items():
        assert torch.equal(weights, other["state_dict"][name]), name


def test_ctrl_c_saves_and_the_run_goes_on(train, tiny, tmp_path, monkeypatch):
    from srnn.train.main import train as command

    whole = train(name="whole")
    step = PPO.training_step

    def pressed(self, batch, index):
        step(self, batch, index)
        if int(self.batches) == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(PPO, "training_step", pressed)
    assert command(tiny("--name", "again")) == 130
    monkeypatch.setattr(PPO, "training_step", step)
    again = train("--resume", "auto", name="again")
    assert (again / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--parts", "5"), "--parts shares out the games that are played at once, and 5 are more"),
        (("--tbptt", "8"), "is learned by stretches of --data.steps: leave --tbptt out."),
        (("--retrain",), "train for more epochs instead."),
        (("--encoder", "dense(4)"), "--encoder stands before an rnn, gru, lstm or stpn"),
        (("--model", "lstm", "--encoder", "conv(4@3s1)"), "needs inputs with a height and a width"),
        (("--model", "lstm", "--ticks", "2"), "--ticks is a setting of spiking networks"),
    ],
)
def test_flags_without_a_meaning(flags, sentence, tiny, capsys):
    from srnn.train.main import train as command

    assert command(tiny(*flags, "--name", "run")) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("module", ["torchrl.data", "gymnasium"])
def test_a_missing_package_is_named(module, tiny, capsys, monkeypatch):
    from srnn.train.main import train as command

    for own in ("gaming", "games_env", "player", "ppo"):
        monkeypatch.delitem(sys.modules, f"srnn.train.{own}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    missing = module.partition(".")[0]
    assert command(tiny("--name", "run")) == 2
    assert f'{missing} is missing: pip install "srnn[pong]" brings it.' in capsys.readouterr().err


def test_several_devices_are_refused(tiny, capsys):
    """Their gradients would not be shared after the first update of a batch."""
    from srnn.train.main import train as command

    assert command(tiny("--devices", "2", "--accelerator", "cpu", "--name", "two")) == 2
    assert "Games are learned by several updates a batch" in capsys.readouterr().err


def test_what_a_run_leaves_behind(train, capsys):
    folder = train("--hidden", "8")
    said = capsys.readouterr().out
    assert "steps a second (playing" in said
    assert "score" in said
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["test"]) == {"score", "iqm", "wins"}
    assert summary["test_sequences"] == 4
    series = read_metrics(folder / "metrics.csv")
    assert {"train/loss", "train/entropy", "train/kl", "val/score"} <= set(series)
    assert len(series["val/score"]) == 2
    for plot in ("learning_curves", "raster", "time_constants"):
        assert (folder / "plots" / f"{plot}.png").stat().st_size > 1000


def test_a_spiking_network_learns_to_balance_a_pole(tmp_path):
    """A quarter of the recipe, which solves it; without learning, a pole falls after 22 steps."""
    from srnn.train.main import train

    flags = ("--env", "CartPole-v1", "--epochs", "2", "--data.test", "20", "--threads", "1")
    assert train([*flags, "--run-dir", str(tmp_path), "--name", "run"]) == 0
    summary = json.loads((tmp_path / CARTPOLE / "run" / "summary.json").read_text())
    assert summary["test"]["score"] > 100


def test_a_run_scores_again_as_it_was_scored(train, capsys):
    from srnn.train.main import evaluate

    folder = train("--hidden", "8")
    summary = json.loads((folder / "summary.json").read_text())
    assert evaluate([str(folder), "--games", "4"]) == 0
    assert f"{summary['test']['score']:.2f}" in capsys.readouterr().out


# ------------------------------------------------------------------------------- comparisons


def test_what_was_seen_in_games_is_what_they_are_measured_on():
    torch.manual_seed(0)
    net = NETWORKS["SRNN"]()
    games = load(CARTPOLE, test=18).test  # more than are played at once
    played = play_games(net, games, games.__getitems__(range(18))[0].tolist())
    seen = list(task_of(games).observed(net, 5))
    assert [len(game) for game in seen] == played.steps.tolist()
    counts = sum(net(game)[1].counts[0].sum() for game in seen)
    assert counts == played.counts[0].sum() > 0


def test_a_comparison_of_players_is_told_for_a_step(train, tmp_path):
    from srnn.train.main import compare

    runs = [train("--hidden", "8", name="one"), train("--model", "lstm", "--hidden", "4", name="b")]
    flags = ("--run-dir", str(tmp_path), "--name", "both", "--threads", "1")
    assert compare(["--runs", *map(str, runs), *flags]) == 0
    folder = tmp_path / CARTPOLE / "compare-both"
    text = (folder / "report.md").read_text()
    for said in ("test score of a game", "nJ a step", "LSTM 4", "means a step"):
        assert said in text, said
    with open(folder / "table.csv", newline="") as file:
        spiking, lstm = csv.DictReader(file)
    summary = json.loads((runs[0] / "summary.json").read_text())
    assert float(spiking["test score of a game"]) == pytest.approx(summary["test"]["score"])
    # Each weight of the LSTM and of its readout once a step, and three products a unit; the state
    # is zero at the first step of a game.
    steps = json.loads((runs[1] / "summary.json").read_text())["test"]["score"]  # 1 for each
    expected = 4 * 4 * (4 + 4) + 3 * 4 + 3 * 4 - 4 * 4 * 4 / steps
    assert float(lstm["MACs"]) == pytest.approx(expected)


def test_joules_of_games_are_refused(train, tmp_path, capsys):
    from srnn.train.main import compare

    run = train("--hidden", "8")
    assert compare(["--runs", str(run), "--measure-energy", "--run-dir", str(tmp_path)]) == 2
    assert "--measure-energy times a network on sequences" in capsys.readouterr().err


# -------------------------------------------------------------------------------------- a film


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
    assert "--game-number must be below 4; got 4." in capsys.readouterr().err
    assert watch([str(tmp_path)]) == 2
    assert "There is no run in" in capsys.readouterr().err
