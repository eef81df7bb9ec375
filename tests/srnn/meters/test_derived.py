"""Classes that are derived from ours: as their parents while they run as they do, else by parts."""

import pytest
import torch
from torch import nn

from srnn import SRNN, Delay, Layer, Readout
from srnn.fast_weights import FastWeightsLayer
from srnn.meters import Footprint, UncountedError
from srnn.neurons import LI, LIF, RLIF
from srnn.neurons.plasticity import HebbianSTP
from srnn.stpn import STPNLayer

CHANNELS, UNITS = 6, 5


class MyLayer(Layer):
    """A layer under another name."""


class MyReadout(Readout):
    """Likewise."""


class MyLI(LI):
    """Likewise."""


class MyDelay(Delay):
    """Likewise."""


class MySTPN(STPNLayer):
    """Likewise."""


class MyFastWeights(FastWeightsLayer):
    """Likewise."""


def layer(kind, between=None):
    return kind(nn.Linear(CHANNELS, UNITS), RLIF(linear_features=UNITS), between)


PAIRS = {
    "Layer": (lambda: layer(Layer), lambda: layer(MyLayer)),
    "Readout": (lambda: Readout(CHANNELS, 3), lambda: MyReadout(CHANNELS, 3)),
    "LI": (
        lambda: Readout(CHANNELS, 3, neuron=LI(3)),
        lambda: Readout(CHANNELS, 3, neuron=MyLI(3)),
    ),
    "Delay": (lambda: layer(Layer, Delay(UNITS, 2)), lambda: layer(Layer, MyDelay(UNITS, 2))),
    "STPN": (lambda: STPNLayer(CHANNELS, UNITS), lambda: MySTPN(CHANNELS, UNITS)),
    "fast weights": (
        lambda: FastWeightsLayer(CHANNELS, UNITS),
        lambda: MyFastWeights(CHANNELS, UNITS),
    ),
}


def events():
    return torch.rand(9, 4, CHANNELS).round()


@pytest.mark.parametrize("name", PAIRS)
def test_a_class_that_runs_as_its_parent_counts_as_it(counting, name):
    parent, child = (make() for make in PAIRS[name])
    child.load_state_dict(parent.state_dict())
    x, found = events(), []
    for net in (parent, child):
        (only,) = counting.metered(net, x).layers.values()
        found.append(counting.terms(only))
    assert found[0] == found[1]
    assert found[0]["synapses"][:2] != (0, 0)
    assert Footprint.of(parent) == Footprint.of(child)


class Remembers(Layer):
    def forward(self, inputs, state=None, **options):
        self.seen = len(inputs)
        return super().forward(inputs, state, **options)


class Scales(Layer):
    def forward(self, inputs, state=None, **options):
        return super().forward(inputs * 2, state, **options)


def test_a_forward_of_its_own_may_have_plastic_inputs(counting):
    net = SRNN(CHANNELS, [UNITS], 3, plasticity=HebbianSTP, plastic_inputs=True)
    x = events()
    whole = counting.metered(net, x)
    net.layers[0] = Remembers(net.layers[0].projection, net.layers[0].neuron)
    parts = counting.metered(net, x)
    assert list(parts.layers) == ["layer1.neuron", "readout"]
    assert parts.total() == whole.total()


@pytest.mark.parametrize("kernel", ["auto", "reference"])
def test_a_forward_of_its_own_counts_part_by_part(counting, monkeypatch, kernel):
    """Also within a network, and also where a compiled kernel multiplies for the projection."""
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    net, x = SRNN(CHANNELS, [UNITS], 3), events()
    whole = counting.metered(net, x)
    own = Remembers(net.layers[0].projection, net.layers[0].neuron)
    net.layers[0] = own
    parts = counting.metered(net, x)
    assert own.seen == 9
    assert list(parts.layers) == ["layer1.projection", "layer1.neuron", "readout"]
    assert parts.total() == whole.total()
    net.layers[0] = Scales(own.projection, own.neuron)
    with pytest.raises(UncountedError, match=r"layer1 \(Scales\) runs aten.mul"):
        counting.metered(net, x)


# ------------------------------------------------------------------------------ between


class Mixing(nn.Module):
    """A module between projection and neurons, with a state and an operation of its own."""

    def __init__(self, mix):
        super().__init__()
        self.mix, self.fc = mix, nn.Linear(UNITS, UNITS, bias=False)

    def forward_sequence(self, current, state=None, *, reset=None):
        return self.mix(self, current), current[-1]


class Late(Delay):
    def forward_sequence(self, current, state=None, *, reset=None):
        return super().forward_sequence(current * 2, state, reset=reset)


class Doubles(nn.Identity):
    def forward(self, x):
        return x * 2


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (
            Mixing(lambda part, x: x @ part.fc.weight),
            r"layer1\.between \(Mixing\) runs aten\.\w*mm",
        ),
        (Late(UNITS, 1), r"layer1\.between \(Late\) runs aten\.mul"),
        (Doubles(), r"layer1\.between \(Doubles\) runs aten\.mul"),
    ],
    ids=["Mixing", "Late", "Doubles"],
)
def test_arithmetic_between_projection_and_neurons_is_refused(counting, between, message):
    net = SRNN(CHANNELS, [UNITS], 3, between=lambda n: between)
    with pytest.raises(UncountedError, match=message):
        counting.metered(net, events())
    assert not {"forward", "forward_sequence"} & vars(between).keys()


def test_known_parts_between_projection_and_neurons_are_counted(counting):
    between = Mixing(lambda part, x: part.fc(x.round()))
    net, x = SRNN(CHANNELS, [UNITS], 3, neuron=LIF, between=lambda n: between), events()
    found = counting.metered(net, x).layers
    current = net.layers[0].projection(x).round()
    expected = counting.products(current, between.fc.weight)
    assert counting.terms(found["layer1.between.fc"]) == {"synapses": expected}
    assert expected[0] > 0


def test_a_sequence_of_an_instance_s_own_is_refused(counting):
    net = SRNN(CHANNELS, [UNITS], 3)
    li = net.readout.neuron
    li.forward_sequence = lambda x, state=None, **options: (x * 2, state)
    with pytest.raises(UncountedError, match=r"readout\.neuron is a LI with a forward_sequence of"):
        counting.metered(net, events())
