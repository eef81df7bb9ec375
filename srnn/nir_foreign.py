"""NIR graphs that others wrote, read as an equivalent SRNN.

    Input -> [Affine | Linear -> Delay? -> LIF | IF  <-> Affine | Linear]+
          ->  Affine | Linear -> LI | LIF | IF -> Output

The last layer becomes the readout: leaky integrators give their trace (``"stream"``), spiking
neurons their counts (``"count"``; ``keep_spikes=True`` shows the spikes). NIR's membrane, by a
forward Euler step of dt,

    v_t = (1 - dt/tau) v_{t-1} + (dt/tau) (v_leak + r I_t)

is ours with decay alpha = 1 - dt/tau in one of two ways:

| NIR            | ours                                                                  | learned |
|----------------|-----------------------------------------------------------------------|---------|
| r dt/tau = 1   | ``beta=alpha``: a current of gain 1                                   | beta    |
| any other r    | ``tau_mem=-1/log(alpha)`` steps: gain 1 - alpha; weights and biases   | tau_mem |
|                | into the neuron are multiplied by r                                   |         |
| IF             | ``beta=1``; weights and biases are multiplied by r dt                 | -       |

v_leak = v_reset = c of spiking neurons moves to the threshold, v_threshold - c. The recurrence acts
one step late, and the reset in the step of the spike: ``reset_mechanism="zero",
reset_delay=False``.
"""

from typing import Any, NamedTuple, NoReturn

import nir
import numpy as np
import torch
from torch import Tensor, nn

from srnn.neurons import LI, LIF, RLIF, TimeConstant

from .delay import Delay
from .network import SRNN, Layer
from .nir_modules import assemble
from .readout import Readout

_ROUNDING = 1e-6  # what float32 leaves of tau, r and delays that were meant to fit
_REAL = "biuf"  # numpy's kinds of dtype
_LONGEST = 2**20  # steps of a delay, each of which costs memory for the whole layer
_PROJECTIONS = nir.Affine | nir.Linear


class _Link(NamedTuple):
    """A node of the chain, and the projection of a neuron back to itself."""

    name: str
    node: Any
    recurrent: Any = None


def _refuse(name: str, problem: str) -> NoReturn:
    raise ValueError(
        f"Node {name!r} {problem}; from_nir reads chains of Affine or Linear and LIF, IF or LI, "
        "with Delay between them and recurrence around LIF or IF."
    )


def read_chain(graph: nir.NIRGraph, dt: float) -> SRNN:
    """Make a network of a graph without metadata of ours.

    Args:
        graph: from any writer; nested graphs are opened.
        dt: length of one step in seconds.

    Returns:
        The network, in float64 if the graph's weights are, else in float32.

    Raises:
        ValueError: if the graph is something else than the chain above; the message names the node.
    """
    links = _chain(*_flatten(graph))
    _check_widths(graph, links)
    weights = [link.node.weight for link in links if isinstance(link.node, _PROJECTIONS)]
    double = any(np.asarray(weight).dtype == np.float64 for weight in weights)
    dtype = torch.float64 if double else torch.float32
    layers = []
    while links:
        layers.append(_layer(links, dtype, dt))
    if len(layers) < 2:
        _refuse(
            _names(graph.nodes, nir.Output)[0],
            f"follows {len(layers)} layer of neurons, and an SRNN has a hidden one and a readout",
        )
    *hidden, (name, last) = layers
    for where, layer in hidden:
        if isinstance(layer.neuron, LI):
            _refuse(where, "is an LI before the last layer")
    if isinstance(last.between, Delay):
        _refuse(name, "has a Delay before it, and a readout has none")
    readout = Readout(
        last.projection.in_features,
        last.projection.out_features,
        "stream" if isinstance(last.neuron, LI) else "count",
        neuron=last.neuron,
    )
    readout.projection = last.projection
    return assemble([layer for _, layer in hidden], readout).to(dtype)


# ------------------------------------------------------------------------------- graph to chain


def _names(nodes: dict[str, Any], kind: Any) -> list[str]:
    return [name for name, node in nodes.items() if isinstance(node, kind)]


def _flatten(graph: nir.NIRGraph) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Open nested graphs: their inputs and outputs become plain wires."""
    nodes = dict(graph.nodes)
    edges = [(str(a), str(b)) for a, b in graph.edges]
    for name in _names(nodes, nir.NIRGraph):
        inner, wires = _flatten(nodes.pop(name))
        ends = {kind: _names(inner, kind) for kind in (nir.Input, nir.Output)}
        if any(len(found) != 1 for found in ends.values()):
            _refuse(name, "is a graph without exactly one Input and one Output")
        (start,), (stop,) = ends.values()
        edges = [
            (f"{name}.{stop}" if a == name else a, f"{name}.{start}" if b == name else b)
            for a, b in edges
        ]
        edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in wires]
        for wire in (f"{name}.{start}", f"{name}.{stop}"):
            before = [a for a, b in edges if b == wire]
            after = [b for a, b in edges if a == wire]
            edges = [edge for edge in edges if wire not in edge]
            edges += [(a, b) for a in before for b in after]
        nodes |= {f"{name}.{k}": node for k, node in inner.items() if k not in (start, stop)}
    return nodes, edges


def _chain(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> list[_Link]:
    """Follow the signal from input to output; refuse whatever branches."""
    for kind in (nir.Input, nir.Output):
        found = _names(nodes, kind)
        if len(found) != 1:
            raise ValueError(
                f"The graph has {len(found)} nodes of type {kind.__name__}; from_nir reads chains "
                "with one."
            )
    for a, b in edges:
        if missing := {a, b} - nodes.keys():
            _refuse(min(missing), f"stands in the edge {a!r} -> {b!r} and is not in the graph")
    before = {n: {a for a, b in edges if b == n} for n in nodes}
    after = {n: {b for a, b in edges if a == n} for n in nodes}
    (name,) = _names(nodes, nir.Input)
    links: list[_Link] = []
    seen = {name}
    while not isinstance(nodes[name], nir.Output):
        loops = {n for n in after[name] if before[n] == after[n] == {name}}
        ahead, back = after[name] - loops, before[name] - loops
        if len(loops) > 1 or len(back) != (not isinstance(nodes[name], nir.Input)):
            _refuse(name, f"has {len(before[name])} inputs")
        if len(ahead) != 1:
            _refuse(name, f"has {len(ahead)} outputs")
        if not isinstance(nodes[name], nir.Input):
            loop = next(iter(loops), None)
            if loop is not None and not isinstance(nodes[loop], _PROJECTIONS):
                _refuse(loop, f"is a {type(nodes[loop]).__name__} in a cycle")
            links.append(_Link(name, nodes[name], None if loop is None else nodes[loop]))
        (name,) = ahead
        seen |= loops | {name}
    if len(before[name]) != 1:
        _refuse(name, f"has {len(before[name])} inputs")
    if lost := nodes.keys() - seen:
        _refuse(min(lost), "is not on the way from the input to the output")
    return links


def _check_widths(graph: nir.NIRGraph, links: list[_Link]) -> None:
    """Check that every node takes as many values as it gets; nir itself may be told not to."""
    (start,), (stop,) = (_names(graph.nodes, kind) for kind in (nir.Input, nir.Output))
    width = int(np.prod(graph.nodes[start].input_type["input"]))
    for name, node, _ in links:
        if not isinstance(node, _PROJECTIONS):
            continue
        outputs, inputs = _weight(name, node).shape
        if inputs != width:
            _refuse(name, f"takes {inputs} values and gets {width}")
        width = outputs
    wanted = int(np.prod(graph.nodes[stop].output_type["output"]))
    if wanted != width:
        _refuse(stop, f"takes {wanted} values and gets {width}")


# -------------------------------------------------------------------------------- chain to layers


def _layer(links: list[_Link], dtype: torch.dtype, dt: float) -> tuple[str, Layer]:
    """Take projection, delay and neuron off the chain's front."""
    name, node, loop = links.pop(0)
    if not isinstance(node, _PROJECTIONS):
        _refuse(name, f"is a {type(node).__name__} where a projection should stand")
    if loop is not None:
        _refuse(name, "is a projection with a cycle")
    projection = _linear(name, node, dtype)
    between = None
    if links and isinstance(links[0].node, nir.Delay):
        between = _delay(links.pop(0), projection.out_features, dt)
    if not links:
        _refuse(name, "is a projection without neurons")
    link = links.pop(0)
    if not isinstance(link.node, nir.LIF | nir.IF | nir.LI):
        _refuse(link.name, f"is a {type(link.node).__name__} where neurons should stand")
    neuron, scale = _neuron(link, projection.out_features, dtype, dt)
    with torch.no_grad():
        for linear in (projection, getattr(neuron, "recurrent", None)):
            if linear is not None:
                linear.weight.mul_(scale[:, None])
                linear.bias.mul_(scale)
                if not (linear.weight.isfinite().all() and linear.bias.isfinite().all()):
                    _refuse(link.name, f"has an r so large that weights overflow {dtype}")
    return link.name, Layer(projection, neuron, between)


def _weight(name: str, node: Any) -> np.ndarray:
    weight = np.asarray(node.weight)
    if weight.ndim != 2 or not weight.size:
        _refuse(name, f"has a weight of shape {list(weight.shape)}, not [outputs, inputs]")
    if weight.dtype.kind not in _REAL or not np.isfinite(weight).all():
        _refuse(name, "has weights that are no finite real numbers")
    return weight


def _linear(name: str, node: Any, dtype: torch.dtype) -> nn.Linear:
    weight = _weight(name, node)
    bias = np.asarray(node.bias if isinstance(node, nir.Affine) else np.zeros(len(weight)))
    if bias.size != len(weight):
        _refuse(name, f"has {bias.size} values of bias for {len(weight)} outputs")
    if bias.dtype.kind not in _REAL or not np.isfinite(bias).all():
        _refuse(name, "has biases that are no finite real numbers")
    linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], dtype=dtype)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias).flatten())
    return linear


def _delay(link: _Link, width: int, dt: float) -> Delay:
    steps = _vector(link, "delay", width) / dt
    if not np.allclose(steps, steps.round(), rtol=_ROUNDING, atol=_ROUNDING):
        _refuse(link.name, f"has delays that are no multiples of dt={dt:g}")
    if not ((steps.round() >= 0) & (steps < _LONGEST)).all():
        _refuse(link.name, f"has a delay below 0 or of {_LONGEST} steps of dt={dt:g} or more")
    return Delay(width, torch.from_numpy(steps.round()).long())


def _vector(link: _Link, field: str, width: int) -> np.ndarray:
    """A field of a node, one value per neuron, in float64."""
    values = np.asarray(getattr(link.node, field), dtype=np.float64).flatten()
    if values.size not in (1, width):
        _refuse(link.name, f"has {values.size} values of {field} for {width} neurons")
    if not np.isfinite(values).all():
        _refuse(link.name, f"has a {field} that is not finite")
    return np.broadcast_to(values, (width,)).copy()


def _neuron(link: _Link, width: int, dtype: torch.dtype, dt: float) -> tuple[Any, Tensor]:
    """Neurons, and the factor for the weights into them."""
    name, node, loop = link
    r = _vector(link, "r", width)
    if isinstance(node, nir.IF):
        decay, gain = np.ones(width), r * dt
    else:
        tau = _vector(link, "tau", width)
        if not (tau >= dt * (1 - _ROUNDING)).all():
            _refuse(name, f"has a time constant below the step of dt={dt:g}")
        decay, gain = np.maximum(1 - dt / tau, 0), r * dt / tau
    leak = np.zeros(width) if isinstance(node, nir.IF) else _vector(link, "v_leak", width)
    if isinstance(node, nir.LI):
        if loop is not None or leak.any():
            _refuse(name, "is an LI with recurrence or a v_leak")
        return LI(width, _time_constant(name, decay, dtype)), torch.from_numpy(r).to(dtype)
    rest = _vector(link, "v_reset", width)
    if not np.allclose(leak, rest):
        _refuse(name, "has a v_reset other than its v_leak, which is 0 for IF")
    threshold = _vector(link, "v_threshold", width) - rest
    if not (threshold > 0).all():
        _refuse(name, "has a v_threshold that is not above its v_reset")
    integrates = isinstance(node, nir.IF)
    options: dict[str, Any] = {}
    if integrates or np.allclose(gain, 1, rtol=_ROUNDING):
        options["beta"] = torch.from_numpy(decay).to(dtype)
        options["learn_beta"] = not integrates
        scale = gain if integrates else np.ones(width)
    else:
        options["tau_mem"] = _time_constant(name, decay, dtype)
        scale = r
    neuron = (LIF if loop is None else RLIF)(
        threshold=torch.from_numpy(threshold).to(dtype),
        linear_features=width,
        reset_mechanism="zero",
        reset_delay=False,
        **options,
    )
    if loop is not None:
        recurrent = _linear(name, loop, dtype)
        if recurrent.weight.shape != (width, width):
            _refuse(name, "has a recurrence of another size")
        neuron.recurrent = recurrent
    return neuron, torch.from_numpy(scale).to(dtype)


def _time_constant(name: str, decay: np.ndarray, dtype: torch.dtype) -> TimeConstant:
    """A learned time constant per neuron, in steps, that gives these decays."""
    if not (decay > 0).all():
        _refuse(name, "has a time constant of one step, which keeps nothing")
    if not (decay < 1).all():
        _refuse(name, "has a time constant so long that nothing decays in a step")
    tau = torch.from_numpy(-1 / np.log(decay))
    # Room to learn in: the bounds of our own neurons, or wider.
    bounds = (min(1.0, float(tau.min()) / 2), max(200.0, 2 * float(tau.max())))
    constant = TimeConstant(float(tau.mean()), len(tau), bounds=bounds).to(dtype)
    constant.assign(tau)
    return constant
