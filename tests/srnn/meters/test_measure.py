"""What can be read off a measurement."""

import pytest
import torch
from torch import nn

from srnn.baselines import RNN
from srnn.encoder import Encoder
from srnn.meters import measure


@pytest.mark.parametrize("encoded", [False, True])
def test_without_the_input_layer(encoded):
    """Binary inputs: an AC for each one and neuron; behind an encoder, those of the encoder."""
    inputs = (torch.rand(20, 4, 10) < 0.2).float()
    encoder = Encoder([10], "dense(5)") if encoded else None
    network = RNN(10, [6], 3, encoder=encoder)
    whole = measure(network, [inputs])
    inner = whole.without_input()
    width = 5 if encoded else 6
    assert whole.total().ac - inner.total().ac == inputs.sum() * width
    assert whole.total().mac == inner.total().mac
    assert whole.total().dense - inner.total().dense == inputs.numel() * width
    assert whole.total().words - inner.total().words == inputs.sum() * width


def test_without_the_input_layer_step_by_step():
    inputs = (torch.rand(20, 4, 10) < 0.2).float()
    whole = measure(RNN(10, [6], 3), [inputs], timewise=True)
    less = (whole.over_time() - whole.without_input().over_time())[0]
    assert torch.equal(less, (inputs.sum((1, 2)) * 6).long())


def test_an_input_layer_without_anything_else_is_left_out():
    layer = nn.Linear(10, 3, bias=False)
    measured = measure(nn.Sequential(layer, nn.Linear(3, 2)), [torch.rand(5, 2, 10)])
    assert list(measured.without_input().layers) == ["1"]
    with pytest.raises(ValueError, match="There is no input layer: none multiplies its inputs"):
        measure(nn.Sequential(nn.ReLU()), [torch.rand(5, 2, 10)]).without_input()
