"""The compiled backward pass where the surrogate has compact support, against autograd."""

import pytest
import torch

from srnn.neurons.kernels import library

from .cpu_problems import check, flat, make, random_cotangents, run_cpu, run_reference
from .problems import RESETS

pytestmark = pytest.mark.skipif(library.reason() is not None, reason=str(library.reason()))


def narrow(spike="boxcar", width=0.1, **shape):
    """A problem whose surrogate is 0 but within a narrow band around the threshold."""
    problem = make(spike=spike, **shape)
    return problem._replace(rules=problem.rules._replace(constants=(0.7, width)))


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("reset", list(RESETS))
def test_all_dynamics(reset, adaptive, masks):
    check(narrow(reset=reset, adaptive=adaptive, masks=masks, carried=masks))


def test_few_neurons_are_near_their_threshold_in_these_problems():
    """Or the tests above and below would be those of the dense product once more."""
    problem = narrow(adaptive=False)
    trace = run_reference(problem)[0][3]
    near = (trace - problem.threshold).abs() <= 0.05
    assert 0.02 < near.double().mean() < 0.15


@pytest.mark.parametrize("spike", ["boxcar", "triangle"])
@pytest.mark.parametrize("width", [1e-9, 0.03, 0.2, 0.4, 0.8, 10.0])
def test_from_no_support_to_all_of_it(spike, width):
    check(narrow(spike, width, batch=40, reset="none", detach=True))


@pytest.mark.parametrize("level", library.LEVELS)
@pytest.mark.parametrize("neurons", [1, 17, 64, 100, 130, 288])
def test_all_levels_and_widths(level, neurons):
    if library.LEVELS.index(level) > library.level_of(None):
        pytest.skip(f"this machine has no {level}")
    problem = narrow(steps=12, batch=35, neurons=neurons, source="inputs", channels=40)
    check(problem, level=level)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (2, 0), (17, 1), (40, 33)])
def test_shapes_at_the_edge(shape):
    check(narrow(steps=shape[0], batch=shape[1]))


@pytest.mark.parametrize("neurons", [21, 128])
def test_float32(neurons):
    check(narrow(batch=40, neurons=neurons, dtype=torch.float32), tolerance=1e-4)


def test_any_number_of_threads_gives_the_same_bits(threads):
    problem = narrow(batch=70, neurons=100, dtype=torch.float32)
    cotangents = random_cotangents(run_cpu(problem)[0])
    threads(1)
    one = flat(*run_cpu(problem, cotangents))
    threads(2)
    two = flat(*run_cpu(problem, cotangents))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
