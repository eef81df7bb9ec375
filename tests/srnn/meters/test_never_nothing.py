"""No layer that the meters know can report zero for work that is not zero."""

import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from srnn import SRNN, Delay, Layer, Readout, baselines
from srnn.fast_weights import FastWeights
from srnn.meters import DENSE, SpikeMeter, SynOpMeter
from srnn.meters.layers import KINDS
from srnn.neurons import ALIF, LI, LIF, RALIF, RLIF
from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, TsodyksMarkramSTP
from srnn.stpn import STPN

LINE, PLANE, IMAGE = (3, 6), (3, 6, 8), (3, 6, 8, 8)
LAYERS = [
    (nn.Linear(6, 4), LINE),
    (nn.Conv1d(6, 4, 3), PLANE),
    (nn.Conv2d(6, 4, 3), IMAGE),
    (nn.BatchNorm1d(6), LINE),
    (nn.BatchNorm2d(6), IMAGE),
    (nn.LayerNorm(6), LINE),
    (nn.AvgPool1d(2), PLANE),
    (nn.AvgPool2d(2), IMAGE),
    *((kind(6, 4), (5, 3, 6)) for kind in (nn.RNN, nn.GRU, nn.LSTM)),
    *((kind(6, 4), LINE) for kind in (nn.RNNCell, nn.GRUCell, nn.LSTMCell)),
    (snn.Leaky(beta=0.9), LINE),
    (snn.RLeaky(beta=0.9, linear_features=6), LINE),
    (snn.Synaptic(alpha=0.9, beta=0.9), LINE),
    (snn.RSynaptic(alpha=0.9, beta=0.9, linear_features=6), LINE),
    *((kind(linear_features=6), LINE) for kind in (LIF, RLIF, ALIF, RALIF)),
    (Layer(nn.Linear(6, 4), RALIF(linear_features=4)), (5, 3, 6)),
    (Layer(nn.Linear(6, 4), LIF(linear_features=4), Delay(4, 1)), (5, 3, 6)),
    (Readout(6, 4), (5, 3, 6)),
    (Readout(6, 4, neuron=nn.Identity()), (5, 3, 6)),
    (SRNN(6, [4], 3), (5, 3, 6)),
    *((kind(6, [4], 3), (5, 3, 6)) for kind in (baselines.RNN, baselines.GRU, baselines.LSTM)),
    *((kind(6, [4], 3, readout="mean"), (5, 3, 6)) for kind in (STPN, FastWeights)),
    *(
        (SRNN(6, [4], 3, plasticity=kind, plastic_inputs=True), (5, 3, 6))
        for kind in (HebbianSTP, MemristiveSTP)
    ),
    (SRNN(6, [4], 3, plasticity=TsodyksMarkramSTP), (5, 3, 6)),  # whose inputs are 0 .. 1
]


def test_every_known_class_is_tried():
    tried = {type(part) for layer, _ in LAYERS for part in layer.modules()}
    assert set(KINDS) - {LI, Delay} <= tried | {k for k in KINDS if k.__name__ == "Residual"}


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: str(type(v).__name__))
@given(st.integers(0, 2**31), st.sampled_from(["spikes", "reals", "one"]), st.booleans())
@settings(max_examples=8, deadline=None)
def test_work_is_never_nothing(layer, shape, seed, kind, timewise):
    torch.manual_seed(seed)
    x = {
        "spikes": lambda: (torch.rand(shape) < 0.5).float(),
        "reals": lambda: torch.randn(shape),
        "one": lambda: torch.zeros(shape).index_fill_(1, torch.tensor(0), 1.0),
    }[kind]()
    with torch.no_grad(), SynOpMeter(layer, timewise=timewise) as meter, SpikeMeter(layer) as fired:
        layer(x)
    total, dense = meter.total(), meter.total(DENSE)
    assert total.ac + total.mac > 0
    assert total.ac + total.mac <= total.dense == dense.ac + dense.mac
    weights = sum(p.numel() for n, p in layer.named_parameters() if "weight" in n and p.dim() > 1)
    assert total.dense >= weights
    # Every weight that meets something that is not zero counts as work.
    silent = not x.any() or any(not part.spikes for part in fired.layers.values())
    for part in meter.layers.values():
        products = part.terms.get("synapses")
        assert products is None or int((products.ac + products.mac).sum()) > 0 or silent
