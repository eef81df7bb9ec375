"""Networks that play CartPole, and the flags of a run of a second that trains one."""

from srnn import SRNN
from srnn.baselines import GRU, LSTM, RNN
from srnn.datasets import load
from srnn.datasets.games import Games
from srnn.encoder import Encoder
from srnn.stpn import STPN
from srnn.train.games_env import GamesEnv
from srnn.train.player import Player, collect

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
