"""The surrogates: published values, their integrals, snnTorch's own, and what they must survive."""

import pickle

import pytest
import snntorch
import torch

from srnn.neurons import surrogate

ALL = [kind() for kind in surrogate.SURROGATES.values()]
OTHERS = [
    surrogate.multi_gaussian(gamma=0.3, h=0.4, s=3.0, sigma=0.7),
    surrogate.gaussian(gamma=0.4, sigma=0.3),
    surrogate.slayer(gamma=0.2, a=3.0),
    surrogate.triangle(gamma=0.3, width=0.5),
    surrogate.fast_sigmoid(gamma=0.5, slope=10.0),
    surrogate.boxcar(gamma=0.5, width=0.4),
    surrogate.atan(alpha=3.0),
]
each = pytest.mark.parametrize("psi", ALL + OTHERS, ids=str)

# Where psi or its slope jumps: no finite difference is right there.
KINKS = {
    surrogate.slayer: lambda s: [0.0],
    surrogate.triangle: lambda s: [0.0, s.width, -s.width],
    surrogate.fast_sigmoid: lambda s: [0.0],
    surrogate.boxcar: lambda s: [s.width / 2, -s.width / 2],
}


def through(psi, v):
    """The derivative that backpropagation sees."""
    v = v.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(psi(v).sum(), v)
    return gradient


@pytest.mark.parametrize(
    ("psi", "values"),
    [
        (surrogate.multi_gaussian(), [0.439112, 0.258858, 0.043452, -0.015696]),
        (surrogate.gaussian(), [0.398942, 0.241971, 0.053991, 0.000134]),
        (surrogate.triangle(), [0.5, 0.25, 0.0, 0.0]),
        (surrogate.slayer(), [0.5, 0.041042, 0.003369, 0.0000227]),
    ],
    ids=str,
)
def test_the_defaults_have_the_published_values(psi, values):
    v = torch.tensor([0.0, 0.5, 1.0, 2.0], dtype=torch.float64)
    expected = torch.tensor(values, dtype=torch.float64)
    for side in (v, -v):
        torch.testing.assert_close(through(psi, side), expected, atol=5e-7, rtol=0)


def test_the_multi_gaussian_has_the_published_shape():
    psi = surrogate.multi_gaussian().derivative
    v = torch.linspace(0, 60, 600_001, dtype=torch.float64)
    values = psi(v)
    first_zero = v[(values < 0).nonzero()[0, 0]]
    assert 1.272 < first_zero < 1.273
    lowest = values.argmin()
    assert values[lowest].item() == pytest.approx(-0.015866, abs=5e-7)
    assert v[lowest].item() == pytest.approx(1.864, abs=5e-4)
    assert 2 * torch.trapezoid(values, v).item() == pytest.approx(0.425, abs=1e-9)


@each
def test_the_derivative_is_that_of_the_integral(psi):
    v = torch.linspace(-4, 4, 1601, dtype=torch.float64) + 1e-3
    for kink in KINKS.get(type(psi), lambda s: [])(psi):
        v = v[(v - kink).abs() > 1e-4]
    step = 1e-6
    numeric = (psi.integral(v + step) - psi.integral(v - step)) / (2 * step)
    torch.testing.assert_close(psi.derivative(v), numeric, atol=2e-8, rtol=1e-6)


@each
def test_the_integral_vanishes_far_below_the_threshold(psi):
    far = torch.tensor([-1e12], dtype=torch.float64)
    assert psi.integral(far).abs().item() < 1e-9


@each
def test_the_spike_is_a_strict_step(psi):
    tiny = torch.finfo(torch.float32).tiny
    v = torch.tensor([-2.0, -tiny, 0.0, tiny, 2.0])
    assert psi(v).tolist() == [0, 0, 0, 1, 1]
    assert psi(torch.tensor([float("nan")])).tolist() == [0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@each
def test_the_dtype_of_the_input_is_kept(psi, dtype):
    v = torch.linspace(-1, 1, 8, dtype=dtype)
    assert psi(v).dtype == dtype
    assert through(psi, v).dtype == dtype
    assert psi.derivative(v).dtype == psi.integral(v).dtype == dtype


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (surrogate.atan(), snntorch.surrogate.atan()),
        (surrogate.fast_sigmoid(), snntorch.surrogate.fast_sigmoid()),
        (surrogate.atan(alpha=5.0), snntorch.surrogate.atan(alpha=5.0)),
        (surrogate.fast_sigmoid(slope=7.0), snntorch.surrogate.fast_sigmoid(slope=7)),
    ],
    ids=["atan", "fast_sigmoid", "atan, alpha 5", "fast_sigmoid, slope 7"],
)
def test_the_gradient_equals_that_of_snntorch(ours, theirs):
    v = torch.linspace(-3, 3, 2001)
    assert torch.equal(ours(v), theirs(v))
    torch.testing.assert_close(through(ours, v), through(theirs, v), atol=1e-7, rtol=1e-6)


@each
def test_a_surrogate_survives_pickling(psi):
    copy = pickle.loads(pickle.dumps(psi))
    assert copy == psi
    assert hash(copy) == hash(psi)
    assert str(copy) == str(psi)
    v = torch.linspace(-1, 1, 50)
    assert torch.equal(through(copy, v), through(psi, v))


def test_surrogates_with_other_constants_or_of_other_kinds_differ():
    assert len({*ALL, *OTHERS}) == len(ALL) + len(OTHERS)


@each
def test_vmap_maps_values_and_gradients(psi):
    v = torch.linspace(-2, 2, 12).reshape(3, 4)
    assert torch.equal(torch.func.vmap(psi)(v), psi(v))
    gradient = torch.func.vmap(torch.func.grad(lambda row: psi(row).sum()))(v)
    assert torch.equal(gradient, through(psi, v))


def test_no_gradient_blocks_what_passes_through_a_spike():
    psi = surrogate.no_gradient()
    v = torch.linspace(-1, 1, 5)
    assert psi(v).tolist() == [0, 0, 0, 1, 1]
    assert not through(psi, v).any()
