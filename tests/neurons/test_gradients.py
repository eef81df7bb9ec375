"""Backpropagation against finite differences, with every spike replaced by its smooth integral.

With S = integral(v) in place of H(v) the units are smooth, their derivative is psi(v), and the same
graph that training uses must have the derivative that finite differences measure.
"""

import pytest
import torch
from torch import nn

from srnn import SRNN, Readout
from srnn.neurons import ALIF, LIF, RALIF, RLIF, surrogate

RESETS = ["subtract", "zero", "none"]
SMOOTH = [
    surrogate.multi_gaussian(gamma=1.0),
    surrogate.gaussian(gamma=1.0),
    surrogate.slayer(gamma=1.0, a=2.0),
    surrogate.triangle(gamma=1.0),
    surrogate.fast_sigmoid(slope=2.0),
    surrogate.atan(),
]


class _Smooth(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v, psi):
        ctx.psi = psi
        ctx.save_for_backward(v)
        return psi.integral(v)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.psi.derivative(ctx.saved_tensors[0]), None


def smooth(psi):
    """A spike whose value is the integral of psi and whose derivative is what psi says it is."""
    return lambda v: _Smooth.apply(v, psi)


class Sequence(nn.Module):
    """A layer as a function of its parameters: spikes, membranes and the final state."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, current):
        spikes, state, membrane = self.layer.forward_sequence(current, return_membrane=True)
        return spikes, membrane, *state


def matches(module, inputs):
    """Whether gradients of all outputs by inputs and all parameters match finite differences."""
    names, values = zip(*module.named_parameters(), strict=True)

    def function(inputs, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (inputs,))

    values = [value.detach().clone().requires_grad_() for value in values]
    inputs = inputs.clone().requires_grad_()
    return torch.autograd.gradcheck(function, (inputs, *values), raise_exception=False)


def layer_of(kind, psi, **options):
    options = {"tau_mem": "uniform(1.5, 6)", "threshold": 0.4, "learn_threshold": True} | options
    if kind in (ALIF, RALIF):
        options |= {"tau_adapt": "uniform(1.5, 6)", "initial_adaptation": 0.2}
    layer = kind(linear_features=3, spike_grad=smooth(psi), **options).double()
    return Sequence(layer)


@pytest.mark.parametrize("psi", SMOOTH, ids=str)
@pytest.mark.parametrize("kind", [LIF, RLIF, ALIF, RALIF])
def test_the_papers_way_matches_finite_differences(kind, psi):
    module = layer_of(kind, psi)
    names = {name.removeprefix("layer.") for name, _ in module.named_parameters()}
    assert "tau_mem.theta" in names
    assert ("tau_adapt.theta" in names) == (kind in (ALIF, RALIF))
    assert ("recurrent.weight" in names) == (kind in (RLIF, RALIF))
    assert not module.layer.detach_reset
    assert matches(module, torch.randn(5, 2, 3).double() * 2)


@pytest.mark.parametrize("kind", [LIF, RLIF, ALIF, RALIF])
def test_a_detached_reset_does_not_match(kind):
    """The control: what the check above would say if one path were cut."""
    module = layer_of(kind, SMOOTH[1], detach_reset=True)
    assert not matches(module, torch.randn(5, 2, 3).double() * 2)


@pytest.mark.parametrize("reset_mechanism", RESETS)
@pytest.mark.parametrize("kind", [LIF, RLIF, ALIF, RALIF])
def test_every_reset_matches_finite_differences_in_snntorch_s_way_too(kind, reset_mechanism):
    module = layer_of(
        kind,
        SMOOTH[1],
        tau_mem=None,
        beta=torch.tensor([0.5, 0.7, 0.9]),
        learn_beta=True,
        detach_reset=False,
        reset_mechanism=reset_mechanism,
    )
    assert matches(module, torch.randn(4, 1, 3).double())


@pytest.mark.parametrize("name", ["softmax-sum", "mean", "last", "count", "stream"])
def test_a_whole_network_matches_finite_differences(name):
    options = {"spike_grad": smooth(surrogate.multi_gaussian(gamma=1.0)), "threshold": 0.2}
    taus = {"tau_mem": "uniform(1.5, 6)", "tau_adapt": "uniform(1.5, 6)"}
    spiking = name == "count"
    output = ALIF(linear_features=2, **taus, **options) if spiking else None
    readout = Readout(3, 2, name, neuron=output, burn_in=1)
    network = SRNN(2, [4, 3], 2, readout=readout, **taus, **options).double()

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, inputs):
            logits, record = self.network(inputs)
            return logits, *record.counts

    parameters = dict(network.named_parameters())
    # A projection, its recurrence and both time constants of each layer; then the readout.
    assert len(parameters) == 2 * (2 + 2 + 2) + 2 + (2 if spiking else 1)
    assert matches(Logits(), torch.randn(4, 2, 2).double() * 3)
    logits, _ = network(torch.randn(4, 2, 2).double() * 3)
    weights = torch.randn_like(logits)
    gradients = torch.autograd.grad((logits * weights).sum(), list(parameters.values()))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert gradient.any(), parameter
