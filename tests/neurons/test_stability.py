"""What holds for any input and any time constant: decay, finiteness, spikes of 0 or 1."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons import ALIF, LIF, RALIF, RLIF, TimeConstant

KINDS = [LIF, RLIF, ALIF, RALIF]
each = pytest.mark.parametrize("kind", KINDS)
# Not the smallest numbers, which rounding keeps from shrinking.
STARTS = st.floats(1e-6, 2) | st.floats(-2, -1e-6) | st.just(0.0)
few = settings(max_examples=25, deadline=None)


def make(kind, adaptive=None, **options):
    options = {"linear_features": 3} | options
    if kind in (ALIF, RALIF):
        options |= adaptive or {}
    layer = kind(**options)
    if kind in (RLIF, RALIF):
        torch.nn.init.zeros_(layer.recurrent.bias)
    return layer


@each
@given(st.floats(1, 200), st.floats(1, 2000), STARTS, st.floats(0.01, 1), st.booleans())
@few
def test_without_input_everything_decays(kind, tau_mem, tau_adapt, start, adaptation, papers):
    """From any membrane below the threshold: no spikes, and all states shrink at every step."""
    way = {"tau_mem": tau_mem} if papers else {"beta": 1 - 1 / tau_mem}
    layer = make(kind, {"tau_adapt": tau_adapt}, threshold=2.5, **way)
    state = layer.initial_state(torch.empty(2, 3))._replace(membrane=torch.full((2, 3), start))
    if kind in (ALIF, RALIF):
        state = state._replace(adaptation=torch.full((2, 3), adaptation))
    with torch.no_grad():
        for _ in range(20):
            before = state
            spikes, state = layer.forward_sequence(torch.zeros(1, 2, 3), state)
            assert not spikes.any()
            for name in {"membrane", "adaptation"} & set(state._fields):
                old, new = getattr(before, name), getattr(state, name)
                assert ((new.abs() < old.abs()) | (old == 0)).all()
                assert (new * old >= 0).all()


@each
def test_the_decays_are_exponential_in_their_time_constants(kind):
    layer = make(kind, {"tau_adapt": 50.0}, tau_mem=10.0, threshold=2.0)
    state = layer.initial_state(torch.empty(1, 3))
    state = state._make(torch.full((1, 3), v) for v in (0.0, 1.0, 1.0)[: len(state)])
    _, end = layer.forward_sequence(torch.zeros(25, 1, 3), state)
    for value, tau in zip(end[1:], (10.0, 50.0), strict=False):
        expected = torch.exp(torch.tensor(-25 / tau)).expand(1, 3)
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=0)


def raw(tau):
    return TimeConstant(tau, 3, parametrization="raw")


TAUS = {
    "short": (TimeConstant(1.0, 3), TimeConstant(1.0, 3)),
    "long": (TimeConstant(1000.0, 3), TimeConstant(1000.0, 3)),
    "raw short": (raw(1e-3), raw(1e-3)),
    "raw long": (raw(1e6), raw(1e6)),
    "mixed": (raw(1e-3), raw(1e6)),
}


@each
@pytest.mark.parametrize("taus", TAUS)
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e6, 1e18])
def test_extreme_time_constants_and_inputs_stay_finite(kind, taus, scale):
    tau_mem, tau_adapt = TAUS[taus]
    layer = make(kind, {"tau_adapt": tau_adapt}, tau_mem=tau_mem)
    layer.zero_grad()
    current = (torch.randn(30, 2, 3) * scale).requires_grad_()
    spikes, state, membrane = layer.forward_sequence(current, return_membrane=True)
    (spikes.sum() + (membrane / max(1.0, scale)).sum()).backward()
    for value in (spikes, membrane, *state):
        assert value.isfinite().all()
    assert ((spikes == 0) | (spikes == 1)).all()
    assert current.grad.isfinite().all()
    for name, parameter in layer.named_parameters():
        assert parameter.grad.isfinite().all(), name


@each
@pytest.mark.parametrize("theta", [-1e30, 1e30])
def test_parameters_driven_to_the_ends_stay_harmless(kind, theta):
    layer = make(kind, tau_mem=20.0)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.endswith("theta"):
                parameter.fill_(theta)
    current = torch.randn(30, 2, 3, requires_grad=True)
    spikes, _, membrane = layer.forward_sequence(current, return_membrane=True)
    (spikes.sum() + membrane.sum()).backward()
    assert membrane.isfinite().all()
    for name, parameter in layer.named_parameters():
        assert parameter.grad.isfinite().all(), name


@each
@given(st.floats(-1e18, 1e18), st.booleans(), st.sampled_from(["subtract", "zero", "none"]))
@few
def test_spikes_are_zero_or_one(kind, value, papers, reset_mechanism):
    way = {"tau_mem": 5.0} if papers else {"beta": 0.95}
    layer = make(kind, reset_mechanism=reset_mechanism, **way)
    with torch.no_grad():
        spikes, state = layer.forward_sequence(torch.full((15, 2, 3), value))
    assert ((spikes == 0) | (spikes == 1)).all()
    assert state.membrane.isfinite().all()
    if kind in (ALIF, RALIF):
        assert ((state.adaptation >= 0) & (state.adaptation <= 1)).all()


@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.Adam])
@each
def test_time_constants_stay_bounded_through_training_at_an_absurd_rate(kind, optimiser):
    layer = make(kind, tau_mem="normal(20, 5)")
    held = [module for module in layer.modules() if isinstance(module, TimeConstant)]
    optimiser = optimiser([module.theta for module in held], lr=1e6)
    # Gradients of our own, since a loss soon stops giving any at this rate; growing, so that none
    # is lost in the rounding of a huge theta.
    for scale in (1.0, -1e3, 1e6, -1e10, 1e15):
        before = [module.theta.detach().clone() for module in held]
        for module in held:
            module.theta.grad = torch.rand_like(module.theta).add(0.5) * scale
        optimiser.step()
        for module, old in zip(held, before, strict=True):
            tau = module.tau.detach()
            assert (module.theta != old).all()  # it was tried
            assert ((tau >= module.bounds[0]) & (tau <= module.bounds[1])).all()
        _, _, membrane = layer.forward_sequence(torch.randn(10, 2, 3), return_membrane=True)
        assert membrane.isfinite().all()
