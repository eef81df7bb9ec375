"""The spike process against its closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.datasets.speech.draws import Draws
from srnn.datasets.speech.spikes import fire


class Waiting:
    """Waiting times that are given."""

    def __init__(self, *rounds):
        self.rounds = [np.array(waiting, float) for waiting in rounds]

    def exponential(self, size):
        assert len(self.rounds[0]) == size
        return self.rounds.pop(0)


def test_a_train_by_hand():
    # One channel; frames of 1 s with hazards 2, 0, 1, 1; dead for 0.75 s after a spike.
    hazard = np.array([[2.0], [0.0], [1.0], [1.0]])
    # Lambda: 0, 2, 2, 3, 4. E = 1: the spike is at 0.5; it resumes at 1.25, where Lambda is 2.
    # E = 0.5: Lambda is 2.5 at 2.5; it resumes at 3.25, where it is 3.25. E = 0.7: 3.95 at 3.95,
    # and it would resume after the end.
    times, units = fire(hazard, 1.0, 0.75, Waiting([1], [0.5], [0.7]))
    assert times == pytest.approx([0.5, 2.5, 3.95])
    assert units.tolist() == [0, 0, 0]


def test_channels_by_hand():
    # Two channels at 1 and 2 per frame, three frames of 10 ms, no dead time.
    hazard = np.array([[100.0, 200.0]] * 3)
    waits = Waiting([2.5, 1.0], [0.4, 4.1], [9.0, 0.5], [9.0])
    times, units = fire(hazard, 0.01, 0.0, waits)
    assert times == pytest.approx([0.005, 0.025, 0.0255, 0.028, 0.029])
    assert units.tolist() == [1, 0, 1, 1, 0]


def test_rate_and_intervals_at_a_constant_hazard():
    # 400 channels of 10 s: the rate is lambda / (1 + lambda r), intervals are r + Exp(lambda).
    hazard, dead = 200.0, 0.002
    times, units = fire(np.full((100, 400), hazard), 0.1, dead, Draws(0))
    rate = hazard / (1 + hazard * dead)
    # A renewal process counts with variance rate^3 var(interval) a second.
    error = np.sqrt(rate**3 / hazard**2 * 10 * 400)
    # The first spike comes without a dead time before it: about r rate / 2 + ... < 1 a channel.
    assert len(times) == pytest.approx(rate * 10 * 400, abs=5 * error + 400)

    order = np.lexsort((times, units))
    same = np.diff(units[order]) == 0
    intervals = np.diff(times[order])[same]
    assert intervals.min() >= dead - 1e-12
    # Kolmogorov and Smirnov: sqrt(n) D exceeds 2.2 once in 16,000 samples.
    law = -np.expm1(-hazard * (np.sort(intervals) - dead))
    empirical = (np.arange(len(law)) + 0.5) / len(law)
    assert np.sqrt(len(law)) * np.abs(law - empirical).max() < 2.2


def test_without_dead_time_counts_are_poisson_with_the_integral():
    hazard = np.array([10.0, 0.0, 120.0, 40.0])
    times, units = fire(np.repeat(hazard[:, None], 5000, 1), 0.05, 0.0, Draws(1))
    frames = np.minimum((times / 0.05).astype(int), 3)
    for frame, mean in enumerate(hazard * 0.05):
        counts = np.bincount(units[frames == frame], minlength=5000)
        assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / 5000))
        assert counts.var() == pytest.approx(mean, rel=0.12)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**32),
    st.integers(1, 30),
    st.integers(1, 20),
    st.floats(0, 0.02),
    st.sampled_from([0.0, 1.0, 500.0, 5000.0]),
)
def test_what_holds_of_every_train(seed, frames, channels, dead, scale):
    drawn = Draws(seed).uniform(frames * channels).reshape(frames, channels)
    hazard = scale * np.where(drawn < 0.3, 0.0, drawn)
    times, units = fire(hazard, 0.005, dead, Draws(seed, 1))
    assert (np.diff(times) >= 0).all()
    assert ((times >= 0) & (times <= 0.005 * frames + 1e-12)).all()
    inside = np.clip((times / 0.005 + 1e-9).astype(int), 0, frames - 1)
    at_border = np.abs(times / 0.005 - np.round(times / 0.005)) < 1e-6
    assert ((hazard[inside, units] > 0) | at_border).all()
    for channel in range(channels):
        assert (np.diff(times[units == channel]) >= dead - 1e-9).all()


def test_silence():
    times, units = fire(np.zeros((10, 7)), 0.005, 0.001, Draws(0))
    assert len(times) == len(units) == 0
