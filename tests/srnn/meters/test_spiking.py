"""Spiking layers: closed forms from recorded spikes, in every way that a layer is run."""

import pytest
import snntorch as snn
import torch
from torch import nn

from srnn import SRNN, Delay, Layer, Readout, reset
from srnn.meters import FOLDED, SpikeMeter, SynOpMeter, UncountedError, measure
from srnn.neurons import ALIF, LI, LIF, RALIF, RLIF
from srnn.neurons.kernels import EventBatch


def spikes(*shape, rate=0.3):
    return (torch.rand(shape) < rate).float()


def busy(kind, n, **options):
    """A layer of ours that fires on currents of about 1."""
    layer = kind(linear_features=n, **({"tau_mem": "uniform(2, 9)"} | options))
    if hasattr(layer, "recurrent"):
        nn.init.normal_(layer.recurrent.weight)
    return layer


@pytest.mark.parametrize("kind", [LIF, RLIF, ALIF, RALIF])
@pytest.mark.parametrize("beta", [False, True])
def test_a_sequence_against_the_equations(counting, kind, beta):
    time, batch, n = 12, 3, 5
    layer = busy(kind, n, **({"beta": 0.8, "tau_mem": None} if beta else {}))
    x = torch.randn(time, batch, n) * 3
    with torch.no_grad():
        S, _ = layer.forward_sequence(x)
    fired, updates = int(S.sum()), time * batch * n
    assert fired > 10

    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer.forward_sequence(x)

    layer = counting.metered(Alone(), x).layers["layer"]
    adaptive, recurrent = kind in (ALIF, RALIF), kind in (RLIF, RALIF)
    # Words: states are read and written, alpha, b_0, g, rho and beta are read.
    expected = {
        "leak": (0, updates, 3 * updates),
        "reset": (fired, 0, 0),
        "compare": (updates, 0, updates),
    }
    if not beta:
        expected["gain"] = (0, updates, updates)
    if adaptive:
        expected |= {"adaptation": (0, updates, 3 * updates), "kick": (fired, 0, 0)}
        expected |= {"threshold": (0, updates, updates), "threshold-folded": (updates, 0, 0)}
    if recurrent:
        seen = int(S[:-1].sum()) * n
        expected |= {"recurrence": (seen, 0, seen), "bias": (updates, 0, updates)}
    assert counting.skipping(layer) == expected
    found = counting.terms(layer)
    assert all(term[2] == sum(term[:2]) for name, term in found.items() if name != "recurrence")


@pytest.mark.parametrize("kind", [LIF, RLIF, ALIF, RALIF])
def test_steps_count_as_the_sequence(counting, kind):
    layer, x = busy(kind, 5), torch.randn(9, 3, 5) * 3

    class Stepped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return torch.stack([self.layer(step)[0] for step in x])

    class Whole(Stepped):
        def forward(self, x):
            return self.layer.forward_sequence(x)[0]

    reset(layer)
    stepped = counting.metered(Stepped(), x, timewise=True)
    whole = counting.metered(Whole(), x, timewise=True)
    assert counting.terms(stepped.layers["layer"]) == counting.terms(whole.layers["layer"])
    assert torch.equal(stepped.over_time(), whole.over_time())


def test_a_network_layer_by_layer(counting):
    net = SRNN(6, [5, 4], 3, readout="stream", recurrent_gain=3.0, threshold=0.05)
    for layer in net.layers:
        nn.init.normal_(layer.projection.weight, std=2.0)
        with torch.no_grad():
            layer.projection.weight[0, 0] = layer.neuron.recurrent.weight[1, 2] = 0
            layer.projection.bias.fill_(0.1)
    x = torch.poisson(torch.full((20, 3, 6), 0.4)) * torch.randn(20, 3, 6).sign()
    with torch.no_grad():
        _, record = net(x, keep_spikes=True)
    first, second = record.spikes
    assert first.any()
    assert second.any()
    meter = counting.metered(net, x)
    assert list(meter.layers) == ["layer1", "layer2", "readout"]
    found = {name: counting.terms(layer) for name, layer in meter.layers.items()}
    below = {"layer1": x, "layer2": first, "readout": second}
    for name, layer in net.named_layers():
        weight = layer.projection.weight
        assert found[name]["synapses"] == counting.products(below[name], weight)
    for name, S, layer in zip(("layer1", "layer2"), record.spikes, net.layers, strict=True):
        past = torch.cat([torch.zeros_like(S[:1]), S[:-1]])
        weight = layer.neuron.recurrent.weight
        assert found[name]["recurrence"] == counting.products(past, weight)
        assert found[name]["bias"][0] == 60 * S.shape[-1]  # the recurrent ones are 0
    assert meter.total().ac == sum(
        term[0] for layer in found.values() for n, term in layer.items() if "folded" not in n
    )
    dense = counting.metered(net, EventBatch.of(x))
    assert dense.total() == meter.total()


def test_pieces_of_a_sequence_count_as_the_whole(counting):
    net, x = SRNN(6, [5], 3, readout="mean", threshold=0.02), spikes(12, 3, 6)
    with torch.no_grad():
        whole = counting.metered(net, x)
        _, record = net(x[:5])
        first = counting.metered(net, x[:5]).total()
        second = counting.metered(net, x[5:], record.state).total()
    assert first + second == whole.total()


def test_a_new_episode_forgets_the_spikes(counting):
    net, x = SRNN(6, [5], 3, readout="stream", threshold=0.02), spikes(12, 3, 6)
    anew = torch.zeros(12, 3, dtype=torch.bool)
    anew[4, 1] = anew[7] = True
    with torch.no_grad():
        _, record = net(x, reset=anew, keep_spikes=True)
    S = record.spikes[0]
    assert S[3, 1].any()
    for timewise in (False, True):
        layer = counting.metered(net, x, reset=anew, timewise=timewise).layers["layer1"]
        past = torch.cat([torch.zeros_like(S[:1]), S[:-1]]).masked_fill(anew[..., None], 0)
        expected = counting.products(past, net.layers[0].neuron.recurrent.weight)
        assert counting.terms(layer)["recurrence"] == expected


SNNTORCH = {
    "Leaky": (snn.Leaky, {}),
    "Synaptic": (snn.Synaptic, {"alpha": 0.6}),
    "RLeaky": (snn.RLeaky, {"linear_features": 8}),
    "RLeaky to zero": (snn.RLeaky, {"linear_features": 8, "reset_mechanism": "zero"}),
    "RLeaky one to one": (snn.RLeaky, {"all_to_all": False, "V": torch.tensor([0.0] + [0.5] * 7)}),
    "RSynaptic": (snn.RSynaptic, {"alpha": 0.6, "linear_features": 8}),
}


class Stepped(nn.Module):
    """A projection and a neuron of snnTorch, stepped over a sequence."""

    def __init__(self, neuron):
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 8), neuron
        nn.init.normal_(self.fc.weight)

    def forward(self, x):
        reset(self)
        return torch.stack([self.lif(self.fc(step))[0] for step in x])


@pytest.mark.parametrize("name", SNNTORCH)
def test_snntorch_against_the_equations(counting, name):
    kind, options = SNNTORCH[name]
    net, x = Stepped(kind(beta=0.8, **options)), spikes(15, 4, 6)
    with torch.no_grad():
        S = net(x)
    fired, updates = int(S.sum()), S.numel()
    assert fired > 10
    found = counting.skipping(counting.metered(net, x).layers["lif"])
    expected = {
        "leak": (0, updates, 3 * updates),
        "compare": (updates, 0, updates),
        "reset": (fired, 0, 0),
    }
    if "zero" in name:
        del expected["reset"]
    if "Syn" in name:
        expected["current"] = (0, updates, 3 * updates)
    if "one to one" in name:
        seen = int(S[:-1, :, 1:].sum())
        expected["recurrence"] = (seen, 0, seen)
    elif name.startswith("R"):
        # Once a step, although snnTorch's reset to zero computes it twice.
        seen = int(S[:-1].sum()) * 8
        expected |= {"recurrence": (seen, 0, seen), "bias": (updates, 0, updates)}
    assert found == expected


def test_a_convolutional_recurrence(counting):
    lif = snn.RLeaky(beta=0.8, conv2d_channels=2, kernel_size=3)
    x = torch.randn(5, 3, 2, 4, 4) * 2

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = lif

        def forward(self, x):
            return torch.stack([self.lif(step)[0] for step in x])

    net = Net()
    with torch.no_grad():
        S = net(x)
    reset(net)
    found = counting.terms(counting.metered(net, x).layers["lif"])
    alone = counting.terms(counting.metered(lif.recurrent, S[:-1].reshape(-1, 2, 4, 4)).layers[""])
    assert found["recurrence"][0] == alone["synapses"][0] > 0


def test_binned_spikes_of_a_graded_layer_are_real(counting):
    net = Stepped(snn.Leaky(beta=0.8, graded_spikes_factor=0.5))
    net.out = nn.Linear(8, 3, bias=False)
    net.forward = lambda x: [net.out(net.lif(net.fc(step))[0]) for step in x]
    found = counting.terms(counting.metered(net, spikes(5, 2, 6)).layers["out"])
    assert found["synapses"][0] == 0
    assert found["synapses"][1] > 0


@pytest.mark.parametrize("reduction", ["softmax-sum", "mean", "last", "stream", "count"])
def test_readouts(counting, reduction):
    readout = Readout(6, 3, reduction, burn_in=2, neuron=None)
    nn.init.normal_(readout.projection.weight, std=3.0)
    S = spikes(9, 4, 6)
    layer = counting.metered(readout, S).layers[""]
    found = counting.skipping(layer)
    assert counting.terms(layer)["synapses"] == counting.products(S, readout.projection.weight)
    late, updates = 7 * 4, 9 * 4 * 3
    with torch.no_grad():
        logits, _, fired = readout(S)
    # The running sum of 3 classes is read and written in every step after the burn-in.
    reductions = {"softmax-sum": (late * 5, late * 3, late * 6), "mean": (late * 3, 0, late * 6)}
    if reduction == "count":
        assert fired[:2].any()
        reductions["count"] = (int(logits.sum()), 0, late * 6)
    assert found.get("reduction") == reductions.get(reduction)
    assert found["leak"] == (0, updates, 3 * updates)
    assert ("compare" in found) == (reduction == "count")


@pytest.mark.parametrize("reduction", ["softmax-sum", "mean", "count"])
def test_a_burn_in_counts_from_the_beginning_of_the_sequences(reduction):
    """In pieces as in one go: the second piece begins in the middle of the burn-in, or after it."""
    readout = Readout(6, 3, reduction, burn_in=4, neuron=None)
    nn.init.normal_(readout.projection.weight, std=3.0)
    S = spikes(9, 4, 6)

    def reduced(*pieces, timewise=False):
        state = None
        with torch.no_grad(), SynOpMeter(readout, timewise=timewise) as meter:
            for piece in pieces:
                _, state, _ = readout(piece, state)
        return meter.layers[""].terms["reduction"].counts

    steps = reduced(S, timewise=True)
    assert steps.shape == (5, 9)
    assert not steps[:, :4].any()
    assert steps[0, 4:].any()
    for pieces in ((S,), (S[:2], S[2:]), (S[:6], S[6:])):
        assert torch.equal(reduced(*pieces)[:, 0], steps.sum(1))


def test_what_stands_between_projection_and_neuron(counting):
    x = spikes(9, 4, 6)
    delayed = counting.metered(Layer(nn.Linear(6, 5), busy(RLIF, 5), Delay(5, 2)), x)
    (layer,) = delayed.layers.values()
    assert layer.terms["state"].words.sum() == 2 * 9 * 4 * 5
    normed = counting.metered(Layer(nn.Linear(6, 5), busy(RLIF, 5), nn.LayerNorm(5)), x)
    assert counting.skipping(normed.layers["between"])["norm"] == (2 * 180, 3 * 180, 2 * 180)
    assert counting.terms(normed.layers[""])["leak"][1] == 180


def test_leaky_integrators_alone(counting):
    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.li = LI(3)

        def forward(self, x):
            return self.li.forward_sequence(x)

    found = counting.terms(counting.metered(Alone(), torch.randn(5, 2, 3)).layers["li"])
    assert found == {"leak": (0, 30, 30, 90), "gain": (0, 30, 30, 30)}


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
@pytest.mark.parametrize("options", [{"inhibition": True}, {"state_quant": torch.round}])
def test_updates_that_no_formula_fits_are_refused(counting, options):
    with pytest.raises(UncountedError, match=f"lif: Leaky with {next(iter(options))}"):
        counting.metered(Stepped(snn.Leaky(beta=0.8, **options)), spikes(3, 2, 6))


def test_spikes_are_counted_neuron_by_neuron():
    net, x = SRNN(6, [5, 4], 3, readout="count", threshold=0.05), spikes(20, 7, 6)
    for layer in (*net.layers, net.readout):
        nn.init.normal_(layer.projection.weight, std=2.0)
    with torch.no_grad():
        _, record = net(x, keep_spikes=True)
    with torch.no_grad(), SpikeMeter(net) as meter:
        net(x[:, :3])
        net(x[:, 3:])
    assert list(meter.layers) == ["layer1", "layer2", "readout"]
    assert meter.samples == 7
    for layer, S in zip(meter.layers.values(), record.spikes, strict=True):
        assert S.any()
        counts = S.sum(0)
        assert layer.spikes == counts.sum()
        assert torch.equal(layer.neurons, counts.sum(0).long())
        assert layer.rate == pytest.approx(float(S.mean()), rel=1e-6)
        assert layer.sparsity == 1 - layer.rate
        assert layer.active_fraction == pytest.approx(float((counts > 0).float().mean()), rel=1e-6)
        assert layer.per_sample == counts.sum() / 7
    assert meter.total() == sum(int(S.sum()) for S in record.spikes)


def test_spikes_are_met_before_dropout():
    net = Stepped(snn.Leaky(beta=0.8))
    net.lif = nn.Sequential(snn.Leaky(beta=0.8, init_hidden=True), nn.Dropout(0.9))
    net.forward = lambda x: torch.stack([net.lif(net.fc(step)) for step in x])
    x = spikes(10, 4, 6)
    reset(net)
    with torch.no_grad():
        S = net.eval()(x)
    net.train()
    found = measure(net, [x], step=lambda net, x: [net.lif(net.fc(step)) for step in x])
    assert found.spikes["lif.0"].spikes == int(S.sum())
    assert net.training
    assert net.lif[1].training


def test_the_folded_convention_leaves_the_published_terms(counting):
    """n (Fr 2 + 1) AC + 2 n MAC for adaptive neurons, beside their synapses."""
    net, x = SRNN(6, [5], 3, threshold=0.05, readout="stream"), spikes(20, 3, 6)
    meter = counting.metered(net, x)
    found, n = counting.terms(meter.layers["layer1"]), 20 * 3 * 5
    total = meter.layers["layer1"].total(FOLDED)
    fired = found["kick"][0]
    assert total.ac == found["synapses"][0] + found["recurrence"][0] + 2 * fired + n
    assert total.mac == 2 * n
    assert total.words == meter.total(FOLDED).words == 0
