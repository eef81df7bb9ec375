"""With beta and without adaptation the layers are snntorch.Leaky and RLeaky, bit for bit."""

import copy

import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srnn.neurons import ALIF, LIF, RALIF, RLIF

RESETS = st.sampled_from(["subtract", "zero", "none"])
COMMON = {
    "beta": st.floats(-0.2, 1.2),
    "threshold": st.floats(0.05, 2),
    "reset_mechanism": RESETS,
    "init_hidden": st.booleans(),
    "output": st.booleans(),
    "learn_beta": st.booleans(),
    "learn_threshold": st.booleans(),
    "state_quant": st.sampled_from([False, lambda mem: (mem * 8).round() / 8]),
}
LEAKY = COMMON | {
    "graded_spikes_factor": st.sampled_from([1.0, 0.5, 3.0]),
    "learn_graded_spikes_factor": st.booleans(),
}
WIRINGS = st.sampled_from(
    [
        ({"linear_features": 4}, (2, 4)),
        ({"conv2d_channels": 2, "kernel_size": 3}, (2, 2, 4, 3)),
        ({"all_to_all": False, "V": 0.4}, (2, 4)),
        ({"all_to_all": False, "V": 0.4, "learn_recurrent": False}, (2, 4)),
    ]
)
SHAPES = st.sampled_from([(3,), (2, 4), (2, 3, 4, 2)])
once = settings(max_examples=50, deadline=None)


def run(layer, current, scale):
    """Step as a user of snnTorch does; outputs, and gradients of all that is learned."""
    outputs = []
    state = ()
    for x in current:
        outputs.append(layer(x * scale, *state))
        if not layer.init_hidden:
            state = outputs[-1] if isinstance(layer, snn.RLeaky) else outputs[-1][1:]
    flat = [tensor for out in outputs for tensor in ([out] if torch.is_tensor(out) else out)]
    loss = sum(((i + 1) * tensor).sum() for i, tensor in enumerate(flat))
    learned = [p for p in layer.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, [scale, *learned], allow_unused=True)
    return outputs, flat, gradients


def same(ours, theirs, shape, seed):
    torch.manual_seed(seed)
    ours.load_state_dict(theirs.state_dict(), strict=False)
    current = torch.randn(10, *shape) + 0.2
    results = [
        run(layer, current, torch.tensor(1.5, requires_grad=True)) for layer in (ours, theirs)
    ]
    (mine, flat, gradients), (upstream, expected, wanted) = results
    assert [type(out) for out in mine] == [type(out) for out in upstream]
    assert len(flat) == len(expected)
    for a, b in zip(flat, expected, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(ours.mem, theirs.mem)
    for a, b in zip(gradients[: len(wanted)], wanted, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6 * max(1, float(b.abs().max())))


@given(st.fixed_dictionaries(LEAKY), st.booleans(), SHAPES, st.integers(0, 99))
@once
def test_lif_is_leaky(options, reset_delay, shape, seed):
    options = options | {"reset_delay": reset_delay}
    same(LIF(**options), snn.Leaky(**options), shape, seed)


@given(st.fixed_dictionaries(LEAKY), st.booleans(), SHAPES, st.integers(0, 99))
@once
def test_alif_without_strength_is_leaky(options, reset_delay, shape, seed):
    options = options | {"reset_delay": reset_delay}
    same(ALIF(adaptation_strength=0.0, **options), snn.Leaky(**options), shape, seed)


@given(st.fixed_dictionaries(COMMON), st.booleans(), WIRINGS, st.integers(0, 99))
@once
def test_rlif_is_rleaky(options, reset_delay, wiring, seed):
    options = options | wiring[0] | {"reset_delay": reset_delay}
    same(RLIF(**options), snn.RLeaky(**options), wiring[1], seed)


@given(st.fixed_dictionaries(COMMON), st.booleans(), WIRINGS, st.integers(0, 99))
@once
def test_ralif_without_strength_is_rleaky(options, reset_delay, wiring, seed):
    options = options | wiring[0] | {"reset_delay": reset_delay}
    same(RALIF(adaptation_strength=0.0, **options), snn.RLeaky(**options), wiring[1], seed)


@given(
    st.sampled_from([ALIF, RALIF]),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.lists(st.floats(0.05, 2), min_size=4, max_size=4),
    RESETS,
    st.sampled_from([0.25, 1.0, 2.0]),
    st.integers(0, 99),
)
@once
def test_each_neuron_may_differ(kind, betas, thresholds, reset_mechanism, factor, seed):
    """Neurons of their own, and a factor of graded spikes that was set afterwards."""
    recurrent = kind is RALIF
    options = {"beta": torch.tensor(betas), "threshold": torch.tensor(thresholds)}
    options |= {"reset_mechanism": reset_mechanism} | ({"linear_features": 4} if recurrent else {})
    theirs = (snn.RLeaky if recurrent else snn.Leaky)(**copy.deepcopy(options))
    theirs.graded_spikes_factor.fill_(factor)
    same(kind(adaptation_strength=0.0, **options), theirs, (2, 4), seed)


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
@pytest.mark.parametrize("init_hidden", [True, False])
def test_inhibition_lets_one_neuron_through(init_hidden):
    options = {"beta": 0.8, "threshold": 0.3, "inhibition": True, "init_hidden": init_hidden}
    ours = LIF(**options)
    same(ours, snn.Leaky(**options), (3, 5), 0)
    options["linear_features"] = 5
    same(RLIF(**options), snn.RLeaky(**options), (3, 5), 0)
    spikes, _ = ours.forward_sequence(torch.randn(20, 3, 5))
    assert set(spikes.sum(-1).flatten().tolist()) == {0.0, 1.0}


def test_a_vector_of_betas_and_thresholds_is_taken():
    options = {"beta": torch.tensor([0.2, 0.5, 0.9]), "threshold": torch.tensor([0.3, 1.0, 0.6])}
    same(LIF(**options), snn.Leaky(**copy.deepcopy(options)), (2, 3), 1)


def test_positional_arguments_mean_what_they_mean_upstream():
    same(LIF(0.9, 0.7), snn.Leaky(0.9, 0.7), (2, 3), 0)
    ours, theirs = RLIF(0.9, 0.3, False), snn.RLeaky(0.9, 0.3, False)
    assert float(ours.V.detach()) == pytest.approx(0.3)
    same(ours, theirs, (2, 3), 0)
    alif = ALIF(0.9, 0.7, adaptation_strength=0.0)
    same(alif, snn.Leaky(0.9, 0.7), (2, 3), 0)
    linear = RALIF(0.9, 1.0, True, 3, adaptation_strength=0.0)
    same(linear, snn.RLeaky(0.9, 1.0, True, 3), (2, 3), 0)


def test_upstream_surrogates_are_accepted():
    # Not its sigmoid, whose gradient overflows to NaN upstream too.
    for psi in (snn.surrogate.fast_sigmoid(), snn.surrogate.atan(), snn.surrogate.triangular()):
        options = {"beta": 0.8, "spike_grad": psi}
        same(LIF(**options), snn.Leaky(**options), (2, 3), 0)


def test_the_state_dict_of_a_counterpart_loads():
    ours, theirs = RLIF(beta=0.5, linear_features=3), snn.RLeaky(beta=0.7, linear_features=3)
    ours.load_state_dict(theirs.state_dict())
    assert float(ours.beta) == pytest.approx(0.7)
    LIF(beta=0.5).load_state_dict(snn.Leaky(beta=0.7).state_dict())
