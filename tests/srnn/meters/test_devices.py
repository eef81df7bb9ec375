import pytest
import torch

from srnn import SRNN
from srnn.meters import DeviceMeter
from srnn.neurons import RALIF
from srnn.neurons.plasticity import DeviceActivity, MemristiveSTP
from srnn.neurons.plasticity.device import FLOOR, at_rest
from srnn.stpn import STPN

STEPS, BATCH, CHANNELS = 7, 3, 5


def stpn(**options):
    torch.manual_seed(0)
    options["plasticity"] = MemristiveSTP
    return STPN(CHANNELS, [4, 6], 2, readout="stream", **options).double()


def test_devices_whose_weights_are_zero_are_at_rest():
    net = stpn(dt=0.02)
    with torch.no_grad():
        for layer in net.layers:
            layer.plasticity.W.zero_()
            layer.plasticity.Gamma.zero_()
    with DeviceMeter(net) as devices:
        net(torch.rand(STEPS, BATCH, CHANNELS).double())
    assert devices.synapses == 4 * (5 + 4) + 6 * (4 + 6)
    assert devices.products == STEPS * BATCH * devices.synapses
    resting = at_rest(devices.synapses, BATCH * STEPS * 0.02, FLOOR).siemens_seconds
    assert devices.total().siemens_seconds == pytest.approx(resting)
    assert devices.total().pulses == 0


def test_the_activity_is_that_of_every_step():
    """Of a layer that is stepped by hand, with a game that begins anew in the middle."""
    net = stpn(threshold=1e-4)
    x = torch.randn(STEPS, BATCH, CHANNELS).double()
    reset = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    reset[3, 1] = True
    with torch.no_grad():
        for layer in net.layers:
            layer.plasticity.Gamma.mul_(100)
        with DeviceMeter(net) as devices:
            net(x, reset=reset)
        first = net.layers[0].plasticity
        params, expected = first.params(), DeviceActivity()
        state, h = first.initial_state(BATCH, x), x.new_zeros(BATCH, 4)
        for now, anew in zip(x, reset, strict=True):
            h, state = (
                h.masked_fill(anew[:, None], 0),
                state._replace(F=state.F.masked_fill(anew[:, None, None], 0)),
            )
            z = first.presynaptic(now, h)
            current, state = first.transmit(z, state, params)
            h = current.tanh()
            expected = expected.plus(first.activity(z, h, state, params))
            state = first.update(z, h, state, params)
    name = next(name for name, part in net.named_modules() if part is first)
    assert devices.layers[name] == pytest.approx(expected)
    assert expected.pulses > 0


def test_spiking_neurons_have_devices_too_and_nothing_is_left_behind():
    net = SRNN(CHANNELS, [6], 2, neuron=RALIF, plasticity=MemristiveSTP)
    x = torch.rand(STEPS, BATCH, CHANNELS).round()
    before, _ = net(x)
    with DeviceMeter(net) as outer, DeviceMeter(net) as devices:
        during, _ = net(x)
    assert outer.total() == devices.total()
    after, _ = net(x)
    assert torch.equal(before, during)
    assert torch.equal(before, after)
    assert devices.products == STEPS * BATCH * 6 * 6
    assert devices.total().siemens_seconds > 0
    with pytest.raises(ZeroDivisionError), DeviceMeter(net):
        raise ZeroDivisionError
    assert not any("update" in part.__dict__ for part in net.modules())


def test_a_network_without_devices_draws_nothing():
    with DeviceMeter(SRNN(CHANNELS, [6], 2)) as devices:
        pass
    assert devices.total() == DeviceActivity()
    assert devices.synapses == 0
