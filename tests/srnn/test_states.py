"""srnn.reset: every neuron of a network, wherever it is, and no other."""

import copy
import io
import pickle

import pytest
import snntorch as snn
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import srnn
from srnn import SRNN
from srnn.baselines import GRU, LSTM, RNN
from srnn.fast_weights import FastWeights
from srnn.neurons import ALIF, RALIF
from srnn.states import select, tensors, with_tensors
from srnn.stpn import STPN

OURS = [
    lambda: ALIF(beta=0.9, init_hidden=True),
    lambda: RALIF(linear_features=3, init_hidden=True),
]
THEIRS = [
    lambda: snn.Leaky(beta=0.9, init_hidden=True),
    lambda: snn.RLeaky(beta=0.9, linear_features=3, init_hidden=True),
    lambda: snn.Synaptic(alpha=0.8, beta=0.9, init_hidden=True),
    lambda: snn.RSynaptic(alpha=0.8, beta=0.9, linear_features=3, init_hidden=True),
    lambda: snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True),
    lambda: snn.Lapicque(beta=0.9, init_hidden=True),
    lambda: snn.SLSTM(3, 3, init_hidden=True),
]


class Block(nn.Module):
    """Neurons two levels down, in a dictionary."""

    def __init__(self, neurons):
        super().__init__()
        self.parts = nn.ModuleDict({str(i): neuron for i, neuron in enumerate(neurons)})

    def forward(self, x):
        return [neuron(x) for neuron in self.parts.values()]


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 3), nn.Sequential(Block([make() for make in OURS + THEIRS])))


def states(net):
    return {
        name: value
        for module in net.modules()
        for name, value in module.named_buffers(recurse=False)
        if name in ("mem", "spk", "syn", "syn_exc", "syn_inh", "adaptation")
    }


def run(net):
    for _ in range(5):
        outputs = net(torch.ones(2, 3) * 3)
    return torch.stack(outputs)


def unpickled(net):
    """Ours alone: snnTorch's surrogates do not pickle."""
    return pickle.loads(pickle.dumps(net))


def test_every_kind_of_neuron_begins_anew():
    net = network()
    first = run(net)
    assert not torch.equal(run(net), first)
    srnn.reset(net)
    for name, value in states(net).items():
        assert not value.any(), name
        assert not value.requires_grad, name
    assert torch.equal(run(net), first)


@pytest.mark.parametrize("copied", [copy.deepcopy, unpickled, "saved"])
def test_copies_begin_anew_and_the_original_stays(copied):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 3), Block([make() for make in OURS]))
    first = run(net)
    if copied == "saved":
        file = io.BytesIO()
        torch.save(net, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    else:
        twin = copied(net)
    before = {name: value.clone() for name, value in states(net).items()}
    srnn.reset(twin)
    assert torch.equal(run(twin), first)
    for name, value in states(net).items():
        assert torch.equal(value, before[name]), name


def test_what_is_learned_stays():
    net = SRNN(4, [3], 2)
    before = copy.deepcopy(net.state_dict())
    srnn.reset(net)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_single_neuron_and_one_that_has_not_run_are_fine():
    for make in OURS + THEIRS:
        neuron = make()
        srnn.reset(neuron)
        neuron(torch.ones(2, 3))
        srnn.reset(neuron)
        assert not neuron.mem.any()


def test_a_neuron_whose_states_are_none_does_no_harm():
    srnn.reset(nn.Sequential(snn.DeltaLeaky(beta=0.9)))


# ------------------------------------------------------------------------------ taken apart

NETWORKS = {
    "SRNN": lambda: SRNN(4, [5], 3, readout="stream"),
    "RNN": lambda: RNN(4, [5], 3, readout="stream"),
    "GRU": lambda: GRU(4, [5, 6], 3, readout="stream"),
    "LSTM": lambda: LSTM(4, [5], 3, readout="stream"),
    "STPN": lambda: STPN(4, [5], 3, readout="stream"),
    "fast weights": lambda: FastWeights(4, [5], 3, readout="stream"),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_some_sequences_are_taken_out_of_a_state(make):
    """A batch of one, whose first dimension torch's own states have too, is where it can fail."""
    torch.manual_seed(0)
    net = make().double()
    x = torch.randn(8, 3, 4, dtype=torch.float64)
    _, record = net(x[:4])
    for chosen in (torch.tensor([2, 0]), torch.tensor([1])):
        some, _ = net(x[4:, chosen], net.select_state(record.state, chosen))
        torch.testing.assert_close(some, net(x[4:], record.state)[0][:, chosen])


def test_places_may_lie_on_another_device_than_the_state():
    """No device is needed: fake tensors say where theirs would be, and refuse what it would."""
    with FakeTensorMode():
        places = torch.tensor([2, 0])
        state = torch.empty(3, 5, device="cuda"), (torch.empty(3, 4, device="cuda"), None)
        one, (other, nothing) = select(state, places)
    assert (one.shape, other.shape, nothing) == ((2, 5), (2, 4), None)
    assert one.device.type == other.device.type == "cuda"


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_a_state_is_put_together_again_from_its_tensors(make):
    torch.manual_seed(0)
    net = make().double()
    x = torch.randn(8, 3, 4, dtype=torch.float64)
    _, record = net(x[:4])
    buffer = io.BytesIO()
    torch.save(tensors(record.state), buffer)
    buffer.seek(0)
    parts = torch.load(buffer, weights_only=True)
    _, blank = net(torch.zeros(4, 3, 4, dtype=torch.float64))
    again = with_tensors(blank.state, parts)
    assert torch.equal(net(x[4:], again)[0], net(x[4:], record.state)[0])
    _, other = net(torch.zeros(4, 2, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match="The state has tensors of"):
        with_tensors(other.state, parts)
