"""Layers and networks on the kernels: hooks, events, spikes handed from layer to layer."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from srnn import SRNN, Layer
from srnn.neurons import ALIF, LI, LIF, RALIF, RLIF
from srnn.neurons.kernels import EventBatch, Events, cpu_backend, events, library, sequence
from srnn.neurons.kernels.events import counts_of, note, noted
from srnn.neurons.kernels.problem import Bits

KERNELS = ["torch", *([] if library.reason() else ["cpu"])]
CLOSE = {"rtol": 1e-10, "atol": 1e-10}
kernels = pytest.mark.parametrize("kernel", KERNELS)


@pytest.fixture
def use(monkeypatch):
    """Set the kernel."""
    return lambda kernel: monkeypatch.setenv("SRNN_KERNEL", kernel)


@pytest.fixture
def asked(monkeypatch):
    """Collect the problems that are solved."""
    problems = []
    solve = sequence.solve
    monkeypatch.setattr(
        sequence,
        "solve",
        lambda problem, *a, **k: problems.append(problem) or solve(problem, *a, **k),
    )
    return problems


def network(**options):
    torch.manual_seed(3)
    return SRNN(7, [9, 6], 5, input_gain=3.0, **options).double()


def inputs_of(steps=25, batch=4):
    return (torch.rand(steps, batch, 7) < 0.3).double()


def everything(net, inputs, state=None, **options):
    """Logits, counts, membranes and gradients of a run."""
    logits, record = net(inputs, state, keep_membranes=True, **options)
    loss = logits.pow(2).sum() + record.membranes[0].sum() + record.counts[1].pow(2).sum()
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    return [logits, *record.counts, *record.membranes, *gradients]


def check_close(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


@kernels
@pytest.mark.parametrize("neuron", [LIF, RLIF, ALIF, RALIF])
@pytest.mark.parametrize("readout", ["softmax-sum", "count", "stream"])
def test_a_network_agrees_with_the_reference(kernel, neuron, readout, use):
    net, inputs = network(neuron=neuron, readout=readout), inputs_of()
    mask = (torch.rand(25, 4) < 0.1) if readout == "stream" else None
    use("reference")
    expected = everything(net, inputs, reset=mask)
    use(kernel)
    check_close(everything(net, inputs, reset=mask), expected)
    assert expected[1].any()


@kernels
def test_a_carried_state_is_differentiable(kernel, use):
    net, inputs = network(), inputs_of()

    def gradients():
        _, record = net(inputs[:10])
        logits, _ = net(inputs[10:], record.state)
        return torch.autograd.grad(logits.pow(2).sum(), list(net.parameters()))

    use("reference")
    expected = gradients()
    use(kernel)
    check_close(gradients(), expected)


@kernels
def test_pieces_equal_the_whole(kernel, use):
    use(kernel)
    net, inputs = network(), inputs_of()
    whole, record = net(inputs, keep_spikes=True)
    state, spikes = None, []
    for piece in torch.tensor_split(inputs, (1, 8)):
        logits, part = net(piece, state, keep_spikes=True)
        state = part.state
        spikes.append(part.spikes[1])
    assert torch.equal(torch.cat(spikes), record.spikes[1])
    torch.testing.assert_close(logits, whole, **CLOSE)


def test_a_final_state_does_not_hold_on_to_the_sequence(use):
    use("torch")
    _, state = RALIF(linear_features=3).forward_sequence(torch.rand(50, 2, 3))
    assert state.spikes.untyped_storage().nbytes() == 2 * 3 * 4


@kernels
def test_a_plain_projection_goes_into_the_kernel(kernel, use, asked):
    use(kernel)
    network()(inputs_of())
    assert [problem.current for problem in asked] == [None] * 3
    assert [len(problem.projection) for problem in asked] == [9, 6, 5]


def hooked(net):
    net.layers[0].projection.register_forward_hook(lambda module, args, out: 2 * out)


def normed(net):
    weight_norm(net.layers[0].projection)


def replaced(net):
    linear = net.layers[0].projection
    linear.forward = lambda x: nn.functional.linear(x, 2 * linear.weight)


def patched(net):
    net.layers[0].between = nn.LayerNorm(9).double()


@kernels
@pytest.mark.parametrize("change", [hooked, normed, replaced, patched])
def test_whatever_hangs_on_a_projection_is_honoured(kernel, change, use, asked):
    net, inputs = network(), inputs_of()
    change(net)
    use("reference")
    expected = net(inputs)[1].counts
    use(kernel)
    check_close(net(inputs)[1].counts, expected)
    assert asked[0].current is not None
    assert asked[1].inputs is not None


@kernels
@pytest.mark.filterwarnings("ignore:Full backward hook")  # at the first step, on data
def test_gradients_reach_hooks_on_projection_and_recurrence(kernel, use):
    use(kernel)
    net, seen = network(), []
    below, above = net.layers
    for module in (above.projection, below.neuron.recurrent):
        module.register_full_backward_hook(lambda module, *_: seen.append(module))
    net(inputs_of())[0].sum().backward()
    assert above.projection in seen
    assert below.neuron.recurrent in seen


@kernels
def test_hooks_of_layers_see_dense_tensors_and_may_replace_them(kernel, use):
    use(kernel)
    net, inputs = network(), inputs_of()
    seen = []

    def silence(layer, args, out):
        seen.append((args[0], out[0]))
        return (torch.zeros_like(out[0]), *out[1:])

    handle = net.layers[0].register_forward_hook(silence)
    _, record = net(EventBatch.of(inputs))
    assert torch.equal(seen[0][0], inputs)
    assert seen[0][1].any()
    assert not record.counts[0].any()
    handle.remove()
    assert not torch.equal(net(inputs)[1].counts[1], record.counts[1])

    def silence_in_place(layer, args, out):
        with torch.no_grad():
            out[0].zero_()

    net.layers[0].register_forward_hook(silence_in_place)
    again = net(inputs)[1]
    assert not again.counts[0].any()
    assert torch.equal(again.counts[1], record.counts[1])


UNSEEN = {
    "data": lambda spikes: spikes.data.zero_(),
    "numpy": lambda spikes: spikes.detach().numpy().fill(0),
}


@kernels
@pytest.mark.parametrize("write", UNSEEN)
@pytest.mark.parametrize("place", ["layers.1", "layers.1.projection", "readout"])
def test_what_a_hook_writes_unseen_is_computed_with_and_counted(kernel, use, place, write):
    """No version tells of it; a hook of the layer above is handed the spikes as well."""
    net, inputs = network(), inputs_of()

    def silence(module, args):
        UNSEEN[write](args[0])

    net.get_submodule(place).register_forward_pre_hook(silence)
    use("reference")
    expected, record = net(inputs)
    use(kernel)
    found, again = net(inputs)
    torch.testing.assert_close(found, expected)
    below = 1 if place == "readout" else 0
    assert not again.counts[below].any()
    for ours, theirs in zip(again.counts, record.counts, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.skipif("cpu" not in KERNELS, reason="no other kernel makes bits")
def test_spikes_are_handed_on_as_bits(use, asked):
    use("cpu")
    net = network()
    net(inputs_of())
    assert asked[0].events is None
    assert isinstance(asked[1].events, Bits)
    assert isinstance(asked[2].events, Bits)


def test_a_note_lives_and_dies_with_its_tensor():
    spikes, counts = torch.ones(4, 2, 3), torch.full((2, 3), 4.0)
    note(spikes, counts, None)
    assert noted(spikes).counts is counts
    assert counts_of(spikes) is counts
    assert noted(spikes.clone()) is None
    spikes[0] = 0
    assert noted(spikes) is None
    assert torch.equal(counts_of(spikes), torch.full((2, 3), 3.0))
    held = len(events._notes)
    del spikes
    assert len(events._notes) == held - 1
    with torch.inference_mode():
        spikes = torch.ones(4, 2, 3)
        note(spikes, counts, None)
        assert noted(spikes) is None


@pytest.mark.parametrize("kernel", ["reference", *KERNELS])
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_events_are_an_input_too(kernel, scale, use):
    use(kernel)
    net, inputs = network(), inputs_of() * scale
    batch = EventBatch.of(inputs)
    assert torch.equal(batch.dense(torch.float64), inputs)
    assert (batch.events.values is None) == (scale == 1)
    check_close(everything(net, batch), everything(net, inputs))


@pytest.mark.skipif("cpu" not in KERNELS, reason="no compiled kernel")
@pytest.mark.parametrize("channels", [1, 5, 40])
def test_an_event_on_every_channel_is_a_dense_input(channels, use, asked):
    """The library is given it as one, not as lists, and answers the same to the last bit."""
    torch.manual_seed(4)
    layer = Layer(nn.Linear(channels, 24), RALIF(linear_features=24))
    dense = torch.rand(30, 6, channels) + 0.1
    found = []
    use("cpu")
    for inputs in (dense, EventBatch.of(dense)):
        layer.zero_grad()
        spikes, state = layer(inputs)
        (spikes.sum() + state.membrane.square().sum()).backward()
        found.append([spikes, state.membrane, *(p.grad for p in layer.parameters())])
    given = cpu_backend._Prepared(asked[-1], None, None).call
    assert asked[-1].events is not None
    assert given.inputs == asked[-1].events.values.data_ptr()
    assert not given.offsets
    assert found[0][0].sum() > 10
    for one, other in zip(*found, strict=True):
        assert one.equal(other)


def test_events_that_do_not_fit_are_refused():
    batch = EventBatch.of(inputs_of())
    offsets, channels, _ = batch.events
    wrong = {
        "offsets of events must be int64 of shape": Events(offsets[1:], channels),
        "offsets of events must rise": Events(offsets + 1, channels),
        "There must be a value": Events(offsets, channels, torch.ones(3)),
        "must be int32": Events(offsets, channels.long()),
        r"must lie in 0 .. 6, got 0 .. 7": Events(offsets, torch.where(channels == 6, 7, channels)),
    }
    for message, given in wrong.items():
        with pytest.raises(ValueError, match=message):
            network()(batch._replace(events=given))
    with pytest.raises(ValueError, match=r"shape \[time, batch, 7\], got \[25, 4, 8\]"):
        network()(batch._replace(shape=(25, 4, 8)))
    with pytest.raises(ValueError, match=r"\[time, batch, channels\], got \[3\]"):
        EventBatch.of(torch.ones(3))


def test_events_move_between_devices_whole():
    batch = EventBatch.of(inputs_of()).to("meta")
    assert {part.device.type for part in batch.events if part is not None} == {"meta"}
    assert batch.events.channels.dtype == torch.int32
    assert batch.shape == (25, 4, 7)


class Counting(LIF):
    """A layer that runs its sequences itself."""

    def forward_sequence(self, input_, state=None, *, reset=None, return_membrane=False):
        self.shape = input_.shape
        return super().forward_sequence(input_, state, reset=reset, return_membrane=return_membrane)


@kernels
def test_a_layer_of_its_own_is_given_a_current(kernel, use):
    use(kernel)
    layer = Layer(nn.Linear(7, 3), Counting(beta=0.9))
    layer(torch.rand(5, 2, 7))
    assert layer.neuron.shape == (5, 2, 3)


def test_a_projection_of_another_width_is_refused():
    with pytest.raises(ValueError, match=r"\[time, batch, 7\], got \[5, 2, 6\]"):
        LI(3).forward_sequence(torch.rand(5, 2, 6), projection=nn.Linear(7, 3))
    with pytest.raises(ValueError, match=r"\[time, batch, 3\], got \[5, 2, 4\]"):
        RLIF(linear_features=3).forward_sequence(torch.rand(5, 2, 7), projection=nn.Linear(7, 4))


def test_an_optimiser_s_step_is_seen(use):
    """Nothing of the weights is kept from one call to the next."""
    for kernel in KERNELS:
        use(kernel)
        net, inputs = network(), inputs_of()
        before = net(inputs)[0]
        with torch.no_grad():
            net.layers[0].projection.weight.mul_(1.5)
        after = net(inputs)[0]
        use("reference")
        torch.testing.assert_close(net(inputs)[0], after, **CLOSE)
        assert not torch.equal(before, after)
