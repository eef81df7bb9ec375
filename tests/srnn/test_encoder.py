"""What a network sees its inputs through: shapes, values against torch, and what is refused."""

import pytest
import torch
from torch import nn

from srnn.baselines import GRU, LSTM, RNN
from srnn.encoder import Encoder
from srnn.meters import measure
from srnn.stpn import STPN

KINDS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM, "STPN": STPN}


def test_the_front_end_of_the_stpn_paper_has_its_number_of_synapses():
    encoder = Encoder((1, 84, 84), "conv(16@8s4, 32@4s2)")
    assert (encoder.input_size, encoder.hidden_size) == (7056, 2592)
    net = STPN(7056, [64], 7, readout="stream", encoder=encoder)
    assert net.layers[0].plasticity.synapses == 169_984  # reference/pong.md


def test_a_dense_encoder_is_rectified_linear_units():
    encoder = Encoder((5,), "dense(3)").double()
    inputs = torch.randn(4, 2, 5, dtype=torch.float64)
    linear = encoder.layers[0]
    assert torch.equal(encoder(inputs), (inputs @ linear.weight.T + linear.bias).clamp(min=0))
    gram = (linear.weight @ linear.weight.T).detach()  # orthogonal, of norm 2, drawn in float32
    torch.testing.assert_close(gram, 2 * torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-6)


def test_convolutions_see_every_step_as_an_image():
    encoder = Encoder((2, 9, 7), "conv(4@3s2, 5@2s1)").double()
    inputs = torch.randn(3, 2, 2 * 9 * 7, dtype=torch.float64)
    _, first, _, second, _, _ = encoder.layers
    image = inputs[1, 1].view(1, 2, 9, 7)
    expected = second(first(image).relu()).relu().flatten()
    assert encoder(inputs).shape == (3, 2, encoder.hidden_size)
    torch.testing.assert_close(encoder(inputs)[1, 1], expected)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_network_behind_an_encoder_is_that_network_on_what_it_gives(kind):
    torch.manual_seed(0)
    net = kind(6, [4], 3, readout="stream", encoder=Encoder((6,), "dense(5)")).double()
    plain = kind(5, [4], 3, readout="stream").double()
    rest = {k: v for k, v in net.state_dict().items() if not k.startswith("encoder")}
    plain.load_state_dict(rest)
    inputs = torch.randn(7, 2, 6, dtype=torch.float64)
    outputs, record = net(inputs, keep_membranes=True)
    torch.testing.assert_close(outputs, plain(net.encoder(inputs))[0])
    names = [name for name, _ in net.named_layers()]
    assert names == ["encoder", "layer1", "readout"]
    assert torch.equal(record.membranes[0], net.encoder(inputs))
    with pytest.raises(ValueError, match=r"\[time, batch, 6\]"):
        net(inputs[..., :5])


def test_the_meters_count_it():
    """An input of ones and zeros makes accumulates; what the encoder gives is real."""
    net = LSTM(6, [4], 3, readout="stream", encoder=Encoder((6,), "dense(5)"))
    inputs = torch.zeros(2, 1, 6)
    inputs[0, 0, [1, 4]] = 1
    counted = measure(net, [inputs])
    (encoder,) = [
        ops for name, ops in counted.layers.items() if ops.kind == "Linear" and "encoder" in name
    ]
    total = encoder.total()
    assert (total.ac, total.mac) == (2 * 5, 0)  # two events, five units; biases are zero


def test_recurrent_weights_keep_their_own_start():
    net = GRU(6, [4], 3, encoder=Encoder((6,), "dense(5)"))
    hidden = net.layers[0].weight_hh_l0
    torch.testing.assert_close(hidden[:4] @ hidden[:4].T, torch.eye(4))
    assert isinstance(LSTM(6, [4], 3).encoder, nn.Identity)


@pytest.mark.parametrize(
    ("shape", "form", "complaint"),
    [
        ((4,), "dense(0)", "An encoder is dense"),
        ((4,), "dense(3, 4)", "An encoder is dense"),
        ((4,), "flat", "An encoder is dense"),
        ((1, 8, 8), "conv(4@3)", "An encoder is dense"),
        ((4,), "conv(4@3s1)", "needs inputs with a height and a width"),
        ((1, 8, 8), "conv(4@3s2, 4@4s1)", "kernels of 4 x 4 do not fit 3 x 3"),
    ],
)
def test_what_cannot_be_is_refused(shape, form, complaint):
    with pytest.raises(ValueError, match=complaint):
        Encoder(shape, form)
