"""The torch kernel against the project's step functions and their gradients by autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons import surrogate
from srnn.neurons.kernels.operation import solve

from .problems import dense_of, gradients_of, loss_of, random_problem, solve_by_steps

SURROGATES = [*surrogate.SURROGATES.values(), surrogate.no_gradient]
resets = pytest.mark.parametrize("reset", ["subtract", "none", "zero", "zero-after"])
detached = pytest.mark.parametrize("detach_reset", [False, True])


def largest(values):
    """Largest absolute value; NaN if there is one, which no comparison passes."""
    return values.abs().max().item() if values.numel() else 0.0


def check(problem, tolerance=1e-10):
    """Compare values and all gradients; return the spikes."""
    S, u, b = solve_by_steps(problem)
    expected = gradients_of(problem, loss_of(S, u, b))
    found = solve(problem, "torch", trace=True)
    assert torch.equal(found.spikes, S)
    assert torch.equal(found.counts, S.sum(0))
    close = {"rtol": tolerance, "atol": tolerance}
    torch.testing.assert_close(found.trace, u, **close)
    torch.testing.assert_close(found.membrane, u[-1], **close)
    if b is not None:
        torch.testing.assert_close(found.adaptation, b, **close)
    loss = loss_of(found.spikes, found.trace, found.adaptation)
    for name, gradient in gradients_of(problem, loss).items():
        # Relative to the largest, since a loss of so many random terms cancels in places.
        scale = largest(expected[name]) + 1
        assert largest(gradient - expected[name]) <= tolerance * scale, name
    return S


@resets
@detached
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("begin", [False, True])
def test_every_rule_in_double_precision(reset, detach_reset, adaptive, recurrent, begin):
    problem = random_problem(
        reset=reset,
        detach_reset=detach_reset,
        adaptive=adaptive,
        recurrent=recurrent,
        begin=begin,
        seed=3,
    )
    assert 0.05 < check(problem).mean() < 0.95


@pytest.mark.parametrize("kind", SURROGATES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("source", ["current", "inputs", "events"])
def test_every_surrogate_and_every_source(kind, source):
    assert check(random_problem(surrogate_gradient=kind(), source=source, begin=True)).any()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_problems(data):
    def draw(*choices):
        return data.draw(st.sampled_from(choices))

    check(
        random_problem(
            steps=draw(1, 2, 9),
            batch=draw(0, 1, 4),
            neurons=draw(1, 17),
            channels=draw(1, 5),
            source=draw("current", "inputs", "events"),
            recurrent=draw(False, True),
            adaptive=draw(False, True),
            bias=draw(False, True),
            carried=draw(False, True),
            begin=draw(False, True),
            density=draw(0.0, 0.3, 1.0),
            drive=draw(0.0, 1.0, 30.0),
            surrogate_gradient=draw(*SURROGATES)(),
            reset=draw("subtract", "none", "zero", "zero-after"),
            detach_reset=draw(False, True),
            seed=data.draw(st.integers(0, 10**6)),
        )
    )


def test_single_precision_where_the_spikes_agree():
    problem = random_problem(steps=60, batch=4, neurons=16, dtype=torch.float32)
    check(problem, tolerance=1e-4)


def test_events_may_carry_values():
    problem = random_problem(source="events")
    values = torch.rand(len(problem.events.channels), dtype=torch.float64) + 0.5
    dense = dense_of(problem)
    dense[dense == 1] = values
    dense = problem._replace(events=None, inputs=dense)
    events = problem._replace(events=problem.events._replace(values=values))
    runs = [solve(p, "torch", trace=True) for p in (dense, events)]
    torch.testing.assert_close(runs[1].trace, runs[0].trace, rtol=1e-12, atol=1e-12)
    losses = [loss_of(run.spikes, run.trace, run.adaptation) for run in runs]
    gradients = [torch.autograd.grad(loss, problem.projection)[0] for loss in losses]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


def test_non_contiguous_tensors():
    problem = random_problem(source="inputs", begin=True)
    strided = {
        name: value.detach().repeat_interleave(2, dim=-1)[..., ::2].requires_grad_()
        for name, value in problem._asdict().items()
        if isinstance(value, torch.Tensor) and value.requires_grad
    }
    strided["recurrent"] = problem.recurrent.detach().t().contiguous().t().requires_grad_()
    check(problem._replace(**strided, begin=problem.begin.t().contiguous().t()))


def test_neurons_without_a_threshold_integrate():
    """As leaky integrators: closed form for a constant current, and no NaN in any gradient."""
    problem = random_problem(
        source="current",
        recurrent=False,
        adaptive=False,
        carried=False,
        reset="none",
        surrogate_gradient=surrogate.no_gradient(),
    )
    alpha = problem.alpha
    problem = problem._replace(
        current=torch.full((12, 3, 5), 2.0, dtype=torch.float64).requires_grad_(),
        threshold=torch.full_like(alpha, torch.inf),
        input_gain=1 - alpha,
    )
    trace = solve(problem, "torch", trace=True).trace
    decayed = alpha ** torch.arange(1, 13)[:, None, None]
    torch.testing.assert_close(trace, (2 * (1 - decayed)).expand_as(trace))
    (gradient,) = torch.autograd.grad(trace[-1].sum(), alpha)
    expected = torch.autograd.grad((3 * 2 * (1 - decayed[-1])).sum(), alpha)[0]
    torch.testing.assert_close(gradient, expected)


def test_without_a_spike_the_gradient_is_that_of_finite_differences():
    # With a surrogate of compact support, of which no membrane comes near: there the step function
    # itself is smooth, and so is everything but it.
    problem = random_problem(
        steps=4,
        batch=2,
        neurons=3,
        drive=0.1,
        source="current",
        carried=False,
        surrogate_gradient=surrogate.triangle(width=0.5),
    )
    problem = problem._replace(threshold=torch.full((3,), 5.0, dtype=torch.float64))
    names = ("current", "recurrent_bias", "alpha", "input_gain", "membrane", "adaptation")
    tensors = [getattr(problem, name).detach().requires_grad_() for name in names]

    def trace(*tensors):
        found = solve(
            problem._replace(**dict(zip(names, tensors, strict=True))), "torch", trace=True
        )
        assert not found.spikes.any()
        return found.trace, found.adaptation

    assert torch.autograd.gradcheck(trace, tensors)
