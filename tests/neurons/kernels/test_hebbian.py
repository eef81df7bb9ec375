"""The compiled pass of Hebbian synapses against the loop under autograd, in float64 to 1e-10."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons import LIF, LIFState
from srnn.neurons.kernels import hebbian, hebbian_library, library
from srnn.neurons.kernels.hebbian_library import HebbianProblem
from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, PlasticState, run_tanh
from srnn.neurons.plasticity.hebbian import NORMALISATIONS, RECURRENT_TERMS, HebbianState

from .hebbian_problems import VALUES, check, cotangents, make, run_library, run_reference

pytestmark = pytest.mark.skipif(library.reason() is not None, reason=str(library.reason()))


def flat(values, gradients):
    """All that a run gives, in one tuple."""
    return (*values, *(gradients[name] for name in VALUES if name in gradients))


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("clamp", [math.inf, 0.25])
@pytest.mark.parametrize("recurrent", RECURRENT_TERMS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_all_variants(normalisation, recurrent, clamp, masks):
    problem = make(normalisation=normalisation, recurrent=recurrent, clamp=clamp, masks=masks)
    check(problem)
    if clamp < math.inf:  # or the test would say nothing of it
        says_something(problem, low=-math.inf, high=math.inf)


def says_something(problem, **without):
    """Without an option the result is another one; or a test of it would say nothing."""
    given_ = cotangents(problem)
    (_, F), _ = run_library(problem, *given_)
    (_, other), _ = run_library(problem._replace(**without), *given_)
    assert not torch.allclose(F, other)


@pytest.mark.parametrize("lambda_per", ["synapse", "scalar"])
@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("recurrent", RECURRENT_TERMS)
@pytest.mark.parametrize("normalisation", ["none", "input"])
def test_devices(normalisation, recurrent, masks, lambda_per):
    """W + F has a window, and small changes get no pulse, but have their gradients."""
    options = {"normalisation": normalisation, "recurrent": recurrent, "lambda_per": lambda_per}
    problem = make(masks=masks, device=True, **options)
    check(problem)
    for without in ({"high": math.inf}, {"low": -math.inf}, {"threshold": 0.0}):
        says_something(problem, **without)
    check(make(masks=masks, device=True, threshold=0.0, **options))


@pytest.mark.parametrize("normalisation", ["none", "input"])
@pytest.mark.parametrize("only", [{"low": -0.3}, {"high": 0.3}, {"threshold": 0.1}], ids=str)
def test_one_limit_alone(only, normalisation):
    none = {"low": -math.inf, "high": math.inf, "threshold": 0.0}
    problem = make(device=True, normalisation=normalisation)._replace(**none | only)
    check(problem)
    says_something(problem, **none)


def test_devices_that_nothing_reaches():
    """No activity has no norm to be divided by: as torch's normalize has it."""
    problem = make(3, 2, normalisation="input", recurrent="new", device=True, masks=False)
    problem = problem._replace(x=problem.x * 0, h=problem.h * 0)
    check(problem._replace(x=torch.cat([problem.x[:1], problem.x[1:] + 1])))
    check(problem._replace(bias=problem.bias * 0))


@pytest.mark.parametrize("gamma_per", ["synapse", "scalar"])
@pytest.mark.parametrize("lambda_per", ["synapse", "scalar"])
def test_values_for_all_synapses_or_for_each(lambda_per, gamma_per):
    check(make(lambda_per=lambda_per, gamma_per=gamma_per))


@pytest.mark.parametrize("level", library.LEVELS)
@pytest.mark.parametrize(("neurons", "inputs"), [(1, 1), (4, 16), (17, 15), (33, 70)])
def test_all_levels_and_widths(level, neurons, inputs):
    if library.LEVELS.index(level) > library.level_of(None):
        pytest.skip(f"this machine has no {level}")
    check(make(neurons=neurons, inputs=inputs, recurrent="new"), level=level)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.integers(1, 20),
    batch=st.integers(0, 9),
    neurons=st.integers(1, 20),
    inputs=st.integers(1, 40),
    normalisation=st.sampled_from(NORMALISATIONS),
    recurrent=st.sampled_from(RECURRENT_TERMS),
    clamp=st.sampled_from([0.1, 1.0, math.inf]),
    flags=st.tuples(*[st.booleans()] * 4),
    tile=st.sampled_from([1, 2**12, 2**19]),
    seed=st.integers(0, 9),
)
def test_random_problems(flags, tile, **shape):
    options = dict(zip(("bias", "carried", "masks", "device"), flags, strict=True))
    if options["device"]:
        divided = shape["normalisation"] == "before"
        shape["normalisation"] = "input" if divided else "none"
    # Without a normalisation F may grow without a bound.
    if shape["normalisation"] == "none":
        shape["clamp"] = min(shape["clamp"], 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hebbian_library, "_TILE_BYTES", tile)
        patch.setattr(hebbian_library, "_TILE", 1)
        check(make(**shape, **options))


@pytest.mark.parametrize("recurrent", RECURRENT_TERMS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_float32_is_close(normalisation, recurrent):
    problem = make(20, 4, 16, 30, normalisation=normalisation, recurrent=recurrent, clamp=1.0)
    given_ = cotangents(problem)
    exact = flat(*run_reference(problem, *given_))
    single = problem._replace(
        **{n: v.float() for n in VALUES if (v := getattr(problem, n)) is not None}
    )
    for ours, theirs in zip(
        flat(*run_library(single, *(g.float() for g in given_))), exact, strict=True
    ):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@pytest.mark.parametrize("normalisation", ["after", "input"])
@pytest.mark.parametrize("recurrent", RECURRENT_TERMS)
@pytest.mark.parametrize("shape", [(9, 5, 11, 37), (6, 3, 40, 90)])
def test_any_number_of_threads_gives_the_same_bits(threads, shape, recurrent, normalisation):
    options = {"recurrent": recurrent, "gamma_per": "scalar", "dtype": torch.float32}
    options["device"] = normalisation == "input"
    problem = make(*shape, normalisation=normalisation, **options)
    given_ = cotangents(problem)
    threads(1)
    one = flat(*run_library(problem, *given_))
    for number in (2, 5):
        threads(number)
        many = flat(*run_library(problem, *given_))
        assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))


@pytest.mark.parametrize("normalisation", ["before", "after"])
def test_efficacies_that_cancel_give_finite_gradients(normalisation):
    """W + F = 0 has no norm to differentiate; what is added to it keeps it from dividing by 0."""
    problem = make(1, 2, normalisation=normalisation, masks=False)
    F = -problem.W.expand_as(problem.F)
    check(problem._replace(F=F, x=problem.x * 0, h=problem.h * 0, bias=problem.bias * 0))


@pytest.mark.parametrize(
    "options",
    [
        {"recurrent": "new", "normalisation": "after"},
        # Changes that are not made have gradients that differences do not see.
        {"recurrent": "new", "normalisation": "input", "device": True, "threshold": 0.0},
    ],
    ids=["Hebbian", "device"],
)
def test_gradients_by_finite_differences(options):
    p = make(4, 2, 3, 2, **options)
    leaves = [getattr(p, name).requires_grad_() for name in VALUES]

    def solve(*values):
        return hebbian.solve(p._replace(**dict(zip(VALUES, values, strict=True))))

    assert torch.autograd.gradcheck(solve, leaves)


def test_the_operation_keeps_its_promises():
    for recurrent, masks, bias in (("old", True, True), ("new", False, False)):
        p = make(recurrent=recurrent, masks=masks, bias=bias, normalisation="none", device=masks)
        p = p._replace(
            **{n: v.requires_grad_() for n in VALUES if (v := getattr(p, n)) is not None}
        )
        torch.library.opcheck(torch.ops.srnn.hebbian, (*p, True), test_utils="test_schema")
        torch.library.opcheck(torch.ops.srnn.hebbian, (*p, False))


def test_no_second_derivative():
    p = make()
    W = p.W.requires_grad_()
    h, _ = hebbian.solve(p)
    (first,) = torch.autograd.grad(h.sum(), W, create_graph=True)
    with pytest.raises(NotImplementedError, match="SRNN_KERNEL=reference"):
        first.sum().backward()


def layer(synapses=HebbianSTP, **options):
    torch.manual_seed(0)
    stp = synapses(6, 5, **options)
    stp.Gamma.data *= 300
    x = torch.randn(7, 3, 5)
    return stp, x, PlasticState(torch.zeros(3, 6), (), stp.initial_state(3, x))


@pytest.mark.parametrize(
    "options",
    [
        {"normalisation": "after", "recurrent": "new", "clamp": 0.5},
        {"synapses": MemristiveSTP, "normalisation": "input", "threshold": 0.01, "dt": 0.02},
        {"synapses": MemristiveSTP, "recurrent": "new", "device_spread": 0.3},
    ],
    ids=["Hebbian", "devices", "devices that differ"],
)
def test_the_environment_names_the_kernel(monkeypatch, options):
    stp, x, state = layer(**options)
    reset = torch.rand(7, 3) < 0.3
    monkeypatch.setenv("SRNN_KERNEL", "reference")
    expected, after = run_tanh(x, state, reset, stp)
    monkeypatch.setenv("SRNN_KERNEL", "auto")
    h, ours = run_tanh(x, state, reset, stp)
    assert "hebbian" in str(h.grad_fn)
    assert "hebbian" not in str(expected.grad_fn)
    torch.testing.assert_close(h, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.h, after.h, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.synapses.F, after.synapses.F, rtol=1e-5, atol=1e-6)
    names, parameters = zip(*stp.named_parameters(), strict=True)
    gradients = (torch.autograd.grad(a.square().sum(), parameters) for a in (h, expected))
    for name, found, wanted in zip(names, *gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("options", [{"write_noise": 0.1}, {"levels": 8}])
def test_devices_with_noise_or_levels_run_in_the_loop(options):
    stp, x, state = layer(MemristiveSTP, **options)
    h, _ = run_tanh(x, state, None, stp)
    assert "hebbian" not in str(h.grad_fn)


def test_what_the_kernel_cannot_run_is_left_to_the_loop():
    class Tripled(HebbianSTP):
        def transmit(self, z, state, params):
            current, state = super().transmit(z, state, params)
            return 3 * current, state

    stp, x, state = layer()
    plain, _ = run_tanh(x, state, None, stp)
    other = Tripled(6, 5)
    other.load_state_dict(stp.state_dict())
    changed, _ = run_tanh(x, state, None, other)
    torch.testing.assert_close(changed[0], torch.tanh(3 * torch.atanh(plain[0])))
    nothing, after = run_tanh(x[:0], state, None, stp)
    assert nothing.shape == (0, 3, 6)
    assert after.synapses.F.equal(state.synapses.F)
    mixed = PlasticState(state.h.double(), (), HebbianState(state.synapses.F.double()))
    promoted, _ = run_tanh(x, mixed, None, stp)
    assert promoted.dtype == torch.float64
    torch.testing.assert_close(promoted.float(), plain)


def test_pieces_of_a_sequence_make_the_whole():
    stp, x, state = layer()
    whole, end = run_tanh(x, state, None, stp)
    first, middle = run_tanh(x[:4], state, None, stp)
    second, last = run_tanh(x[4:], middle, None, stp)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(last.synapses.F, end.synapses.F, rtol=1e-6, atol=1e-7)
    of_whole = torch.autograd.grad(whole.square().sum(), stp.Gamma)[0]
    of_parts = torch.autograd.grad(first.square().sum() + second.square().sum(), stp.Gamma)[0]
    torch.testing.assert_close(of_parts, of_whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kernel", ["reference", "auto"])
def test_what_does_not_fit_is_refused_before_any_kernel(kernel, monkeypatch):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    stp, x, state = layer()
    for wrong in (x[0], x[..., :4]):
        with pytest.raises(ValueError, match=r"an input of shape \[time, batch, 5\], got"):
            run_tanh(wrong, state, None, stp)
    with pytest.raises(ValueError, match=r"reset mask .* \[7, 3\], got \[8, 3\]"):
        run_tanh(x, state, torch.zeros(8, 3), stp)
    with pytest.raises(ValueError, match="a PlasticState whose synapses are a HebbianState"):
        run_tanh(x, state._replace(synapses=()), None, stp)
    with pytest.raises(ValueError, match=r"shape \[1, 6\], got \[3, 6\]"):
        run_tanh(x[:, :1], state, None, stp)


@pytest.mark.parametrize("name", ["h", "F", "begin", "W", "Lambda", "bias"])
def test_a_shape_that_does_not_fit_is_refused_by_name(name):
    problem: HebbianProblem = make()
    wrong = torch.zeros(2, 3, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match=f"^{name} of the Hebbian synapses must have the shape"):
        hebbian.solve(problem._replace(**{name: wrong}))


def tiny_problem(F, Lambda):
    """One step that does nothing but multiply F by Lambda."""
    options = {"carried": False, "masks": False, "bias": False, "dtype": torch.float32}
    problem = make(1, 2, 40, 30, normalisation="none", **options)
    return problem._replace(
        x=torch.zeros_like(problem.x),
        F=torch.full_like(problem.F, F),
        Lambda=torch.full_like(problem.W, Lambda),
    )


# The smallest normal number is 1.2e-38.
results = pytest.mark.parametrize(
    ("value", "factor"), [(1e-30, 1e-10), (1e-40, 1e10)], ids=["a result", "an operand"]
)
workers = pytest.mark.parametrize("number", [1, 2])


@workers
@results
def test_what_is_too_small_to_be_normal_is_zero_forward(threads, number, value, factor):
    threads(number)
    _, F, _ = hebbian_library.forward(tiny_problem(value, factor), backward=False)
    assert not F.any()


@workers
@results
def test_what_is_too_small_to_be_normal_is_zero_backward(threads, number, value, factor):
    threads(number)
    problem = tiny_problem(0.0, factor)
    of_h, of_F = (torch.zeros_like(part) for part in cotangents(problem))
    _, gradients = run_library(problem, of_h, of_F + value)
    assert not gradients["F"].any()


@workers
@results
def test_what_is_too_small_to_be_normal_is_zero_in_a_spiking_pass(
    threads, number, value, factor, monkeypatch
):
    monkeypatch.setenv("SRNN_KERNEL", "cpu")
    threads(number)
    layer = LIF(beta=min(factor, 1.0), threshold=0.5)
    zeros = torch.zeros(8, 64)
    before = LIFState(zeros, torch.full_like(zeros, value))
    _, after = layer.forward_sequence(zeros[None], before)
    assert not after.membrane.any()


@workers
def test_a_sum_of_normal_numbers_that_is_not_normal_is_zero(threads, number, monkeypatch):
    monkeypatch.setenv("SRNN_KERNEL", "cpu")
    threads(number)
    layer = LIF(beta=1.0, reset_mechanism="none")  # nothing is done with the sum
    zeros = torch.zeros(8, 64)
    _, after = layer.forward_sequence(zeros[None] - 1.2e-38, LIFState(zeros, zeros + 1.5e-38))
    assert not after.membrane.any()


def test_the_caller_and_its_threads_keep_such_numbers(threads):
    threads(2)
    problem = tiny_problem(1e-30, 1e-10)
    tiny = torch.full((2**21,), 1e-40)  # enough for all threads
    for _ in range(3):
        run_library(problem, *cotangents(problem))
        assert (tiny * 0.5).all()
