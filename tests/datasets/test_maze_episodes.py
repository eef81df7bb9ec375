import pytest
import torch

from srnn.datasets import DataError, EpisodeInfo, SequenceLoader, load
from srnn.datasets.maze_episodes import MazeEpisodes

PARTS = ("train", "valid", "test")


def small(**options):
    return load("maze", **{"size": 9, "steps": 50, "train": 6, "valid": 4, "test": 5, **options})


def starts(episodes, epoch=0):
    """Goals and positions after a few steps of a fixed walk, of all episodes."""
    episodes.set_epoch(epoch)
    state = episodes.rules.start(*episodes.begin(range(len(episodes))))
    return state.goal.tolist()


def test_what_it_says_of_itself():
    splits = load("maze")
    info = splits.info
    assert isinstance(info, EpisodeInfo)
    assert (info.channels, info.steps, info.outputs, info.score) == (17, 200, 5, "reward")
    assert info.classes == ("up", "down", "left", "right")
    assert [len(getattr(splits, part)) for part in PARTS] == [6400, 512, 2048]
    assert splits.train.rules.size == 13


def test_no_two_parts_epochs_or_tasks_share_a_stream():
    seen = set()
    for task_seed in (0, 1):
        splits = small(task_seed=task_seed)
        for part in PARTS:
            episodes = getattr(splits, part)
            for epoch in range(3):
                episodes.set_epoch(epoch)
                seeds, draws = episodes.begin(range(len(episodes)))
                pairs = set(zip(seeds.tolist(), draws.tolist(), strict=True))
                # Those of validation and test are the same in every epoch.
                again = part != "train" and epoch > 0
                assert pairs <= seen if again else not pairs & seen
                seen |= pairs
    assert all(0 <= seed < 2**62 for seed, _ in seen)


def test_a_stream_never_reaches_the_next_epoch():
    splits = small()
    assert int(splits.train.begin([0])[1]) == 0
    splits.train.set_epoch(1)
    # An episode draws once to begin, and at most once a step.
    assert int(splits.train.begin([0])[1]) > splits.train.rules.steps + 1


def test_training_goes_on_along_its_streams_and_validation_does_not():
    splits = small(train=64, valid=64)
    assert starts(splits.train, 0) != starts(splits.train, 1)
    assert starts(splits.valid, 0) == starts(splits.valid, 1)


def test_as_sequences_they_are_those_of_a_random_player():
    splits = load("maze", valid=2000)
    inputs, actions = splits.valid.__getitems__(range(2000))
    assert inputs.shape == (200, 2000, 17)
    assert actions.shape == (200, 2000)
    assert actions.dtype == torch.int64
    # The observation of a step tells the action of the step before, and what it earned.
    assert (inputs[1:, :, 13:].argmax(-1) == actions[:-1]).all()
    assert (inputs[0, :, 13:] == 0).all()
    shares = torch.bincount(actions.flatten(), minlength=4) / actions.numel()
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.005, rtol=0)
    # 5.48 is the exact mean of the Markov chain; the last step's reward is in no observation.
    reward = inputs[:, :, 12].sum(0)
    standard_error = float(reward.std()) / len(reward) ** 0.5
    assert float(reward.mean()) == pytest.approx(5.48 * 199 / 200, abs=4 * standard_error)


def test_an_episode_is_the_same_alone_and_in_a_batch():
    splits = small()
    inputs, actions = splits.test.__getitems__([3, 1])
    alone, action = splits.test.__getitems__([1])
    assert torch.equal(inputs[:, 1:], alone)
    assert torch.equal(actions[:, 1:], action)


def test_a_loader_of_beginnings_continues_in_the_middle_of_an_epoch():
    def loader():
        return SequenceLoader(small().train.beginnings(), 2, shuffle=True, seed=3)

    def flat(batches):
        return [[part.tolist() for part in batch] for batch in batches]

    whole = loader()
    expected = flat([*whole, *whole])
    assert len(expected) == 6
    first = loader()
    begun = iter(first)
    head = [next(begun) for _ in range(2)]
    rest = loader()
    rest.load_state_dict(first.state_dict())
    assert flat([*head, *rest, *rest]) == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 8}, "size must be odd"),
        ({"steps": 2**20}, "steps must be below 1048576"),
        ({"train": 0}, "train must be"),
        ({"test": 2**33}, "test must be at most"),
        ({"task_seed": -1}, "task_seed must be"),
        ({"task_seed": 2**26}, "task_seed must be below"),
        ({"goal": 3}, "has no option 'goal'"),
    ],
)
def test_options_without_a_meaning(options, sentence, one_sentence):
    with pytest.raises(DataError, match=sentence) as error:
        load("maze", **options)
    one_sentence(error)


def test_there_is_nothing_to_join(one_sentence):
    with pytest.raises(DataError, match="leave --retrain out") as error:
        _ = small().joined
    one_sentence(error)
    assert isinstance(small().test, MazeEpisodes)
