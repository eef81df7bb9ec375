"""torch's recurrent layers: each is its cells unrolled, and those are closed forms."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.rnn import pack_sequence

from srnn import baselines
from srnn.meters import UncountedError, measure

FAMILIES = {
    "RNN": (nn.RNN, nn.RNNCell),
    "GRU": (nn.GRU, nn.GRUCell),
    "LSTM": (nn.LSTM, nn.LSTMCell),
}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
PRODUCTS = {"RNN": 0, "GRU": 3, "LSTM": 3}
STATES = {"RNN": 1, "GRU": 1, "LSTM": 2}


def events(*shape):
    return torch.poisson(torch.full(shape, 0.5)) * torch.randn(shape).sign()


def nonzero_products(rows, weight):
    """MACs of rows of real numbers: every element that is not 0 with every weight that is not."""
    fan_out = (weight != 0).sum(0).double()
    return int(((rows != 0).double().reshape(-1, rows.shape[-1]) @ fan_out).sum())


def unrolled(family, net, x, start):
    """Terms of a stack of layers, from cells stepped one after the other in float64."""
    directions = 2 if net.bidirectional else 1
    total = {"synapses": [0, 0], "recurrence": [0, 0]}
    signal = x
    for i in range(net.num_layers):
        outputs = []
        for d in range(directions):
            suffix = f"_l{i}" + "_reverse" * d
            cell = FAMILIES[family][1](signal.shape[-1], net.hidden_size).double()
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            cell.load_state_dict({n: getattr(net, n + suffix) for n in names})
            h = start[0][i * directions + d]
            c = start[1][i * directions + d]
            hidden = []
            for step in reversed(signal) if d else signal:
                if i:
                    total["synapses"][1] += nonzero_products(step, cell.weight_ih)
                else:
                    # The element rule, on inputs that are whole numbers.
                    fan_out = (cell.weight_ih != 0).sum(0).double()
                    total["synapses"][0] += int((step.abs() @ fan_out).sum())
                total["recurrence"][1] += nonzero_products(h, cell.weight_hh)
                if family == "LSTM":
                    h, c = cell(step, (h, c))
                else:
                    h = cell(step, h)
                hidden.append(h)
            outputs.append(torch.stack(hidden[::-1] if d else hidden))
        signal = torch.cat(outputs, -1)
    return total, signal


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("layers", "bidirectional"), [(1, False), (1, True), (3, False), (2, True)]
)
@pytest.mark.parametrize("given", [False, True])
def test_layers_are_their_cells_unrolled(counting, family, layers, bidirectional, given):
    torch.manual_seed(1)
    n, m, time, batch = 6, 5, 7, 3
    net = FAMILIES[family][0](m, n, layers, bidirectional=bidirectional).double()
    for name in [name for name in net._all_weights[0] if "weight" in name]:
        prune.random_unstructured(net, name, amount=0.25)
    directions = 2 if bidirectional else 1
    x = events(time, batch, m).double()
    start = torch.randn(2, layers * directions, batch, n).double() * given
    start[0, 0, 0, 0] = 0
    state = tuple(start) if family == "LSTM" else start[0]
    with torch.no_grad():
        expected, signal = unrolled(family, net, x, start)
        torch.testing.assert_close(net(x, state)[0], signal, rtol=0, atol=1e-12)
    args = (x, state) if given else (x,)
    found = counting.terms(counting.metered(net, *args).layers[""])
    for name in ("synapses", "recurrence"):
        assert list(found[name][:2]) == expected[name]
        assert found[name][3] == sum(expected[name])  # each reads its weight
    assert expected["recurrence"][0] == 0  # a hidden state is real

    steps, gates = time * batch * directions, GATES[family]
    below = [m] + [n * directions] * (layers - 1)
    assert found["synapses"][2] == steps * gates * n * sum(below)
    assert found["recurrence"][2] == steps * gates * n * n * layers
    units = steps * layers * n
    closed = {
        "bias": (2 * gates * units, 0, 2 * gates * units),
        "state": (0, 0, 2 * STATES[family] * units),  # read and written
    }
    if PRODUCTS[family]:
        closed["hadamard"] = (0, PRODUCTS[family] * units, 0)
    if family == "GRU":
        closed["gate"] = (units, 0, 0)
    rest = {n: (*t[:2], t[3]) for n, t in found.items() if n not in ("synapses", "recurrence")}
    assert rest == closed


@pytest.mark.parametrize("family", FAMILIES)
def test_a_layer_equals_a_cell_that_is_metered_step_by_step(counting, family):
    kind, cell_kind = FAMILIES[family]
    net, x = kind(4, 5), events(6, 2, 4)
    cell = cell_kind(4, 5)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in net.state_dict().items()})

    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell

        def forward(self, x):
            state = None
            for step in x:
                state = self.cell(step, state)

    whole, stepped = counting.metered(net, x), counting.metered(Unrolled(), x)
    assert counting.terms(whole.layers[""]) == counting.terms(stepped.layers["cell"])
    assert whole.samples == stepped.samples == 2
    apart = counting.metered(net, x, timewise=True), counting.metered(Unrolled(), x, timewise=True)
    assert torch.equal(apart[0].over_time(), apart[1].over_time())
    assert apart[0].over_time().shape == (4, 6)
    assert apart[0].total() == whole.total()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_of_time_and_batch_makes_no_difference(counting, family):
    kind, _ = FAMILIES[family]
    first, x = kind(4, 5, 2, batch_first=True), events(6, 3, 4)
    net = kind(4, 5, 2)
    net.load_state_dict(first.state_dict())
    a, b = counting.metered(net, x), counting.metered(first, x.transpose(0, 1))
    assert a.per_sample() == b.per_sample()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_input_without_a_batch_dimension_is_refused(counting, family):
    """Features would be taken for samples."""
    net, x = FAMILIES[family][0](4, 5), events(6, 4)
    message = rf"{family}: the input \[time, features\] has no samples to count by; add a batch"
    with pytest.raises(UncountedError, match=message):
        counting.metered(net, x)
    with pytest.raises(UncountedError, match=message):
        measure(net, [x])
    assert measure(net, [x[:, None]]).samples == 1


def test_a_spiking_input_leaves_the_recurrence_real(counting):
    """What NeuroBench counts as accumulates: the LSTM's recurrence behind a binary input."""
    net, x = nn.LSTM(30, 16, bias=False), (torch.rand(20, 8, 30) < 0.1).float()
    found = counting.terms(counting.metered(net, x).layers[""])
    # No hidden state at t = 0; a binary input of s spikes reaches 4 x 16 weights with each.
    reached, hidden = int(x.sum()) * 64, 19 * 8 * 16 * 64
    assert found["synapses"] == (reached, 0, 20 * 8 * 30 * 64, reached)
    assert found["recurrence"] == (0, hidden, 20 * 8 * 16 * 64, hidden)


def test_a_state_is_real_within_a_module_and_goes_by_its_elements_beyond(counting):
    """Biases of 100 saturate tanh at exactly 1: MACs within nn.RNN, ACs between two modules."""
    net, stack = baselines.RNN(3, [4, 5], 2), nn.RNN(3, 4, 2)
    with torch.no_grad():
        for bias in (net.layers[0].bias_ih_l0, stack.bias_ih_l0):
            bias.fill_(100)
    x, rows = torch.zeros(6, 2, 3), 6 * 2
    assert (net.layers[0](x)[0] == 1).all()
    second = counting.skipping(counting.metered(net, x).layers["layer2"])
    assert second["synapses"] == (rows * 4 * 5, 0, rows * 4 * 5)
    whole = counting.skipping(counting.metered(stack, x).layers[""])
    assert whole["synapses"] == (0, rows * 4 * 4, rows * 4 * 4)
    layer = counting.skipping(counting.metered(net, x).layers["layer1"])
    assert layer["recurrence"] == (0, 5 * 2 * 4 * 4, 5 * 2 * 4 * 4)


def test_what_cannot_be_counted_is_refused(counting):
    with pytest.raises(UncountedError, match="LSTM with proj_size"):
        counting.metered(nn.LSTM(4, 5, proj_size=2), torch.ones(3, 2, 4))
    packed = pack_sequence([torch.ones(3, 4), torch.ones(2, 4)])
    with pytest.raises(UncountedError, match="packed sequence"):
        counting.metered(nn.GRU(4, 5), packed)


def test_the_users_random_numbers_stay_as_they_are(counting):
    net, x = nn.LSTM(4, 5, 3), torch.ones(3, 2, 4)
    before = torch.get_rng_state()
    counting.metered(net, x)
    assert torch.equal(torch.get_rng_state(), before)
