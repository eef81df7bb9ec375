"""Playing stretches: torchrl's environment, the state of a player, and the masks of its games."""

import pytest
import torch
from torch.distributions import Categorical
from torchrl.envs.utils import check_env_specs

from srnn.baselines import RNN
from srnn.train.player import Player, collect

from .players import CARTPOLE, NETWORKS, env_of, played_by

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


def test_a_reset_begins_new_games():
    """So that one rollout is as good as the next, as algorithms of torchrl have it."""
    torch.manual_seed(0)
    env = env_of(3)
    lengths, begun = [], []
    for _ in range(3):
        rollout = env.rollout(100)
        assert rollout["began"][:, 0].all()
        assert not rollout["began"][:, 1:].any()
        assert rollout["observation"][:, 0].abs().max() <= 0.05  # where CartPole begins
        lengths.append(rollout.shape[1])
        begun.append(env.games.seeds.tolist())
    assert min(lengths) > 5
    assert begun == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    env.reset()
    assert torch.equal(env.reset()["observation"], env.reset()["observation"])  # not played yet
    assert env.games.seeds.tolist() == [9, 10, 11]


def test_going_on_begins_no_game():
    env, twin = env_of(2), env_of(2)
    for _ in range(2):  # too short for a pole to fall
        now = env.rollout(4, auto_reset=False, tensordict=env.go_on())
    twin.games.restore(env.games.position())
    seen = twin.go_on()
    assert env.games.steps.tolist() == twin.games.steps.tolist() == [8, 8]
    assert torch.equal(seen["observation"], now["next", "observation"][:, -1])
    assert not seen["began"].any()
    new = twin.reset()
    assert set(new.keys()) == set(seen.keys())
    assert new["began"].all()
    assert twin.games.seeds.tolist() == [2, 3]


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
