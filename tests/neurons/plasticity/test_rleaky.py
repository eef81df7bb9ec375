"""PlasticRLeaky: snnTorch's neuron, with synapses that snnTorch's resets and detaches reach."""

import copy

import pytest
import snntorch as snn
import torch
from snntorch import utils

from srnn import reset
from srnn.neurons.plasticity import (
    HebbianSTP,
    MemristiveSTP,
    PlasticRLeaky,
    TsodyksMarkramSTP,
)

KINDS = [HebbianSTP, MemristiveSTP, TsodyksMarkramSTP]
each = pytest.mark.parametrize("kind", KINDS)


def make(kind=HebbianSTP, inputs=0, **rleaky):
    stp = kind(4, inputs)
    if hasattr(stp, "Gamma"):
        torch.nn.init.uniform_(stp.Gamma, -0.5, 0.5)
    return PlasticRLeaky(stp, 0.8, **rleaky)


def step_through(layer, currents):
    spk, mem = layer.reset_mem()
    trace = []
    for current in currents:
        spk, mem = layer(current, spk, mem)
        trace.append((spk, mem))
    return [torch.stack(part) for part in zip(*trace, strict=True)]


@pytest.fixture
def currents():
    return torch.randn(20, 3, 4) * 2


def test_without_plasticity_it_is_snntorchs_neuron(currents):
    layer = PlasticRLeaky(HebbianSTP(4, normalisation="none"), 0.8)
    torch.nn.init.zeros_(layer.plasticity.Gamma)
    plain = snn.RLeaky(0.8, linear_features=4)
    plain.recurrent.load_state_dict(
        {"weight": layer.plasticity.W.detach(), "bias": layer.plasticity.bias.detach()}
    )
    ours, theirs = step_through(layer, currents), step_through(plain, currents)
    assert 0.1 < theirs[0].mean() < 0.9
    assert torch.equal(ours[0], theirs[0])
    torch.testing.assert_close(ours[1], theirs[1])


@each
@pytest.mark.parametrize("inputs", [0, 6])
def test_it_follows_the_plugins_own_functions(kind, inputs, currents):
    layer = make(kind, inputs)
    stp = layer.plasticity
    x = (torch.rand(20, 3, 6) < 0.5).float() if inputs else currents
    spikes, membranes = step_through(layer, x)
    state = stp.initial_state(3, x)
    S, u = torch.zeros(3, 4), torch.zeros(3, 4)
    for t in range(20):
        z = torch.cat([x[t], S], 1) if inputs else S
        current, state = stp.transmit(z, state, stp.params())
        u = 0.8 * u + current + (0 if inputs else x[t]) - (u > 1).float()
        S = (u > 1).float()
        state = stp.update(z, S, state, stp.params())
        assert torch.equal(spikes[t], S)
        torch.testing.assert_close(membranes[t], u, rtol=1e-5, atol=1e-5)
    if not inputs:
        assert spikes.any()
    for got, expected in zip(layer.synapses, state, strict=True):
        torch.testing.assert_close(got, expected)


def resets():
    return {
        "reset_mem": lambda layer: layer.reset_mem(),
        "srnn.reset": reset,
        "snntorch.utils.reset": lambda layer: utils.reset(torch.nn.Sequential(layer)),
        "reset_hidden": lambda layer: snn.RLeaky.reset_hidden(),
    }


@each
@pytest.mark.parametrize("way", resets())
def test_every_reset_reaches_the_synapses(kind, way, currents):
    layer = make(kind, init_hidden=True)
    first = torch.stack([layer(current) for current in currents])
    assert first.any()
    going_on = torch.stack([layer(current) for current in currents])
    assert not torch.equal(first, going_on)
    resets()[way](layer)
    assert torch.equal(first, torch.stack([layer(current) for current in currents]))


def test_a_membrane_of_zeros_begins_anew(currents):
    layer = make()
    first = step_through(layer, currents)
    spk = mem = torch.zeros(3, 4)
    for current, expected in zip(currents, first[0], strict=True):
        spk, mem = layer(current, spk, mem)
        assert torch.equal(spk, expected)


def test_a_detached_membrane_of_zeros_goes_on():
    layer = PlasticRLeaky(TsodyksMarkramSTP(4), 0.0, reset_mechanism="zero")
    for parameter in (layer.plasticity.W, layer.plasticity.bias):
        torch.nn.init.zeros_(parameter)
    spk, mem = layer(torch.full((3, 4), 2.0), torch.ones(3, 4), None)
    tired = layer.synapses.x
    spk, mem = layer(torch.zeros(3, 4), spk.detach(), mem.detach())
    assert not mem.any()
    layer(torch.zeros(3, 4), spk.detach(), mem.detach())
    assert (tired < 1).all()
    assert (layer.synapses.x < 1).all()


def test_a_copy_is_reset_with_all_others(currents):
    layer = make(init_hidden=True)
    for current in currents:
        layer(current)
    twin = copy.deepcopy(layer)
    assert len(snn.SpikingNeuron.instances) == 2
    assert twin in snn.SpikingNeuron.instances
    assert twin.synapses.F.any()
    assert twin.mem.any()
    utils.reset(torch.nn.Sequential(layer))
    assert not twin.mem.any()
    assert not twin.synapses.F.any()


def test_another_batch_begins_anew(currents):
    layer = make(init_hidden=True)
    layer(currents[0])
    layer(currents[0, :2])
    assert layer.synapses.F.shape == (2, 4, 4)


@pytest.mark.parametrize("how", ["by hand", "detach_hidden"])
def test_a_detached_membrane_cuts_the_synapses_too(how, currents):
    layer = make(init_hidden=how == "detach_hidden", output=True)
    spk, mem = layer(currents[0])
    for current in currents[1:5]:
        spk, mem = layer(current) if layer.init_hidden else layer(current, spk, mem)
    if how == "detach_hidden":
        snn.RLeaky.detach_hidden()
        old = layer.synapses
        layer(currents[5])
    else:
        old = layer.synapses
        layer(currents[5], spk.detach(), mem.detach())
    assert old.F.requires_grad
    assert layer.synapses.F.requires_grad
    (reached,) = torch.autograd.grad(layer.synapses.F.sum(), old.F, allow_unused=True)
    assert reached is None


def test_the_state_follows_dtype_and_stays_out_of_the_weights(currents):
    layer = make(init_hidden=True)
    layer(currents[0])
    assert not any("synapse" in name for name in layer.state_dict())
    layer.double()
    layer(currents[1].double())
    assert layer.synapses.F.dtype == torch.float64


@pytest.mark.parametrize(
    "name", ["V", "all_to_all", "linear_features", "kernel_size", "learn_recurrent"]
)
def test_keywords_of_the_replaced_connections_are_refused(name):
    with pytest.raises(TypeError, match=f"leave out .*{name}"):
        PlasticRLeaky(HebbianSTP(4), 0.8, **{name: 3})
