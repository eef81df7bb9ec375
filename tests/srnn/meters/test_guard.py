"""What no meter knows is an error that names it, and never a zero."""

import numpy as np
import pytest
import snntorch as snn
import torch
import torch.nn.functional as F
from torch import nn

from srnn import SRNN, reset
from srnn.baselines import LSTM
from srnn.datasets.packed import pack
from srnn.meters import SpikeMeter, SynOpMeter, UncountedError, measure, register, work
from srnn.neurons import RLIF, lif_step
from srnn.neurons.kernels import EventBatch
from srnn.neurons.kernels.problem import Bits


class Own(nn.Module):
    """A network with some operation of its own."""

    def __init__(self, operation):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), Apply(operation))

    def forward(self, x):
        return self.inner(x)


class Apply(nn.Module):
    def __init__(self, operation):
        super().__init__()
        self.operation = operation
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        return self.operation(x, self.weight)


UNSEEN = {
    "addmm": lambda x, w: F.linear(x, w, w[0]),
    "mm": lambda x, w: x @ w,
    "bmm": lambda x, w: torch.bmm(x[None], w[None]),
    "convolution": lambda x, w: F.conv1d(x[:, None], w[:1, None, :3]),
    "mul": lambda x, w: x * 0.9,
    "add": lambda x, w: x + x,
    "sub": lambda x, w: x - 1,
    "div": lambda x, w: x / 2,
    "sum": lambda x, w: x.sum(0),
    "mean": lambda x, w: x.mean(0),
    "cumsum": lambda x, w: x.cumsum(0),
    "pow": lambda x, w: x**2,
    "native_layer_norm": lambda x, w: F.layer_norm(x, (4,)),
    "add_": lambda x, w: x.clone().add_(1),
    "scatter": lambda x, w: x.scatter(0, torch.zeros(1, 4, dtype=torch.long), w, reduce="add"),
    "index_put": lambda x, w: x.index_put((torch.tensor([0, 0]),), w[:2], accumulate=True),
    "embedding": lambda x, w: F.embedding(x.long().abs(), w),
}


@pytest.mark.parametrize("operation", UNSEEN)
def test_an_operation_that_gets_past_the_meter_is_named(counting, operation):
    net = Own(UNSEEN[operation])
    with pytest.raises(UncountedError, match=rf"inner\.1 \(Apply\) runs aten\.{operation}\b"):
        counting.metered(net, torch.randint(0, 2, (3, 4)).float())


FREE = {
    "views": lambda x, w: x.t().reshape(2, -1)[..., 1:].unsqueeze(0).expand(3, -1, -1),
    "copies": lambda x, w: torch.cat([torch.stack([x, x.clone()]).flatten(), x.new_zeros(3)]),
    "choice": lambda x, w: torch.where(x > 0, x, -x)[x.argmax(0)].max(0).values,
    "activation": lambda x, w: F.softmax(F.relu(torch.tanh(x)), -1),
    "pool": lambda x, w: F.max_pool1d(x[:, None], 2),
}


@pytest.mark.parametrize("operation", FREE)
def test_moving_and_choosing_is_free(counting, operation):
    assert list(counting.metered(Own(FREE[operation]), torch.ones(3, 4)).layers) == ["inner.0"]


KNOWN_BY_NOBODY = [
    nn.Bilinear(4, 4, 2),
    nn.MultiheadAttention(4, 1),
    nn.TransformerEncoderLayer(4, 1, 8, batch_first=True),
    nn.ConvTranspose1d(4, 2, 3),
    nn.GroupNorm(2, 4),
]


@pytest.mark.parametrize("layer", KNOWN_BY_NOBODY, ids=lambda layer: type(layer).__name__)
def test_a_layer_that_nobody_knows_is_named(counting, layer):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.strange = layer

        def forward(self, x):
            arguments = {nn.Bilinear: 2, nn.MultiheadAttention: 3}.get(type(self.strange), 1)
            return self.strange(*[x] * arguments)

    # A transformer's first unknown operation is its attention's.
    kind = f"{type(layer).__name__}|MultiheadAttention"
    with pytest.raises(UncountedError, match=rf"strange\S* \(({kind})\) runs aten"):
        counting.metered(Net(), torch.randn(2, 4, 4))


class Changed(snn.Leaky):
    def _base_state_function(self, input_):
        return super()._base_state_function(input_) * 2


class Other(RLIF):
    @staticmethod
    def step(*args):
        return lif_step(*args)


class Scaled(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 3


def test_derived_neurons_and_layers_are_not_taken_for_their_parents(counting):
    x = torch.ones(2, 4)
    with pytest.raises(UncountedError, match="Changed is derived from a neuron of snnTorch"):
        counting.metered(nn.Sequential(nn.Linear(4, 4), Changed(beta=0.9, init_hidden=True)), x)
    with pytest.raises(UncountedError, match="1: no meter knows what an update of Other costs"):
        counting.metered(nn.Sequential(nn.Linear(4, 4), Other(linear_features=4)), x)
    with pytest.raises(UncountedError, match=r"0 \(Scaled\) runs aten.addmm"):
        counting.metered(nn.Sequential(Scaled(4, 4)), x)
    net = SRNN(4, [3], 2)
    net.layers[0].neuron.plasticity = object()
    with pytest.raises(UncountedError, match=r"layer1\.neuron: no meter knows what its plasticity"):
        counting.metered(net, x[None])


@pytest.mark.parametrize("place", ["readout.projection", "layers.0.neuron", "layers.0", ""])
def test_a_hook_may_look_but_not_compute(counting, place):
    """Also within a part that is counted as a whole, whose own arithmetic is its own affair."""
    net, x = SRNN(4, [3], 2), torch.ones(5, 2, 4)
    expected = counting.metered(net, x).total()
    seen = []
    part = net.get_submodule(place)
    looking = part.register_forward_hook(lambda module, args, output: seen.append(output))
    assert counting.metered(net, x).total() == expected
    assert seen or place == "layers.0.neuron"  # whose call is none, on a sequence
    looking.remove()
    computing = lambda module, args: (args[0] * 2, *args[1:])  # noqa: E731
    part.register_forward_pre_hook(computing)
    before = list(part._forward_pre_hooks.values())
    if seen:
        with pytest.raises(UncountedError, match=r"a hook of \w+\) runs aten.mul"):
            counting.metered(net, x)
    assert list(part._forward_pre_hooks.values()) == before == [computing]


def test_a_forward_of_an_instance_s_own_is_refused(counting):
    net = SRNN(4, [3], 2)
    projection = net.readout.projection
    projection.forward = lambda x: F.linear(x, projection.weight) * 3
    with pytest.raises(UncountedError, match=r"readout.projection is a Linear with a forward of"):
        counting.metered(net, torch.ones(5, 2, 4))
    with pytest.raises(UncountedError, match="0 is a Linear with a forward of its own"):
        counting.metered(nn.Sequential(projection), torch.ones(5, 3))


@pytest.mark.parametrize("shape", [(7, 3, 9), (5, 7, 3, 9)], ids=["a step", "a sequence"])
def test_lines_have_two_dimensions_of_features(shape):
    """[batch, channels, length] is a step of seven samples, and no sequence of seven steps."""
    net = nn.Sequential(nn.Conv1d(3, 2, 3, bias=False), nn.Flatten(-2))
    with torch.no_grad(), SynOpMeter(net) as meter:
        for x in torch.ones(shape).reshape(-1, 7, 3, 9) if len(shape) == 4 else [torch.ones(shape)]:
            net(x)
    assert meter.samples == 7
    steps = 5 if len(shape) == 4 else 1
    assert meter.total().ac == steps * 7 * 2 * 3 * 3 * 7  # outputs x inputs x width x places


@pytest.mark.parametrize("timewise", [False, True])
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("kind", [SRNN, LSTM])
def test_pieces_of_a_sequence_are_no_samples_of_their_own(kind, by_name, timewise):
    net, x = kind(4, [6], 2, readout="stream"), torch.rand(10, 3, 4).round()
    counts = []
    for pieces in (x.split(10), x.split(4)):
        state = None
        with (
            torch.no_grad(),
            SynOpMeter(net, timewise=timewise) as meter,
            SpikeMeter(net) as spikes,
        ):
            for piece in pieces:
                _, record = net(piece, state=state) if by_name else net(piece, state)
                state = record.state
        steps = meter.over_time().tolist() if timewise else None
        counts.append((meter.samples, spikes.samples, meter.per_sample(), steps))
    assert counts[0] == counts[1]
    assert counts[0][0] == 3


def test_a_compiled_module_is_refused(counting):
    with pytest.raises(UncountedError, match="compiled"):
        counting.metered(torch.compile(nn.Linear(4, 4), backend="eager"), torch.ones(2, 4))


def test_an_error_leaves_nothing_behind(counting):
    net, x = Own(UNSEEN["mul"]), torch.ones(3, 4)
    net.train()
    for _ in range(2):
        with pytest.raises(UncountedError):
            counting.metered(net, x)
    assert net.inner[1].training
    assert not any("forward" in vars(part) for part in net.modules())
    torch.testing.assert_close(net(x), net.inner[0](x) * 0.9)


def test_meters_do_not_change_what_a_network_computes(counting):
    net, x = SRNN(4, [5], 3), (torch.rand(9, 2, 4) < 0.3).float()
    with torch.no_grad():
        expected, _ = net(x)
        with SynOpMeter(net), SynOpMeter(net, timewise=True):
            found, _ = net(x)
    assert torch.equal(found, expected)


def test_a_module_can_be_taught(counting):
    class Residual(nn.Module):
        def forward(self, x):
            return x + x.relu()

    net, x = nn.Sequential(nn.Linear(4, 4), Residual()), torch.ones(3, 4)
    with pytest.raises(UncountedError, match="Residual"):
        counting.metered(net, x)
    register(Residual, lambda call: {"sum": work(1, ac=call.output.numel())})
    assert counting.terms(counting.metered(net, x).layers["1"]) == {"sum": (12, 0, 12, 0)}
    with pytest.raises(ValueError, match="know Residual already"):
        register(Residual, lambda call: {})


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 5), snn.RLeaky(beta=0.8, linear_features=5)


def test_a_network_that_is_stepped_by_hand():
    net, x = ByHand(), (torch.rand(9, 2, 4) < 0.5).float()
    spikes = []

    def step(net, x):
        spk, mem = net.lif.reset_mem()
        for now in x:
            spk, mem = net.lif(net.fc(now), spk, mem)
            spikes.append(spk)

    found = measure(net, [x, (x, None)], step=step, timewise=True)
    assert found.samples == 4
    assert found.steps == 9
    assert found.layers["fc"].terms["synapses"].ac.sum() == 2 * x.sum() * 5
    assert found.over_time().shape == (4, 9)
    assert found.spikes["lif"].spikes == sum(int(S.sum()) for S in spikes)
    with pytest.raises(UncountedError, match=r"step \(what you gave\) runs aten.mul"):
        measure(net, [x], step=lambda net, x: net.fc(x[0]) * 2)


def test_batches_begin_from_the_initial_state_whatever_came_before():
    net, x = SRNN(4, [5], 3, threshold=0.02), (torch.rand(9, 4, 4) < 0.5).float()
    whole, halves = measure(net, [x]), measure(net, [x[:, :2], x[:, 2:]])
    assert whole.total() == halves.total()
    assert whole.per_sample() == halves.per_sample()
    stateful = nn.Sequential(nn.Linear(4, 5), snn.Leaky(beta=0.9, init_hidden=True))
    run = lambda net, x: [net(now) for now in x]  # noqa: E731
    assert measure(stateful, [x], step=run).total() == measure(stateful, [x], step=run).total()
    reset(stateful)


def test_time_that_cannot_be_kept_apart_is_refused():
    net = nn.Sequential(nn.Linear(4, 4))
    twice = lambda net, x: [net(x[0]) for _ in range(5)]  # noqa: E731
    with pytest.raises(ValueError, match="0 ran over 5 steps in a sequence of 3"):
        measure(net, [torch.ones(3, 2, 4)], step=twice, timewise=True)
    with pytest.raises(ValueError, match="timewise=True"):
        measure(net, [torch.ones(3, 2, 4)]).over_time()


def test_nothing_to_measure_is_an_error():
    net = nn.Linear(4, 4)
    with pytest.raises(ValueError, match="at least one batch"):
        measure(net, [])
    with pytest.raises(ValueError, match=r"shape \[time, batch, ...\], got \[4\]"):
        measure(net, [torch.ones(4)])
    with pytest.raises(ValueError, match="run the network while the meter is on"):
        SynOpMeter(net).per_sample()


@pytest.mark.parametrize("bits", [False, True])
def test_a_spiking_network_runs_on_events_under_a_meter_as_without(bits, monkeypatch):
    torch.manual_seed(0)
    net = SRNN(70, [8], 3)
    dense = (torch.rand(12, 5, 70) < 0.3).float()
    batch = EventBatch.of(dense)
    if bits:
        rows, on = dense.flatten(0, 1).nonzero().numpy().T
        batch = batch._replace(events=Bits(pack(rows, on, (12, 5, 70)).words.flatten(0, 1)))
    seen = []
    monkeypatch.setattr(EventBatch, "dense", lambda self, dtype: seen.append(self))
    with SynOpMeter(net) as meter, torch.no_grad():
        net(batch)
    assert not seen
    with SynOpMeter(net) as expected, torch.no_grad():
        net(dense)
    assert meter.samples == 5
    assert meter.per_sample() == expected.per_sample()


class Wrapped(nn.Module):
    """A layer inside a network."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_layer_that_puts_the_batch_first_is_refused(kind):
    layer, x = kind(4, 3, batch_first=True), torch.ones(2, 7, 4)
    for network in (layer, Wrapped(layer)):
        with pytest.raises(ValueError, match="batch_first"):
            measure(network, [x])
    with pytest.raises(ValueError, match="batch_first"):
        SynOpMeter(Wrapped(layer))


@pytest.mark.parametrize("write", ["in place", "data", "numpy"])
def test_an_input_that_is_written_again_is_read_again(write):
    linear, array = nn.Linear(6, 5), np.zeros((2, 6), np.float32)
    buffer = torch.from_numpy(array)
    with torch.inference_mode(), SynOpMeter(linear) as meter:
        for ones in range(6):
            x = torch.zeros(2, 6)
            x[:, :ones] = 1
            if write == "in place":
                buffer.copy_(x)
            elif write == "data":
                buffer.data.copy_(x)
            else:
                array[:] = x.numpy()
            linear(buffer)
    biases = 6 * 2 * 5
    assert meter.total().ac == 2 * 5 * sum(range(6)) + biases
