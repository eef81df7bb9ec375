"""A projection that is handed to a neuron's sequence counts once, whichever kernel runs it."""

import pytest
import torch
from torch import nn

from srnn import Layer
from srnn.meters import SpikeMeter, SynOpMeter, UncountedError
from srnn.neurons import ALIF, LI, LIF, RALIF
from srnn.neurons.kernels import EventBatch, library
from srnn.neurons.plasticity import HebbianSTP

KERNELS = [
    "reference",
    "torch",
    pytest.param("auto", marks=pytest.mark.skipif(library.reason() is not None, reason="none")),
]
TIME, BATCH, CHANNELS, UNITS, CLASSES = 9, 4, 20, 5, 3


class Net(nn.Module):
    """A spiking layer and leaky integrators, each behind a projection that it is handed."""

    def __init__(self, fc=None):
        super().__init__()
        self.fc = nn.Linear(CHANNELS, UNITS) if fc is None else fc
        self.n = RALIF(linear_features=UNITS, threshold=0.05)
        self.out, self.li = nn.Linear(UNITS, CLASSES, bias=False), LI(CLASSES)

    def forward(self, x):
        spikes, _ = self.n.forward_sequence(x, projection=self.fc)
        return self.li.forward_sequence(spikes, projection=self.out)[0], spikes


def inputs():
    return torch.poisson(torch.full((TIME, BATCH, CHANNELS), 0.4))


@pytest.mark.parametrize("timewise", [False, True])
@pytest.mark.parametrize("form", [lambda x: x, EventBatch.of], ids=["dense", "events"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_each_product_once_under_the_projections_name(
    counting, monkeypatch, kernel, form, timewise
):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    net, x = Net(), inputs()
    with torch.no_grad():
        net.fc.weight[0, 0] = 0
        _, spikes = net(x)
    meter = counting.metered(net, form(x), timewise=timewise)
    found = {name: counting.terms(layer) for name, layer in meter.layers.items()}
    rows = TIME * BATCH
    assert list(found) == ["fc", "n", "out", "li"]
    assert found["fc"]["synapses"] == counting.products(x, net.fc.weight)
    assert found["fc"]["bias"] == (rows * UNITS, 0, rows * UNITS, rows * UNITS)
    past = torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])
    assert past.any()
    assert found["n"]["recurrence"] == counting.products(past, net.n.recurrent.weight)
    assert found["out"] == {"synapses": counting.products(spikes, net.out.weight)}
    assert set(found["li"]) == {"leak", "gain"}
    assert meter.samples == BATCH


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_layers_projection_that_is_a_part_besides_counts_with_the_layer_alone(
    counting, monkeypatch, kernel
):
    """A compiled kernel does not call it, the loop does; calls outside of the layer are its own."""
    monkeypatch.setenv("SRNN_KERNEL", kernel)

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(CHANNELS, UNITS)
            self.layer = Layer(self.fc, RALIF(linear_features=UNITS, threshold=0.05))

        def forward(self, x):
            return self.layer(x)[0], self.fc(x)

    net, x = Shared(), inputs()
    meter = counting.metered(net, x)
    found = {name: counting.terms(layer) for name, layer in meter.layers.items()}
    products = counting.products(x, net.fc.weight)
    assert found["layer"]["synapses"] == found["fc"]["synapses"] == products


@pytest.mark.parametrize("timewise", [False, True])
@pytest.mark.parametrize("kind", [LIF, RALIF])
@pytest.mark.parametrize("kernel", KERNELS)
def test_one_that_is_no_part_counts_with_the_neuron(counting, monkeypatch, kernel, kind, timewise):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    fc, neuron, x = nn.Linear(CHANNELS, UNITS), kind(linear_features=UNITS), inputs()
    with torch.no_grad(), SynOpMeter(neuron, timewise=timewise) as meter:
        neuron.forward_sequence(x, projection=fc)
    found = counting.terms(meter.layers[""])
    assert found["synapses"] == counting.products(x, fc.weight)
    biases = TIME * BATCH * UNITS * (2 if kind is RALIF else 1)
    assert found["bias"][0] == biases
    out, li = nn.Linear(CHANNELS, CLASSES), LI(CLASSES)
    with torch.no_grad(), SynOpMeter(li, timewise=timewise) as meter:
        li.forward_sequence(x, projection=out)
    found = counting.terms(meter.layers[""])
    assert found["synapses"] == counting.products(x, out.weight)
    assert set(found) == {"synapses", "bias", "leak", "gain"}


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_of_several_parts_counts_part_by_part(counting, monkeypatch, kernel):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    net = Net(nn.Sequential(nn.Linear(CHANNELS, UNITS), nn.LayerNorm(UNITS)))
    x = inputs()
    found = counting.metered(net, x).layers
    assert list(found) == ["fc.0", "fc.1", "n", "out", "li"]
    assert counting.terms(found["fc.0"])["synapses"] == counting.products(x, net.fc[0].weight)


def test_one_that_nobody_sees_is_refused():
    neuron, unseen = ALIF(linear_features=UNITS), nn.Sequential(nn.Linear(CHANNELS, UNITS))
    message = "ALIF: the Sequential that it is given as its projection is no part of the network"
    with torch.no_grad(), SynOpMeter(neuron), pytest.raises(UncountedError, match=message):
        neuron.forward_sequence(inputs(), projection=unseen)
    with torch.no_grad(), SpikeMeter(neuron) as fired:  # to which products are nothing
        neuron.forward_sequence(inputs(), projection=unseen)
    assert fired.samples == BATCH


def test_one_before_plastic_inputs_is_refused(counting):
    """What the synapses are given is then the current, which no meter has seen."""
    neuron = RALIF(linear_features=UNITS, plasticity=HebbianSTP, plastic_inputs=6)
    fc = nn.Linear(CHANNELS, 6)
    with torch.no_grad(), SynOpMeter(neuron), pytest.raises(UncountedError, match="cover its inp"):
        neuron.forward_sequence(inputs(), projection=fc)
    with pytest.raises(UncountedError, match=r"Layer\.projection: the plastic synapses"):
        counting.metered(Layer(fc, neuron), inputs())
