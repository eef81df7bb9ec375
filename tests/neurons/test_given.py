"""What users give: taken for what it means, or refused in a sentence that names it."""

import math

import pytest
import torch

from srnn.neurons import ALIF, LI, LIF, RALIF, RLIF, LIFState, surrogate
from srnn.neurons.kernels import EventBatch, choice, kernel_info
from srnn.neurons.plasticity import HebbianSTP, PlasticState, TsodyksMarkramSTP

KINDS = [LIF, RLIF, ALIF, RALIF]
each = pytest.mark.parametrize("kind", KINDS)


def chosen(monkeypatch):
    """The kernels that run from now on."""
    kernels, best = [], choice.best

    def looked_at(*arguments, **options):
        found = best(*arguments, **options)
        kernels.append(found[0])
        return found

    monkeypatch.setattr(choice, "best", looked_at)
    return kernels


@each
@pytest.mark.parametrize("whole", [1, torch.tensor(1), torch.tensor([1, 1, 1])], ids=str)
def test_whole_numbers_are_floating_ones(kind, whole, monkeypatch):
    kernels, found = chosen(monkeypatch), []
    current = torch.rand(30, 2, 3) * 2
    for value in (whole, torch.as_tensor(whole).float()):
        torch.manual_seed(0)
        layer = kind(beta=0.9, threshold=value, linear_features=3)
        spikes, _, membrane = layer.forward_sequence(current, return_membrane=True)
        assert kernel_info(layer)[0].kernel == kernels[-2]
        found.append((spikes, membrane, *layer(current[0])))
    assert kernels[0] == kernels[2]
    assert found[0][0].any()
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_every_number_of_a_layer_is_floating():
    layer = LIF(beta=1, threshold=1, graded_spikes_factor=2, learn_threshold=True)
    one_to_one = RLIF(beta=1, V=1, all_to_all=False)
    for number in (layer.beta, layer.threshold, layer.graded_spikes_factor, one_to_one.V):
        assert number.dtype == torch.float32


def test_events_become_numbers_of_the_type_of_a_whole_threshold():
    x = torch.full((3, 1, 2), 0.5)
    _, state = LIF(beta=0.9, threshold=1).forward_sequence(EventBatch.of(x))
    expected = LIF(beta=0.9, threshold=1.0).forward_sequence(x)[1]
    torch.testing.assert_close(state, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_kernel_that_is_told_of_is_the_one_that_runs(dtype, monkeypatch):
    layer = LIF(beta=0.9).to(dtype)
    layer(torch.ones(1, 3, dtype=torch.float64))  # the membrane it keeps is none of the sequence's
    kernels = chosen(monkeypatch)
    (info,) = kernel_info(layer)
    layer.forward_sequence(torch.ones(2, 1, 3, dtype=dtype))
    assert info.kernel == kernels[-1]
    assert (info.kernel == "reference") == (dtype == torch.float16)


@pytest.mark.parametrize("kind", [ALIF, RALIF])
def test_whole_inputs_are_begun_from_the_same_state(kind):
    layer = kind(beta=0.9, linear_features=3, initial_adaptation=0.3)
    x = torch.tensor([[0, 2, 0], [1, 0, 3]])
    expected, state = layer.forward_sequence(x[None].float())
    given, ours = layer.forward_sequence(x[None])
    spikes, _ = layer(x)
    assert state.adaptation.min() > 0.25
    assert torch.equal(given, expected)
    assert torch.equal(spikes, expected[0])
    torch.testing.assert_close(layer.adaptation, state.adaptation)
    for a, b in zip(ours, state, strict=True):
        torch.testing.assert_close(a, b)


def test_whole_inputs_of_plastic_synapses_are_begun_from_the_same_state():
    layer = RALIF(plasticity=TsodyksMarkramSTP(3), initial_adaptation=0.3)
    x = torch.ones(4, 2, 3)
    given, expected = (layer.forward_sequence(now)[1] for now in (x.long(), x))
    assert expected.neurons.adaptation.min() > 0.25
    for a, b in zip(
        (*given.neurons, *given.synapses), (*expected.neurons, *expected.synapses), strict=True
    ):
        assert torch.equal(a, b)


FIVE = {"linear_features": 5}
THREE = {"conv2d_channels": 3}
MISFITS = [
    (LIF, {"tau_mem": 20.0} | FIVE, (2, 1), r"LIF .* current of shape \[batch, 5\], got \[2, 1\]"),
    (LIF, {"beta": 0.9} | FIVE, (2, 4), r"shape \[batch, 5\], got \[2, 4\]"),
    (RALIF, {"beta": 0.9} | FIVE, (2, 1), r"shape \[batch, 5\], got \[2, 1\]"),
    (
        LIF,
        {"tau_mem": 20.0} | THREE,
        (2, 1, 4, 4),
        r"\[batch, 3, height, width\], got",
    ),
    (RLIF, {"plasticity": HebbianSTP(3, 2)}, (2, 4), r"an input of shape \[batch, 2\], got"),
    (RLIF, {"plasticity": HebbianSTP(3)}, (2, 4), r"a current of shape \[batch, 3\], got"),
    (RLIF, {"plasticity": HebbianSTP(3)}, (3,), r"a current of shape \[batch, 3\], got \[3\]"),
]


@pytest.mark.parametrize(("kind", "options", "shape", "message"), MISFITS)
def test_an_input_of_another_width_is_refused(kind, options, shape, message):
    layer = kind(**options)
    with pytest.raises(ValueError, match=message):
        layer(torch.ones(shape))
    with pytest.raises(
        ValueError, match=message.replace("[batch", "[time, batch").split(", got")[0]
    ):
        layer.forward_sequence(torch.ones(6, *shape))


def test_a_step_may_lack_a_batch_as_in_snntorch():
    assert LIF(beta=0.9, linear_features=5)(torch.ones(5))[0].shape == (5,)
    assert RLIF(beta=0.9, conv2d_channels=3, kernel_size=3)(torch.ones(3, 4, 4))[0].shape == (
        3,
        4,
        4,
    )


@pytest.mark.parametrize("kernel", ["reference", "torch", "cpu"])
@each
def test_a_state_of_another_layer_or_batch_is_refused(kind, kernel, monkeypatch):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    layer, x = kind(beta=0.9, linear_features=3), torch.ones(2, 4, 3)
    _, state = layer.forward_sequence(x)
    with pytest.raises(ValueError, match=r"spikes of the state .* \[1, 3\], got \[4, 3\]"):
        layer.forward_sequence(x[:, :1], state)
    wrong = state._replace(membrane=torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"membrane of the state .* \[4, 3\], got \[4, 1\]"):
        layer.forward_sequence(x, wrong)
    with pytest.raises(ValueError, match=r"membrane of the state must be of the type Tensor"):
        layer.forward_sequence(x, state._replace(membrane=0.0))
    other = PlasticState(state.spikes, state, ())
    with pytest.raises(ValueError, match=rf"type {type(state).__name__}, .* got PlasticState"):
        layer.forward_sequence(x, other)


@pytest.mark.parametrize("kernel", ["reference", "torch", "cpu"])
def test_a_state_of_another_batch_is_refused_by_integrators(kernel, monkeypatch):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    layer, x = LI(3), torch.ones(2, 4, 3)
    _, state = layer.forward_sequence(x)
    with pytest.raises(ValueError, match=r"membrane of the state .* \[1, 3\], got \[4, 3\]"):
        layer.forward_sequence(x[:, :1], state)
    with pytest.raises(ValueError, match=r"of the type LIState, .* got LIFState"):
        layer.forward_sequence(x, LIFState(x[0], x[0]))


def test_a_state_of_other_plastic_synapses_is_refused():
    layer, x = RLIF(plasticity=HebbianSTP(3)), torch.ones(2, 4, 3)
    _, state = layer.forward_sequence(x)
    with pytest.raises(ValueError, match=r"^The h of the state .* \[1, 3\], got \[4, 3\]"):
        layer.forward_sequence(x[:, :1], state)
    other = state._replace(synapses=TsodyksMarkramSTP(3).initial_state(4, x))
    with pytest.raises(ValueError, match="synapses of the state must be of the type HebbianState"):
        layer.forward_sequence(x, other)
    with pytest.raises(ValueError, match=r"of the type PlasticState, .* got LIFState"):
        layer.forward_sequence(x, state.neurons)


REFUSED = [
    (
        lambda: LIF(tau_mem=torch.tensor([5.0, 6.0]), linear_features=2),
        "A Tensor is not a distribu",
    ),
    (lambda: LI(3, None), "A NoneType is not a distribution: give a number"),
    (lambda: TsodyksMarkramSTP(2, U=torch.ones(2)), "A Tensor is not a distribution"),
    (lambda: TsodyksMarkramSTP(2, U="normal(2, 0.1)"), r"U normal\(2, 0\.1\) lies outside"),
    (
        lambda: ALIF(adaptation_strength=torch.ones(3)),
        "adaptation_strength must be a finite number",
    ),
    (lambda: ALIF(adaptation_strength="1.8"), "adaptation_strength must .* got '1.8'"),
    (lambda: ALIF(initial_adaptation=torch.ones(3)), ">= 0 or 'threshold', got tensor"),
    (lambda: LI(-1), "neurons must be a whole number >= 1, got -1"),
    (lambda: LI(2.5), r"neurons must be a whole number >= 1, got 2\.5"),
    (lambda: LIF(linear_features=-3), "linear_features must be a whole number >= 1, got -3"),
    (lambda: RLIF(linear_features=2.5), r"linear_features must be a whole number >= 1, got 2\.5"),
    (lambda: LIF(conv2d_channels=0), "conv2d_channels must be a whole number >= 1, got 0"),
    (lambda: LIF(beta=math.nan), "beta must be finite, got nan"),
    (lambda: LIF(beta=torch.tensor([0.5, math.inf])), "beta must be finite"),
    (lambda: surrogate.gaussian(sigma=0), "sigma of the surrogate gaussian .* > 0, got 0"),
    (lambda: surrogate.multi_gaussian(s=-1.0), r"s of the surrogate multi_gaussian .* got -1\.0"),
    (lambda: surrogate.boxcar(width=-1), "width of the surrogate boxcar .* > 0, got -1"),
    (lambda: surrogate.fast_sigmoid(slope=math.nan), "slope of the surrogate .* > 0, got nan"),
    (lambda: surrogate.atan(math.inf), "alpha of the surrogate atan .* > 0, got inf"),
    (lambda: surrogate.slayer(gamma="1"), "gamma of the surrogate slayer .* number, got '1'"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_makes_no_sense_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("given", ["atan", surrogate.atan, 3])
def test_a_surrogate_is_a_function_and_no_class_of_them(given):
    with pytest.raises(TypeError, match=r"spike_grad must be a surrogate, such as .*atan\(\), got"):
        LIF(beta=0.9, spike_grad=given)


def test_a_name_is_no_plasticity():
    with pytest.raises(TypeError, match=r"plasticity must be a plugin or .* got 'hebbian'"):
        RLIF(plasticity="hebbian", linear_features=2)
