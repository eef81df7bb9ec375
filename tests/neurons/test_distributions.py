"""Distributions: what they draw, how they read from text, and what they refuse."""

import math
import pickle

import pytest
import torch

from srnn.neurons import constant, loguniform, normal, uniform
from srnn.neurons.distributions import Distribution, parse

ALL = [constant(20), normal(20, 5), uniform(5, 25), loguniform(5, 500)]


def draw(distribution, size=40_000):
    torch.manual_seed(0)
    return distribution.sample((size,)).double()


def test_a_constant_fills():
    assert constant(2.5).sample((2, 3)).tolist() == [[2.5] * 3] * 2


def test_a_normal_has_its_mean_and_standard_deviation():
    sample = draw(normal(20, 5))
    assert sample.mean().item() == pytest.approx(20, abs=0.1)  # 4 standard errors
    assert sample.std().item() == pytest.approx(5, abs=0.1)


def test_a_uniform_fills_its_range_evenly():
    sample = draw(uniform(5, 25))
    assert 5 <= sample.min() < 5.01
    assert 24.99 < sample.max() <= 25
    assert sample.mean().item() == pytest.approx(15, abs=0.12)


def test_a_loguniform_gives_every_decade_its_share():
    sample = draw(loguniform(1, 1000))
    assert sample.min() >= 1
    assert sample.max() <= 1000.001
    for low in (1, 10, 100):
        share = ((sample >= low) & (sample < 10 * low)).double().mean().item()
        assert share == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("distribution", ALL, ids=str)
def test_draws_follow_the_global_seed(distribution):
    torch.manual_seed(3)
    first = distribution.sample((5,))
    torch.manual_seed(3)
    assert torch.equal(distribution.sample((5,)), first)
    assert first.shape == (5,)
    assert first.dtype == torch.float32


@pytest.mark.parametrize("distribution", ALL, ids=str)
def test_a_distribution_reads_back_from_its_text(distribution):
    assert parse(str(distribution)) == distribution
    assert parse(distribution) is distribution
    assert pickle.loads(pickle.dumps(distribution)) == distribution


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.5", constant(12.5)),
        (7, constant(7.0)),
        (" normal ( 2e1 ,5 ) ", normal(20, 5)),
        ("loguniform(5,500)", loguniform(5, 500)),
    ],
)
def test_text_and_numbers_are_read(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "gauss(20, 5)",
        "normal(20)",
        "normal(20, 5, 1)",
        "normal(20, x)",
        "normal(20, 5",
        "normal",
        "",
        "Distribution(1)",
    ],
)
def test_bad_text_is_refused_by_name(text):
    with pytest.raises(ValueError, match="is not a distribution: give a number, normal") as error:
        parse(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: normal(20, -1), "standard deviation must not be negative"),
        (lambda: uniform(3, 2), "low must not exceed high"),
        (lambda: loguniform(0, 2), "low must be positive"),
        (lambda: loguniform(3, 2), "low must not exceed high"),
        (lambda: constant(math.nan), "value must be a finite number"),
        (lambda: normal(math.inf, 1), "mean must be a finite number"),
        (lambda: parse("normal(20, -1)"), "standard deviation must not be negative"),
    ],
)
def test_bad_constants_are_refused_with_the_reason(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


def test_every_kind_is_registered_under_its_name():
    assert set(Distribution.kinds) == {"constant", "normal", "uniform", "loguniform"}
