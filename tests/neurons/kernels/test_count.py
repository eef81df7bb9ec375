"""Counting the ones of each column: against torch, at every level of instructions."""

import pytest
import torch

from srnn.neurons.kernels import cpu_backend

pytestmark = pytest.mark.skipif(cpu_backend.reason() is not None, reason="no compiled kernel")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("columns", [1, 2, 7, 16, 33, 700, 1024, 1025, 2100])
@pytest.mark.parametrize("level", cpu_backend.LEVELS)
def test_columns_are_counted(level, columns, dtype):
    if cpu_backend.LEVELS.index(level) > cpu_backend._level(None):
        pytest.skip("this machine lacks these instructions")
    x = (torch.rand(300, columns) < 0.3).to(dtype)
    ones, binary = cpu_backend.count_ones(x, level=level)
    assert binary
    assert torch.equal(ones, x.double().sum(0))
    for other in (2.0, -1.0, 0.5, 1e-45, float("nan"), float("inf")):
        for place in ((0, 0), (299, columns - 1), (150, columns // 2)):
            changed = x.clone()
            changed[place] = other
            assert not cpu_backend.count_ones(changed, level=level)[1]
    x[5] = -0.0
    assert cpu_backend.count_ones(x, level=level)[1]


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_there_is_nothing_to_count(shape):
    ones, binary = cpu_backend.count_ones(torch.zeros(shape))
    assert binary
    assert torch.equal(ones, torch.zeros(shape[1], dtype=torch.float64))
