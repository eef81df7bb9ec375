"""Fast weights: against a loop over numbers, the form as attention, and closed cases."""

import math

import pytest
import torch
from torch import nn

from srnn import Readout
from srnn.fast_weights import FastWeights, FastWeightsLayer

TIME, BATCH, INPUTS, UNITS = 7, 3, 4, 5


def make(**options):
    layer = FastWeightsLayer(INPUTS, UNITS, **options).double()
    nn.init.normal_(layer.norm.weight, 1, 0.3)
    nn.init.normal_(layer.norm.bias, 0, 0.3)
    return layer


@pytest.fixture
def inputs():
    return torch.randn(TIME, BATCH, INPUTS, dtype=torch.float64)


def in_numbers(x, W, C, b, decay, rate, inner_steps):
    """One sequence by plain Python, with a layer norm of gain 1 and shift 0."""
    units = range(len(b))
    h, A = [0.0] * len(b), [[0.0] * len(b) for _ in units]
    trace = []
    for given in x:
        a = [
            b[i]
            + sum(W[i][j] * h[j] for j in units)
            + sum(C[i][k] * given[k] for k in range(len(given)))
            for i in units
        ]
        h = [math.tanh(v) for v in a]
        for _ in range(inner_steps):
            v = [a[i] + sum(A[i][j] * h[j] for j in units) for i in units]
            mean = sum(v) / len(v)
            deviation = math.sqrt(sum((one - mean) ** 2 for one in v) / len(v) + 1e-5)
            h = [math.tanh((one - mean) / deviation) for one in v]
        A = [[decay * A[i][j] + rate * h[i] * h[j] for j in units] for i in units]
        trace.append(h)
    return trace, A


@pytest.mark.parametrize("options", [{}, {"decay": 0.6, "rate": 1.5, "inner_steps": 3}])
def test_it_is_what_a_loop_over_numbers_computes(options, inputs):
    layer = FastWeightsLayer(INPUTS, UNITS, **options).double()
    hidden, state = layer(inputs)
    weights = (layer.recurrent.weight, layer.projection.weight, layer.projection.bias)
    fixed = {"decay": 0.9, "rate": 0.5, "inner_steps": 1} | options
    for i in range(BATCH):
        trace, A = in_numbers(inputs[:, i].tolist(), *(w.tolist() for w in weights), **fixed)
        expected = torch.tensor(trace, dtype=torch.float64)
        torch.testing.assert_close(hidden[:, i], expected, rtol=0, atol=1e-12)
        rest = torch.cat([expected[-1], torch.tensor(A, dtype=torch.float64).flatten()])
        torch.testing.assert_close(state[i], rest, rtol=0, atol=1e-12)


def test_a_step_of_two_units_by_hand():
    # LN of two values v, -v is +-1 but for its epsilon; A_1 = 0, so h_1 = tanh(+-1), and
    # A_2 h = 0.5 h_1 (h_1 . h) points along h_1 = (t, -t), whatever the next input.
    layer = FastWeightsLayer(1, 2).double()
    with torch.no_grad():
        layer.projection.weight.copy_(torch.tensor([[100.0], [-100.0]]))
        layer.projection.bias.zero_()
        layer.recurrent.weight.zero_()
    hidden, state = layer(torch.tensor([[[1.0]], [[0.0]]], dtype=torch.float64))
    t = math.tanh(1)
    assert hidden[0, 0].tolist() == pytest.approx([t, -t], abs=1e-8)
    # With no input h^0 = 0: nothing is recalled.
    assert hidden[1, 0].tolist() == [0, 0]
    assert state[0, 2:].tolist() == pytest.approx(
        [0.9 * 0.5 * t * t * sign for sign in (1, -1, -1, 1)], abs=1e-8
    )


def test_it_attends_to_the_past(inputs):
    layer = make(inner_steps=2)
    hidden, _ = layer(inputs)
    past = []
    for t in range(TIME):
        before = past[-1] if past else torch.zeros(BATCH, UNITS, dtype=torch.float64)
        a = layer.projection(inputs[t]) + before @ layer.recurrent.weight.T
        h = a.tanh()
        for _ in range(2):
            recalled = torch.zeros_like(h)
            for k, one in enumerate(reversed(past), start=1):
                recalled = recalled + 0.5 * 0.9 ** (k - 1) * one * (one * h).sum(1, keepdim=True)
            h = layer.norm(a + recalled).tanh()
        past.append(h)
        torch.testing.assert_close(hidden[t], h, rtol=0, atol=1e-12)


def test_without_a_rate_there_are_no_fast_weights(inputs):
    layer = make(rate=0.0)
    hidden, state = layer(inputs)
    assert not state[:, UNITS:].any()
    h = torch.zeros(BATCH, UNITS, dtype=torch.float64)
    for t in range(TIME):
        h = layer.norm(layer.projection(inputs[t]) + layer.recurrent(h)).tanh()
        torch.testing.assert_close(hidden[t], h)


def test_at_a_decay_of_zero_only_the_last_state_is_kept(inputs):
    hidden, state = make(decay=0.0, rate=2.0)(inputs)
    last = 2 * hidden[-1, :, :, None] * hidden[-1, :, None, :]
    torch.testing.assert_close(state[:, UNITS:], last.flatten(1))


def test_gradients_agree_with_finite_differences(inputs):
    layer = make(inner_steps=2)
    names, values = zip(*layer.named_parameters(), strict=True)

    def run(inputs, state, *values):
        given = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, given, (inputs, state))

    state = 0.3 * torch.randn(2, UNITS + UNITS**2, dtype=torch.float64)
    arguments = (inputs[:3, :2], state, *values)
    arguments = tuple(value.detach().requires_grad_() for value in arguments)
    assert torch.autograd.gradcheck(run, arguments)


def network(reduction="last", hidden=(20,)):
    readout = Readout(hidden[-1], 37, reduction, neuron=nn.Identity())
    return FastWeights(37, hidden, 37, readout=readout)


def test_the_published_number_of_parameters():
    assert sum(p.numel() for p in network().parameters()) == 1977
    layer = FastWeightsLayer(INPUTS, UNITS)
    counted = sum(p.numel() for p in layer.parameters())
    assert counted == UNITS**2 + UNITS * INPUTS + 3 * UNITS


def test_the_start_of_the_weights():
    layer = network(hidden=(400,)).layers[0]
    bound = 400**-0.5
    for weight in (layer.projection.weight.data, layer.recurrent.weight.data):
        assert float(weight.abs().max()) == pytest.approx(bound, rel=0.01)
        assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.03)
    assert float(layer.projection.bias.data.abs().max()) <= bound
    assert torch.equal(layer.norm.weight, torch.ones(400))


@pytest.mark.parametrize("hidden", [(6,), (6, 5)])
def test_pieces_with_carried_state_equal_the_whole(hidden):
    net = network(hidden=hidden).double()
    inputs = torch.randn(9, 4, 37, dtype=torch.float64)
    whole, record = net(inputs, keep_membranes=True)
    assert [h.shape for h in record.membranes] == [(9, 4, width) for width in hidden]
    state = None
    for piece in inputs.split([1, 5, 3]):
        logits, after = net(piece, state)
        state = after.state
    torch.testing.assert_close(logits, whole)
    assert net.layer_names() == []
    assert record.counts == ()


def test_an_episode_begins_anew_under_a_reset_mask():
    net = network("stream").double()
    inputs = torch.randn(9, 4, 37, dtype=torch.float64)
    mask = torch.zeros(9, 4, dtype=torch.bool)
    mask[5, 2] = True
    plain, masked = net(inputs)[0], net(inputs, reset=mask)[0]
    others = [0, 1, 3]
    torch.testing.assert_close(masked[:, others], plain[:, others])
    torch.testing.assert_close(masked[5:, 2], net(inputs[5:, 2:3])[0][:, 0])
    assert not torch.allclose(masked[5:, 2], plain[5:, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 1.1}, "decay of fast weights lies between 0 and 1, got 1.1"),
        ({"rate": -0.5}, "rate of fast weights cannot be negative, got -0.5"),
        ({"inner_steps": 0}, "one inner step or more, got 0"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FastWeightsLayer(2, 3, **options)


def test_what_it_prints():
    assert make().extra_repr() == "decay=0.9, rate=0.5, inner_steps=1"
