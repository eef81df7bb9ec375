"""A reader of NIR graphs that knows nothing of srnn: the definitions of NIR, in numpy."""

from graphlib import TopologicalSorter

import nir
import numpy as np
import pytest

SPIKING = nir.LIF | nir.IF


def reachable(start, edges):
    """Every node that the signal of ``start`` comes to."""
    found, ahead = set(), [start]
    while ahead:
        new = {b for a, b in edges if a == ahead[-1]} - found
        ahead.pop()
        ahead.extend(new)
        found |= new
    return found


def advance(node, current, state, dt):
    """One forward Euler step of a node, (output, state)."""
    v = getattr(node, "v_reset", 0.0) if state is None else state
    if isinstance(node, nir.Affine):
        return current @ node.weight.astype(float).T + node.bias.astype(float), None
    if isinstance(node, nir.Linear):
        return current @ node.weight.astype(float).T, None
    if isinstance(node, nir.Delay):
        past = [*(state or []), current]
        steps = np.round(node.delay / dt).astype(int)
        zeros = np.zeros(len(current))
        late = [past[-1 - d][:, i] if d < len(past) else zeros for i, d in enumerate(steps)]
        return np.stack(late, axis=1), past
    if isinstance(node, nir.LI):
        v = v + dt / node.tau * (node.v_leak - v + node.r * current)
        return v, v
    if isinstance(node, SPIKING):
        slope = node.r * current
        if isinstance(node, nir.LIF):
            slope = (node.v_leak - v + slope) / node.tau
        v = v + dt * slope
        spikes = v > node.v_threshold
        return spikes.astype(float), np.where(spikes, node.v_reset, v)
    return current, None


def run(graph, inputs, dt=1e-4):
    """Run a graph on inputs [time, batch, channels] in float64.

    A spike that comes back to its neuron by a cycle arrives one step late.

    Returns:
        The output of every node, [time, batch, neurons], by name.
    """
    edges = [(str(a), str(b)) for a, b in graph.edges]
    spiking = {name for name, node in graph.nodes.items() if isinstance(node, SPIKING)}
    late = {(a, b) for a, b in edges if a in spiking and a in reachable(b, edges)}
    on_time = set(edges) - late
    sources_of = {name: {a for a, b in on_time if b == name} for name in graph.nodes}
    order = list(TopologicalSorter(sources_of).static_order())
    width = {name: tuple(node.output_type["output"]) for name, node in graph.nodes.items()}
    last = {name: np.zeros((len(inputs[0]), *width[name])) for name in order}
    states, trace = {}, {name: [] for name in order}
    for x in np.asarray(inputs, dtype=float):
        now = {}
        for name in order:
            sources = [(last if (a, b) in late else now)[a] for a, b in edges if b == name]
            current = sum(sources) if sources else x
            now[name], states[name] = advance(graph.nodes[name], current, states.get(name), dt)
            trace[name].append(now[name])
        last = now
    return {name: np.stack(values) for name, values in trace.items()}


@pytest.fixture(scope="session")
def run_nir():
    """The reader, :func:`run`."""
    return run
