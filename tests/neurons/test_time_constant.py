"""Time constants: they start where they should and no optimiser drives them out of their bounds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons import LI, LIF, TimeConstant, constant, normal, uniform

OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1.0),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e3, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    "adamw": lambda p: torch.optim.AdamW(p, lr=10.0),
}


@pytest.mark.parametrize("tau", [1.5, 3.0, 20.0, 150.0, 900.0])
def test_a_bounded_time_constant_starts_where_it_was_put(tau):
    held = TimeConstant(tau, 4)
    torch.testing.assert_close(held.tau, torch.full((4,), tau), rtol=2e-6, atol=0)
    torch.testing.assert_close(held.decay(), torch.full((4,), math.exp(-1 / tau)))


def test_the_decay_depends_on_dt_over_tau():
    held = TimeConstant(0.02, bounds=(0.001, 1.0), dt=0.001)
    assert held.decay().item() == pytest.approx(math.exp(-1 / 20), rel=1e-6)


def test_one_value_is_drawn_for_each_neuron():
    torch.manual_seed(0)
    held = TimeConstant("normal(20, 5)", (16, 1, 1))
    assert held.theta.shape == (16, 1, 1)
    assert held.tau.unique().numel() == 16
    torch.manual_seed(0)
    expected = normal(20, 5).sample((16, 1, 1))
    torch.testing.assert_close(held.tau, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("initial", "bounds"),
    [(1.0, [1.0]), (1000.0, [1000.0]), (normal(20, 1e9), [1.0, 1000.0])],
    ids=str,
)
def test_a_start_on_a_bound_or_a_tail_clipped_to_it_can_leave_it(initial, bounds):
    held = TimeConstant(initial, 30)
    # 0.01 % of the logarithmic range inside: log(1000) 1e-4 = 0.07 %.
    off = torch.stack([(held.tau / bound - 1).abs() for bound in bounds])
    assert ((off < 7e-4).any(0) & (off > 0).all(0)).all()
    assert (off < 7e-4).any(1).all()
    held.tau.log().sum().backward()
    assert (held.theta.grad > 1e-5).all()


@given(
    st.sampled_from(sorted(OPTIMISERS)),
    st.floats(1e-2, 10),
    st.floats(1.5, 1e4),
    st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_no_optimiser_step_leaves_the_bounds(optimiser, low, ratio, gradients):
    bounds = (low, low * ratio)
    held = TimeConstant(uniform(*bounds), 3, bounds=bounds)
    optimiser = OPTIMISERS[optimiser](held.parameters())
    ends = torch.tensor(bounds)
    for gradient in gradients:
        held.theta.grad = torch.full_like(held.theta, gradient)
        optimiser.step()
        with torch.no_grad():
            assert held.tau.isfinite().all()
            assert (held.tau >= ends[0]).all()
            assert (held.tau <= ends[1]).all()
            assert ((held.decay() >= 0) & (held.decay() < 1)).all()


@pytest.mark.parametrize(("theta", "end"), [(-1e30, 1.0), (1e30, 1000.0)])
def test_the_ends_of_the_range_are_the_bounds_with_a_finite_gradient(theta, end):
    held = TimeConstant(20.0, 2)
    with torch.no_grad():
        held.theta.fill_(theta)
    assert held.tau.tolist() == [end, end]
    held.decay().sum().backward()
    assert held.theta.grad.isfinite().all()


def test_both_forms_have_the_gradient_of_their_equation():
    for parametrization in ("bounded", "raw"):
        held = TimeConstant(uniform(2, 50), 3, parametrization=parametrization).double()
        assert torch.autograd.gradcheck(
            lambda theta, held=held: torch.func.functional_call(
                _Decay(held), {"held.theta": theta}, ()
            ),
            (held.theta.detach().requires_grad_(),),
        )


class _Decay(torch.nn.Module):
    def __init__(self, held):
        super().__init__()
        self.held = held

    def forward(self):
        return self.held.decay()


@pytest.mark.parametrize("tau", [1e-3, 0.5, 20.0, 1e6])
def test_a_raw_time_constant_is_its_parameter_and_knows_no_bounds(tau):
    held = TimeConstant(tau, 2, parametrization="raw")
    assert held.tau is held.theta
    torch.testing.assert_close(held.theta.data, torch.full((2,), tau))
    held.decay().sum().backward()
    assert held.theta.grad.isfinite().all()


def test_a_raw_draw_that_is_not_positive_starts_at_the_lower_bound():
    torch.manual_seed(0)
    held = TimeConstant(normal(1, 2), 100, parametrization="raw", bounds=(3.0, 9.0))
    torch.manual_seed(0)
    drawn = normal(1, 2).sample((100,))
    assert torch.equal(held.tau, drawn.where(drawn > 0, 3.0))


def test_a_fixed_time_constant_is_not_learned_and_says_so():
    held = TimeConstant(20.0, 2, learn=False)
    assert not held.theta.requires_grad
    assert held.extra_repr() == "constant(20), size=(2,), bounds=(1, 1000), fixed"
    assert TimeConstant(20.0, parametrization="raw").extra_repr() == "constant(20), size=(), raw"


@pytest.mark.parametrize("parametrization", ["bounded", "raw"])
def test_assigned_values_are_taken(parametrization):
    held = TimeConstant(20.0, 3, parametrization=parametrization)
    held.assign(torch.tensor([2.0, 30.0, 400.0]))
    torch.testing.assert_close(held.tau.detach(), torch.tensor([2.0, 30.0, 400.0]))


@pytest.mark.parametrize("bad", [0.0, -5.0, math.nan, math.inf])
def test_assigned_values_must_be_positive_and_finite(bad):
    held = TimeConstant(20.0, 2)
    with pytest.raises(ValueError, match="must be a positive, finite number"):
        held.assign(torch.tensor([10.0, bad]))
    torch.testing.assert_close(held.tau.detach(), torch.full((2,), 20.0))


def test_a_raw_time_constant_takes_a_published_negative_value_but_no_other_nonsense():
    held = TimeConstant(20.0, 2, parametrization="raw")
    held.assign(torch.tensor([-3.0, 0.04]))
    assert torch.equal(held.tau, torch.tensor([-3.0, 0.04]))
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="raw time constant must be a finite number"):
            held.assign(torch.tensor([10.0, bad]))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((-5.0,), {}, "must be positive, got -5"),
        ((0.0,), {}, "must be positive, got 0"),
        (("-5",), {}, "must be positive, got -5"),
        ((-5.0,), {"parametrization": "raw"}, "must be positive, got -5"),
        ((uniform(-10, -5), 3), {}, r"must be positive, got uniform\(-10, -5\)"),
        (
            (uniform(-10, -5), 3),
            {"parametrization": "raw"},
            r"must be positive, got uniform\(-10, -5\)",
        ),
        ((500.0, 3), {"bounds": (1, 200)}, r"tau 500 lies outside the bounds 1 \.\. 200"),
        ((0.5,), {}, r"tau 0\.5 lies outside the bounds 1 \.\. 1000"),
        (("uniform(0.1, 0.9)", 3), {}, r"tau uniform\(0\.1, 0\.9\) lies outside the bounds 1"),
        (("loguniform(2e3, 3e3)", 3), {}, r"tau loguniform\(2000, 3000\) lies outside"),
        (("normal(-20, 5)", 3), {}, r"must be positive, got normal\(-20, 5\)"),
        (("normal(500, 5)", 3), {"bounds": (1, 200)}, r"tau normal\(500, 5\) lies outside"),
        ((torch.tensor([5.0, 6.0]), 2), {}, "^A Tensor is not a distribution: give a number"),
        ((None, 2), {}, "^A NoneType is not a distribution: give a number"),
        ((20.0, 2.5), {}, r"size must be a whole number >= 0, got 2\.5"),
        ((math.nan,), {}, r"constant\(nan\): value must be a finite number"),
        ((20.0,), {"parametrization": "log"}, "'bounded' or 'raw', got 'log'"),
        (("normal(20, 5)",), {}, r"normal\(20, 5\) draws one value per neuron: .* size"),
        ((20.0, 3), {"bounds": (10, 1)}, r"0 < low < high, got \(10, 1\)"),
        ((20.0, 3), {"bounds": (0, 1)}, "0 < low < high"),
        ((20.0, 3), {"bounds": (1, math.inf)}, "0 < low < high"),
        ((20.0, 3), {"dt": 0}, "dt must be positive, got 0"),
        ((20.0, 3), {"dt": math.nan}, "dt must be positive, got nan"),
        (("normals(1, 2)", 3), {}, r"'normals\(1, 2\)' is not a distribution"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        TimeConstant(*arguments, **options)


def test_assigning_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\), the given values \(2,\)"):
        TimeConstant(constant(20), 3).assign(torch.ones(2))


@pytest.mark.parametrize("size", [None, 1, 8])
def test_a_shared_time_constant_and_one_of_the_layer_s_size_are_taken(size):
    held = TimeConstant(20.0, size)
    assert LIF(tau_mem=held, linear_features=8).tau_mem is held
    assert LI(8, held).tau_mem is held


@pytest.mark.parametrize(
    ("size", "layer", "message"),
    [
        (4, lambda held: LIF(tau_mem=held, linear_features=8), "has 4 values, the layer 8 neurons"),
        (4, lambda held: LI(8, held), "has 4 values, the layer 8 neurons"),
        # These broadcast against the neurons, but to more than there are.
        (4, lambda held: LIF(tau_mem=held, linear_features=1), "has 4 values, the layer 1 neurons"),
        (4, lambda held: LIF(tau_mem=held, conv2d_channels=4), r"\(4,\) .* \(4, 1, 1\)"),
    ],
)
def test_a_time_constant_of_another_size_is_refused(size, layer, message):
    with pytest.raises(ValueError, match=message):
        layer(TimeConstant(20.0, size))
