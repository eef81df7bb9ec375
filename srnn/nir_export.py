"""Networks out through NIR, the neuromorphic intermediate representation.

NIR is a graph of nodes in continuous time. Ours live in steps of length dt, and go out such that a
forward Euler step of dt, which is how snnTorch, SpikingJelly and others read NIR, gives our step:

    NIR     tau dv/dt = (v_leak - v) + r I                  v -> v_reset at a spike
    Euler   v_t = (1 - dt/tau) v_{t-1} + (dt/tau) r I_t     v_leak = 0
    ours    u_t = alpha u_{t-1} + g I_t

    tau = dt / (1 - alpha)          r = g / (1 - alpha)

so that r = tau/dt for a gain of 1 (``beta=``), and r = 1 for a gain of 1 - alpha (``tau_mem=`` and
the leaky integrator). A decay of exactly 1 is NIR's integrator, IF, with r = 1/dt.

| ours                          | NIR                                                              |
|-------------------------------|------------------------------------------------------------------|
| projection                    | Affine, or Linear without bias                                   |
| Delay                         | Delay, of steps times dt                                         |
| neurons                       | LIF, or IF                                                       |
| recurrence W S_{t-1} + b_rec  | Linear from the neurons back to themselves: a cycle, one step    |
|                               | late; b_rec joins the bias of the projection, since readers      |
|                               | disagree whether a cycle's bias is there before the first spike  |
| leaky integrator              | LI                                                               |

Everything else rides in the graph's metadata (:mod:`srnn.nir_metadata`).
"""

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np
from torch import Tensor, nn

from srnn.neurons import LI

from . import nir_metadata
from .delay import Delay
from .network import SRNN, Layer
from .nir_modules import NEURONS
from .readout import Readout

_REMEDY = "make it with reset_mechanism='zero', reset_delay=False"


def to_nir(network: nn.Module, strict: bool = True, *, dt: float = 1e-4) -> nir.NIRGraph:
    """Write a network as a NIR graph; ``nir.write`` puts it in a file.

    Args:
        network: an :class:`srnn.SRNN`, a spiking layer, or an ``nn.Sequential`` of linear
            projections, delays and our neurons.
        strict: whether to refuse what NIR cannot express. Otherwise the graph holds the skeleton of
            leaky integrate-and-fire neurons, and its metadata the rest, for :func:`from_nir`.
        dt: length of one step in seconds; readers of NIR assume 1e-4 unless told.

    Returns:
        The graph, with nodes such as ``layer1.projection``, ``layer1.neuron``, ``layer1.recurrent``
        and ``readout.neuron``.

    Raises:
        ValueError: in strict mode, for what NIR cannot express; in both, for what neither graph nor
            metadata can hold. The message names the layer.

    Example:
        >>> from srnn.neurons import RLIF
        >>> layer = RLIF(beta=0.9, linear_features=4, reset_mechanism="zero", reset_delay=False)
        >>> graph = to_nir(layer)
        >>> sorted(graph.nodes)
        ['input', 'network.neuron', 'network.recurrent', 'output']
    """
    if not 0 < dt < float("inf"):
        raise ValueError(f"The time step dt must be positive, got {dt}.")
    if getattr(network, "ticks", 1) > 1:
        raise ValueError(
            f"A graph has no place for the {network.ticks} ticks of a step: set network.ticks = 1, "
            "and give what reads the graph the steps of all ticks (srnn.network.first_ticks)."
        )
    metadata = nir_metadata.write(network, dt)
    chain = _Chain(dt)
    for name, part in _parts(network, ""):
        if strict and (reason := _loss(part)):
            raise ValueError(
                f"{name}: NIR cannot express {reason}, or call to_nir with strict=False to keep it "
                "in the metadata."
            )
        chain.append(name, part)
    return chain.graph({"srnn": metadata})


def _parts(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The layers of a network in the order of the signal, each with its name."""
    if isinstance(module, SRNN):
        for key, part in module.named_layers():
            yield from _parts(part, f"{name}.{key}" if name else key)
    elif isinstance(module, Layer):
        yield name, module.projection
        yield name, module.between
        yield name, module.neuron
    elif isinstance(module, Readout):
        yield name, module.projection
        yield name, module.neuron
        yield name, module
    elif isinstance(module, nn.Sequential):
        for key, part in module.named_children():
            yield from _parts(part, f"{name}.{key}" if name else key)
    else:
        yield name or "network", module


def _loss(part: Any) -> str | None:
    """What of a layer NIR cannot express, and what to do about it; None if nothing."""
    if isinstance(part, Readout):
        if part.reduction != "stream":
            return (
                f"the reduction over time {part.reduction!r}; set readout.reduction = 'stream' and "
                "reduce what comes out"
            )
        if not isinstance(part.neuron, LI):
            return "a readout of the membranes of spiking neurons; read them with srnn.neurons.LI"
        return None
    if type(part) not in NEURONS.values():
        return None
    strength = getattr(part, "adaptation_strength", None)
    if strength is not None and bool(strength.any()):
        return "an adaptive threshold; use LIF or RLIF"
    if part.reset_mechanism == "none":
        return f"spikes without a reset; {_REMEDY}"
    if part.reset_mechanism != "zero":
        return f"a reset by subtraction; {_REMEDY}"
    if part.reset_delay:
        return f"a reset one step after the spike; {_REMEDY}"
    if part.inhibition:
        return "inhibition between neurons; make it with inhibition=False"
    if bool((part.graded_spikes_factor != 1).any()):
        return "graded spikes; set graded_spikes_factor to 1"
    return None


class _Chain:
    """A graph that grows at its end."""

    def __init__(self, dt: float) -> None:
        self.dt = dt
        self.nodes: dict[str, Any] = {"input": None}
        self.edges: list[tuple[str, str]] = []
        self.last = "input"
        self.width: int | None = None

    def append(self, name: str, part: Any) -> None:
        """Add a layer; what has no node of its own, such as a reduction, adds nothing."""
        if isinstance(part, nn.Linear):
            self._widen(name, part.in_features, "projection")
            self._add(f"{name}.projection", _projection(part))
            self.width = part.out_features
        elif isinstance(part, Delay):
            self._widen(name, part.neurons, "delay")
            steps = nir_metadata.array(part.steps).astype(np.float64)
            self._add(f"{name}.delay", nir.Delay(delay=steps * self.dt))
        elif isinstance(part, LI):
            self._widen(name, part.neurons, "neuron")
            self._add(f"{name}.neuron", self._integrators(name, part))
        elif type(part) in NEURONS.values():
            self._spiking(name, part)

    def graph(self, metadata: dict[str, Any]) -> nir.NIRGraph:
        """Close the chain with its input and output."""
        if self.width is None:
            raise ValueError("The network has no layer that NIR has a node for.")
        self.nodes["output"] = nir.Output(output_type={"output": np.array([self.width])})
        self.edges.append((self.last, "output"))
        return nir.NIRGraph(self.nodes, self.edges, metadata=metadata)

    def _add(self, name: str, node: Any) -> None:
        if "/" in name:
            raise ValueError(
                f"{name}: a NIR file takes '/' for the path of a group; rename the layer without."
            )
        self.nodes[name] = node
        self.edges.append((self.last, name))
        self.last = name

    def _widen(self, name: str, width: int, role: str) -> None:
        """Check that a node of this width fits; the first one makes the input."""
        if self.width is None:
            self.nodes["input"] = nir.Input(input_type={"input": np.array([width])})
        elif self.width != width:
            raise ValueError(
                f"{name}: its {role} takes {width} values and gets {self.width}; make their "
                "numbers equal."
            )
        self.width = width

    def _spiking(self, name: str, neuron: Any) -> None:
        width = neuron.linear_features or self.width
        if width is None:
            raise ValueError(
                f"{name}: how many neurons it has is not known; make it with linear_features."
            )
        self._widen(name, width, "neuron")
        before = self.last
        gain = None if neuron.tau_mem is None else 1.0
        self._add(f"{name}.neuron", self._fire(name, neuron, width, gain))
        recurrent = getattr(neuron, "recurrent", None)
        if recurrent is None:
            return
        projection = self.nodes[before]
        cycle = _projection(recurrent)
        if isinstance(projection, nir.Affine | nir.Linear) and isinstance(cycle, nir.Affine):
            bias = cycle.bias + (projection.bias if isinstance(projection, nir.Affine) else 0)
            self.nodes[before] = nir.Affine(weight=projection.weight, bias=bias)
            cycle = nir.Linear(weight=cycle.weight)
        self.nodes[f"{name}.recurrent"] = cycle
        self.edges += [(f"{name}.neuron", f"{name}.recurrent")]
        self.edges += [(f"{name}.recurrent", f"{name}.neuron")]

    def _fire(self, name: str, neuron: Any, width: int, gain: float | None) -> Any:
        """The node of spiking neurons; ``gain`` is r, None for a gain of 1 a step."""
        decay = _vector(name, neuron.alpha, width)
        spike = {
            "v_threshold": _vector(name, neuron.threshold, width),
            "v_reset": np.zeros(width),
        }
        if gain is None and bool((decay == 1).all()):
            return nir.IF(r=np.full(width, 1 / self.dt), **spike)
        tau = self._tau(name, decay)
        r = tau / self.dt if gain is None else np.full(width, gain)
        return nir.LIF(tau=tau, r=r, v_leak=np.zeros(width), **spike)

    def _integrators(self, name: str, neuron: LI) -> Any:
        width = neuron.neurons
        tau = self._tau(name, _vector(name, neuron.tau_mem.decay(), width))
        return nir.LI(tau=tau, r=np.ones(width), v_leak=np.zeros(width))

    def _tau(self, name: str, decay: np.ndarray) -> np.ndarray:
        """NIR's time constants of decays over one step."""
        if not bool((decay < 1).all()):
            raise ValueError(
                f"{name}: neuron {int((decay >= 1).argmax())} has a membrane that does not decay, "
                "for which NIR has no time constant; give it a decay below 1."
            )
        return self.dt / (1 - decay)


def _projection(linear: nn.Linear) -> Any:
    weight = nir_metadata.array(linear.weight)
    if linear.bias is None:
        return nir.Linear(weight=weight)
    return nir.Affine(weight=weight, bias=nir_metadata.array(linear.bias))


def _vector(name: str, values: Tensor, width: int) -> np.ndarray:
    """One value per neuron, in float64: the arithmetic on the way to NIR shall cost nothing."""
    if values.numel() not in (1, width):
        raise ValueError(
            f"{name}: it has {width} neurons and {values.numel()} values of a parameter; give one, "
            "or one per neuron."
        )
    given = nir_metadata.array(values).astype(np.float64).flatten()
    return np.broadcast_to(given, (width,)).copy()
