"""Learning by acting: playing, returns, the loss, and whole runs in the maze."""

import json
import signal

import pytest
import torch

from srnn import SRNN
from srnn.baselines import GRU, LSTM, RNN
from srnn.datasets import load
from srnn.datasets.maze_episodes import MazeEpisodes
from srnn.stpn import STPN
from srnn.train.actor_critic import actor_critic_loss, returns
from srnn.train.config import Experiment
from srnn.train.metrics_csv import read_metrics
from srnn.train.play import Played, play, play_the_same

TINY = [
    *("--dataset", "maze", "--data.size", "5", "--data.steps", "12", "--data.train", "48"),
    *("--data.valid", "16", "--data.test", "16", "--epochs", "2", "--batch-size", "8"),
    *("--threads", "1", "--log-every", "2", "--checkpoint-every", "2"),
]
"""A run of a second: 2 epochs of 6 batches, a checkpoint and a row after every second of them."""
MODELS = {
    "srnn": ("--hidden", "6"),
    "stpn": ("--model", "stpn", "--hidden", "4"),
    "lstm": ("--model", "lstm", "--hidden", "4"),
}
NETWORKS = {
    "SRNN": lambda: SRNN(17, [9], 5, readout="stream", input_gain=3.0),
    "RNN": lambda: RNN(17, [9], 5, readout="stream"),
    "GRU": lambda: GRU(17, [9, 8], 5, readout="stream"),
    "LSTM": lambda: LSTM(17, [9], 5, readout="stream"),
    "STPN": lambda: STPN(17, [9], 5, readout="stream", normalisation="after", clamp=1.0),
}


@pytest.fixture
def episodes() -> MazeEpisodes:
    return load("maze", size=5, steps=30, test=64).test


@pytest.fixture
def train(train_and_draw):
    """Plots and all."""
    return train_and_draw


# ------------------------------------------------------------------------------------- playing


@pytest.mark.parametrize("name", NETWORKS)
def test_the_whole_sequence_gives_the_policy_by_which_actions_were_drawn(name, episodes):
    """Otherwise the gradient would be that of another player's episodes."""
    net = NETWORKS[name]().double()
    seen = []
    net.register_forward_hook(lambda *call: seen.append(call[2][0]))
    played = play_the_same(net, episodes.rules, episodes.begin(range(16)), 0)
    stepwise = torch.cat(seen)
    assert stepwise.shape == (30, 16, 5)
    assert played.observations[..., 12].any()  # some reward was found: the state had to change
    whole, _ = net(played.observations)
    torch.testing.assert_close(whole.detach(), stepwise, rtol=1e-9, atol=1e-11)


def test_what_is_kept_is_what_the_rules_make_of_the_actions(episodes):
    played = play_the_same(NETWORKS["RNN"](), episodes.rules, episodes.begin(range(8)), 0)
    state = episodes.rules.start(*episodes.begin(range(8)))
    for observation, action, reward in zip(*played, strict=True):
        assert torch.equal(observation, episodes.rules.observe(state))
        state = episodes.rules.step(state, action)
        assert torch.equal(reward, state.paid)


def test_actions_have_the_chances_that_the_network_gives_them(episodes):
    net = NETWORKS["RNN"]()
    torch.nn.init.zeros_(net.readout.projection.weight)
    chances = torch.tensor([0.1, 0.2, 0.3, 0.4])
    net.readout.projection.bias.data = torch.cat([chances.log() + 7, torch.tensor([99.0])])
    played = play_the_same(net, episodes.rules, episodes.begin(range(64)), 0)
    shares = torch.bincount(played.actions.flatten(), minlength=4) / played.actions.numel()
    torch.testing.assert_close(shares, chances, atol=4 * (0.25 / 1920) ** 0.5, rtol=0)


def test_the_same_number_gives_the_same_episodes_and_no_draw_from_torch(episodes):
    net, before = NETWORKS["RNN"](), torch.get_rng_state()
    batch = episodes.begin(range(64))
    first, again, other = (play_the_same(net, episodes.rules, batch, i).actions for i in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    play(net, episodes.rules, batch)  # a training draws from torch's own
    assert not torch.equal(torch.get_rng_state(), before)


# ------------------------------------------------------------------------------------ learning


def test_returns_by_hand():
    rewards = torch.tensor([[0.0, 10.0], [0.0, 0.0], [10.0, 0.0]])
    expected = torch.tensor([[2.5, 10.0], [5.0, 0.0], [10.0, 0.0]])
    assert torch.equal(returns(rewards, 0.5), expected)
    assert torch.equal(returns(rewards, 0.0), rewards)


def test_the_loss_by_hand():
    """One episode of two steps: log-probabilities of 1/2, 1/4 and 1/4 against none."""
    scores = torch.tensor([[2.0, 1.0, 1.0, 0.0]]).log().repeat(2, 1)[:, None]
    value = torch.tensor([3.0, 1.0])[:, None, None]
    outputs = torch.cat([scores, value], -1)
    played = Played(torch.zeros(2, 1, 17), torch.tensor([[0], [2]]), torch.tensor([[0.0], [8.0]]))
    options = Experiment(discount=0.5, value_weight=0.1, certainty_weight=0.03)
    # R = 4, 8; advantages 1 and 7; ln 2 and ln 4 against them.
    actor = (1 * 0.6931471805599453 + 7 * 1.3862943611198906) / 2
    expected = actor + 0.1 * (1 + 49) / 2 + 0.03 * (1 / 4 + 1 / 16 + 1 / 16)
    loss = actor_critic_loss(outputs, played, options)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_the_actor_s_gradient_stops_at_the_advantage():
    outputs = torch.zeros(1, 1, 5, dtype=torch.float64, requires_grad=True)
    played = Played(torch.zeros(1, 1, 17), torch.tensor([[1]]), torch.tensor([[6.0]]))
    options = Experiment(discount=0.5, value_weight=0.1, certainty_weight=0.0)
    actor_critic_loss(outputs, played, options).backward()
    # Of the scores: -advantage (one-hot - pi); of the value: 0.1 * -2 advantage.
    expected = [6 * 0.25, -6 * 0.75, 6 * 0.25, 6 * 0.25, -1.2]
    assert outputs.grad.flatten().tolist() == pytest.approx(expected)


def test_the_gradient_is_that_of_the_expected_reward():
    """In a game of one step, exactly: the mean over all actions of what their gradients are."""
    outputs = torch.randn(1, 1, 5, dtype=torch.float64).requires_grad_()
    pays = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    options = Experiment(value_weight=0.0, certainty_weight=0.0)
    pi = outputs[0, 0, :4].softmax(-1)
    (expected,) = torch.autograd.grad(-(pi * pays).sum(), outputs, retain_graph=True)
    found = torch.zeros_like(outputs)
    for action in range(4):
        played = Played(torch.zeros(1, 1, 17), torch.tensor([[action]]), pays[action].view(1, 1))
        (gradient,) = torch.autograd.grad(actor_critic_loss(outputs, played, options), outputs)
        found += pi[action].detach() * gradient
    torch.testing.assert_close(found, expected)


# ---------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("model", MODELS)
def test_a_run_with_its_report_and_scored_again(model, train, capsys):
    from srnn.train.main import evaluate

    folder = train(*MODELS[model])
    out = capsys.readouterr().out
    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary["test"]) == ["reward"]
    assert f"test reward an episode  {summary['test']['reward']:.2f}" in out
    text = (folder / "report.md").read_text()
    assert "| validation reward an episode, by which the epoch was chosen |" in text
    assert "| `discount` | `0.9` |" in text
    assert not (folder / "plots/confusion.png").exists()
    assert (folder / "plots/raster.png").stat().st_size > 5000
    table = read_metrics(folder / "metrics.csv")
    assert [batch for batch, _ in table["val/reward"]] == [6, 12]
    assert summary["validation"] == max(value for _, value in table["val/reward"])
    assert evaluate([str(folder)]) == 0
    again = capsys.readouterr().out
    assert f"test reward an episode  {summary['test']['reward']:.2f}" in again
    assert ("spikes a sequence" in again) == (model == "srnn")


@pytest.mark.parametrize("model", MODELS)
def test_killed_and_resumed(model, tiny, train, disturbed, outcome, tmp_path, without_plots):
    flags = MODELS[model]
    moment = ("srnn.train.checkpoints.Checkpoints.on_train_batch_end", 9, "after")
    code, _ = disturbed(tiny(*flags, "--name", "run"), moment, [signal.SIGKILL])
    assert code == -signal.SIGKILL
    resumed = outcome(train(*flags, "--resume", "auto"))
    expected = outcome(train(*flags, name="whole"))
    assert resumed[1] == expected[1]
    assert resumed[0] == expected[0]
    assert resumed[2] == expected[2]


@pytest.mark.slow
def test_it_learns_to_find_a_reward_again(tiny, tmp_path, without_plots):
    """On 5 x 5, where a random player gets 23.8 in 40 steps, and memory is worth far more."""
    from srnn.train.main import train as command

    flags = ("--model", "rnn", "--hidden", 32, "--lr", 0.003, "--epochs", 4, "--batch-size", 32)
    sizes = ("--data.train", 1600, "--data.valid", 128, "--data.test", 256, "--data.steps", 40)
    assert command(tiny(*flags, *sizes, "--name", "run")) == 0
    summary = json.loads((tmp_path / "maze" / "run" / "summary.json").read_text())
    assert summary["test"]["reward"] > 50


def test_seeds_are_summed_up_in_rewards(tiny, tmp_path, without_plots):
    from srnn.train.main import train as command

    assert command(tiny(*MODELS["lstm"], "--seeds", 2, "--epochs", 1, "--name", "two")) == 0
    text = (tmp_path / "maze" / "two.md").read_text()
    rewards = [
        json.loads((tmp_path / "maze" / f"two-seed{seed}" / "summary.json").read_text())["test"]
        for seed in (0, 1)
    ]
    middle = sum(score["reward"] for score in rewards) / 2
    assert f"| mean ± sd | {middle:.2f} ± " in text
    assert "%" not in text


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--tbptt", "5"), "maze is learned by whole episodes"),
        (("--retrain",), "leave --retrain out"),
        (("--readout", "last"), "needs --readout stream"),
        (("--discount", "1.5"), "--discount must lie between 0 and 1; got 1.5."),
        (("--value-weight", "-1"), "--value-weight must not be negative; got -1.0."),
    ],
)
def test_flags_without_a_meaning(flags, sentence, refused, tiny):
    assert sentence in refused(*flags, tiny=tiny)


def test_settings_of_episodes_are_refused_elsewhere(refused):
    found = refused("--discount", "0.5", tiny=lambda *given: list(given))
    assert found == (
        "--discount is a setting of other tasks and means nothing for --dataset recall: leave it "
        "out."
    )


def test_players_are_measured_on_the_episodes_that_they_bring_about(train, tmp_path):
    from srnn.train.main import compare

    runs = [train(*MODELS[name], "--epochs", 1, name=name) for name in ("srnn", "lstm")]
    assert compare(["--runs", *map(str, runs), "--run-dir", str(tmp_path), "--threads", "1"]) == 0
    text = (tmp_path / "maze" / "compare" / "report.md").read_text()
    assert "test reward an episode" in text
    assert "LSTM 4" in text
