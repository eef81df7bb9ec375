"""HebbianSTP: every variant by its equation, and the invariants."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons.plasticity import HebbianSTP
from srnn.neurons.plasticity.hebbian import NORMALISATIONS

each = pytest.mark.parametrize("normalisation", NORMALISATIONS)


def filled(golden, **options):
    """Synapses with the parameters of the golden vector."""
    stp = HebbianSTP(2, 3, **options).double()
    with torch.no_grad():
        for name in ("W", "Lambda", "Gamma", "bias"):
            getattr(stp, name).copy_(golden[name])
    return stp


def drawn(**options):
    """Synapses whose short-term part is as large as the long-term one."""
    stp = HebbianSTP(3, 2, **options).double()
    torch.nn.init.uniform_(stp.Gamma, -0.5, 0.5)
    return stp


def close(a, b, atol=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def by_hand(golden, normalisation, recurrent, clamp):
    """The equations of the published code, synapse by synapse."""
    W, Lambda, Gamma, b = (golden[name].tolist() for name in ("W", "Lambda", "Gamma", "bias"))
    F = [[0.0] * 5 for _ in range(2)]
    h = [0.0, 0.0]
    trace = []
    for x in golden["x"][:, 0].tolist():
        z = x + h
        G = [[w + f for w, f in zip(*rows, strict=True)] for rows in zip(W, F, strict=True)]
        n = [1.0 if normalisation == "none" else math.hypot(*row) for row in G]
        h = [
            math.tanh(sum(g * z_j for g, z_j in zip(G[i], z, strict=True)) / n[i] + b[i])
            for i in range(2)
        ]
        p = x + h if recurrent == "new" else z
        for i in range(2):
            kept = n[i] if normalisation == "before" else 1.0
            learned = [Lambda[i][j] * F[i][j] / kept + Gamma[i][j] * h[i] * p[j] for j in range(5)]
            F[i] = [min(max(f, -clamp), clamp) for f in learned]
            if normalisation == "after":
                norm = math.hypot(*(w + f for w, f in zip(W[i], F[i], strict=True)))
                F[i] = [f / norm for f in F[i]]
        trace.append((list(h), [list(row) for row in F]))
    return trace


@each
@pytest.mark.parametrize("recurrent", ["old", "new"])
@pytest.mark.parametrize("clamp", [math.inf, 0.05])
def test_a_variant_follows_its_equation(golden, run, normalisation, recurrent, clamp):
    stp = filled(golden, normalisation=normalisation, recurrent=recurrent, clamp=clamp)
    h, _, states = run(stp, golden["x"])
    for t, (activity, F) in enumerate(by_hand(golden, normalisation, recurrent, clamp)):
        close(h[t, 0], torch.tensor(activity, dtype=torch.float64))
        close(states[t + 1].F[0], torch.tensor(F, dtype=torch.float64))


def test_every_option_changes_the_outcome(golden, run):
    """Else the comparison above could not tell the variants from one another."""
    options = [
        {},
        {"normalisation": "after"},
        {"normalisation": "none"},
        {"recurrent": "new"},
        {"clamp": 0.05},
    ]
    ends = [run(filled(golden, **o), golden["x"])[0][-1, 0, 0].item() for o in options]
    assert len({round(end, 6) for end in ends}) == len(options)


@given(st.integers(0, 1000), st.sampled_from(["before", "after"]))
@settings(max_examples=25, deadline=None)
def test_the_efficacies_of_a_neuron_have_norm_one(seed, normalisation):
    torch.manual_seed(seed)
    stp = drawn(normalisation=normalisation)
    state = stp.initial_state(4, torch.zeros((), dtype=torch.float64))
    for _ in range(5):
        norm = stp.efficacy(state, stp.params()).norm(dim=-1)
        close(norm, torch.ones_like(norm))
        z, h = torch.randn(4, 5).double(), torch.randn(4, 3).double()
        _, state = stp.transmit(z, state, stp.params())
        state = stp.update(z, h, state, stp.params())


@each
def test_without_gamma_there_is_no_short_term_efficacy(run, normalisation):
    stp = drawn(normalisation=normalisation)
    torch.nn.init.zeros_(stp.Gamma)
    x = torch.randn(6, 2, 2).double()
    h, z, states = run(stp, x)
    assert not torch.stack([s.F for s in states]).any()
    W = stp.W if normalisation == "none" else stp.W / stp.W.norm(dim=1, keepdim=True)
    close(h, torch.tanh(z @ W.T + stp.bias))


@each
def test_without_lambda_only_the_last_step_is_remembered(run, normalisation):
    stp = drawn(normalisation=normalisation)
    torch.nn.init.zeros_(stp.Lambda)
    x = torch.randn(6, 2, 2).double()
    h, z, states = run(stp, x)
    F = stp.Gamma * torch.einsum("bi,bj->bij", h[-1], z[-1])
    if normalisation == "after":
        F = F / (stp.W + F).norm(dim=-1, keepdim=True)
    close(states[-1].F, F)


@each
def test_constant_tensors_equal_the_scalars(run, normalisation):
    each_ = drawn(normalisation=normalisation)
    one = drawn(normalisation=normalisation, lambda_per="scalar", gamma_per="scalar")
    assert one.Lambda.shape == one.Gamma.shape == ()
    one.W, one.bias = each_.W, each_.bias
    for name, value in (("Lambda", 0.7), ("Gamma", -0.3)):
        torch.nn.init.constant_(getattr(one, name), value)
        torch.nn.init.constant_(getattr(each_, name), value)
    x = torch.randn(8, 2, 2).double()
    assert torch.equal(run(one, x)[0], run(each_, x)[0])


@each
@pytest.mark.parametrize("recurrent", ["old", "new"])
def test_the_gradient_goes_through_the_short_term_efficacy(run, normalisation, recurrent):
    stp = drawn(normalisation=normalisation, recurrent=recurrent)
    x = torch.randn(4, 2, 2).double()

    def outcome(W, Lambda, Gamma, bias, x):
        params = stp.params()._replace(W=W, Lambda=Lambda, Gamma=Gamma, bias=bias)
        h, _, states = run(stp, x, params=params)
        return h, states[-1].F

    given = [p.detach().clone().requires_grad_() for p in (stp.W, stp.Lambda, stp.Gamma, stp.bias)]
    assert torch.autograd.gradcheck(outcome, (*given, x.requires_grad_()))
    # Lambda acts on nothing but F, from the second step on.
    assert torch.autograd.grad(outcome(*given, x)[0][-1].sum(), given[1])[0].all()


@each
def test_a_new_episode_forgets_in_its_sequence_only(run, normalisation):
    stp = drawn(normalisation=normalisation)
    x = torch.randn(7, 3, 2).double()
    reset = torch.zeros(7, 3, dtype=torch.bool)
    reset[4, 1] = True
    h, _, states = run(stp, x, reset=reset)
    whole, _, undisturbed = run(stp, x)
    anew, _, started = run(stp, x[4:])
    for got, kept, fresh in (
        (h[-1], whole[-1], anew[-1]),
        (states[-1].F, undisturbed[-1].F, started[-1].F),
    ):
        close(got[[0, 2]], kept[[0, 2]])
        close(got[1], fresh[1])
        assert not torch.equal(got[1], kept[1])


def test_the_counts_of_the_paper():
    pong = HebbianSTP(64, 2592)
    assert pong.synapses == 169_984
    assert sum(p.numel() for p in pong.parameters()) == 510_016
    assert sum(p.numel() for p in HebbianSTP(11, 37).parameters()) == 2039 - (11 * 37 + 37)


def test_the_start_of_the_paper():
    stp = HebbianSTP(25, 300)
    bound = 1 / math.sqrt(25)
    for drawn_, low, high in (
        (stp.W, -bound, bound),
        (stp.bias, -bound, bound),
        (stp.Lambda, 0.0, 1.0),
        (stp.Gamma, -0.001 * bound, 0.001 * bound),
    ):
        assert low <= drawn_.min() < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < drawn_.max() <= high


def test_recurrent_synapses_alone_take_the_neurons_activity():
    stp = HebbianSTP(4, bias=False)
    assert stp.lines == 4
    assert [name for name, _ in stp.named_parameters()] == ["W", "Lambda", "Gamma"]
    h = torch.randn(2, 4)
    assert stp.presynaptic(torch.randn(2, 4), h) is h


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neurons": 0}, "neurons must be a whole number >= 1, got 0"),
        ({"neurons": 2.5}, r"neurons must be a whole number >= 1, got 2\.5"),
        ({"inputs": -1}, "inputs must be a whole number >= 0, got -1"),
        ({"normalisation": "pre"}, "normalisation must be one of before, after, none, got 'pre'"),
        ({"recurrent": "newer"}, "recurrent must be one of old, new, got 'newer'"),
        ({"lambda_per": "neuron"}, "lambda_per must be one of synapse, scalar, got 'neuron'"),
        ({"gamma_per": "line"}, "gamma_per must be one of synapse, scalar, got 'line'"),
        ({"clamp": 0.0}, "clamp must be positive, got 0"),
        ({"clamp": math.nan}, "clamp must be positive, got nan"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        HebbianSTP(**{"neurons": 2} | options)
