"""Non-spiking baselines: torch's layers, unrolled by hand; sizes, starts, states and refusals."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from srnn import Readout, detach
from srnn.baselines import GRU, LSTM, RNN
from srnn.neurons import LI

STEPS, BATCH, CHANNELS, CLASSES = 13, 3, 5, 4
GATES = {RNN: 1, GRU: 3, LSTM: 4}
READOUTS = ["softmax-sum", "mean", "last", "stream"]
each = pytest.mark.parametrize("kind", list(GATES))
inputs_of = pytest.fixture(lambda: torch.randn(STEPS, BATCH, CHANNELS, dtype=torch.float64))


def make(kind, hidden=(6, 7), readout="mean"):
    torch.manual_seed(1)
    network = kind(CHANNELS, hidden, CLASSES, readout=readout).double()
    for parameter in network.parameters():  # biases too, so that none is overlooked
        nn.init.normal_(parameter, std=0.5)
    return network


def rnn_step(x, h, c, w, u, b, d):
    return torch.tanh(x @ w.T + b + h @ u.T + d), c


def gru_step(x, h, c, w, u, b, d):
    r, z, n = ((x @ w.T + b).chunk(3, -1)[i] for i in range(3))
    hr, hz, hn = (h @ u.T + d).chunk(3, -1)
    z = torch.sigmoid(z + hz)
    return (1 - z) * torch.tanh(n + torch.sigmoid(r + hr) * hn) + z * h, c


def lstm_step(x, h, c, w, u, b, d):
    i, f, g, o = (x @ w.T + b + h @ u.T + d).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


STEP = {RNN: rnn_step, GRU: gru_step, LSTM: lstm_step}


def by_hand(network, kind, inputs):
    """The last layer's hidden states, [time, batch, units], from the equations."""
    signal = inputs
    for layer in network.layers:
        h = c = torch.zeros(inputs.shape[1], layer.hidden_size, dtype=inputs.dtype)
        trace = []
        for x in signal:
            h, c = STEP[kind](x, h, c, *layer.parameters())
            trace.append(h)
        signal = torch.stack(trace)
    return signal


@each
@pytest.mark.parametrize("readout", READOUTS)
def test_it_computes_its_equations(kind, readout, inputs_of):
    network = make(kind, readout=readout)
    logits, record = network(inputs_of, keep_membranes=True)
    hidden = by_hand(network, kind, inputs_of)
    o = hidden @ network.readout.projection.weight.T + network.readout.projection.bias
    expected = {
        "softmax-sum": o.softmax(-1).sum(0),
        "mean": o.mean(0),
        "last": o[-1],
        "stream": o,
    }
    torch.testing.assert_close(logits, expected[readout])
    torch.testing.assert_close(record.membranes[-1], hidden)
    assert (record.counts, record.rates(), network.layer_names()) == ((), [], [])
    assert record.steps == STEPS


@each
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cuts", [(5,), (1, 2, 12)])
def test_pieces_with_carried_state_equal_the_whole(kind, readout, cuts, inputs_of):
    network = make(kind, readout=readout)
    whole, complete = network(inputs_of)
    state, outputs = None, []
    for piece in torch.tensor_split(inputs_of, cuts):
        logits, record = network(piece, state)
        state = detach(record.state)
        outputs.append(logits)
    torch.testing.assert_close(torch.cat(outputs) if readout == "stream" else outputs[-1], whole)
    for part, full in zip(record.state[0], complete.state[0], strict=True):
        torch.testing.assert_close(part, full)
    assert not any(part.requires_grad for part in state[0])


@each
def test_a_reset_begins_anew_in_its_sequence_alone(kind, inputs_of):
    network = make(kind, readout="stream")
    begins = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    begins[0] = begins[4, 0] = begins[9, 0] = begins[9, 2] = True
    logits, _ = network(inputs_of, network(inputs_of)[1].state, reset=begins)
    for i in range(BATCH):
        bounds = [*begins[:, i].nonzero().flatten().tolist(), STEPS]
        for begin, end in pairwise(bounds):
            alone, _ = network(inputs_of[begin:end, i : i + 1])
            torch.testing.assert_close(logits[begin:end, i], alone[:, 0])


@each
@pytest.mark.parametrize("hidden", [[6], [6, 7], [3, 8, 2]])
def test_number_of_parameters(kind, hidden):
    network = kind(CHANNELS, hidden, CLASSES)
    layers = sum(GATES[kind] * (m * n + n * n + 2 * n) for m, n in pairwise([CHANNELS, *hidden]))
    readout = CLASSES * (hidden[-1] + 1)
    assert sum(p.numel() for p in network.parameters()) == layers + readout
    assert network.time_constants() == {}


@each
def test_gradients_reach_every_parameter_and_are_right(kind, inputs_of):
    network = make(kind, readout="stream")
    cut = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    cut[6, 1] = True
    network(inputs_of, reset=cut)[0].square().mean().backward()
    for parameter in network.parameters():
        assert parameter.grad.abs().min() > 0
        place = tuple(0 for _ in parameter.shape)
        values = []
        for shift in (1e-6, -2e-6):
            with torch.no_grad():
                parameter[place] += shift
                values.append(network(inputs_of, reset=cut)[0].square().mean())
        with torch.no_grad():
            parameter[place] += 1e-6
        slope = (values[0] - values[1]) / 2e-6
        torch.testing.assert_close(parameter.grad[place], slope, rtol=1e-5, atol=1e-9)


@each
def test_how_it_starts(kind):
    torch.manual_seed(0)
    (layer,) = kind(CHANNELS, [6], CLASSES).layers
    for weight in layer.weight_hh_l0.split(6):
        torch.testing.assert_close(weight @ weight.T, torch.eye(6), rtol=0, atol=1e-5)
    for weight in layer.weight_ih_l0.split(6):
        assert 0.5 < weight.abs().max() / (6 / (6 + CHANNELS)) ** 0.5 <= 1
    assert not layer.bias_hh_l0.any()
    expected = [0, 1, 0, 0] if kind is LSTM else [0] * GATES[kind]
    assert [set(b.tolist()) for b in layer.bias_ih_l0.split(6)] == [{float(b)} for b in expected]


def test_a_leaky_readout(inputs_of):
    readout = Readout(6, CLASSES, "mean", neuron=LI(CLASSES))
    network = LSTM(CHANNELS, [6], CLASSES, readout=readout)
    assert network.time_constants()["readout.tau_mem"].shape == (CLASSES,)
    assert network(inputs_of)[0].shape == (BATCH, CLASSES)


@each
def test_refusals(kind, inputs_of):
    with pytest.raises(ValueError, match="at least one channel, one unit in each"):
        kind(CHANNELS, [], CLASSES)
    with pytest.raises(ValueError, match="at least one channel, one unit in each"):
        kind(CHANNELS, [3, 0], CLASSES)
    with pytest.raises(ValueError, match="The readout 'count' counts spikes"):
        kind(CHANNELS, [3], CLASSES, readout="count")
    with pytest.raises(ValueError, match="is a non-spiking network: give it a readout without"):
        kind(CHANNELS, [3], CLASSES, readout=Readout(3, CLASSES, "count"))
    with pytest.raises(ValueError, match=r"expects inputs of shape \[time, batch, 5\], got \[13"):
        make(kind)(inputs_of[..., :4])
    with pytest.raises(ValueError, match="cannot begin anew within it"):
        make(kind)(inputs_of, reset=torch.ones(STEPS, BATCH, dtype=torch.bool))
