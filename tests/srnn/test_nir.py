"""Networks through NIR and back: what a reader of the graph computes, and what comes back."""

import json
from collections import OrderedDict
from copy import deepcopy

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from srnn import SRNN, Delay, Layer, Readout, from_nir, to_nir
from srnn.neurons import ALIF, LI, LIF, RALIF, RLIF, TimeConstant, surrogate

CHANNELS, STEPS, BATCH = 5, 25, 3
AT_ONCE = {"reset_mechanism": "zero", "reset_delay": False}
EXACT = {**AT_ONCE, "threshold": 0.1, "tau_mem": "uniform(2, 30)"}
exactly = {"readout": "stream", "neuron": RLIF, **EXACT}
own = {"surrogate_disable": True, "learn_threshold": True}


def make(hidden=(6,), dtype=torch.float32, biased=True, **options):
    """A network whose biases, recurrent ones too, are not zero."""
    network = SRNN(CHANNELS, list(hidden), 3, input_gain=2.0, **options)
    if biased:
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.05)
    return network.to(dtype)


def inputs_of(dtype=torch.float32, steps=STEPS):
    return (torch.rand(steps, BATCH, CHANNELS) < 0.4).to(dtype) * 2


@torch.no_grad()
def results(network, inputs):
    logits, record = network(inputs, keep_spikes=True)
    return [logits, *record.spikes]


def assert_same(a, b):
    assert len(a) == len(b)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def assert_twins(network, twin):
    """Same modules, options, tensors and gradients wanted."""
    assert repr(network) == repr(twin)
    one, two = network.state_dict(), twin.state_dict()
    assert list(one) == list(two)
    for name, tensor in one.items():
        assert tensor.dtype == two[name].dtype
        assert torch.equal(tensor, two[name]), name
    wanted = [(name, p.requires_grad) for name, p in network.named_parameters()]
    assert wanted == [(name, p.requires_grad) for name, p in twin.named_parameters()]


def through_file(graph, folder):
    nir.write(folder / "network.nir", graph)
    return folder / "network.nir"


settled = settings(max_examples=60, deadline=None, derandomize=True)
shapes = st.lists(st.integers(1, 7), min_size=1, max_size=3)
seeds = st.integers(0, 2**31)
expressible = st.fixed_dictionaries(
    {
        "neuron": st.sampled_from([LIF, RLIF]),
        "between": st.sampled_from([None, lambda n: Delay(n, [i % 4 for i in range(n)])]),
    }
)
decays = st.sampled_from(
    [
        {"tau_mem": "uniform(2, 30)", "threshold": 0.1},
        {"tau_mem": 7.0, "threshold": 0.1},
        {"beta": 0.9, "threshold": 1.0},
        {"beta": 0.0, "threshold": 0.4},
        {"beta": 1.0, "threshold": 2.0},
    ]
)


# --------------------------------------------------------------------------- what goes out


@settled
@given(shapes, seeds, expressible, decays)
def test_another_reader_of_the_graph_gives_the_same_spikes(run_nir, hidden, seed, options, decay):
    torch.manual_seed(seed)
    network = make(hidden, torch.float64, readout="stream", **options, **decay, **AT_ONCE)
    inputs = inputs_of(torch.float64)
    read = run_nir(to_nir(network), inputs)
    logits, *spikes = results(network, inputs)
    for i, expected in enumerate(spikes, start=1):
        np.testing.assert_array_equal(read[f"layer{i}.neuron"], expected)
    np.testing.assert_allclose(read["output"], logits, rtol=0, atol=1e-12)


def test_the_networks_of_that_test_spike():
    rates = []
    for seed in range(5):
        torch.manual_seed(seed)
        rates += make((6, 6), **exactly)(inputs_of())[1].rates()
    assert 0.02 < min(rates) <= max(rates) < 0.7


def test_that_reader_would_notice(run_nir):
    """The control: a recurrence left out, or a step of another length, shows."""
    network = make((6, 6), torch.float64, **exactly)
    inputs = inputs_of(torch.float64)
    graph = to_nir(network)
    expected = run_nir(graph, inputs)["layer2.neuron"]
    assert (run_nir(graph, inputs, dt=2e-4)["layer2.neuron"] != expected).any()
    graph.nodes["layer1.recurrent"].weight[:] = 0
    assert (run_nir(graph, inputs)["layer2.neuron"] != expected).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_reader_in_double_precision_agrees_with_a_network_in_its_own(run_nir, dtype):
    network = make((9, 8), dtype, **exactly)
    inputs = inputs_of(dtype, steps=60)
    read = run_nir(to_nir(network), inputs)
    for i, expected in enumerate(results(network, inputs)[1:], start=1):
        np.testing.assert_array_equal(read[f"layer{i}.neuron"], expected)


def test_formulas_and_names():
    """tau = dt / (1 - alpha); r = g / (1 - alpha); the cycle; and the bias before it."""
    network = make(between=lambda n: Delay(n, 3), neuron=LIF, readout="stream", **EXACT)
    graph = to_nir(network, dt=2e-3)
    assert list(graph.nodes) == [
        *("input", "layer1.projection", "layer1.delay", "layer1.neuron"),
        *("readout.projection", "readout.neuron", "output"),
    ]
    np.testing.assert_allclose(graph.nodes["layer1.delay"].delay, np.full(6, 6e-3))
    alpha = network.layers[0].neuron.alpha.detach().double().numpy()
    lif = graph.nodes["layer1.neuron"]
    np.testing.assert_array_equal(lif.tau, 2e-3 / (1 - alpha))
    np.testing.assert_array_equal(lif.r, np.ones(6))

    layer = RLIF(beta=torch.linspace(0.1, 0.9, 4), threshold=2.0, linear_features=4, **AT_ONCE)
    alone = to_nir(layer)
    lif = alone.nodes["network.neuron"]
    np.testing.assert_allclose(lif.tau, 1e-4 / (1 - np.linspace(0.1, 0.9, 4)), rtol=1e-6)
    np.testing.assert_allclose(lif.r, lif.tau / 1e-4, rtol=1e-12)
    np.testing.assert_array_equal(lif.v_threshold, np.full(4, 2.0))
    cycle = [("network.neuron", "network.recurrent"), ("network.recurrent", "network.neuron")]
    assert set(cycle) < set(alone.edges)
    assert isinstance(alone.nodes["network.recurrent"], nir.Affine)

    projection = nn.Linear(3, 4)
    graph = to_nir(nn.Sequential(projection, layer))
    assert isinstance(graph.nodes["1.recurrent"], nir.Linear)
    bias = projection.bias + layer.recurrent.bias
    np.testing.assert_array_equal(graph.nodes["0.projection"].bias, bias.detach())


def test_a_decay_of_one_is_an_integrator():
    layer = LIF(beta=1.0, linear_features=2, **AT_ONCE)
    node = to_nir(layer).nodes["network.neuron"]
    assert isinstance(node, nir.IF)
    np.testing.assert_array_equal(node.r, np.full(2, 1e4))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "layer1: NIR cannot express an adaptive threshold; use LIF or RLIF"),
        ({"neuron": RLIF}, "layer1: NIR cannot express a reset by subtraction; make it with"),
        ({"neuron": LIF, "reset_mechanism": "none"}, "layer1: .* spikes without a reset"),
        ({"neuron": RLIF, "reset_mechanism": "zero"}, "layer1: .* one step after the spike"),
        ({**exactly, "readout": "mean"}, "readout: .* 'mean'; set readout.reduction = 'stream'"),
        ({**exactly, "readout": "count"}, "readout: .* adaptive threshold"),
        (
            {
                **exactly,
                "readout": Readout(6, 3, "stream", neuron=LIF(linear_features=3, **AT_ONCE)),
            },
            "readout: .* membranes of spiking neurons",
        ),
        ({**exactly, "neuron": LIF, "graded_spikes_factor": 2.0}, "layer1: .* graded spikes"),
    ],
)
def test_strict_refuses_by_name_and_otherwise_keeps_it(options, problem, tmp_path):
    network = make(**options)
    with pytest.raises(ValueError, match=f"^{problem}.*strict=False"):
        to_nir(network)
    twin = from_nir(through_file(to_nir(network, strict=False), tmp_path))
    assert_twins(network, twin)
    inputs = inputs_of()
    assert_same(results(network, inputs), results(twin, inputs))


def test_inhibition_is_refused():
    with pytest.warns(UserWarning, match="Inhibition"):
        layer = LIF(beta=0.5, linear_features=3, inhibition=True, **AT_ONCE)
    with pytest.raises(ValueError, match=r"^network: NIR cannot express inhibition"):
        to_nir(layer)
    assert from_nir(to_nir(layer, strict=False)).inhibition


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (lambda: nn.Sequential(nn.Conv2d(1, 1, 3)), "^0: to_nir does not know Conv2d"),
        (lambda: make(between=nn.LayerNorm), "^layer1.between: to_nir does not know LayerNorm"),
        (lambda: make(spike_grad=torch.sigmoid), "^layer1.neuron: its surrogate .* is code"),
        (lambda: make(state_quant=torch.round), "^layer1.neuron: its state_quant is code"),
        (
            lambda: RLIF(beta=0.5, conv2d_channels=2, kernel_size=3),
            "recurrence from all neurons to all",
        ),
        (lambda: RLIF(beta=0.5, all_to_all=False, V=0.5), "recurrence from all neurons to all"),
        (lambda: LIF(beta=0.5, conv2d_channels=2), "vectors of neurons, no images"),
        (lambda: LIF(beta=0.5), "^network: how many neurons .* linear_features"),
        (lambda: nn.Sequential(nn.Linear(3, 4), LI(5)), "^1: its neuron takes 5 values and gets 4"),
        (lambda: nn.Identity(), "no layer that NIR has a node for"),
        (
            lambda: LIF(beta=torch.tensor([0.5, 1.0]), linear_features=2, **AT_ONCE),
            "^network: neuron 1 has a membrane that does not decay",
        ),
        (
            lambda: LIF(beta=torch.tensor([0.5, 0.2]), linear_features=3, **AT_ONCE),
            "^network: it has 3 neurons and 2 values",
        ),
    ],
)
def test_what_neither_graph_nor_metadata_hold_is_refused(network, problem):
    with pytest.raises(ValueError, match=problem):
        to_nir(network(), strict=False)


def test_subclasses_pruned_and_shared_weights_and_unknown_parts_are_refused():
    class Mine(RLIF):
        """Might compute anything."""

    with pytest.raises(ValueError, match=r"layer1.neuron: to_nir does not know Mine"):
        to_nir(make(neuron=Mine), strict=False)
    for part, name in (("projection", "projection"), ("neuron.recurrent", r"neuron\.recurrent")):
        pruned = make()
        prune.l1_unstructured(pruned.layers[0].get_submodule(part), "weight", 0.5)
        with pytest.raises(
            ValueError, match=rf"^layer1\.{name}: .* does not know a weight that is"
        ):
            to_nir(pruned, strict=False)
    less = make()
    less.layers[0].neuron.recurrent = nn.Linear(6, 6, bias=False)
    with pytest.raises(ValueError, match=r"^layers\.0\.neuron\.recurrent\.bias: .* lacks"):
        to_nir(less, strict=False)
    more = make()
    more.layers[0].projection.register_buffer("mask", torch.ones(1))
    with pytest.raises(
        ValueError, match=r"^layers\.0\.projection\.mask: .* does not know this part"
    ):
        to_nir(more, strict=False)
    shared = make((4, 4))
    shared.layers[1].neuron.tau_mem = shared.layers[0].neuron.tau_mem
    with pytest.raises(ValueError, match=r"same parameter as layers.0.neuron.tau_mem.theta"):
        to_nir(shared, strict=False)
    plastic = make()
    plastic.layers[0].neuron.plasticity = nn.Identity()
    with pytest.raises(ValueError, match=r"^layer1.neuron: to_nir does not know its 'plasticity'"):
        to_nir(plastic, strict=False)
    for dt in (0.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="dt must be positive"):
            to_nir(make(), strict=False, dt=dt)


# ------------------------------------------------------------------------- what comes back


@settled
@given(
    shapes,
    seeds,
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    st.sampled_from([LIF, RLIF, ALIF, RALIF]),
    st.sampled_from(["softmax-sum", "mean", "last", "count", "stream"]),
    st.sampled_from(
        [
            {},
            {"tau_mem": "loguniform(2, 100)", "threshold": 0.05, "detach_reset": True},
            {"beta": 0.9, "learn_beta": True, "threshold": 0.5, "learn_threshold": True},
            {"beta": 0.7, "spike_grad": surrogate.fast_sigmoid(slope=10.0)},
            {"tau_mem": TimeConstant(7.0, parametrization="raw", learn=False), **own},
            {"beta": 0.9, "reset_mechanism": "none", "init_hidden": True, "output": True},
        ]
    ),
    st.booleans(),
)
def test_a_round_trip_through_a_file_keeps_every_spike(
    tmp_path_factory, hidden, seed, dtype, neuron, readout, options, delayed
):
    torch.manual_seed(seed)
    between = (lambda n: Delay(n, [i % 3 for i in range(n)])) if delayed else None
    network = make(hidden, dtype, neuron=neuron, readout=readout, between=between, **options)
    before = torch.get_rng_state()
    twin = from_nir(through_file(to_nir(network, strict=False), tmp_path_factory.mktemp("nir")))
    assert torch.equal(before, torch.get_rng_state())
    assert_twins(network, twin)
    inputs = inputs_of(dtype)
    assert_same(results(network, inputs), results(twin, inputs))


@settled
@given(shapes, seeds, expressible, decays, st.sampled_from([torch.float32, torch.float64]))
def test_a_strict_round_trip_keeps_every_spike(
    tmp_path_factory, hidden, seed, options, decay, dtype
):
    torch.manual_seed(seed)
    network = make(hidden, dtype, readout="stream", **options, **decay, **AT_ONCE)
    twin = from_nir(through_file(to_nir(network), tmp_path_factory.mktemp("nir")))
    assert_twins(network, twin)
    inputs = inputs_of(dtype)
    assert_same(results(network, inputs), results(twin, inputs))


def test_it_learns_on_as_the_original_does(tmp_path):
    """Gradients too: surrogate, detached reset and bounded time constants came back."""
    network = make((5, 4), spike_grad=surrogate.slayer(a=3.0), adaptation_strength=0.7)
    twin = from_nir(through_file(to_nir(network, strict=False), tmp_path))
    inputs = inputs_of()
    for each in (network, twin):
        each(inputs)[0].square().sum().backward()
    for one, two in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)
    assert any(p.grad.any() for n, p in network.named_parameters() if "tau_adapt" in n)


def test_options_come_back():
    start = {"tau_adapt": "normal(33.25, 2.125)", "initial_adaptation": 0.25}
    network = make(neuron=ALIF, init_hidden=True, output=True, detach_reset=True, **start)
    network.readout.burn_in = 4
    twin = from_nir(to_nir(network, strict=False))
    one, two = network.layers[0].neuron, twin.layers[0].neuron
    for option in ("init_hidden", "output", "detach_reset", "initial_adaptation", "spike_grad"):
        assert getattr(one, option) == getattr(two, option)
    assert one.tau_adapt.initial == two.tau_adapt.initial
    assert one.tau_adapt.bounds == two.tau_adapt.bounds
    assert twin.readout.burn_in == 4


@pytest.mark.parametrize(
    "make_one",
    [
        lambda: RALIF(linear_features=4),
        lambda: LI(4),
        lambda: nn.Sequential(nn.Linear(5, 4, bias=False), Delay(4, 2), LIF(beta=0.5)),
        lambda: nn.Sequential(Layer(nn.Linear(5, 4), RLIF(linear_features=4)), nn.Linear(4, 2)),
    ],
)
def test_layers_and_sequentials_come_back(make_one, tmp_path):
    network = make_one()
    assert_twins(network, from_nir(through_file(to_nir(network, strict=False), tmp_path)))


def test_metadata_are_strings_numbers_and_arrays():
    metadata = to_nir(make((4, 3)), strict=False).metadata["srnn"]
    assert set(metadata) == {"version", "dt", "description", "state"}
    assert isinstance(metadata["version"], int)
    assert isinstance(json.loads(metadata["description"]), dict)
    assert all(type(value) is np.ndarray for value in metadata["state"].values())


def test_the_network_itself_is_left_alone():
    network = make(**exactly)
    before = deepcopy(network.state_dict())
    graph = to_nir(network)
    graph.nodes["layer1.projection"].weight[:] = 7
    for array in graph.metadata["srnn"]["state"].values():
        array.flat[0] = 7
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_name_that_a_file_takes_for_a_path_is_refused():
    chain = nn.Sequential(OrderedDict({"a/b": nn.Linear(3, 2)}))
    with pytest.raises(ValueError, match=r"^a/b\.projection: .*rename the layer"):
        to_nir(chain)
