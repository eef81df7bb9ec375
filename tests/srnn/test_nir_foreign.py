"""NIR graphs that others wrote: the network that comes of them, and what is refused."""

from itertools import pairwise

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from srnn import SRNN, Delay, from_nir, to_nir
from srnn.neurons import LI, LIF, RLIF

DT = 1e-4
CHANNELS, STEPS, BATCH = 4, 30, 3


def lif(rng, n, way="gain"):
    """Neurons whose current counts fully, by 1 - alpha, or by something else."""
    tau = DT * rng.uniform(2, 30, n)
    r = {"gain": tau / DT, "one": np.ones(n), "other": rng.uniform(0.5, 3, n)}[way]
    strength = np.median(r * DT / tau)
    rest = np.zeros(n) if way == "gain" else np.full(n, 0.1)
    return nir.LIF(tau=tau, r=r, v_leak=rest, v_threshold=rest + strength, v_reset=rest.copy())


def integrate_and_fire(rng, n):
    return nir.IF(r=rng.uniform(0.5, 2, n) / DT, v_threshold=np.ones(n), v_reset=np.zeros(n))


def affine(rng, n, m, dtype=np.float64):
    return nir.Affine(rng.normal(size=(n, m)).astype(dtype), rng.normal(size=n).astype(dtype) * 0.1)


def nested(neuron, recurrent):
    """A recurrent layer as snnTorch writes it: a graph in the graph."""
    n = len(neuron.v_threshold)
    nodes = {
        "input": nir.Input({"input": np.array([n])}),
        "lif": neuron,
        "w_rec": recurrent,
        "output": nir.Output({"output": np.array([n])}),
    }
    edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    return nir.NIRGraph(nodes, edges)


def chain(*nodes, extra=(), more=None, end=None):
    """A graph of nodes "0", "1", ... in a row, with edges and nodes beside it."""
    names = [str(i) for i in range(len(nodes))]
    edges = list(pairwise(names))
    graph = nir.NIRGraph(
        {
            "input": nir.Input(nodes[0].input_type),
            **dict(zip(names, nodes, strict=True)),
            **(more or {}),
            "output": nir.Output(nodes[-1].output_type) if end is None else end,
        },
        [("input", "0"), *edges, (names[-1], "output"), *extra],
        type_check=False,
    )
    return graph


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**31),
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.sampled_from(["gain", "one", "other", "if"]),
            st.sampled_from([None, "flat", "nested"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["li", "gain", "one"]),
)
def test_it_computes_what_the_graph_says(run_nir, seed, layers, last):
    rng = np.random.default_rng(seed)
    nodes, more, extra, below = [], {}, [], CHANNELS
    flat = []
    for n, way, loop, delayed in layers:
        nodes.append(affine(rng, n, below))
        if delayed:
            nodes.append(nir.Delay(DT * rng.integers(0, 4, n)))
        neuron = integrate_and_fire(rng, n) if way == "if" else lif(rng, n, way)
        recurrent = nir.Linear(rng.normal(size=(n, n)) * 0.5)
        here = str(len(nodes))
        if loop == "flat":
            more[f"{here}.w"] = recurrent
            extra += [(here, f"{here}.w"), (f"{here}.w", here)]
        nodes.append(nested(neuron, recurrent) if loop == "nested" else neuron)
        flat.append(f"{here}.lif" if loop == "nested" else here)
        below = n
    nodes.append(affine(rng, 2, below))
    if last == "li":
        nodes.append(
            nir.LI(tau=DT * np.array([3.0, 9.0]), r=np.array([1.0, 2.5]), v_leak=np.zeros(2))
        )
    else:
        nodes.append(lif(rng, 2, last))
    graph = chain(*nodes, more=more, extra=extra)
    inputs = (rng.random((STEPS, BATCH, CHANNELS)) < 0.4).astype(float)
    network = from_nir(graph)
    assert isinstance(network, SRNN)
    with torch.no_grad():
        logits, record = network(torch.from_numpy(inputs), keep_spikes=True)
    read = run_nir(opened(graph), inputs)
    for name, spikes in zip(flat, record.spikes, strict=False):
        np.testing.assert_array_equal(read[name], spikes)
    if last == "li":
        np.testing.assert_allclose(read["output"], logits, rtol=0, atol=1e-9)
    else:
        np.testing.assert_array_equal(read["output"], record.spikes[-1])
        np.testing.assert_array_equal(read["output"].sum(0), logits)


def opened(graph):
    """The same graph with the nested ones of this file in one plane, by hand."""
    nodes, edges = {}, [tuple(edge) for edge in graph.edges]
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        nodes |= {f"{name}.lif": node.nodes["lif"], f"{name}.w_rec": node.nodes["w_rec"]}
        edges = [tuple(f"{name}.lif" if end == name else end for end in edge) for edge in edges]
        edges += [(f"{name}.lif", f"{name}.w_rec"), (f"{name}.w_rec", f"{name}.lif")]
    return nir.NIRGraph(nodes, edges, type_check=False)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_network_of_snntorch_keeps_its_spikes(recurrent):
    """Its own layers, stepped, against a graph made by hand in the form of its exporter's."""
    n, beta = 20, torch.full((20,), 0.9)
    options = {"beta": beta, "reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}
    kind = (lambda: snn.RLeaky(linear_features=n, **options)) if recurrent else None
    theirs = [kind() if kind else snn.Leaky(**options) for _ in range(2)]
    linears = [nn.Linear(CHANNELS, n), nn.Linear(n, n)]
    parts = []
    for linear, layer in zip(linears, theirs, strict=True):
        nn.init.normal_(linear.weight, std=0.5)
        tau = DT / (1 - beta.numpy())
        neuron = nir.LIF(
            tau=tau,
            r=tau / DT,
            v_leak=np.zeros_like(tau),
            v_threshold=np.ones_like(tau),
            v_reset=np.zeros_like(tau),
        )
        parts.append(nir.Affine(linear.weight.detach().numpy(), linear.bias.detach().numpy()))
        if recurrent:
            weights = [p.detach().numpy() for p in layer.recurrent.parameters()]
            neuron = nested(neuron, nir.Affine(*weights))
        parts.append(neuron)
    inputs = (torch.rand(STEPS, BATCH, CHANNELS) < 0.5).float()
    expected = []
    for x in inputs:
        for linear, layer in zip(linears, theirs, strict=True):
            x = layer(linear(x))
        expected.append(x.detach())
    expected = torch.stack(expected)
    network = from_nir(chain(*parts))
    assert 0.05 < expected.mean() < 0.5
    assert torch.equal(network(inputs, keep_spikes=True)[1].spikes[-1], expected)
    assert type(network.layers[0].neuron) is (RLIF if recurrent else LIF)
    assert network.readout.reduction == "count"


@pytest.mark.parametrize("way", [{"tau_mem": "uniform(2, 30)", "threshold": 0.1}, {"beta": 0.9}])
def test_our_own_graph_without_its_metadata_is_read_too(way):
    options = {"reset_mechanism": "zero", "reset_delay": False, **way}
    network = SRNN(CHANNELS, [6, 5], 3, neuron=RLIF, readout="stream", input_gain=2, **options)
    graph = to_nir(network.double(), dt=1e-3)
    del graph.metadata["srnn"]
    twin = from_nir(graph, dt=1e-3)
    inputs = (torch.rand(STEPS, BATCH, CHANNELS) < 0.5).double()
    for one, two in zip(network(inputs)[1].counts, twin(inputs)[1].counts, strict=True):
        assert one.any()
        assert torch.equal(one, two)


def test_time_constants_can_be_learned_within_bounds():
    rng = np.random.default_rng(0)
    slow = lif(rng, 3, "one")
    slow.tau[:] = DT * np.array([2.0, 50.0, 5000.0])
    graph = chain(affine(rng, 3, 4), slow, affine(rng, 2, 3), lif(rng, 2))
    network = from_nir(graph)
    tau = network.layers[0].neuron.tau_mem
    np.testing.assert_allclose(tau.decay().detach(), 1 - DT / slow.tau, rtol=1e-6)
    assert tau.bounds[1] > 9000
    network(torch.ones(STEPS, 1, 4).double())[0].sum().backward()
    assert tau.theta.grad.any()
    assert network.readout.neuron.beta.grad is not None


def test_the_dtype_is_that_of_the_weights():
    rng = np.random.default_rng(0)
    for dtype, expected in ((np.float32, torch.float32), (np.float64, torch.float64)):
        layers = [affine(rng, 3, 4, dtype), lif(rng, 3), affine(rng, 2, 3, dtype), lif(rng, 2)]
        network = from_nir(chain(*layers))
        assert {p.dtype for p in network.parameters()} == {expected}
        assert isinstance(network.layers[0].between, nn.Identity)
    delayed = [layers[0], nir.Delay(np.full(3, 2 * DT)), *layers[1:]]
    assert isinstance(from_nir(chain(*delayed)).layers[0].between, Delay)
    integrators = nir.LI(tau=np.full(2, 5 * DT), r=np.ones(2), v_leak=np.zeros(2))
    assert isinstance(from_nir(chain(*layers[:3], integrators)).readout.neuron, LI)


def changed(node, **fields):
    for name, value in fields.items():
        getattr(node, name)[:] = value
    return node


def refused():
    """Graphs that are no such chain, and the node that the message names."""
    rng = np.random.default_rng(0)
    down, neurons, up, out = affine(rng, 3, 4), lif(rng, 3), affine(rng, 2, 3), lif(rng, 2)
    back, wrong = affine(rng, 4, 2), nir.Affine(np.ones((3, 4)), np.ones(2))
    square, three = nir.Linear(np.ones((3, 3))), np.ones(3)
    li = nir.LI(tau=three, r=three, v_leak=np.zeros(3))
    cuba = nir.CubaLIF(three, three, three, three, three)
    plain = (down, neurons, up, out)
    after = [("1", "w"), ("w", "1")]
    return {
        "'1' is a CubaLIF where neurons": chain(down, cuba, up, out),
        "'1' is a Linear where neurons": chain(down, square, neurons, up, out),
        "'0' is a LIF where a projection": chain(neurons, up, out),
        "'0' is a Flatten": chain(nir.Flatten({"input": np.array([4])}, 0, 0), *plain),
        "'0' has a weight of shape": chain(nir.Linear(np.ones((2, 3, 4))), neurons, up, out),
        "'0' has 2 values of bias": chain(wrong, neurons, up, out),
        "'2' is a projection without neurons": chain(down, neurons, up),
        "'output' follows 1 layer": chain(down, neurons),
        "'1' is an LI before the last": chain(down, li, up, out),
        "'4' has a Delay before it": chain(down, neurons, up, nir.Delay(np.ones(2)), out),
        "'1' has delays": chain(down, nir.Delay(np.full(3, 1.5 * DT)), neurons, up, out),
        "'1' has a time constant below": chain(down, changed(lif(rng, 3), tau=DT / 2), up, out),
        "'1' has a time constant of one": chain(
            down, changed(lif(rng, 3, "other"), tau=DT), up, out
        ),
        "'1' has a r that is not finite": chain(down, changed(lif(rng, 3), r=np.inf), up, out),
        "'1' has a v_reset other": chain(down, changed(lif(rng, 3), v_reset=0.1), up, out),
        "'1' has a v_threshold": chain(down, changed(lif(rng, 3), v_threshold=0), up, out),
        "'1' has 2 values of r": chain(down, out, up, out),
        "'1' has 3 inputs": chain(*plain, more={"w": square}, extra=[*after, ("1", "1")]),
        "'1' has 2 outputs": chain(*plain, extra=[("1", "output")]),
        "'0' has 2 inputs": chain(*plain, more={"w": back}, extra=[("3", "w"), ("w", "0")]),
        "'output' has 2 inputs": chain(*plain, extra=[("w", "output")], more={"w": up}),
        "'w' is not on the way": chain(*plain, more={"w": up}),
        "'w' is a Scale in a cycle": chain(*plain, more={"w": nir.Scale(three)}, extra=after),
        "'1' has a recurrence of another": chain(*plain, more={"w": back}, extra=after),
        "'3' is an LI with recurrence": chain(
            *plain[:3],
            nir.LI(tau=np.ones(2), r=np.ones(2), v_leak=np.zeros(2)),
            more={"w": nir.Linear(np.ones((2, 2)))},
            extra=[("3", "w"), ("w", "3")],
        ),
        "'0' is a projection with a cycle": chain(
            *plain, more={"w": square}, extra=[("0", "w"), ("w", "0")]
        ),
        "'2' takes 3 values and gets 5": chain(affine(rng, 5, 4), lif(rng, 5), up, out),
        "'output' takes 3 values and gets 2": chain(
            *plain, end=nir.Output({"output": np.array([3])})
        ),
        "'w' stands in the edge '3' -> 'w'": chain(*plain, extra=[("3", "w")]),
        "'0' has weights that are no finite": chain(
            nir.Linear(np.full((3, 4), np.nan)), *plain[1:]
        ),
        "'2' has weights that are no finite": chain(
            *plain[:2], nir.Linear(np.ones((2, 3)) * 1j), out
        ),
        "'0' has biases that are no finite": chain(
            nir.Affine(np.ones((3, 4)), np.full(3, np.inf)), *plain[1:]
        ),
        "'0' has a weight of shape \\[0": chain(nir.Linear(np.ones((0, 4))), neurons, up, out),
        "'1' has a delay below 0": chain(down, nir.Delay(np.full(3, -DT)), *plain[1:]),
        "'1' has a delay below 0 or of": chain(down, nir.Delay(np.full(3, 1e18)), *plain[1:]),
        "'1' has a time constant so long": chain(
            down, changed(lif(rng, 3, "other"), tau=1e30), up, out
        ),
        "'1' has an r so large": chain(
            affine(rng, 3, 4, np.float32),
            changed(lif(rng, 3, "other"), r=1e300),
            affine(rng, 2, 3, np.float32),
            out,
        ),
        "2 nodes of type Input": chain(*plain, more={"w": nir.Input({"input": np.array([2])})}),
    }


@pytest.mark.parametrize("problem", refused())
def test_what_is_no_chain_is_refused_by_name(problem):
    with pytest.raises(ValueError, match=problem) as caught:
        from_nir(refused()[problem])
    assert "from_nir reads chains" in str(caught.value)
