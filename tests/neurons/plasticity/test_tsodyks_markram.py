"""TsodyksMarkramSTP: closed forms for regular trains, the exact decay in between, the bounds."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons import RLIF, TimeConstant
from srnn.neurons.plasticity import PlasticState, TsodyksMarkramSTP, run_tanh

DEPRESSING = {"U": 0.5, "tau_rec": 800.0, "tau_facil": 1.0}
FACILITATING = {"U": 0.05, "tau_rec": 20.0, "tau_facil": 500.0}


def make(**options):
    """One synapse of weight one from one input line; the recurrent one is cut."""
    stp = TsodyksMarkramSTP(1, 1, bias=False, **options).double()
    with torch.no_grad():
        stp.W.copy_(torch.tensor([[1.0, 0.0]]))
    return stp


def responses(stp, spikes):
    """What arrives at every spike of the input line."""
    params = stp.params()
    state = stp.initial_state(1, torch.zeros((), dtype=torch.float64))
    arrived = []
    for spike in spikes:
        z = torch.tensor([[float(spike), 0.0]]).double()
        current, state = stp.transmit(z, state, params)
        state = stp.update(z, current, state, params)
        arrived.append(current.item())
    return [a for a, spike in zip(arrived, spikes, strict=True) if spike]


def steady(stp, interval):
    """What arrives at a spike of an endless regular train."""
    U = stp.U[0].item()
    recovery, facilitation = (
        math.exp(-interval / tau.tau[0].item()) for tau in (stp.tau_rec, stp.tau_facil)
    )
    u = U / (1 - (1 - U) * facilitation)
    return u * (1 - recovery) / (1 - (1 - u) * recovery)


@pytest.mark.parametrize("kind", [DEPRESSING, FACILITATING])
@pytest.mark.parametrize("interval", [1, 5, 20, 100])
def test_a_regular_train_settles_at_the_closed_form(kind, interval):
    stp = make(**kind)
    steps = 12_000 if interval == 100 else 6000
    arrived = responses(stp, [t % interval == 0 for t in range(steps)])
    assert arrived[-1] == pytest.approx(steady(stp, interval), rel=1e-6)


def test_one_kind_tires_and_the_other_warms_up():
    train = [t % 20 == 0 for t in range(400)]
    tired, warm = responses(make(**DEPRESSING), train), responses(make(**FACILITATING), train)
    assert tired[0] > 5 * tired[-1]
    assert all(a > b for a, b in pairwise(tired))
    assert warm[-1] > 3 * warm[0]


def test_two_spikes_by_hand():
    """Rest: u = U, x = 1. Ten steps later each has relaxed by its own exponential."""
    stp = make(U=0.4, tau_rec=50.0, tau_facil=30.0)
    first, second = responses(stp, [t in (0, 10) for t in range(11)])
    assert first == pytest.approx(0.4, abs=1e-6)
    u = 0.4 * math.exp(-10 / 30)
    u = u + 0.4 * (1 - u)
    x = 1 - 0.4 * math.exp(-10 / 50)
    assert second == pytest.approx(u * x, rel=1e-5)


def test_the_decay_does_not_depend_on_the_length_of_a_step():
    """One step of length 12 leaves what twelve steps of length 1 leave, exactly."""
    long_step = {
        name: TimeConstant(tau, dt=12.0) for name, tau in (("tau_rec", 70.0), ("tau_facil", 40.0))
    }
    fine = responses(make(U=0.3, tau_rec=70.0, tau_facil=40.0), [t % 12 == 0 for t in range(120)])
    coarse = responses(make(U=0.3, **long_step), [True] * 10)
    assert coarse == pytest.approx(fine, rel=1e-6)


@given(st.integers(0, 999), st.floats(0.01, 0.99), st.floats(1, 2000), st.floats(1, 2000))
@settings(max_examples=30, deadline=None)
def test_resources_and_utilisation_stay_between_zero_and_one(seed, U, tau_rec, tau_facil):
    torch.manual_seed(seed)
    stp = TsodyksMarkramSTP(2, 3, U=U, tau_rec=tau_rec, tau_facil=tau_facil)
    state = stp.initial_state(2, torch.zeros(()))
    for _ in range(30):
        z = torch.rand(2, 5)
        current, state = stp.transmit(z, state, stp.params())
        state = stp.update(z, current, state, stp.params())
        for part in state:
            assert ((part >= 0) & (part <= 1)).all()


def test_the_efficacy_is_what_one_spike_delivers():
    stp = TsodyksMarkramSTP(3, 2, bias=False)
    params = stp.params()
    _, state = stp.transmit(torch.ones(1, 5), stp.initial_state(1, torch.zeros(())), params)
    state = stp.update(torch.ones(1, 5), torch.zeros(1, 3), state, params)
    g = stp.efficacy(state, params)
    for line, z in enumerate(torch.eye(5)):
        current, _ = stp.transmit(z[None], state, params)
        torch.testing.assert_close(current, g[:, :, line])


def test_gradients_reach_every_parameter_and_are_right(run):
    stp = TsodyksMarkramSTP(2, 2, tau_rec="uniform(2, 9)", tau_facil="uniform(2, 9)").double()
    x = torch.rand(5, 2, 2).double()

    def outcome(W, bias, U, recovery, facilitation, x):
        params = stp.params()._replace(
            W=W, bias=bias, U=U, recovery=recovery, facilitation=facilitation
        )
        return run(stp, x, activation=torch.sigmoid, params=params)[0]

    given_ = [p.detach().clone().requires_grad_() for p in stp.params()]
    assert torch.autograd.gradcheck(outcome, (*given_, x.requires_grad_()))
    run(stp, x, activation=torch.sigmoid)[0].sum().backward()
    for name, parameter in stp.named_parameters():
        assert parameter.grad.all(), name


def test_no_optimiser_step_leaves_the_bounds():
    stp = TsodyksMarkramSTP(2)
    for sign in (-1e3, 1e3):
        with torch.no_grad():
            for parameter in (stp.theta_U, stp.tau_rec.theta, stp.tau_facil.theta):
                parameter.fill_(sign)
        assert ((stp.U >= 0.0099) & (stp.U <= 0.9901)).all()
        assert ((stp.params().recovery > 0) & (stp.params().recovery < 1)).all()


def test_a_start_is_where_it_is_asked_for():
    stp = TsodyksMarkramSTP(3, 2, U=0.25, tau_rec=100.0, tau_facil=TimeConstant(30.0, 5))
    torch.testing.assert_close(stp.U, torch.full((5,), 0.25))
    assert stp.tau_rec.tau.shape == (5,)
    torch.testing.assert_close(stp.tau_facil.tau, torch.full((5,), 30.0))


@pytest.mark.parametrize("bad", [-0.1, 1.5, math.nan])
def test_a_sequence_of_activity_out_of_range_is_refused(bad):
    layer, x = RLIF(plasticity=TsodyksMarkramSTP(4, 3)), torch.rand(5, 2, 3)
    layer.forward_sequence(x)
    x[3, 1, 2] = bad
    with pytest.raises(ValueError, match="TsodyksMarkramSTP takes activity between 0 and 1, such"):
        layer.forward_sequence(x)


def test_spikes_that_are_graded_out_of_range_are_refused():
    layer = RLIF(plasticity=TsodyksMarkramSTP(4), tau_mem=5.0)
    x = torch.rand(5, 2, 4) * 9  # a current may be anything
    assert layer.forward_sequence(x)[0].any()
    layer.graded_spikes_factor.fill_(3.0)
    with pytest.raises(ValueError, match=r"between 0 and 1, such as spikes, got 0 \.\. 3"):
        layer.forward_sequence(x)


def test_a_transform_of_functions_looks_at_no_numbers():
    layer = RLIF(plasticity=TsodyksMarkramSTP(4, 3))
    x = (torch.rand(6, 5, 2, 3) < 0.5).float()
    batched = torch.vmap(lambda now: layer.forward_sequence(now)[0])(x)
    assert torch.equal(batched, torch.stack([layer.forward_sequence(now)[0] for now in x]))


def test_tanh_units_are_refused():
    stp = TsodyksMarkramSTP(4, 3)
    state = PlasticState(torch.zeros(2, 4), (), stp.initial_state(2, torch.zeros(())))
    with pytest.raises(ValueError, match=r"tanh units send -1 \.\. 1: give them HebbianSTP or"):
        run_tanh(torch.rand(5, 2, 3), state, None, stp)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"U": 0.0}, "U 0 lies outside the bounds 0.01 .. 0.99"),
        ({"U": 1.5}, "U 1.5 lies outside the bounds 0.01 .. 0.99"),
        ({"U": "uniform(2, 3)"}, r"U uniform\(2, 3\) lies outside"),
        ({"U": "half"}, "'half' is not a distribution"),
        ({"tau_rec": -1.0}, "time constant must be positive, got -1"),
        ({"tau_facil": 5000.0}, "tau 5000 lies outside the bounds 1 .. 2000"),
        ({"tau_rec": TimeConstant(20.0, 7)}, "7 values, the layer 2 neurons"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        TsodyksMarkramSTP(2, **options)
