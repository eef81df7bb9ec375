"""What a kernel must not take as it comes: it reads memory where plain PyTorch would complain."""

import math

import pytest
import torch
from torch import nn

from srnn import SRNN
from srnn.neurons import ALIF, LI, LIF
from srnn.neurons.kernels import EventBatch, Events
from srnn.neurons.kernels.choice import choose, unsupported

KERNELS = ("reference", "torch", "cpu")
kernels = pytest.mark.parametrize("kernel", KERNELS)


@pytest.fixture
def use(monkeypatch):
    return lambda kernel: monkeypatch.setenv("SRNN_KERNEL", kernel)


@kernels
@pytest.mark.parametrize("channels", [[1, 1], [2, 1], [0, 2, 2]])
def test_channels_must_rise_within_a_row(kernel, channels, use):
    use(kernel)
    events = Events(torch.tensor([0, len(channels)]), torch.tensor(channels, dtype=torch.int32))
    batch = EventBatch(events, (1, 1, 3))
    with pytest.raises(ValueError, match="must rise within a row"):
        SRNN(3, [4], 2)(batch)
    if kernel == "cpu":  # nor may the layer itself read on
        with pytest.raises(ValueError, match="must rise within a row"):
            LIF(linear_features=4).forward_sequence(batch, projection=nn.Linear(3, 4))


def test_channels_of_several_rows_need_not_rise():
    events = Events(torch.tensor([0, 2, 2, 3]), torch.tensor([0, 2, 1], dtype=torch.int32))
    EventBatch(events, (3, 1, 3)).check()


def test_values_of_events_take_no_gradient():
    values = torch.ones(1, requires_grad=True)
    events = Events(torch.tensor([0, 1]), torch.zeros(1, dtype=torch.int32), values)
    with pytest.raises(ValueError, match="take no gradient"):
        SRNN(3, [4], 2)(EventBatch(events, (1, 1, 3)))


@pytest.mark.parametrize("of_layer", [torch.float32, torch.float64])
@pytest.mark.parametrize("of_input", [torch.float32, torch.float64])
@pytest.mark.parametrize("autocast", [False, True])
def test_every_mixture_of_dtypes_gives_the_same_on_all_kernels(of_layer, of_input, autocast, use):
    torch.manual_seed(0)
    layer = LIF(linear_features=5, threshold=0.05).to(of_layer)
    current = torch.rand(20, 3, 5, dtype=of_input)
    found = []
    for kernel in KERNELS:
        use(kernel)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found.append(layer.forward_sequence(current, return_membrane=True)[2])
    assert found[0].abs().max() > 0.01
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-2, atol=1e-3)


@kernels
def test_events_without_a_projection_have_the_dtype_of_the_layer(kernel, use):
    use(kernel)
    x = (torch.rand(9, 2, 64, generator=torch.Generator().manual_seed(0)) < 0.3).double()
    layer = LIF(beta=0.9, linear_features=64).double()
    spikes, _ = layer.forward_sequence(EventBatch.of(x))
    assert spikes.dtype == torch.float64
    use("reference")
    assert torch.equal(spikes, layer.forward_sequence(x)[0])


@kernels
def test_no_neurons(kernel, use):
    use(kernel)
    spikes, state = LIF(beta=0.9).forward_sequence(torch.zeros(5, 2, 0))
    assert spikes.shape == (5, 2, 0)
    assert state.membrane.shape == (2, 0)


@kernels
@pytest.mark.parametrize("write", ["data", "replaced data", "numpy"])
def test_a_hook_that_writes_unseen_is_believed(kernel, write, use):
    use(kernel)
    torch.manual_seed(0)
    net = SRNN(6, [5, 4], 2, threshold=0.02)

    def lesion(layer, args, output):
        if write == "data":
            output[0].data.zero_()
        elif write == "replaced data":
            output[0].data = torch.zeros_like(output[0])
        else:
            output[0].detach().numpy()[:] = 0

    inputs = torch.rand(20, 3, 6).round()
    net.layers[1].projection.bias.data.zero_()
    assert net(inputs)[1].counts[1].any()
    net.layers[0].register_forward_hook(lesion)
    _, record = net(inputs)
    assert not record.counts[0].any()
    assert not record.counts[1].any()


class Warm(LI):
    """A readout that does not begin at zero."""

    def initial_state(self, like):
        return super().initial_state(like)._replace(membrane=torch.full_like(like, 5.0))


@kernels
def test_a_leaky_integrator_of_somebody_else(kernel, use):
    use(kernel)
    warm = Warm(2, tau_mem=20.0)
    assert "Warm" in unsupported(warm)
    assert unsupported(LI(2)) is None
    trace, _ = warm.forward_sequence(torch.zeros(3, 1, 2))
    expected = [5 * math.exp(-t / 20) for t in (1, 2, 3)]
    torch.testing.assert_close(trace[:, 0, 0], torch.tensor(expected))


def test_a_learned_adaptation_strength_is_the_references():
    layer = ALIF(linear_features=3)
    assert unsupported(layer) is None
    layer.adaptation_strength.requires_grad_(True)
    assert "adaptation_strength" in unsupported(layer)
    assert choose(layer, (4, 1, 3), torch.device("cpu"), [torch.float32]) == "reference"


def test_a_lazy_projection_takes_its_size_from_the_first_input():
    layer = LIF(linear_features=4)
    projection = nn.LazyLinear(4)
    spikes, _ = layer.forward_sequence(torch.ones(3, 2, 7), projection=projection)
    assert spikes.shape == (3, 2, 4)
    assert projection.in_features == 7
