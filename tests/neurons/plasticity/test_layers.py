"""The recurrent neurons with plastic synapses: plain at Gamma = 0, stepped, in sequence, reset."""

import copy
import pickle
from functools import partial

import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import nn

from srnn import kernel_info, reset
from srnn.neurons import LIF, RALIF, RLIF
from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, PlasticState, TsodyksMarkramSTP
from srnn.neurons.surrogate import no_gradient

TIME, BATCH, NEURONS = 20, 3, 4
PLUGINS = [HebbianSTP, MemristiveSTP, TsodyksMarkramSTP]
NEURON_KINDS = [RLIF, RALIF]
plugins = pytest.mark.parametrize("plugin", PLUGINS)
kinds = pytest.mark.parametrize("kind", NEURON_KINDS)
covered = pytest.mark.parametrize("inputs", [0, 6])
BETA = {"beta": 0.8}
TAU = {"tau_mem": 4.0, "threshold": 0.1}


def make(kind=RALIF, plugin=HebbianSTP, inputs=0, **options):
    torch.manual_seed(1)
    layer = kind(
        linear_features=NEURONS,
        plasticity=plugin,
        plastic_inputs=inputs,
        **(options or TAU),
    ).double()
    if hasattr(layer.plasticity, "Gamma"):
        nn.init.uniform_(layer.plasticity.Gamma, -0.5, 0.5)
    nn.init.uniform_(layer.plasticity.W, -1, 1)
    return layer


def signal(inputs=0, seed=2):
    generator = torch.Generator().manual_seed(seed)
    shape = (TIME, BATCH, inputs or NEURONS)
    if inputs:
        return (torch.rand(shape, generator=generator) < 0.4).double()
    return torch.randn(shape, generator=generator).double() * 2


def stepped(layer, x, states=None):
    """Spikes and membranes of every step, the states handed on as snnTorch's users do."""
    spk, mem = states or (torch.zeros(BATCH, NEURONS).double(),) * 2
    trace = []
    for x_t in x:
        spk, mem = layer(x_t, spk, mem)
        trace.append((spk, mem))
    return [torch.stack(part) for part in zip(*trace, strict=True)]


@kinds
@pytest.mark.parametrize("options", [BETA, TAU], ids=["beta", "tau"])
def test_without_plasticity_it_is_the_plain_layer(kind, options):
    layer = make(kind, partial(HebbianSTP, normalisation="none"), **options)
    plain = kind(linear_features=NEURONS, **options).double()
    stp = layer.plasticity
    nn.init.zeros_(stp.Gamma)
    with torch.no_grad():
        plain.recurrent.weight.copy_(stp.W)
        plain.recurrent.bias.copy_(stp.bias)
    if kind is RALIF:
        plain.tau_adapt = layer.tau_adapt
    x, y = signal().requires_grad_(), signal().requires_grad_()
    spikes, _, membrane = layer.forward_sequence(x, return_membrane=True)
    expected, _, trace = plain.forward_sequence(y, return_membrane=True)
    assert 0.1 < expected.mean() < 0.9
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(membrane, trace, rtol=1e-13, atol=1e-13)
    weights = torch.randn_like(trace)
    (membrane * weights).sum().backward()
    (trace * weights).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(stp.W.grad, plain.recurrent.weight.grad, rtol=1e-10, atol=1e-12)


@kinds
@plugins
@covered
def test_it_follows_the_plugins_own_functions(kind, plugin, inputs):
    layer, x = make(kind, plugin, inputs), signal(inputs)
    spikes, state = layer.forward_sequence(x)
    stp = layer.plasticity
    params = stp.params()
    synapses, before = stp.initial_state(BATCH, x), torch.zeros(BATCH, NEURONS).double()
    neurons = layer.initial_state(before)
    for t in range(TIME):
        z = torch.cat([x[t], before], 1) if inputs else before
        current, synapses = stp.transmit(z, synapses, params)
        total = current if inputs else x[t] + current
        before, neurons = layer.step(total, neurons, layer.params())
        synapses = stp.update(z, before, synapses, params)
        assert torch.equal(spikes[t], before)
    assert 0.05 < spikes.mean() < 0.95
    for got, expected in zip(state.synapses, synapses, strict=True):
        assert torch.equal(got, expected)
    torch.testing.assert_close(state.neurons, neurons)


@kinds
@plugins
@covered
@pytest.mark.parametrize("options", [BETA, TAU], ids=["beta", "tau"])
def test_steps_agree_with_the_sequence_to_the_last_bit(kind, plugin, inputs, options):
    layer, x = make(kind, plugin, inputs, **options), signal(inputs)
    spikes, state, membrane = layer.forward_sequence(x, return_membrane=True)
    ours = stepped(layer, x)
    assert spikes.any()
    assert torch.equal(ours[0], spikes)
    assert torch.equal(ours[1], membrane)
    for name, value in zip(state.synapses._fields, state.synapses, strict=True):
        assert torch.equal(getattr(layer, f"synapse_{name}"), value)


@plugins
@covered
def test_pieces_with_a_carried_state_equal_the_whole_and_its_gradient(plugin, inputs):
    layer, x = make(RALIF, plugin, inputs), signal(inputs)
    gradients = []
    for cuts in ([TIME], [7, 1, TIME - 8]):
        layer.zero_grad()
        state, outputs = None, []
        for piece in x.split(cuts):
            _, state, membrane = layer.forward_sequence(piece, state, return_membrane=True)
            outputs.append(membrane)
        assert isinstance(state, PlasticState)
        trace = torch.cat(outputs)
        trace.square().sum().backward()
        gradients.append([trace, *(p.grad for p in layer.plasticity.parameters())])
    for whole, pieces in zip(*gradients, strict=True):
        torch.testing.assert_close(pieces, whole, rtol=1e-10, atol=1e-12)
        assert pieces.abs().sum() > 0


@plugins
@covered
def test_a_mask_begins_anew_in_its_sequence_alone(plugin, inputs):
    layer, x = make(RALIF, plugin, inputs), signal(inputs)
    mask = torch.zeros(TIME, BATCH, dtype=torch.bool)
    mask[8, 1] = True
    _, _, membrane = layer.forward_sequence(x, reset=mask, return_membrane=True)
    _, _, whole = layer.forward_sequence(x, return_membrane=True)
    _, _, anew = layer.forward_sequence(x[8:], return_membrane=True)
    torch.testing.assert_close(membrane[:, [0, 2]], whole[:, [0, 2]])
    torch.testing.assert_close(membrane[8:, 1], anew[:, 1])
    assert not torch.allclose(whole[8:, 1], anew[:, 1])


@covered
def test_gradients_agree_with_finite_differences(inputs):
    # Spikes without a gradient: what is left, through the synapses to the membrane, is smooth.
    layer = make(RLIF, HebbianSTP, inputs, spike_grad=no_gradient(), **TAU)
    names, values = zip(*layer.plasticity.named_parameters(), strict=True)
    x = signal(inputs)[:6]
    spikes, _ = layer.forward_sequence(x)
    assert spikes.any()

    def run(*values):
        given = {f"plasticity.{n}": v for n, v in zip(names, values, strict=True)}
        call = partial(layer.forward_sequence, return_membrane=True)

        class Call(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = layer

            def forward(self):
                return call(x)[2]

        return torch.func.functional_call(Call(), {f"layer.{n}": v for n, v in given.items()}, ())

    given = tuple(v.detach().clone().requires_grad_() for v in values)
    assert torch.autograd.gradcheck(run, given)


RESETS = {
    "reset_mem": lambda layer: layer.reset_mem(),
    "srnn.reset": reset,
    "snntorch.utils.reset": lambda layer: utils.reset(nn.Sequential(layer)),
    "reset_hidden": lambda layer: snn.RLeaky.reset_hidden(),
}


@kinds
@plugins
@covered
@pytest.mark.parametrize("way", RESETS)
def test_every_reset_reaches_the_synapses(kind, plugin, inputs, way):
    layer, x = make(kind, plugin, inputs, init_hidden=True, **TAU), signal(inputs)
    first = torch.stack([layer(x_t) for x_t in x])
    assert first.any()
    going_on = torch.stack([layer(x_t) for x_t in x])
    assert not torch.equal(first, going_on)
    RESETS[way](layer)
    assert torch.equal(first, torch.stack([layer(x_t) for x_t in x]))


@kinds
@covered
def test_a_membrane_of_zeros_begins_anew(kind, inputs):
    layer, x = make(kind, HebbianSTP, inputs), signal(inputs)
    first = stepped(layer, x)
    again = stepped(layer, x)
    assert torch.equal(first[1], again[1])


@pytest.mark.parametrize("how", ["by hand", "detach_hidden"])
def test_a_detached_membrane_cuts_the_synapses_too(how):
    hidden = how == "detach_hidden"
    layer, x = make(RLIF, init_hidden=hidden, output=True, **TAU), signal()
    spk, mem = layer(x[0])
    for x_t in x[1:5]:
        spk, mem = layer(x_t) if hidden else layer(x_t, spk, mem)
    old = layer.synapse_F
    if hidden:
        snn.RLeaky.detach_hidden()
        layer(x[5])
    else:
        layer(x[5], spk.detach(), mem.detach())
    assert old.requires_grad
    assert layer.synapse_F.requires_grad
    (reached,) = torch.autograd.grad(layer.synapse_F.sum(), old, allow_unused=True)
    assert reached is None


def test_the_membrane_tells_of_synapses_that_alone_have_a_gradient():
    # Only Gamma learns: after the first step F knows it, and the membrane does not yet.
    layer, x = make(RLIF), signal()
    layer.requires_grad_(False)
    layer.plasticity.Gamma.requires_grad_(True)
    _, mem = layer(x[0], torch.ones(BATCH, NEURONS).double(), None)
    old = layer.synapse_F
    assert old.requires_grad
    assert mem.requires_grad
    assert not torch.autograd.grad(mem.sum(), layer.plasticity.Gamma)[0].any()


def test_another_batch_begins_anew():
    layer, x = make(init_hidden=True, **TAU), signal()
    layer(x[0])
    layer(x[0, :2])
    assert layer.synapse_F.shape == (2, NEURONS, NEURONS)


def test_states_follow_dtype_and_copies_and_stay_out_of_the_weights():
    layer, x = make(init_hidden=True, **TAU), signal()
    layer(x[0])
    assert not any("synapse" in name for name in layer.state_dict())
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x[1]), copy.deepcopy(layer)(x[1]))
        assert twin.synapse_F is not layer.synapse_F
    assert layer.float().synapse_F.dtype == torch.float32


def test_kernels_leave_it_to_the_reference():
    (info,) = kernel_info(make())
    assert info.kernel == "reference"
    assert info.reason == "plastic synapses are the reference kernel's alone"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"all_to_all": False, "V": 1.0}, TypeError, r"leave out \['V', 'all_to_all'\]"),
        ({"learn_recurrent": False}, TypeError, r"leave out \['learn_recurrent'\]"),
        ({"plasticity": HebbianSTP(3)}, ValueError, "for 3 neurons and 0 inputs, .* for 4 and 0"),
        (
            {"plasticity": HebbianSTP(4, 2), "plastic_inputs": 3},
            ValueError,
            "for 4 neurons and 2 inputs, the layer for 4 and 3",
        ),
        ({"plasticity": None, "plastic_inputs": 3}, ValueError, "give one, or neither"),
        ({"linear_features": None}, TypeError, "give linear_features"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        RALIF(**{"linear_features": 4, "plasticity": HebbianSTP} | options)


def test_a_plugin_of_ones_own_tells_the_number_of_neurons():
    stp = HebbianSTP(5, 2)
    layer = RLIF(plasticity=stp)
    assert layer.plasticity is stp
    assert layer.linear_features == 5
    with pytest.raises(ValueError, match=r"expects an input of shape \[time, batch, 2\], got"):
        layer.forward_sequence(torch.zeros(3, 2, 5))


def test_a_feed_forward_neuron_has_no_synapses_to_be_plastic():
    with pytest.raises(TypeError, match="plasticity"):
        LIF(linear_features=4, plasticity=HebbianSTP)
