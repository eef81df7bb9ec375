import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnn.datasets import DataError
from srnn.datasets._draws import hold_out, permutation


def test_the_permutation_is_the_same_for_ever():
    # Written down once: a change breaks the continuation of every stored run.
    assert permutation(10, 0).tolist() == [9, 2, 4, 7, 5, 0, 8, 6, 3, 1]
    assert permutation(10, 3, 7).tolist() == [8, 3, 7, 4, 0, 2, 9, 5, 6, 1]


@given(st.integers(0, 500), st.lists(st.integers(0, 2**64), min_size=1, max_size=3))
def test_a_permutation_has_every_index_once(size, seed):
    assert sorted(permutation(size, *seed).tolist()) == list(range(size))


def test_every_seed_has_a_permutation_of_its_own():
    seeds = [(0,), (1,), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert len({tuple(permutation(50, *seed).tolist()) for seed in seeds}) == len(seeds)


def test_permutations_are_uniform():
    # 6000 draws of the 6 orders of three: each 1000 +- 29; five standard deviations are 144.
    orders = [tuple(permutation(3, seed).tolist()) for seed in range(6000)]
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert abs(counts - 1000).max() < 144


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.integers(0, 9))
def test_the_two_parts_are_disjoint_and_cover_all(size, fraction, seed):
    if not 0 < round(size * fraction) < size:
        with pytest.raises(DataError, match="leaves one part without any"):
            hold_out(size, fraction, seed)
        return
    train, valid = hold_out(size, fraction, seed)
    assert len(valid) == round(size * fraction)
    assert sorted([*train, *valid]) == list(range(size))
    assert (np.diff(train) > 0).all()
    assert (np.diff(valid) > 0).all()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), "0.1", True])
def test_a_share_that_is_none_is_refused(fraction, one_sentence):
    with pytest.raises(DataError, match="validation") as error:
        hold_out(100, fraction, 0)
    one_sentence(error)
