"""Counting what a matrix holds: against torch, at every level of instructions."""

import pytest
import torch

from srnn.neurons.kernels import EventBatch, counting, cpu_backend, library, scans

from .problems import random_problem

pytestmark = pytest.mark.skipif(library.reason() is not None, reason="no compiled kernel")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("columns", [1, 2, 7, 16, 33, 700, 1024, 1025, 2100])
@pytest.mark.parametrize("level", library.LEVELS)
def test_columns_are_counted(level, columns, dtype):
    if library.LEVELS.index(level) > library.level_of(None):
        pytest.skip("this machine lacks these instructions")
    x = (torch.rand(300, columns) < 0.3).to(dtype)
    ones, binary = counting.count_ones(x, level=level)
    assert binary
    assert torch.equal(ones, x.double().sum(0))
    for other in (2.0, -1.0, 0.5, 1e-45, float("nan"), float("inf")):
        for place in ((0, 0), (299, columns - 1), (150, columns // 2)):
            changed = x.clone()
            changed[place] = other
            assert not counting.count_ones(changed, level=level)[1]
    x[5] = -0.0
    assert counting.count_ones(x, level=level)[1]


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_there_is_nothing_to_count(shape):
    ones, binary = counting.count_ones(torch.zeros(shape))
    assert binary
    assert torch.equal(ones, torch.zeros(shape[1], dtype=torch.float64))


@pytest.mark.parametrize("columns", [1, 3, 11])
@pytest.mark.parametrize("level", library.LEVELS)
def test_bits_are_counted(level, columns):
    """255 rows fit the digits of a counter; the sign bit is a channel like any other."""
    if library.LEVELS.index(level) > library.level_of(None):
        pytest.skip("this machine lacks these instructions")
    for rows in (0, 1, 254, 255, 256, 511, 2000):
        fires = torch.rand(rows, columns, 64) < torch.rand(64)
        fires[..., 63] = True
        words = (fires.long() << torch.arange(64)).sum(-1)
        ones = counting.count_bits(words, level=level)
        assert torch.equal(ones, fires.double().sum(0).flatten())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("columns", [1, 64, 130])
@pytest.mark.parametrize("level", library.LEVELS)
def test_numbers_are_sorted(level, columns, dtype):
    """With and without the bits of those that are not 0; a bit that lacks hides its number."""
    if library.LEVELS.index(level) > library.level_of(None):
        pytest.skip("this machine lacks these instructions")
    kinds = [0.0, -0.0, 1.0, 2.0, -3.0, 2.0**40, 0.5, -1e-30, float("inf"), float("nan")]
    x = torch.tensor(kinds, dtype=dtype)[torch.randint(len(kinds), (300, columns))]
    whole = (x == x.round()) & x.isfinite()
    zero = torch.zeros((), dtype=dtype)
    sums = [torch.where(whole, x, zero).double().abs().sum(0)]
    expected = torch.stack([*sums, (whole & (x != 0)).double().sum(0), (~whole).double().sum(0)])
    assert torch.equal(counting.sort(x, level=level), expected)
    padded = torch.zeros(300, -(-columns // 64) * 64, dtype=torch.long)
    padded[:, :columns] = x != 0
    words = (padded.view(300, -1, 64) << torch.arange(64)).sum(-1)
    assert torch.equal(counting.sort(x, words, level=level), expected)
    assert counting.sort(x, torch.zeros_like(words), level=level).count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [17, 64, 130])
@pytest.mark.parametrize("level", library.LEVELS)
def test_a_scan_tells_what_is_neither_0_nor_1(level, channels, dtype):
    if library.LEVELS.index(level) > library.level_of(None):
        pytest.skip("this machine lacks these instructions")
    problem = random_problem(steps=6, channels=channels, source="inputs", dtype=dtype)
    shape = problem.inputs.shape
    kinds = [0.0, -0.0, 1.0, 2.0, -1.0, 0.5, float("inf"), float("nan")]
    for among in (kinds, kinds[:3]):
        x = torch.tensor(among, dtype=dtype)[torch.randint(len(among), shape)]
        with scans.listen() as heard:
            cpu_backend.forward(problem._replace(inputs=x), False, False, level=level)
        (scan,) = heard
        assert scan.inputs is x
        nonzero = EventBatch(scan.nonzero, shape)
        nonzero.check()
        assert torch.equal(nonzero.dense(dtype), (x != 0).to(dtype))
        if among is kinds:
            others = EventBatch(scan.others, shape)
            others.check()
            assert torch.equal(others.dense(dtype), ((x != 0) & (x != 1)).to(dtype))
        else:
            assert scan.others is None
