"""Variations of binned events: closed forms, distributions, and what they depend on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnn.datasets import DataError
from srnn.datasets.augment import Augmentation
from srnn.datasets.binning import BinnedEvents, Binning
from srnn.datasets.event_sequences import EventOptions

STEPS, CHANNELS = 1000, 700


def batch(sequences):
    """Make a batch of lists of (step, channel)."""
    rows = [(n, *event) for n, events in enumerate(sequences) for event in sorted(events)]
    return BinnedEvents(*np.array(rows, np.int64).reshape(-1, 3).T)


def vary(augmentation, sequences, indices=None, epoch=0, steps=STEPS, channels=CHANNELS):
    """Give the varied lists of (step, channel)."""
    indices = range(len(sequences)) if indices is None else indices
    events = augmentation(batch(sequences), list(indices), epoch, steps, channels)
    varied = [[] for _ in sequences]
    for sequence, *event in zip(*(column.tolist() for column in events), strict=True):
        varied[sequence].append(tuple(event))
    return varied


sequences = st.lists(
    st.lists(st.tuples(st.integers(0, STEPS - 1), st.integers(0, CHANNELS - 1)), max_size=20),
    min_size=1,
    max_size=4,
)


@given(sequences, st.integers(0, 10), st.integers(0, 10))
def test_all_zero_is_the_identity_and_false(given_sequences, seed, epoch):
    nothing = Augmentation(seed=seed)
    assert not nothing
    assert nothing.phrase == ""
    assert vary(nothing, given_sequences, epoch=epoch) == [sorted(s) for s in given_sequences]


@pytest.mark.parametrize(
    ("option", "phrase"),
    [
        ({"shift": 20}, "channels shifted by up to 20"),
        ({"stretch": 0.1}, "speed varied by up to 10 %"),
        ({"jitter": 1.5}, "times jittered by 1.5 steps"),
        ({"drop": 0.25}, "25 % of events dropped"),
    ],
)
def test_each_one_is_true_and_says_so(option, phrase):
    assert Augmentation(**option)
    assert Augmentation(**option).phrase == phrase


@given(
    sequences,
    st.integers(0, 50),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 2.0]),
    st.sampled_from([0.0, 0.5]),
)
def test_varied_events_are_in_range_and_in_the_order_of_their_sequences(
    drawn, shift, stretch, jitter, drop
):
    augmentation = Augmentation(shift, stretch, jitter, drop)
    events = augmentation(batch(drawn), list(range(len(drawn))), 0, STEPS, CHANNELS)
    assert len(events.step) <= sum(map(len, drawn))
    assert ((events.step >= 0) & (events.step < STEPS)).all()
    assert ((events.channel >= 0) & (events.channel < CHANNELS)).all()
    assert (np.diff(events.sequence) >= 0).all()
    assert all(column.dtype in (np.int32, np.int64) for column in events)


def test_a_shift_moves_a_whole_sequence():
    word = [(step, 300 + step % 90) for step in range(50)]
    shifts = []
    for epoch in range(2000):
        (moved,) = vary(Augmentation(shift=3), [word], epoch=epoch)
        steps, channels = zip(*moved, strict=True)
        assert list(steps) == list(range(50))
        (shift,) = set(np.subtract(channels, [channel for _, channel in word]).tolist())
        shifts.append(shift)
    # Seven values, each about 286 times; six standard deviations are 94.
    values, counts = np.unique(shifts, return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert abs(counts - 2000 / 7).max() < 94


def test_the_sequences_of_a_batch_are_shifted_independently():
    words = vary(Augmentation(shift=40), [[(0, 350)]] * 300)
    shifts = [channel - 350 for ((_, channel),) in words]
    assert np.corrcoef(shifts[1:], shifts[:-1])[0, 1] == pytest.approx(0, abs=0.35)
    assert len(set(shifts)) > 60


def test_what_sequences_draw_is_not_what_their_neighbours_draw():
    # Were their parts of the stream to overlap, the shift of one would be the speed of another.
    words = vary(Augmentation(shift=40, stretch=0.2), [[(1000, 350)]] * 400, steps=2000)
    speeds, shifts = np.array([word[0] for word in words]).T
    for apart in range(-4, 5):
        pairs = (shifts[max(apart, 0) :], speeds[max(-apart, 0) :])
        size = 400 - abs(apart)
        # Independent ones have a standard deviation of 1 / 20.
        assert abs(np.corrcoef([each[:size] for each in pairs])[0, 1]) < 0.3, apart


def test_what_is_shifted_off_the_channels_is_lost():
    edge = [(0, 0), (0, 1), (0, 698), (0, 699)]
    seen = set()
    for epoch in range(100):
        (kept,) = vary(Augmentation(shift=1), [edge], epoch=epoch)
        seen.add(tuple(channel for _, channel in kept))
    assert seen == {(0, 1, 698, 699), (0, 697, 698), (1, 2, 699)}


def test_a_stretch_scales_the_steps():
    # Events of one sequence share their factor: floor(F (s + U)) / F lies in s - 1/F .. s + 1.
    word = [(step, 0) for step in range(0, 800, 2)]
    factors = []
    for index in range(800):
        (moved,) = vary(Augmentation(stretch=0.2), [word], [index], steps=10_000)
        steps = np.sort([step for step, _ in moved])
        given_steps = np.arange(0, 800, 2)
        factor = (steps + 0.5).mean() / (given_steps + 0.5).mean()
        assert 0.8 - 0.002 < factor < 1.2 + 0.002
        assert (steps > factor * given_steps - 2).all()
        assert (steps < factor * (given_steps + 1) + 2).all()
        factors.append(factor)
    # Uniform in 0.8..1.2: mean 1, standard deviation 0.4 / sqrt(12) = 0.1155.
    assert np.mean(factors) == pytest.approx(1, abs=6 * 0.1155 / np.sqrt(800))
    assert np.std(factors) == pytest.approx(0.1155, rel=0.1)
    assert np.quantile(factors, [0.25, 0.75]) == pytest.approx([0.9, 1.1], abs=0.03)


def test_jitter_has_its_standard_deviation_and_no_mean():
    word = [(500, channel) for channel in range(700)]
    moved = [
        step - 500
        for epoch in range(30)
        for step, _ in vary(Augmentation(jitter=4.0), [word], epoch=epoch)[0]
    ]
    assert len(moved) == 21_000
    # floor(s + U + J) - s: U - 1/2 and the rounding to whole steps undo each other in the mean.
    assert np.mean(moved) == pytest.approx(0, abs=6 * 4 / np.sqrt(21_000))
    # The variance is that of J and of a step's width, 1/12, twice: of U, and of rounding.
    assert np.std(moved) == pytest.approx(np.sqrt(16 + 1 / 6), rel=0.03)


def test_events_move_independently():
    word = [(500, channel) for channel in range(700)]
    (moved,) = vary(Augmentation(jitter=4.0), [word])
    steps = np.array([step for step, _ in sorted(moved, key=lambda event: event[1])])
    assert np.corrcoef(steps[1:], steps[:-1])[0, 1] == pytest.approx(0, abs=0.2)


def test_the_forgotten_time_within_a_step_is_unbiased():
    # With F close to 1 a step is kept unless F (s + U) crosses an edge: of step 99 and F = 1 + a,
    # a share of 99.5 a does. Without U, all of them would or none. An event far away tells F.
    far = 10**6
    word = [(99, channel) for channel in range(700)]
    crossed, expected = [], []
    for epoch in range(60):
        augmentation = Augmentation(stretch=0.004, seed=1)
        (moved,) = vary(augmentation, [[*word, (far, 0)]], epoch=epoch, steps=2 * far)
        *near, (last, _) = sorted(moved)
        crossed.append(np.mean([step - 99 for step, _ in near]))
        expected.append(99.5 * ((last + 0.5) / (far + 0.5) - 1))
    np.testing.assert_allclose(crossed, expected, atol=0.1)
    assert np.mean(np.subtract(crossed, expected)) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("drop", [0.05, 0.5, 0.95])
def test_the_share_that_is_dropped(drop):
    word = [(step, 7) for step in range(1000)]
    kept = [len(vary(Augmentation(drop=drop), [word], epoch=e)[0]) for e in range(40)]
    deviation = np.sqrt(40_000 * drop * (1 - drop))
    assert abs(sum(kept) - 40_000 * (1 - drop)) < 6 * deviation
    assert 0.5 < np.std(kept) / np.sqrt(1000 * drop * (1 - drop)) < 1.6


def test_dropping_leaves_the_other_draws_as_they_are():
    word = [(step, 300) for step in range(500)]
    options = {"shift": 20, "stretch": 0.1, "jitter": 1.0}
    (all_of_them,) = vary(Augmentation(**options), [word])
    (some,) = vary(Augmentation(**options, drop=0.5), [word])
    assert set(some) < set(all_of_them)


ALL = Augmentation(shift=9, stretch=0.2, jitter=1.0, drop=0.2, seed=5)


@given(sequences, st.randoms())
def test_it_depends_on_the_sequence_and_not_on_its_batch(drawn, random):
    indices = [17 * number for number in range(len(drawn))]
    together = vary(ALL, drawn, indices, epoch=2)
    for index, sequence, varied in zip(indices, drawn, together, strict=True):
        assert vary(ALL, [sequence], [index], epoch=2) == [varied]
    order = list(range(len(drawn)))
    random.shuffle(order)
    other = vary(ALL, [drawn[i] for i in order], [indices[i] for i in order], epoch=2)
    assert other == [together[i] for i in order]


def test_it_depends_on_seed_epoch_and_number():
    word = [(step, 300) for step in range(50)]
    first = vary(ALL, [word], [3], epoch=1)
    assert vary(ALL, [word], [3], epoch=1) == first
    other_seed = Augmentation(shift=9, stretch=0.2, jitter=1.0, drop=0.2, seed=6)
    others = [
        vary(other_seed, [word], [3], epoch=1),
        vary(ALL, [word], [3], epoch=2),
        vary(ALL, [word], [4], epoch=1),
        vary(ALL, [word], [1], epoch=3),
    ]
    assert first not in others
    assert len({str(other) for other in others}) == 4


def test_the_draws_of_a_seed_are_the_same_for_ever():
    # Written down once; every word has an event at channel 300 in steps 100, 200, ..., 800.
    word = [(step, 300) for step in range(100, 900, 100)]
    first, second, third = vary(ALL, [word] * 3, [0, 1, 40], epoch=2)
    assert first == [(step, 295) for step in (98, 195, 389, 487, 582, 678, 777)]
    assert second == [(step, 302) for step in (112, 224, 561)]
    assert third == [(step, 297) for step in (96, 187, 283, 376, 470, 753)]


def test_the_global_random_state_is_left_alone():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    vary(ALL, [[(1, 1)] * 5])
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": -1}, "shift must be a whole number of at least 0"),
        ({"shift": 1.5}, "shift must be a whole number"),
        ({"shift": 2**33}, "shift must lie between 0 and 1000000"),
        ({"stretch": 1}, "stretch=1 leaves nothing"),
        ({"stretch": 1.5}, "stretch must lie between 0 and 1"),
        ({"stretch": float("nan")}, "stretch must lie between 0 and 1"),
        ({"jitter_ms": -0.5}, "jitter_ms must lie between 0"),
        ({"jitter_ms": float("nan")}, "jitter_ms must lie between 0"),
        ({"jitter_ms": float("inf")}, "jitter_ms must lie between 0"),
        ({"jitter_ms": "3"}, "jitter_ms must be a number"),
        ({"jitter_ms": None}, "jitter_ms must be a number"),
        ({"drop": 1}, "drop=1 leaves nothing"),
        ({"drop": -0.1}, "drop must lie between 0 and 1"),
        ({"drop": "half"}, "drop must be a number"),
        ({"augment_seed": -1}, "augment_seed must be a whole number"),
        ({"values": "counts"}, "values must be binary or count, not 'counts'"),
        ({"values": None}, "values must be binary or count"),
        ({"values": ["binary"]}, "values must be binary or count"),
        ({"transform": "Denoise"}, "transform must be a function .* only be given from Python"),
        ({"train_transform": 3}, "train_transform must be a function"),
    ],
)
def test_a_value_without_meaning_is_refused(options, message, one_sentence):
    binning = Binning.of((700, 1, 1), 14, 1400, 1)
    with pytest.raises(DataError, match=message) as error:
        EventOptions(**options).augmentation(binning)
    one_sentence(error)


def test_the_largest_of_all_lose_what_they_move_away():
    # Not by an overflow, which would be a warning and might come out in range.
    word = [(step, 300) for step in range(500)]
    assert len(vary(Augmentation(jitter=1e9), [word])[0]) < 5
    assert vary(Augmentation(shift=10**6), [word]) in ([[]], [word])
    for bounds in (0, STEPS - 1):
        (kept,) = vary(Augmentation(jitter=0.5), [[(bounds, 7)] * 400])
        assert 100 < len(kept) < 400


def test_jitter_is_given_in_milliseconds():
    binning = Binning.of((700, 1, 1), 4, 1000, 1)
    assert EventOptions(jitter_ms=6).augmentation(binning).jitter == 1.5
    # The largest jitter of the finest bins is still a number of steps.
    finest = Binning.of((700, 1, 1), 0.001, 1, 1)
    assert EventOptions(jitter_ms=1e6).augmentation(finest).jitter == 1e9
