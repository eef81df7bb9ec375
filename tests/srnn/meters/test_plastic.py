"""Plastic synapses, STPN and fast weights: closed forms, counted one synapse at a time."""

import pytest
import torch
from torch import nn

from srnn import SRNN, reset
from srnn.baselines import LSTM, RNN
from srnn.fast_weights import FastWeights
from srnn.meters import Footprint, device_proxy
from srnn.neurons import RLIF
from srnn.neurons.kernels import EventBatch
from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, TsodyksMarkramSTP
from srnn.stpn import STPN

TIME, BATCH, CHANNELS, UNITS = 7, 3, 4, 5
KINDS = [HebbianSTP, MemristiveSTP, TsodyksMarkramSTP]


def one_by_one(x, h, start, *, real, covers, recurrent="old"):
    """Deliveries by inputs and by neurons, and learning, as (ACs, MACs, words), pair by pair."""
    counts = {"synapses": [0] * 3, "recurrence": [0] * 3, "learning": [0] * 3}
    active = 0
    for b in range(x.shape[1]):
        past = start[b].tolist()
        for t in range(len(x)):
            now = h[t, b].tolist()
            lines = [(v, "synapses", False) for v in x[t, b].tolist()] if covers else []
            lines += [(v, "recurrence", real) for v in past]
            for value, name, is_real in lines:
                if value:
                    active += 1
                    whole = value % 1 == 0 and not is_real
                    times = int(abs(value)) if whole else 1
                    counts[name][not whole] += len(now) * times
                    counts[name][2] += len(now) * times  # a weight each
            ends = lines[: len(lines) - len(past)]
            ends += [(v, "", real) for v in (now if recurrent == "new" else past)]
            for value, _, is_real in ends:
                for answer in now:
                    if value and answer:
                        whole = value % 1 == 0 and answer % 1 == 0 and not (is_real or real)
                        times = int(abs(value * answer)) if whole else 1
                        counts["learning"][not whole] += times if whole else 2
                        counts["learning"][2] += times  # Gamma
            past = now
    return {name: tuple(count) for name, count in counts.items()}, active


@pytest.mark.parametrize("recurrent", ["old", "new"])
@pytest.mark.parametrize("normalisation", ["before", "after", "none"])
def test_stpn_against_its_equations(counting, normalisation, recurrent):
    net = STPN(CHANNELS, [UNITS], 2, normalisation=normalisation, recurrent=recurrent)
    x = torch.randint(-1, 3, (TIME, BATCH, CHANNELS)) * torch.tensor([1.0, 1.0, 0.5, 0.0])
    h = net(x, keep_membranes=True)[1].membranes[0].detach()
    start = torch.zeros(BATCH, UNITS)
    expected, active = one_by_one(x, h, start, real=True, covers=True, recurrent=recurrent)
    rows, synapses = TIME * BATCH, UNITS * (CHANNELS + UNITS)
    whole = rows * synapses
    expected |= {"bias": (rows * UNITS, 0, rows * UNITS), "state": (0, 0, 2 * rows * UNITS)}
    expected["decay"] = (0, whole, 3 * whole)  # F twice, Lambda
    added = active * UNITS if normalisation == "none" else whole
    expected["efficacy"] = (added, 0, added)  # F
    if normalisation == "before":
        expected["normalise"] = (0, 2 * whole + rows * UNITS, 0)
    if normalisation == "after":
        expected["normalise"] = (whole, 3 * whole + rows * UNITS, whole)  # W
    meter = counting.metered(net, x)
    assert counting.skipping(meter.layers["layer1"]) == expected
    assert counting.terms(meter.layers["layer1"])["recurrence"][2] == rows * UNITS * UNITS
    total = meter.layers["layer1"].total()
    ac, mac, words = map(sum, zip(*expected.values(), strict=True))
    assert (total.ac, total.mac, total.words) == (ac, mac, words)  # updates and all


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("covers", [False, True])
def test_spiking_layers_against_their_equations(counting, kind, covers):
    net = SRNN(CHANNELS, [UNITS], 2, plasticity=kind, plastic_inputs=covers, threshold=0.001)
    x = (torch.rand(TIME, BATCH, CHANNELS) < 0.5).float()
    spikes = net(x, keep_spikes=True)[1].spikes[0].detach()
    assert 0.05 < spikes.mean() < 0.95
    start = torch.zeros(BATCH, UNITS)
    pairs, active = one_by_one(x, spikes, start, real=False, covers=covers)
    found = counting.skipping(counting.metered(net, x).layers["layer1"])
    lines = UNITS + CHANNELS * covers
    rows = TIME * BATCH
    if kind is TsodyksMarkramSTP:
        sent = pairs["recurrence"][0]
        assert found["recurrence"] == (0, sent, sent)
        assert found["release"] == (2 * active, 2 * active, active)  # U
        # Twice u and x, and a decay of each.
        assert found["recovery"] == (0, 2 * rows * lines, 6 * rows * lines)
    else:
        whole = rows * lines * UNITS
        assert found["recurrence"] == pairs["recurrence"]
        assert found["learning"] == pairs["learning"]
        assert found["decay"] == (0, whole, 3 * whole)  # F twice, Lambda
        added = whole if kind is HebbianSTP else active * UNITS
        assert found["efficacy"] == (added, 0, added)  # F
    inputs = int(x.sum()) * UNITS
    released = covers and kind is TsodyksMarkramSTP
    assert found["synapses"] == ((0, inputs, inputs) if released else (inputs, 0, inputs))
    assert found["bias"] == (rows * UNITS, 0, rows * UNITS)
    assert found["leak"] == (0, rows * UNITS, 3 * rows * UNITS)
    events = counting.metered(net, EventBatch.of(x))
    assert counting.skipping(events.layers["layer1"]) == found


@pytest.mark.parametrize("recurrent", ["old", "new"])
def test_an_activity_over_its_norm_is_real(counting, recurrent):
    """N squares and one division each; then products, and what is learned, are of real numbers."""
    stp = MemristiveSTP(UNITS, CHANNELS, normalisation="input", recurrent=recurrent)
    net = SRNN(CHANNELS, [UNITS], 2, plasticity=stp, plastic_inputs=True, threshold=0.001)
    x = (torch.rand(TIME, BATCH, CHANNELS) < 0.5).float()
    h = net(x, keep_spikes=True)[1].spikes[0].detach()
    past = torch.cat([torch.zeros_like(h[:1]), h[:-1]])
    inputs, before = int(x.sum()), int(past.sum())
    found = counting.skipping(counting.metered(net, x).layers["layer1"])
    assert found["normalise"] == (0, TIME * BATCH * (CHANNELS + UNITS) + inputs + before, 0)
    assert found["synapses"] == (0, inputs * UNITS, inputs * UNITS)
    assert found["recurrence"] == (0, before * UNITS, before * UNITS)
    # New answers have not been divided: what is learned from them is whole.
    whole = h if recurrent == "new" else torch.zeros_like(h)
    divided = [x] if recurrent == "new" else [x, past]
    events = int((h.sum(-1) * whole.sum(-1)).sum())
    pairs = sum(int((h.sum(-1) * lines.sum(-1)).sum()) for lines in divided)
    assert found["learning"] == (events, 2 * pairs, events + pairs)
    assert pairs > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", [0, CHANNELS])
def test_steps_count_as_the_sequence(counting, kind, inputs):
    layer = RLIF(linear_features=UNITS, beta=0.8, plasticity=kind, plastic_inputs=inputs)
    size = 1 if inputs and kind is TsodyksMarkramSTP else 3  # which take 0 .. 1 as inputs
    x = (torch.rand(TIME, BATCH, inputs or UNITS) < 0.6).float() * size

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
    together = counting.metered(Whole(), x)
    assert counting.terms(together.layers["layer"]) == counting.terms(whole.layers["layer"])


def test_pieces_with_a_carried_state_count_as_the_whole(counting):
    for net in (
        STPN(CHANNELS, [UNITS], 2, readout="stream"),
        FastWeights(CHANNELS, [UNITS], 2, readout="stream"),
        SRNN(CHANNELS, [UNITS], 2, plasticity=HebbianSTP, plastic_inputs=True, threshold=0.001),
    ):
        x = torch.rand(TIME, BATCH, CHANNELS).round()
        whole = counting.terms(counting.metered(net, x).layers["layer1"])
        with torch.no_grad():
            state = net(x[:3])[1].state
        first = counting.terms(counting.metered(net, x[:3]).layers["layer1"])
        rest = counting.terms(counting.metered(net, x[3:], state).layers["layer1"])
        for name, count in whole.items():
            assert count == tuple(a + b for a, b in zip(first[name], rest[name], strict=True))


@pytest.mark.parametrize("inner", [1, 3])
def test_fast_weights_against_their_equations(counting, inner):
    net = FastWeights(CHANNELS, [UNITS], 2, readout="last")
    net.layers[0].inner_steps = inner
    x = torch.rand(TIME, BATCH, CHANNELS).round()
    h = net(x, keep_membranes=True)[1].membranes[0].detach()
    rows, n = TIME * BATCH, UNITS
    assert h.all()
    sent, past, inner = int(x.sum()) * n, (TIME - 1) * BATCH * n * n, rows * inner
    assert counting.skipping(counting.metered(net, x).layers["layer1"]) == {
        "synapses": (sent, 0, sent),
        "recurrence": (0, past, past),
        "bias": (rows * n, 0, rows * n),
        "inner": (inner * n, inner * n * n, inner * n * n),  # A
        "norm": (2 * inner * n, 3 * inner * n, 2 * inner * n),  # scale and shift
        "decay": (0, rows * n * n, 2 * rows * n * n),  # A twice
        "learning": (0, rows * (n + n * n), 0),
        "state": (0, 0, 2 * rows * n),
    }


def test_what_is_remembered():
    def states(net):
        return Footprint.of(net).states

    assert states(STPN(37, [11], 37)) == 11 + 11 * 48
    assert states(FastWeights(37, [20], 37, readout="last")) == 20 + 400
    plain = states(SRNN(CHANNELS, [UNITS], 2))
    for kind, each in ((HebbianSTP, UNITS), (MemristiveSTP, UNITS), (TsodyksMarkramSTP, 2)):
        net = SRNN(CHANNELS, [UNITS], 2, plasticity=kind)
        assert states(net) == plain + each * UNITS
    net = SRNN(CHANNELS, [UNITS], 2, plasticity=TsodyksMarkramSTP, plastic_inputs=True)
    assert states(net) == plain + 2 * (UNITS + CHANNELS)


# ------------------------------------------------------------------------------------ the proxy


def rows_of(weight, values):
    return sum(abs(w) * v * v for row in weight.tolist() for w, v in zip(row, values, strict=True))


@pytest.mark.parametrize("kind", [RNN, LSTM])
def test_proxy_of_fixed_weights(kind):
    net = kind(CHANNELS, [UNITS], 2).double()
    x = torch.randn(TIME, BATCH, CHANNELS, dtype=torch.float64)
    h = net(x, keep_membranes=True)[1].membranes[0]
    layer, total = net.layers[0], 0.0
    for b in range(BATCH):
        past = [0.0] * UNITS
        for t in range(TIME):
            total += rows_of(layer.weight_ih_l0, x[t, b].tolist())
            total += rows_of(layer.weight_hh_l0, past)
            past = h[t, b].tolist()
    assert device_proxy(net, [(x, None)]) == pytest.approx(total / (TIME * BATCH), rel=1e-12)


def test_proxy_of_an_stpn_on_the_published_vector():
    def sines(shape, a, amplitude, offset=0.0):
        k = torch.arange(1, torch.Size(shape).numel() + 1, dtype=torch.float64)
        return (amplitude * torch.sin(a * k) + offset).reshape(shape)

    net = STPN(3, [2], 2).double()
    stp = net.layers[0].plasticity
    with torch.no_grad():
        stp.W.copy_(sines((2, 5), 0.7, 0.6))
        stp.Lambda.copy_(sines((2, 5), 0.9, 0.4, 0.5))
        stp.Gamma.copy_(sines((2, 5), 1.7, 0.3))
        stp.bias.copy_(sines((2,), 2.1, 0.2))
    published = [1.6808112, 2.0721416, 1.7088997, 1.4531227]
    found = device_proxy(net, [sines((4, 1, 3), 1.3, 1.0)])
    assert found == pytest.approx(sum(published) / 4, abs=1e-7)


def test_proxy_of_spiking_and_fast_networks():
    x = torch.rand(TIME, BATCH, CHANNELS).round()
    net = SRNN(CHANNELS, [UNITS], 2, threshold=0.001)
    still = SRNN(
        CHANNELS, [UNITS], 2, threshold=0.001, plasticity=HebbianSTP(UNITS, normalisation="none")
    )
    with torch.no_grad():
        stp, plain = still.layers[0].neuron.plasticity, net.layers[0].neuron.recurrent
        stp.Gamma.zero_()
        stp.W.copy_(plain.weight)
        stp.bias.copy_(plain.bias)
    state = net.state_dict()
    still.load_state_dict({k: v for k, v in state.items() if ".recurrent." not in k}, strict=False)
    assert device_proxy(still, [x]) == pytest.approx(device_proxy(net, [x]), rel=1e-5)
    fast = FastWeights(CHANNELS, [UNITS], 2, readout="last")
    with_memory = device_proxy(fast, [x])
    fast.layers[0].rate = 0.0
    assert 0 < device_proxy(fast, [x]) < with_memory
    with pytest.raises(ValueError, match="at least one step of one sample"):
        device_proxy(net, [])
