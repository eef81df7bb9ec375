"""ALIF and RALIF: the adaptive threshold, step by step, and what the constructors refuse."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons import ALIF, LIF, RALIF, RLIF, TimeConstant
from srnn.neurons.alif import ALIFState


class Half(TimeConstant):
    """Decays by exactly one half, so that a trace has short numbers."""

    def __init__(self):
        super().__init__(1 / math.log(2))

    def decay(self):
        return torch.tensor(0.5)


def adaptations(layer, current, state=None):
    """b after every step."""
    trace = []
    for x in current:
        _, state = layer.forward_sequence(x[None], state)
        trace.append(state.adaptation)
    return torch.stack(trace)


def test_a_trace_computed_by_hand():
    """alpha = rho = 1/2 (so the input gain is 1/2), b_0 = 1, beta = 2; order b, B, u, S."""
    alif = ALIF(tau_mem=Half(), tau_adapt=Half(), adaptation_strength=2.0, threshold=1.0)
    current = torch.tensor([4.0, 9.0, 0.75, 2.0]).reshape(4, 1, 1)
    spikes, _, membrane = alif.forward_sequence(current, return_membrane=True)
    # t    b                        B               u                                S
    # 0    0                        1               0/2 + 4/2            =  2        1
    # 1    0/2 + 1/2     = 0.5      1 + 2*0.5 = 2   2/2 + 9/2    - 2     =  3.5      1
    #      (not 2/2 + 9/2 - 1 = 4.5: the reset subtracts the threshold that the spike has raised)
    # 2    0.5/2 + 1/2   = 0.75     2.5             3.5/2 + .75/2 - 2.5  = -0.375    0
    # 3    0.75/2        = 0.375    1.75            -0.375/2 + 2/2       =  0.8125   0
    assert membrane.flatten().tolist() == [2.0, 3.5, -0.375, 0.8125]
    assert spikes.flatten().tolist() == [1, 1, 0, 0]
    assert adaptations(alif, current).flatten().tolist() == [0, 0.5, 0.75, 0.375]


def test_the_raised_threshold_is_strict():
    """After one spike B = 1 + 2 * 0.5 = 2: a membrane of 2 is no spike, a hair more is one."""
    alif = ALIF(beta=0.5, threshold=1.0, adaptation_strength=2.0, tau_adapt=Half())
    before = ALIFState(*(torch.full((1, 2), v) for v in (1.0, 4.0, 0.0)))
    current = torch.tensor([[[2.0, 2.0 + 2**-21]]])
    # u = 4/2 + 2 - 2 = 2, and the next number that the sum can make
    spikes, _, membrane = alif.forward_sequence(current, before, return_membrane=True)
    assert membrane[0, 0, 0].item() == 2.0
    assert spikes.tolist() == [[[0, 1]]]


def published(current, tau_m, tau_adp, b_j0, beta, weight=None, bias=None):
    """The equations of the published code, in numpy."""
    alpha, rho = np.exp(-1 / tau_m), np.exp(-1 / tau_adp)
    u = S = np.zeros(current.shape[1:])
    b = np.full(current.shape[1:], b_j0)
    trace = []
    for x in current:
        drive = x if weight is None else x + S @ weight.T + bias
        b = rho * b + (1 - rho) * S
        B = b_j0 + beta * b
        u = alpha * u + (1 - alpha) * drive - B * S
        S = (u - B > 0).astype(float)
        trace.append((S, u, b))
    return (np.stack(part) for part in zip(*trace, strict=True))


@pytest.mark.parametrize("kind", [ALIF, RALIF])
def test_a_random_trace_follows_the_published_equations(kind):
    layer = kind(
        tau_mem="uniform(2, 40)",
        tau_adapt="uniform(3, 200)",
        threshold=0.1,
        initial_adaptation="threshold",
        linear_features=5,
    ).double()
    current = torch.randn(100, 3, 5).double() * 4
    recurrence = ()
    if kind is RALIF:
        torch.nn.init.normal_(layer.recurrent.weight, std=2.0)
        recurrence = (layer.recurrent.weight, layer.recurrent.bias)
    # In float32 at construction: 0.1 rounds there.
    numbers = [current, layer.tau_mem.tau, layer.tau_adapt.tau, layer.threshold]
    numbers = [n.detach().numpy() for n in numbers]
    beta = layer.adaptation_strength.item()
    assert layer.initial_adaptation == numbers[-1]
    S, u, b = published(*numbers, beta, *(p.detach().numpy() for p in recurrence))
    spikes, _, membrane = layer.forward_sequence(current, return_membrane=True)
    assert 0.05 < S.mean() < 0.95  # silence would prove nothing
    assert b.max() > 2 * b[0].max()
    np.testing.assert_array_equal(spikes.detach(), S)
    np.testing.assert_allclose(membrane.detach(), u, rtol=0, atol=1e-12)
    np.testing.assert_allclose(adaptations(layer, current).detach(), b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("adaptive", "plain"), [(ALIF, LIF), (RALIF, RLIF)])
@pytest.mark.parametrize("given", [{"beta": 0.8}, {"tau_mem": 5.0, "threshold": 0.3}])
def test_without_strength_it_is_the_plain_unit(adaptive, plain, given):
    ours = adaptive(**given, adaptation_strength=0.0, linear_features=4)
    theirs = plain(**given, linear_features=4)
    if adaptive is RALIF:
        theirs.recurrent.load_state_dict(ours.recurrent.state_dict())
    current = torch.randn(50, 2, 4) * 2
    a, _, u = ours.forward_sequence(current, return_membrane=True)
    b, _, v = theirs.forward_sequence(current, return_membrane=True)
    assert a.any()
    assert torch.equal(a, b)
    assert torch.equal(u, v)


@given(st.floats(0, 5), st.floats(0, 1), st.floats(0.1, 50), st.floats(1, 2000), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_adaptation_stays_between_zero_and_one(strength, start, scale, tau, seed):
    alif = ALIF(adaptation_strength=strength, initial_adaptation=start, tau_adapt=tau)
    torch.manual_seed(seed)
    current = torch.randn(30, 2, 3) * scale
    with torch.no_grad():
        spikes, _ = alif.forward_sequence(current)
        trace = adaptations(alif, current)
    assert ((trace >= 0) & (trace <= 1)).all()
    assert ((spikes == 0) | (spikes == 1)).all()


def test_a_neuron_driven_hard_slows_down():
    current = torch.full((400, 1, 1), 20.0)
    alif = ALIF(tau_mem=10.0, tau_adapt=100.0, threshold=1.0, adaptation_strength=20.0)
    spikes, _ = alif.forward_sequence(current)
    assert spikes[:50].sum() > 1.5 * spikes[-50:].sum() > 0


def test_the_adaptation_starts_where_it_is_told():
    like = torch.empty(2, 3)
    for start, expected in ((0.0, 0.0), (0.25, 0.25), ("threshold", 0.5)):
        alif = ALIF(threshold=0.5, initial_adaptation=start)
        assert alif.initial_state(like).adaptation.tolist() == [[expected] * 3] * 2


@pytest.mark.parametrize("kind", [ALIF, RALIF])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adaptation_strength": -1.0}, "adaptation_strength must be a finite number >= 0, got -1"),
        ({"adaptation_strength": math.nan}, "adaptation_strength must be .* got nan"),
        ({"adaptation_strength": math.inf}, "adaptation_strength must be .* got inf"),
        ({"initial_adaptation": math.inf}, "initial_adaptation must be a finite .* got inf"),
        ({"initial_adaptation": math.nan}, "initial_adaptation must be a finite .* got nan"),
        ({"tau_adapt": -2.0}, "time constant must be positive, got -2"),
        ({"tau_adapt": math.nan}, "must be a finite number"),
        ({"tau_adapt": "norm(1)"}, r"'norm\(1\)' is not a distribution"),
        ({"initial_adaptation": -0.5}, "initial_adaptation must be .* got -0.5"),
        ({"initial_adaptation": "zero"}, "initial_adaptation must be .* got 'zero'"),
        ({"beta": 0.9, "reset_delay": False}, "leave reset_delay at True"),
        ({"beta": 0.9, "tau_mem": 2.0}, "not both"),
        ({"threshold": 0}, "threshold must be positive"),
        (
            {"threshold": torch.ones(2), "initial_adaptation": "threshold"},
            "'threshold' needs one threshold for all neurons",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(linear_features=2, **options)


def test_a_reset_that_the_gradient_ignores_is_ignored_whole():
    """Not even by way of the threshold that it subtracts, which the spike before it has raised."""
    currents = torch.tensor([2.0, 0.5]).reshape(2, 1, 1).requires_grad_()
    gradients = {}
    for detach_reset in (True, False):
        layer = ALIF(beta=0.5, tau_adapt=3.0, detach_reset=detach_reset)
        spikes, _, membrane = layer.forward_sequence(currents, return_membrane=True)
        assert spikes.flatten().tolist() == [1, 0]
        (gradient,) = torch.autograd.grad(membrane[1].sum(), currents)
        gradients[detach_reset] = gradient.flatten().tolist()
    assert gradients[True] == [0.5, 1.0]  # the leak, and the current itself
    assert gradients[False][0] < 0.5


def test_what_the_spike_is_compared_with_still_teaches_the_adaptation():
    layer = ALIF(beta=0.5, tau_adapt=3.0)
    spikes, _ = layer.forward_sequence(torch.tensor([2.0, 0.5]).reshape(2, 1, 1))
    spikes.sum().backward()
    assert layer.tau_adapt.theta.grad.any()
