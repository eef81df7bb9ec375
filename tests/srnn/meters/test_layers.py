"""Norms and pools in closed form: every element counts, whether zero or not."""

import pytest
import torch
from torch import nn

# Of n elements that come out: (ACs, MACs, words).
LAYERS = {
    "batch norm": (nn.BatchNorm1d(6), (7, 6), "norm", (0, 1, 2)),
    "batch norm of images": (nn.BatchNorm2d(6), (7, 6, 4, 4), "norm", (0, 1, 2)),
    "layer norm": (nn.LayerNorm(6), (7, 6), "norm", (2, 3, 2)),
    "layer norm, bare": (nn.LayerNorm(6, elementwise_affine=False), (7, 6), "norm", (2, 2, 0)),
    "pool of lines": (nn.AvgPool1d(3), (7, 2, 9), "pool", (3, 1, 0)),
    "pool of images": (nn.AvgPool2d(2), (7, 2, 8, 8), "pool", (4, 1, 0)),
    "pool of sides": (nn.AvgPool2d((2, 4)), (7, 2, 8, 8), "pool", (8, 1, 0)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_element_costs_the_same(counting, name):
    net, shape, term, each = LAYERS[name]
    x = torch.rand(shape).round()
    n = net(x).numel()
    found = counting.skipping(counting.metered(net, x).layers[""])
    assert found == {term: tuple(n * cost for cost in each)}
