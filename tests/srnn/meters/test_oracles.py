"""Independent counters: torch's FlopCounterMode, and NeuroBench 2.3.0 where it is right.

Its known mistakes are tests too: there we differ, by the amount that the closed form says.
"""

import importlib.util

import pytest
import snntorch as snn
import torch
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from srnn import reset
from srnn.meters import DENSE, measure

needs_neurobench = pytest.mark.skipif(
    importlib.util.find_spec("neurobench") is None, reason="needs neurobench, of the extra test"
)
TIME, BATCH, M, N, C = 20, 8, 30, 16, 5


# ------------------------------------------------------------------------------ torch


def flops(call):
    """Dense multiply-accumulates as torch counts them."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 2


class Unrolled(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell, self.out = cell, nn.Linear(N, C)

    def forward(self, x):
        state = None
        for step in x:
            state = self.cell(step, state)
        return self.out(state[0] if isinstance(state, tuple) else state)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_dense_products_of_cells_are_torchs(counting, kind):
    net, x = Unrolled(kind(M, N)), torch.randn(TIME, BATCH, M)
    meter = counting.metered(net, x)
    cell, out = (counting.terms(meter.layers[name]) for name in ("cell", "out"))
    dense = cell["synapses"][2] + cell["recurrence"][2] + out["synapses"][2]
    assert dense == flops(lambda: net(x))
    whole = counting.terms(counting.metered(getattr(nn, kind.__name__[:-4])(M, N), x).layers[""])
    assert whole["synapses"][2] + whole["recurrence"][2] + out["synapses"][2] == dense


def test_dense_products_of_layers_without_padding_are_torchs(counting):
    net = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.Flatten(), nn.Linear(36, 3))
    x = torch.randn(5, 2, 7, 7)
    meter = counting.metered(net, x)
    products = [layer.terms["synapses"] for layer in meter.layers.values()]
    assert sum(int(term.dense.sum()) for term in products) == flops(lambda: net(x))
    biases = sum(int(layer.terms["bias"].ac.sum()) for layer in meter.layers.values())
    assert meter.total(DENSE).mac == meter.total().dense - biases


# ------------------------------------------------------------------------------ NeuroBench


class Net(nn.Module):
    """Two layers of snnTorch, stepped in the way that NeuroBench wants."""

    def __init__(self, hidden):
        super().__init__()
        self.fc1, self.hidden = nn.Linear(M, N), hidden
        self.fc2, self.out = nn.Linear(N, C), snn.Leaky(beta=0.8, init_hidden=True, output=True)
        nn.init.normal_(self.fc1.weight)

    def reset(self):
        reset(self)

    def forward(self, step):
        return self.out(self.fc2(self.hidden(self.fc1(step))))


def neurobench(model, x):
    """Effective ACs, effective MACs and dense operations of all samples, as NeuroBench counts."""
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics.workload import SynapticOperations

    data = TensorDataset(x.transpose(0, 1), torch.zeros(BATCH))
    bench = Benchmark(model, DataLoader(data, BATCH), [], [], [[], [SynapticOperations]])
    with torch.no_grad():
        found = bench.run(quiet=True)["SynapticOperations"]
    names = ("Effective_ACs", "Effective_MACs", "Dense")
    return tuple(found[name] * BATCH for name in names) if isinstance(found, dict) else (found,) * 3


def spiking(net, x):
    from neurobench.models import SNNTorchModel

    return neurobench(SNNTorchModel(net), x)


def ours(counting, net, x):
    """ACs, MACs and dense operations of all products with weights; and the terms of each layer."""
    run = lambda net, x: [net(step) for step in x]  # noqa: E731
    layers = {
        name: {term: counts[:3] for term, counts in counting.terms(layer).items()}
        for name, layer in measure(net, [x], step=run).layers.items()
    }
    products = [
        term
        for layer in layers.values()
        for name, term in layer.items()
        if name in ("synapses", "recurrence")
    ]
    return tuple(map(sum, zip(*products, strict=True))), layers


def binary():
    return (torch.rand(TIME, BATCH, M) < 0.1).float()


@needs_neurobench
@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
def test_neurobench_agrees_on_spiking_layers(counting, pruned, recurrent):
    hidden = {"beta": 0.8, "init_hidden": True}
    net = Net(snn.RLeaky(linear_features=N, **hidden) if recurrent else snn.Leaky(**hidden))
    if pruned:
        for layer in (net.fc1, net.fc2):
            # For good, since NeuroBench is led astray by a mask.
            prune.remove(prune.random_unstructured(layer, "weight", amount=0.3), "weight")
    x = binary()
    found, layers = ours(counting, net, x)
    assert found[0] > 1000
    assert ("recurrence" in layers["hidden"]) == recurrent
    assert spiking(net, x) == pytest.approx(found, rel=1e-6)


@needs_neurobench
def test_neurobench_counts_a_reset_to_zero_twice(counting):
    net = Net(snn.RLeaky(beta=0.8, linear_features=N, init_hidden=True, reset_mechanism="zero"))
    x = binary()
    found, layers = ours(counting, net, x)
    again = layers["hidden"]["recurrence"]
    assert again[0] > 1000
    assert spiking(net, x) == pytest.approx([a + b for a, b in zip(found, again, strict=True)])


@needs_neurobench
def test_neurobench_takes_a_bin_of_several_events_for_one(counting):
    net, x = Net(snn.Leaky(beta=0.8, init_hidden=True)), torch.poisson(0.5 * torch.ones(20, 8, 30))
    x[:, 0, 0] = 2  # so that every call of the layer is one of MACs to NeuroBench
    found, layers = ours(counting, net, x)
    fan_out = N
    assert layers["fc1"]["synapses"][0] == int(x.sum()) * fan_out
    ac, mac, dense = spiking(net, x)
    assert mac == int(x.count_nonzero()) * fan_out
    assert found[0] - ac == int(x.sum()) * fan_out
    assert dense == found[2]


class Steps(nn.Module):
    """A cell stepped from a state of zeros, which NeuroBench has to be given."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(M, N)

    def forward(self, x):
        state = x.new_zeros(len(x), N), x.new_zeros(len(x), N)
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state[0]


@needs_neurobench
def test_neurobench_takes_an_lstms_recurrence_for_accumulates_behind_spikes(counting):
    from neurobench.models import TorchModel

    net, x = Steps(), binary()
    layer = counting.terms(counting.metered(net, x.transpose(0, 1)).layers["cell"])
    assert layer["synapses"][:2] == (int(x.sum()) * 4 * N, 0)
    assert layer["recurrence"][:2] == (0, (TIME - 1) * BATCH * 4 * N * N)
    ac, mac, _ = neurobench(TorchModel(net), x)
    assert mac == 0
    # It skips f * c at the first step, where c is 0; we count every Hadamard product.
    hadamard = layer["hadamard"][1] - BATCH * N
    assert ac == layer["synapses"][0] + layer["recurrence"][1] + hadamard


@needs_neurobench
def test_neurobench_counts_an_lstm_layer_as_nothing(counting):
    from neurobench.models import TorchModel

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(M, N, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0]

    net, x = Net(), binary()
    assert neurobench(TorchModel(net), x) == (0, 0, 0)
    net.lstm.batch_first = False  # neurobench has the batch first, our meters have time first
    layer = counting.terms(counting.metered(net, x).layers["lstm"])
    assert layer["recurrence"][1] == (TIME - 1) * BATCH * 4 * N * N
