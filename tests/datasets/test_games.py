"""Games: what a seed decides, going on from a position, and what of a game is seen."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.datasets import DataError, load
from srnn.datasets.atari import CHANGE, PONG, difference, events, frame
from srnn.datasets.games import TEST, VALIDATION, GameInfo, Games, GameSet, Moved

KINDS = ["gym:CartPole-v1", "gym:FrozenLake-v1", "pong", "atari:breakout"]


class Counting:
    """A world in which everything can be told: a game of seed s has s % 5 + 1 steps.

    What is seen is the seed, the steps taken, and the sum of the actions.
    """

    def __init__(self, places):
        self.seeds = np.full(places, -1)
        self.steps = np.zeros(places, dtype=np.int64)
        self.sums = np.zeros(places, dtype=np.int64)

    def begin(self, places, seeds):
        assert len(seeds) == places.sum()
        self.seeds[places], self.steps[places], self.sums[places] = seeds, 0, 0
        return self.seen()

    def step(self, actions):
        self.steps += 1
        self.sums += actions
        over = torch.from_numpy(self.steps > self.seeds % 5)
        return Moved(self.seen(), torch.from_numpy(actions).float(), over, torch.zeros_like(over))

    def seen(self):
        return torch.from_numpy(np.stack([self.seeds, self.steps, self.sums], 1)).float()


def play(games, actions):
    """Everything that comes of the actions, [steps, places], new games included."""
    seen, fresh = games.begin()
    told = [seen, fresh.float()]
    for action in actions:
        moved = games.step(action)
        told += [moved.observations, moved.rewards]
        if (ended := moved.terminated | moved.truncated).any():
            told.append(games.renew(ended))
    return torch.cat([part.flatten() for part in told])


def draw_actions(seed, steps, places, number):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(number, (steps, places), generator=generator)


# ------------------------------------------------------------------------------- side by side


def test_the_next_game_takes_the_place_of_one_that_ended():
    games = Games(Counting(2), 2, [3, 4, 10, 11])
    seen, fresh = games.begin()
    assert seen[:, 0].tolist() == [3, 4]
    assert fresh.tolist() == [True, True]
    for _ in range(4):
        moved = games.step(torch.tensor([1, 0]))
    assert moved.terminated.tolist() == [True, False]
    assert games.renew(moved.terminated)[:, 0].tolist() == [10, 4]
    assert games.seeds.tolist() == [10, 4]
    assert games.steps.tolist() == [0, 4]
    assert games.begin()[1].tolist() == [True, False]


def test_a_place_without_a_next_game_is_empty():
    games = Games(Counting(2), 2, [0, 9])
    games.begin()
    games.renew(games.step(torch.tensor([0, 0])).terminated)
    assert games.seeds.tolist() == [-1, 9]
    games.step(torch.tensor([0, 0]))  # which goes on elsewhere
    assert games.seeds.tolist() == [-1, 9]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(0, 25), st.integers(0, 2**20))
def test_a_position_goes_on_as_the_games_would_have(places, steps, seed):
    first, then = draw_actions(seed, steps, places, 3), draw_actions(seed + 1, 12, places, 3)
    games = Games(Counting(places), places, range(100))
    play(games, first)
    position = games.position()
    again = Games(Counting(places), places, range(100))
    again.restore(position)
    assert torch.equal(play(again, then), play(games, then))


# -------------------------------------------------------------------------------- real worlds


@pytest.mark.parametrize("name", KINDS)
def test_a_real_position_goes_on_as_the_games_would_have(name):
    games_of = load(name).train
    number = len(games_of.info.classes)
    games = Games(games_of.make(3), 3, games_of.endless)
    play(games, draw_actions(0, 60, 3, number))
    games.renew(torch.tensor([False, True, False]))  # so that some game begins later than others
    play(games, draw_actions(1, 90, 3, number))
    position = games.position()
    again = Games(games_of.make(3), 3, games_of.endless)
    again.restore(position)
    then = draw_actions(2, 60, 3, number)
    assert torch.equal(play(again, then), play(games, then))


@pytest.mark.parametrize("name", KINDS)
def test_a_game_is_its_seed_wherever_it_is_played(name):
    games_of = load(name).train
    actions = draw_actions(2, 40, 1, len(games_of.info.classes))
    alone = Games(games_of.make(1), 1, [7])
    third = Games(games_of.make(3), 3, [21, 5, 7])
    (one, _), (many, _) = alone.begin(), third.begin()
    for action in actions:
        assert torch.equal(one[0], many[2])
        moved, beside = alone.step(action), third.step(action.expand(3))
        assert moved.rewards[0] == beside.rewards[2]
        if moved.terminated.any():
            assert beside.terminated[2]
            break
        one, many = moved.observations, beside.observations


def test_sticky_actions_are_decided_by_the_seed_too():
    games_of = load("pong", sticky=0.25).train
    actions = draw_actions(3, 60, 2, 3)
    runs = [play(Games(games_of.make(2), 2, [1, 2]), actions) for _ in range(2)]
    assert torch.equal(*runs)
    plain = load("pong").train
    assert not torch.equal(runs[0], play(Games(plain.make(2), 2, [1, 2]), actions))


def test_a_time_limit_is_no_end():
    """CartPole-v1 is broken off after 500 steps; a cart that is kept up gets there."""
    games_of = load("gym:CartPole-v1").train
    games = Games(games_of.make(1), 1, [0])
    (seen, _), ended = games.begin(), False
    while not ended:
        angle, speed = float(seen[0, 2]), float(seen[0, 3])
        moved = games.step(torch.tensor([int(3 * angle + speed > 0)]))
        seen, ended = moved.observations, bool(moved.terminated | moved.truncated)
    assert games.steps.tolist() == [500]
    assert (moved.truncated.tolist(), moved.terminated.tolist()) == ([True], [False])


@pytest.mark.parametrize(
    ("game", "actions", "earliest"), [("breakout", "minimal", 1), ("freeway", "minimal", 0)]
)
def test_a_game_waits_for_up_to_29_frames_of_which_fire_is_the_first(game, actions, earliest):
    """Freeway knows no FIRE; of a game that does, a frame at least has gone by."""
    from srnn.datasets.atari import WHOLE, _emulator, actions_of

    emulator = _emulator(game, 8, actions_of(game, actions), 0.0, size=WHOLE.size, frames=2)
    waited = []
    for first in range(0, 160, 8):
        _, info = emulator.reset(seed=np.arange(first, first + 8))
        waited += info["episode_frame_number"].tolist()
    assert (min(waited), max(waited)) == (earliest, 29)


# ---------------------------------------------------------------------------- what is seen


def test_events_and_differences_of_two_frames_by_hand():
    pair = torch.tensor([[[[87, 87, 200]], [[87 + CHANGE, 86 + 2 * CHANGE + 1, 87]]]]).byte()
    on, off = events(pair, 87)[0]
    assert on.tolist() == [[0, 1, 0]]
    assert off.tolist() == [[0, 0, 1]]
    now, change = difference(pair, 87)[0]
    assert now.tolist() == [[8 / 64, 16 / 64, 0]]
    assert change.tolist() == [[8 / 64, 16 / 64, -113 / 64]]
    assert frame(pair, 87)[0, 0].tolist() == [[8 / 64, 16 / 64, 0]]


@pytest.mark.parametrize("observation", ["events", "difference"])
def test_nothing_has_moved_when_a_game_begins(observation):
    games_of = load("pong", observation=observation).train
    games = Games(games_of.make(3), 3, games_of.endless)
    (seen, _), channels = games.begin(), (3, 2, 54, 40)
    moved = seen.view(channels)[:, 0 if observation == "events" else 1 :]
    assert not moved.any()
    for _ in range(20):
        going_on = games.step(torch.tensor([1, 2, 1])).observations
    seen = games.renew(torch.tensor([False, True, False]))
    assert torch.equal(seen[[0, 2]], going_on[[0, 2]])
    assert not seen.view(channels)[1, 0 if observation == "events" else 1 :].any()


def test_the_playfield_of_pong_is_all_that_is_seen():
    splits = load("pong", observation="frame")
    assert splits.info.shape == (1, 54, 40)
    games = Games(splits.train.make(2), 2, [0, 1])
    games.begin()
    seen = games.step(torch.zeros(2, dtype=torch.int64)).observations
    # The background of the playfield is exactly 0, and the score above it, which is not, is out.
    assert (seen == 0).float().mean() > 0.9
    assert PONG.rows == slice(11, 65)  # of 70: rows 34 to 194 of the screen's 210 begin at 11.3


def test_the_background_of_pong_is_nothing_on_the_whole_screen_too():
    splits = load("pong", observation="frame", screen="whole")
    assert splits.info.shape == (1, 84, 84)
    games = Games(splits.train.make(2), 2, [0, 1])
    seen, _ = games.begin()
    # Walls, scores and what moves are seen; the background, most of the screen, is exactly 0.
    assert (seen == 0).float().mean() > 0.8


def test_up_is_up_in_pong():
    games_of = load("pong", observation="frame").train
    rows = {}
    for action in (1, 2):
        games = Games(games_of.make(1), 1, [0])
        games.begin()
        for _ in range(30):
            seen = games.step(torch.tensor([action])).observations
        racket = seen.view(54, 40)[:, 34:38].abs().sum(1)  # the player's own is on the right
        rows[games_of.info.classes[action]] = float((racket.nonzero()).float().mean())
    assert rows["up"] < 15 < 30 < rows["down"]


# ---------------------------------------------------------------------------- the data sets


def test_what_pong_says_of_itself():
    splits = load("pong")
    info = splits.info
    assert isinstance(info, GameInfo)
    assert (info.channels, info.steps, info.outputs, info.score) == (4320, 64, 4, "score")
    assert (info.signs, info.points) == (True, True)
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [2048, 16, 100]


def test_other_games_have_all_of_their_actions():
    assert load("atari:breakout").info.classes == ("noop", "fire", "right", "left")
    assert not load("atari:breakout").info.points


def test_no_two_parts_or_tasks_share_a_game():
    ranges = []
    for task_seed in (0, 1, 7):
        splits = load("pong", task_seed=task_seed)
        ranges.append(splits.train.endless)
        for part, start in ((splits.valid, VALIDATION), (splits.test, TEST)):
            seeds, _ = part.__getitems__(range(len(part)))
            assert seeds[0] == start + task_seed * 2**26
            ranges.append(range(int(seeds[0]), int(seeds[-1]) + 1))
    for i, one in enumerate(ranges):
        for other in ranges[i + 1 :]:
            assert one[-1] < other[0] or other[-1] < one[0]
    assert max(seeds[-1] for seeds in ranges) < 2**31  # ALE's seeds are of 32 bits, with a sign


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("atari:pongg", {}, "There is no Atari game 'pongg'; there are"),
        ("pong", {"observation": "sound"}, "observation must be one of events, difference, frame"),
        ("pong", {"actions": "none"}, "actions must be few, minimal or full for pong, not 'none'"),
        ("atari:breakout", {"actions": "few"}, "actions must be minimal or full for breakout"),
        ("pong", {"screen": "half"}, "screen must be playfield or whole for pong, not 'half'"),
        ("atari:breakout", {"screen": "playfield"}, "screen must be whole for breakout"),
        ("pong", {"observation": ["events"]}, "observation must be one of .*, not \\['events'\\]"),
        ("pong", {"sticky": 1.0}, "sticky must be a probability below 1"),
        ("pong", {"sticky": -0.1}, "sticky must lie between 0 and 1, not at -0.1"),
        ("pong", {"sticky": "often"}, "sticky must be a number, not 'often'"),
        ("pong", {"steps": 0}, "steps"),
        ("pong", {"task_seed": 8}, "task_seed must be below 8"),
        ("gym:Nowhere-v1", {}, "gymnasium has no environment 'Nowhere-v1'"),
        ("gym:Pendulum-v1", {}, "only numbered ones"),
    ],
)
def test_what_has_no_meaning_is_refused(name, options, complaint):
    with pytest.raises(DataError, match=complaint):
        load(name, **options)


def test_there_is_nothing_to_retrain_on():
    with pytest.raises(DataError, match="train for more epochs instead"):
        _ = load("pong").joined


def test_a_set_gives_seeds():
    games = GameSet(load("pong").info, Counting, lambda seed, actions: iter(()), 50, 4)
    seeds, nothing = games.__getitems__([0, 3])
    assert (seeds.tolist(), nothing.tolist()) == ([50, 53], [0, 0])


@pytest.mark.parametrize(("which", "count"), [("minimal", 6), ("full", 18)])
def test_an_action_does_the_same_in_every_set_of_actions(which, count):
    few, more = (load("pong", actions=actions).train for actions in ("few", which))
    assert len(more.info.classes) == count
    # ALE calls up and down what a joystick is turned to.
    numbers = torch.tensor([more.info.classes.index(name) for name in ("noop", "right", "left")])
    actions = draw_actions(6, 60, 2, 3)
    games = [Games(each.make(2), 2, each.endless) for each in (few, more)]
    for each in games:
        each.begin()
    for action in actions:
        one, other = games[0].step(action), games[1].step(numbers[action])
        assert torch.equal(one.observations, other.observations)
    screens = [
        np.stack(list(each.screens(9, taken.tolist())))
        for each, taken in ((few, actions[:, 0]), (more, numbers[actions[:, 0]]))
    ]
    assert (screens[0] == screens[1]).all()


def test_the_screens_of_a_game_are_those_of_what_was_seen():
    """The playfield in colours, scaled down, is bright where a player saw something."""
    games_of = load("pong", observation="frame", sticky=0.25).test
    actions = draw_actions(4, 40, 1, 3)
    games = Games(games_of.make(1), 1, [9])
    games.begin()
    screens = list(games_of.screens(9, actions[:, 0].tolist()))
    assert len(screens) == 40
    for action, screen in zip(actions, screens, strict=True):
        seen = games.step(action).observations.view(54, 40)
        assert screen.shape == (210, 160, 3)
        field = torch.from_numpy(screen[33:195].astype(np.float32)).mean(-1)
        bright = (field - field.median()).abs().view(54, 3, 40, 4).mean((1, 3)) > 25
        assert ((seen.abs() > 0.3) & bright).sum() > 0.8 * bright.sum() > 0
