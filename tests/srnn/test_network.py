"""SRNN: what it computes, what it records, how it starts and what it refuses."""

import pytest
import torch
from torch import nn

from srnn import SRNN, Layer, Readout, Record, detach
from srnn.neurons import ALIF, LIF, RALIF, RLIF, TimeConstant

STEPS, BATCH, CHANNELS = 15, 4, 6
TAUS = {"tau_mem": "uniform(2, 20)", "threshold": 0.1}
READOUTS = ["softmax-sum", "mean", "last", "count", "stream"]
inputs_of = pytest.fixture(lambda: (torch.rand(STEPS, BATCH, CHANNELS) < 0.4).float() * 3)


def make(hidden=(8, 5), readout="softmax-sum", **options):
    torch.manual_seed(4)
    return SRNN(CHANNELS, list(hidden), 3, readout=readout, **(TAUS | options))


@pytest.mark.parametrize("kind", [LIF, RLIF, ALIF, RALIF])
def test_it_computes_what_its_parts_compute(kind, inputs_of, monkeypatch):
    # The other kernels round otherwise where they compute the projection themselves.
    monkeypatch.setenv("SRNN_KERNEL", "reference")
    network = make(neuron=kind)
    logits, record = network(inputs_of, keep_spikes=True, keep_membranes=True)
    signal = inputs_of
    for i, layer in enumerate(network.layers):
        signal, state, membrane = layer.neuron.forward_sequence(
            layer.projection(signal), return_membrane=True
        )
        assert signal.any()
        assert torch.equal(record.spikes[i], signal)
        assert torch.equal(record.membranes[i], membrane)
        for a, b in zip(record.state[i], state, strict=True):
            assert torch.equal(a, b)
    expected, _, _ = network.readout(signal)
    assert torch.equal(logits, expected)


@pytest.mark.parametrize("readout", READOUTS)
def test_counts_are_the_sums_of_the_spikes(readout, inputs_of):
    network = make(readout=readout)
    _, record = network(inputs_of, keep_spikes=True)
    assert record.steps == STEPS
    assert len(record.counts) == len(network.layer_names()) == len(record.spikes)
    assert network.layer_names()[:2] == ["layer1", "layer2"]
    assert (network.layer_names()[2:] == ["readout"]) == (readout == "count")
    for counts, spikes in zip(record.counts, record.spikes, strict=True):
        assert torch.equal(counts, spikes.sum(0))
    for rate, spikes in zip(record.rates(), record.spikes, strict=True):
        assert rate == pytest.approx(spikes.mean().item())
    assert record.rates()[0] > 0


def test_layers_given_one_time_constant_learn_their_own():
    held = TimeConstant(5.0)
    taus = [layer.neuron.tau_mem for layer in make(tau_mem=held).layers]
    assert len({id(tau.theta) for tau in (held, *taus)}) == 3
    assert all(torch.equal(tau.theta, held.theta) for tau in taus)
    with pytest.raises(ValueError, match="has 8 values, the layer 5 neurons"):
        make(tau_mem=TimeConstant(5.0, 8))


def test_nothing_is_kept_that_nobody_asked_for(inputs_of):
    _, record = make()(inputs_of)
    assert record.spikes is None
    assert record.membranes is None


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cuts", [(7,), (1, 14)])
def test_pieces_with_carried_state_equal_the_whole(readout, cuts, inputs_of):
    network = make(readout=readout)
    whole, complete = network(inputs_of)
    state, outputs, counts = None, [], 0
    for piece in torch.tensor_split(inputs_of, cuts):
        logits, record = network(piece, state)
        state = detach(record.state)
        outputs.append(logits)
        counts = counts + record.counts[0]
    last = torch.cat(outputs) if readout == "stream" else outputs[-1]
    # Not to the last bit: a projection of fewer steps may sum in another order.
    torch.testing.assert_close(last, whole)
    assert torch.equal(counts, complete.counts[0])


def test_a_reset_mask_reaches_every_layer(inputs_of):
    network = make(readout="stream")
    mask = torch.zeros(STEPS, BATCH)
    mask[6] = 1
    logits, _ = network(inputs_of, reset=mask)
    anew, _ = network(inputs_of[6:])
    plain, _ = network(inputs_of)
    torch.testing.assert_close(logits[6:], anew)  # projections of fewer steps, as above
    assert not torch.equal(logits[6:], plain[6:])


def test_detach_cuts_the_graph_and_keeps_the_types(inputs_of):
    _, record = make(readout="count")(inputs_of)
    state = detach(record.state)
    assert type(state) is tuple

    def compare(cut, kept):
        assert type(cut) is type(kept)
        if isinstance(kept, torch.Tensor):
            assert not cut.requires_grad
            assert torch.equal(cut, kept)
        elif isinstance(kept, tuple):
            for a, b in zip(cut, kept, strict=True):
                compare(a, b)
        else:
            assert cut == kept

    compare(state, record.state)
    assert record.state[0].membrane.requires_grad
    assert isinstance(detach(record), Record)
    assert detach(None) is None


def test_windows_of_truncated_backpropagation_share_no_graph(inputs_of):
    network, state = make(readout="count"), None
    for piece in inputs_of.split(5):
        logits, record = network(piece, state)
        nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
        state = detach(record.state)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_the_published_network_has_the_published_number_of_parameters():
    network = SRNN(700, [128, 128], 20)
    taus = sum(m.theta.numel() for m in network.modules() if isinstance(m, TimeConstant))
    total = sum(p.numel() for p in network.parameters())
    assert total - taus == 141844
    assert taus == 4 * 128 + 20


def test_it_starts_as_the_published_code_does():
    network = make(hidden=(8, 8), recurrent_gain=0.5)
    for layer in network.layers:
        weight = layer.neuron.recurrent.weight
        torch.testing.assert_close(weight @ weight.T, 0.25 * torch.eye(8))
        assert not layer.neuron.recurrent.bias.any()
        assert not layer.projection.bias.any()
        below = layer.projection.in_features
        limit = (6 / (8 + below)) ** 0.5
        assert 0.8 * limit < layer.projection.weight.abs().max() <= limit
    wide = make(hidden=(8, 8), input_gain=3.0).layers[0].projection.weight
    torch.testing.assert_close(wide, 3 * make(hidden=(8, 8)).layers[0].projection.weight)
    silent = make(recurrent_gain=0.0)
    assert not any(layer.neuron.recurrent.weight.any() for layer in silent.layers)


def test_a_module_may_stand_between_projection_and_neuron(inputs_of):
    class Delay(nn.Module):
        def forward(self, current):
            return torch.cat([torch.zeros_like(current[:1]), current[:-1]])

    widths = []
    plain = make()
    delayed = make(between=lambda width: widths.append(width) or Delay())
    assert widths == [8, 5]
    delayed.load_state_dict(plain.state_dict())
    _, record = delayed(inputs_of, keep_spikes=True)
    shifted = torch.cat([torch.zeros(1, BATCH, 8), plain.layers[0].projection(inputs_of)[:-1]])
    expected, _ = plain.layers[0].neuron.forward_sequence(shifted)
    assert torch.equal(record.spikes[0], expected)


def test_time_constants_are_reported_by_name():
    network = make(tau_adapt=30.0)
    taus = network.time_constants()
    assert list(taus) == [
        "layer1.tau_mem",
        "layer1.tau_adapt",
        "layer2.tau_mem",
        "layer2.tau_adapt",
        "readout.tau_mem",
    ]
    torch.testing.assert_close(taus["layer2.tau_adapt"], torch.full((5,), 30.0))
    assert torch.equal(taus["layer1.tau_mem"], network.layers[0].neuron.tau_mem.tau.detach())
    assert not any(tau.requires_grad for tau in taus.values())
    before = network.layers[0].neuron.tau_mem.tau.clone()
    taus["layer1.tau_mem"].zero_()
    assert torch.equal(network.layers[0].neuron.tau_mem.tau, before)


def test_integer_inputs_and_double_networks_are_taken():
    network = make().double()
    events = torch.randint(0, 2, (STEPS, BATCH, CHANNELS), dtype=torch.uint8)
    logits, record = network(events)
    assert logits.dtype == record.counts[0].dtype == torch.float64


def test_the_state_dict_holds_no_state(inputs_of):
    network = make()
    names = set(network.state_dict())
    network(inputs_of)
    assert set(network.state_dict()) == names
    make(recurrent_gain=0.3).load_state_dict(network.state_dict())


def test_every_parameter_gets_a_gradient(inputs_of):
    for readout in READOUTS:
        network = make(readout=readout)
        logits, _ = network(inputs_of)
        (logits * torch.randn_like(logits)).sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad.any(), (readout, name)


@pytest.mark.parametrize(
    ("make_one", "message"),
    [
        (lambda: SRNN(4, [], 2), r"one or more hidden layers .* got 4, \[\] and 2"),
        (lambda: SRNN(0, [3], 2), r"at least one channel.* got 0, \[3\] and 2"),
        (lambda: SRNN(4, [3, 0], 2), r"got 4, \[3, 0\] and 2"),
        (lambda: SRNN(4, [3], 0), r"one class; got 4, \[3\] and 0"),
        (lambda: SRNN(4, [3], 2, readout="vote"), "Unknown readout 'vote'"),
        (lambda: SRNN(4, [3], 2, tau_mem=-1.0), "must be positive, got -1"),
        (lambda: SRNN(4, [3], 2, readout=Readout(4, 2, burn_in=-2)), "got -2"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make_one, message):
    with pytest.raises(ValueError, match=message):
        make_one()


@pytest.mark.parametrize("shape", [(STEPS, BATCH, CHANNELS + 1), (STEPS, CHANNELS), (2, 3, 4, 6)])
def test_inputs_of_another_shape_are_refused_by_name(shape):
    with pytest.raises(ValueError, match=r"inputs of shape \[time, batch, 6\], got ") as error:
        make()(torch.zeros(shape))
    assert str(list(shape)) in str(error.value)


def test_a_reset_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\[time, batch\] = \[15, 4\], got \[15\]"):
        make(readout="stream")(torch.zeros(STEPS, BATCH, CHANNELS), reset=torch.zeros(STEPS))


def test_a_layer_is_a_projection_and_a_neuron(inputs_of):
    layer = Layer(nn.Linear(CHANNELS, 4), RLIF(linear_features=4, **TAUS))
    spikes, state = layer(inputs_of)
    expected, _ = layer.neuron.forward_sequence(layer.projection(inputs_of))
    assert torch.equal(spikes, expected)
    assert torch.equal(state.spikes, spikes[-1])


def test_spikes_do_not_depend_on_the_scale_of_the_threshold():
    """What docs/training.md says; a power of two changes no mantissa, hence no spike at all."""
    scale = 128.0
    torch.manual_seed(0)
    unit = SRNN(3, [8], 2, threshold=1 / scale, adaptation_strength=4 / scale)
    large = SRNN(3, [8], 2, threshold=1.0, adaptation_strength=4.0)
    weights = unit.state_dict()
    for name, value in weights.items():
        if name.startswith("layers") and name.endswith(("weight", "bias")):
            weights[name] = value * scale
        elif name.endswith(("threshold", "adaptation_strength")):
            weights[name] = large.state_dict()[name]
    large.load_state_dict(weights)
    inputs = torch.rand(200, 4, 3)
    spikes = [net(inputs, keep_spikes=True)[1].spikes[0] for net in (unit, large)]
    assert 0.01 < spikes[0].mean().item() < 0.9
    assert torch.equal(*spikes)
