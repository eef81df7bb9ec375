"""An input is read once, by the kernel or the meter, and again as soon as it may have changed."""

import pytest
import snntorch as snn
import torch
from torch import nn

from srnn import SRNN, Layer
from srnn.meters import SynOpMeter, events
from srnn.neurons import ALIF, RALIF
from srnn.neurons.kernels import library, scans

compiled = pytest.mark.skipif(library.reason() is not None, reason="no compiled kernel")


def spiking(share, channels=70):
    return (torch.rand(20, 6, channels) < share).float()


def first_layer(net, x, timewise=False):
    """ACs and MACs of the products of the first layer."""
    with SynOpMeter(net, timewise=timewise) as meter:
        net(x)
    term = next(iter(meter.layers.values())).terms["synapses"]
    return term.ac.tolist(), term.mac.tolist()


@compiled
@pytest.mark.parametrize("timewise", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.9])
@pytest.mark.parametrize("learning", [False, True])
def test_what_the_kernel_scanned_is_not_read_again(monkeypatch, share, learning, timewise):
    net, x = SRNN(70, [8], 3), spiking(share)
    read, widths = events._count_binary, []
    monkeypatch.setattr(events, "_count_binary", lambda x: widths.append(x.shape[-1]) or read(x))
    with torch.set_grad_enabled(learning):
        ac, mac = first_layer(net, x, timewise)
    assert 70 not in widths
    by_hand = 8 * (x.sum((1, 2)) if timewise else x.sum()[None])
    assert ac == by_hand.long().tolist()
    assert mac == [0] * len(mac)


@compiled
@pytest.mark.parametrize("timewise", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_what_is_no_spike_is_sorted_where_the_kernel_found_it(monkeypatch, share, timewise):
    layer, x = Layer(nn.Linear(70, 8), ALIF(linear_features=8)), spiking(share)
    x[3, 2] = 0
    ac, mac = 8 * x.sum((1, 2)).long(), torch.zeros(20, dtype=torch.long)
    x[3, 2] = torch.tensor([2.0, 0.5, -3.0, float("inf"), float("nan"), -0.0, 0.0]).repeat(10)
    read, widths = events._count_binary, []
    monkeypatch.setattr(events, "_count_binary", lambda x: widths.append(x.shape[-1]) or read(x))
    with torch.no_grad(), SynOpMeter(layer, timewise=timewise) as meter:
        layer(x)
    assert 70 not in widths
    ac[3] += 10 * 8 * 5
    mac[3] += 10 * 8 * 3
    if not timewise:
        ac, mac = ac.sum()[None], mac.sum()[None]
    term = meter.layers[""].terms["synapses"]
    assert torch.equal(term.ac, ac)
    assert torch.equal(term.mac, mac)


@pytest.mark.parametrize("kernel", ["reference", "torch"])
def test_other_kernels_scan_nothing(monkeypatch, kernel):
    monkeypatch.setenv("SRNN_KERNEL", kernel)
    net, x = SRNN(70, [8], 3), spiking(0.1)
    with torch.no_grad():
        assert first_layer(net, x) == ([8 * int(x.sum())], [0])


@compiled
def test_a_scan_is_told_to_who_listens_and_holds_until_the_input_is_written_to():
    layer, x = Layer(nn.Linear(70, 8), RALIF(linear_features=8)), spiking(0.1)
    layer(x)
    with torch.no_grad(), scans.listen() as heard:
        layer(x)
        with scans.listen() as inner:
            layer(x.clone())
    assert len(heard) == len(inner) == 1
    assert scans.find(heard, x) is heard[0]
    assert scans.find(heard, x.clone()) is None
    x[0, 0, 0] = 1 - x[0, 0, 0]
    assert scans.find(heard, x) is None
    with torch.inference_mode(), scans.listen() as heard:
        layer(spiking(0.1))
    assert heard == []  # nobody could say whether it is written to


class Silenced(nn.Module):
    """Writes zeros into the spikes on their way from a layer to the next."""

    def __init__(self, write):
        super().__init__()
        self.lif, self.fc = snn.Leaky(beta=0.5, threshold=0.1), nn.Linear(6, 5, bias=False)
        self.write = write

    def forward(self, x):
        spikes, _ = self.lif(x)
        self.write(spikes)
        return self.fc(spikes)


WRITES = {
    "in place": lambda x: x.zero_(),
    "data": lambda x: x.data.zero_(),
    "view": lambda x: x.detach()[:].zero_(),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("write", WRITES)
def test_spikes_that_are_written_between_two_layers_are_read_again(write, inference):
    net, x = Silenced(WRITES[write]), torch.ones(4, 6)
    with torch.inference_mode(inference), torch.no_grad(), SynOpMeter(net) as meter:
        net(x)
    assert int(meter.layers["lif"].terms["reset"].ac.sum()) == 24
    assert int(meter.layers["fc"].terms["synapses"].ac.sum()) == 0


def test_what_a_hook_writes_by_numpy_is_read_again():
    net, x = Silenced(lambda x: None), torch.ones(4, 6)
    net.lif.register_forward_hook(lambda module, args, out: out[0].numpy().fill(0))
    with torch.no_grad(), SynOpMeter(net) as meter:
        net(x)
    assert int(meter.layers["fc"].terms["synapses"].ac.sum()) == 0
