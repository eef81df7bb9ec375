import numpy as np
import pytest

from srnn.datasets.speech.draws import Draws


def test_the_numbers_are_the_same_for_ever():
    # Written down once: a change gives every seed other spikes.
    assert (Draws(0, 1).uniform(2) * 2**53).tolist() == [6099647025459080, 2188630060386836]
    assert Draws(0, 1).normal(2) == pytest.approx(
        [-1.1480066228824584, -0.6607383841067759], rel=1e-12
    )
    assert Draws(0, 1).exponential(2) == pytest.approx(
        [1.1307126058775554, 0.27837452047045413], rel=1e-12
    )


def test_the_uniform_numbers_are_those_of_numpy():
    of_numpy = np.random.Generator(np.random.PCG64(np.random.SeedSequence(5, spawn_key=(2, 7))))
    assert Draws(5, 2, 7).uniform(100).tolist() == of_numpy.random(100).tolist()


def test_every_purpose_has_numbers_of_its_own():
    purposes = [(0,), (0, 0), (0, 1), (1,), (1, 0)]
    streams = {tuple(Draws(seed, *purpose).uniform(4)) for seed in (0, 1) for purpose in purposes}
    assert len(streams) == 2 * len(purposes)


@pytest.mark.parametrize(("kind", "mean", "moment"), [("normal", 0, 3), ("exponential", 1, 24)])
def test_moments(kind, mean, moment):
    # Means within five standard errors; the fourth moments of both laws are 3 and 24.
    drawn = getattr(Draws(3), kind)(200_000)
    assert drawn.mean() == pytest.approx(mean, abs=5 / np.sqrt(200_000))
    assert (drawn**2).mean() == pytest.approx(1 + mean, rel=0.04)
    assert (drawn**4).mean() == pytest.approx(moment, rel=0.1)


def test_single_numbers_keep_their_bounds():
    draws = Draws(1)
    assert all(2 <= draws.between(2, 3) < 3 for _ in range(200))
    assert all(abs(draws.about(10, 0.1) - 10) <= 0.25 + 1e-12 for _ in range(1000))
