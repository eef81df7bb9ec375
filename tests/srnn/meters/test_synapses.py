"""Linear and convolutional layers, against products counted one after the other."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize, prune

INPUTS = {
    "spikes": lambda *shape: (torch.rand(shape) < 0.3).float(),
    "signed events": lambda *shape: torch.randint(-1, 2, shape).float(),
    "counts": lambda *shape: torch.poisson(torch.full(shape, 0.7)),
    "reals": lambda *shape: torch.randn(shape) * (torch.rand(shape) < 0.5),
    "mixed": lambda *shape: (torch.randn(shape) * 2).round() / 2,
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("pruned", [False, True])
def test_linear(counting, kind, pruned):
    net, x = nn.Linear(7, 5), INPUTS[kind](4, 3, 7)
    if pruned:
        prune.random_unstructured(net, "weight", amount=12)
        with torch.no_grad():
            net.bias[1] = 0
    layer = counting.metered(net, x).layers[""]
    found = counting.terms(layer)
    assert found["synapses"] == counting.products(x, net.weight)
    assert found["synapses"][2] == 4 * 3 * 35
    biases = 12 * (4 if pruned else 5)
    assert found["bias"] == (biases, 0, biases, biases)
    assert set(found) == {"synapses", "bias"}


CONVOLUTIONS = [
    (nn.Conv2d(2, 4, 3), (5, 2, 6, 7)),
    (nn.Conv2d(2, 4, 3, padding=1, stride=2, bias=False), (5, 2, 6, 7)),
    (nn.Conv2d(4, 4, (2, 3), padding=(1, 2), groups=2, dilation=2), (3, 4, 7, 7)),
    (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (2, 2, 5, 5)),
    (nn.Conv1d(3, 5, 4, stride=3, padding=2), (4, 3, 11)),
    (nn.Conv1d(4, 4, 3, groups=4, padding="same"), (4, 4, 11)),
]


@pytest.mark.parametrize(("net", "shape"), CONVOLUTIONS, ids=lambda v: str(v)[:60])
@pytest.mark.parametrize("kind", ["spikes", "counts", "mixed"])
def test_convolutions(counting, net, shape, kind):
    """Every output site meets a window of the input: one product for each pair that is there."""
    torch.manual_seed(0)
    with torch.no_grad():
        net.weight[torch.rand(net.weight.shape) < 0.3] = 0
    x = INPUTS[kind](*shape)
    found = counting.terms(counting.metered(net, x).layers[""])
    ac = mac = dense = 0
    # With one input element alone, the number of products is that of its windows.
    flat = x.reshape(len(x), -1).double()
    meets, present = (net.weight != 0).double(), torch.ones_like(net.weight).double()
    for j in range(flat.shape[1]):
        alone = torch.zeros(1, flat.shape[1], dtype=torch.float64)
        alone[0, j] = 1
        alone = alone.reshape(1, *shape[1:])
        fan_out = int(net._conv_forward(alone, meets, None).sum())
        dense += int(net._conv_forward(alone, present, None).sum()) * len(x)
        for value in flat[:, j].tolist():
            mac += fan_out * (value % 1 != 0)
            ac += fan_out * int(abs(value)) * (value % 1 == 0)
    assert found["synapses"] == (ac, mac, dense, ac + mac)
    assert ac
    assert bool(mac) == (kind == "mixed")
    if net.bias is not None:
        assert found["bias"][0] == found["bias"][3] == net(x).numel()


def test_a_convolution_by_windows(counting):
    """Without the padding, which is no input: the elements of unfold's windows that are there."""
    net = nn.Conv2d(1, 3, 3, padding=1, bias=False)
    x = (torch.rand(2, 1, 4, 4) < 0.5).float()
    windows = F.unfold(x, 3, padding=1)
    there = F.unfold(torch.ones_like(x), 3, padding=1)
    found = counting.terms(counting.metered(net, x).layers[""])
    reached = int(windows.sum()) * 3
    assert found["synapses"] == (reached, 0, int(there.sum()) * 3, reached)


def test_time_steps_add_up(counting):
    net, x = nn.Linear(7, 5), INPUTS["mixed"](6, 3, 7)
    meter = counting.metered(net, x, timewise=True)
    for t, step in enumerate(x):
        ac, mac, dense, words = counting.products(step, net.weight)
        assert meter.over_time()[:, t].tolist() == [ac + 15, mac, dense + 15, words + 15]
    assert meter.total() == counting.metered(net, x).total()


class Double(nn.Module):
    def forward(self, weight):
        return weight * 2


def test_a_parametrized_layer_is_the_layer_that_it_is(counting):
    net = nn.Linear(4, 3)
    parametrize.register_parametrization(net, "weight", Double())
    x = torch.ones(2, 4)
    found = counting.terms(counting.metered(net, x).layers[""])
    assert found["synapses"] == (24, 0, 24, 24)
