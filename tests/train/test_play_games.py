"""Playing given games to their ends: the same way every time, all spikes and sights counted."""

import pytest
import torch

from srnn.datasets import load
from srnn.train.play_games import play_games
from srnn.train.tasks import task_of

from .players import CARTPOLE, NETWORKS


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


def test_what_was_seen_in_games_is_what_they_are_measured_on():
    torch.manual_seed(0)
    net = NETWORKS["SRNN"]()
    games = load(CARTPOLE, test=18).test  # more than are played at once
    played = play_games(net, games, games.__getitems__(range(18))[0].tolist())
    seen = list(task_of(games).observed(net, 5))
    assert [len(game) for game in seen] == played.steps.tolist()
    counts = sum(net(game)[1].counts[0].sum() for game in seen)
    assert counts == played.counts[0].sum() > 0
