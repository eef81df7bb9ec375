"""LIF and RLIF: their equations, step by step, and what their constructors refuse."""

import math

import numpy as np
import pytest
import torch

from srnn.neurons import LIF, RLIF, TimeConstant, surrogate
from srnn.neurons.surrogate import atan, multi_gaussian


class Half(TimeConstant):
    """Decays by exactly one half, so that a trace has short numbers."""

    def __init__(self):
        super().__init__(1 / math.log(2))

    def decay(self):
        return torch.tensor(0.5)


def trace(layer, current):
    spikes, _, membrane = layer.forward_sequence(current, return_membrane=True)
    return spikes, membrane


def test_a_trace_computed_by_hand():
    """alpha = 1/2, so the input gain is 1/2 too; B = 1."""
    lif = LIF(tau_mem=Half(), threshold=1.0)
    current = torch.tensor([1.0, 3.0, 2.25, 1.0, -1.0]).reshape(5, 1, 1)
    spikes, membrane = trace(lif, current)
    expected = [
        0.5,  # 0 / 2 + 1 / 2
        1.75,  # 0.5 / 2 + 3 / 2: a spike
        1.0,  # 1.75 / 2 + 2.25 / 2 - 1: lowered one step late, by all of B; u = B is no spike
        1.0,  # 1 / 2 + 1 / 2: so nothing is lowered, and again it stays silent
        0.0,  # 1 / 2 - 1 / 2
    ]
    assert membrane.flatten().tolist() == expected
    assert spikes.flatten().tolist() == [0, 1, 0, 0, 0]


def test_a_membrane_exactly_at_the_threshold_does_not_spike():
    lif = LIF(beta=0.5)
    at, above = torch.tensor(1.0), torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    spikes, _ = lif(torch.stack([at, above]).reshape(1, 2))
    assert spikes.tolist() == [[0, 1]]


def published(current, tau, b0, weight=None, bias=None):
    """The equations of the published code, in numpy, for units without adaptation."""
    alpha = np.exp(-1 / tau)
    u = S = np.zeros(current.shape[1:])
    spikes, membranes = [], []
    for x in current:
        drive = x if weight is None else x + S @ weight.T + bias
        u = alpha * u + (1 - alpha) * drive - b0 * S
        S = (u - b0 > 0).astype(float)
        spikes.append(S)
        membranes.append(u)
    return np.stack(spikes), np.stack(membranes)


@pytest.mark.parametrize("kind", [LIF, RLIF])
def test_a_random_trace_follows_the_published_equations(kind):
    layer = kind(tau_mem="uniform(2, 40)", threshold=0.3, linear_features=5).double()
    current = torch.randn(100, 3, 5).double() * 3
    recurrence = ()
    if kind is RLIF:
        torch.nn.init.normal_(layer.recurrent.weight, std=2.0)
        recurrence = (layer.recurrent.weight, layer.recurrent.bias)
    numbers = [p.detach().numpy() for p in (current, layer.tau_mem.tau, layer.threshold)]
    S, u = published(*numbers, *(p.detach().numpy() for p in recurrence))
    spikes, membrane = trace(layer, current)
    assert 0.05 < S.mean() < 0.95  # silence would prove nothing
    np.testing.assert_array_equal(spikes.detach(), S)
    np.testing.assert_allclose(membrane.detach(), u, rtol=0, atol=1e-12)


def test_every_neuron_has_its_own_decay():
    lif = LIF(tau_mem="uniform(5, 100)", threshold=10.0, linear_features=4)
    _, membrane = trace(lif, torch.cat([torch.ones(1, 1, 4), torch.zeros(9, 1, 4)]))
    kept = (membrane[9] / membrane[8]).flatten()
    torch.testing.assert_close(kept, lif.alpha, rtol=1e-4, atol=0)
    assert kept.unique().numel() == 4


def test_a_convolution_has_one_time_constant_a_channel():
    for kind, more in ((LIF, {}), (RLIF, {"kernel_size": 3})):
        layer = kind(tau_mem="uniform(5, 100)", conv2d_channels=3, **more)
        assert layer.tau_mem.theta.shape == (3, 1, 1)
        spikes, state = layer.forward_sequence(torch.rand(4, 2, 3, 5, 6))
        assert spikes.shape == (4, 2, 3, 5, 6)
        assert state.membrane.shape == (2, 3, 5, 6)


@pytest.mark.parametrize(
    ("given", "gain", "detached", "threshold", "psi"),
    [
        ({"beta": 0.9}, 1.0, True, 1.0, atan()),
        ({"tau_mem": 20.0}, 1 - math.exp(-1 / 20), False, 0.01, multi_gaussian()),
        ({}, 1 - math.exp(-1 / 20), False, 0.01, multi_gaussian()),
    ],
)
def test_how_the_decay_is_given_decides_the_rest(given, gain, detached, threshold, psi):
    for layer in (LIF(**given), RLIF(**given, all_to_all=False)):
        layer.requires_grad_(False)
        assert float(layer.input_gain) == pytest.approx(gain, rel=1e-6)
        assert float(layer.alpha) == pytest.approx(0.9 if "beta" in given else 1 - gain)
        assert layer.detach_reset is detached
        assert float(layer.threshold) == pytest.approx(threshold)
        assert layer.spike_grad == psi


def test_what_is_learned_depends_on_how_the_decay_is_given():
    names = {name for name, _ in RLIF(tau_mem=20.0, linear_features=2).named_parameters()}
    assert names == {"tau_mem.theta", "recurrent.weight", "recurrent.bias"}
    assert not list(LIF(beta=0.9).parameters())
    learned = LIF(beta=0.9, learn_beta=True, learn_threshold=True)
    assert {name for name, _ in learned.named_parameters()} == {"beta", "threshold"}


def test_surrogate_disable_stops_the_gradient():
    for given in ({"beta": 0.9}, {"tau_mem": 20.0}):
        lif = LIF(**given, surrogate_disable=True, spike_grad=surrogate.slayer())
        current = torch.randn(20, 2, 3, requires_grad=True)
        spikes, _ = lif.forward_sequence(current)
        assert spikes.any()
        (gradient,) = torch.autograd.grad(spikes.sum(), current)
        assert not gradient.any()


@pytest.mark.parametrize("kind", [LIF, RLIF])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau_mem": -3.0}, "time constant must be positive, got -3"),
        ({"tau_mem": 0}, "time constant must be positive, got 0"),
        ({"tau_mem": math.nan}, "must be a finite number"),
        ({"tau_mem": "gauss(1)"}, r"'gauss\(1\)' is not a distribution"),
        ({"beta": 0.9, "tau_mem": 20.0}, "beta .* or tau_mem, not both"),
        ({"tau_mem": 20.0, "learn_beta": True}, "learn_beta needs the decay as beta"),
        ({"threshold": 0.0}, "threshold must be positive and finite, got 0"),
        ({"threshold": -1.0}, "threshold must be positive and finite, got -1"),
        ({"threshold": math.nan}, "threshold must be positive and finite, got nan"),
        ({"threshold": math.inf}, "threshold must be positive and finite, got inf"),
        ({"tau_mem": 500}, r"tau 500 lies outside the bounds 1 \.\. 200"),
        ({"threshold": torch.tensor([1.0, -1.0])}, "threshold must be positive"),
        ({"reset_mechanism": "none at all"}, "reset_mechanism must be set to either"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(linear_features=2, **options)


def test_a_distribution_needs_to_know_how_many_neurons():
    with pytest.raises(ValueError, match=r"normal\(20, 5\) draws .* linear_features \(or conv2d"):
        LIF(tau_mem="normal(20, 5)")


def test_a_recurrent_layer_needs_to_know_its_shape():
    with pytest.raises(TypeError, match="linear_features"):
        RLIF(tau_mem=20.0)


def test_too_many_or_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="LIF takes 14 positional arguments at most, got 15"):
        LIF(0.9, *[None] * 14)
    with pytest.raises(TypeError, match="treshold"):
        LIF(beta=0.9, treshold=1.0)
