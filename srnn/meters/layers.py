"""Which modules the meters know, and what the plain ones of torch cost.

For n elements of a batch, all of them counted whether zero or not:

| module            | term           | what                            | AC  | MAC | words |
|-------------------|----------------|---------------------------------|-----|-----|-------|
| Linear, Conv1d/2d | synapses, bias | :mod:`srnn.meters.synapses`     |     |     |       |
| BatchNorm1d/2d    | norm           | scale and shift, in evaluation  |     | n   | 2n    |
| LayerNorm         | norm           | mean, x - mean, square, scale   | 2n  | 2n  |       |
|                   |                | gain and bias, if it has them   |     | n   | 2n    |
| AvgPool1d/2d      | pool           | k elements a window, a division | k n | n   |       |

Dropout (in evaluation), flattening, maximum pooling and activations run free operations only and
need no entry.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from snntorch import Leaky, RLeaky, RSynaptic, Synaptic
from torch import nn

from srnn.delay import Delay
from srnn.fast_weights import FastWeightsLayer
from srnn.network import SRNN, Layer
from srnn.neurons import LI
from srnn.neurons._layer import SpikingLayer
from srnn.neurons._wiring import Recurrent
from srnn.readout import Readout
from srnn.stpn import STPNLayer

from . import cells, short_term, spiking
from .calls import Call, Kind, Methods
from .errors import UncountedError
from .synapses import class_of, features_of, synapse_terms
from .terms import Term, Terms, work


def _elements(call: Call, *, ac: float = 0, mac: float = 0, words: float = 0) -> Term:
    """Work on every element of the output of a call."""
    output = call.output
    # A step's output is [batch, ...], where no time can be kept apart.
    features = call.before
    blocks = len(output) if call.timewise and output.dim() - features >= 2 else 1
    n = output.numel() / max(blocks, 1)
    return work(blocks, ac=ac * n, mac=mac * n, words=words * n)


def _count_synapses(call: Call) -> Terms:
    features = features_of(call.module)
    return synapse_terms(call.module, call.read(call.arguments["input"], features))


def _check_batch_norm(norm: Any, name: str) -> None:
    if norm.running_mean is None:
        raise UncountedError(
            f"{name}: {type(norm).__name__} without running statistics cannot be counted."
        )


def _count_batch_norm(call: Call) -> Terms:
    return {"norm": _elements(call, mac=1, words=2)}


def _count_layer_norm(call: Call) -> Terms:
    affine = call.module.elementwise_affine
    return {"norm": _elements(call, ac=2, mac=3 if affine else 2, words=2 if affine else 0)}


def _check_pool(pool: Any, name: str) -> None:
    padding = pool.padding if isinstance(pool.padding, tuple) else (pool.padding,)
    if any(padding) or pool.ceil_mode or getattr(pool, "divisor_override", None):
        raise UncountedError(
            f"{name}: {type(pool).__name__} is counted without padding, ceil_mode and "
            "divisor_override only."
        )


def _count_pool(call: Call) -> Terms:
    size, dimensions = call.module.kernel_size, 1 if isinstance(call.module, nn.AvgPool1d) else 2
    # One number stands for all sides of the window.
    window = math.prod(size) if isinstance(size, tuple) and len(size) > 1 else 0
    side = size[0] if isinstance(size, tuple) else size
    return {"pool": _elements(call, ac=window or side**dimensions, mac=1)}


def _features(number: int) -> Callable[[Any, dict[str, Any]], int]:
    """Note how many dimensions the features have, for :func:`_elements`."""
    return lambda module, arguments: number


_INPUT: Methods = {"forward": ("input",)}
_SYNAPSES = Kind(_count_synapses, step=_INPUT)
_POOL = Kind(_count_pool, check=_check_pool, step=_INPUT)
_BATCH_NORM = Kind(_count_batch_norm, check=_check_batch_norm, step=_INPUT)

# What a network does besides running its layers is to keep a record.
_NETWORK = Kind(
    lambda call: {}, parts=lambda net: net.named_layers(), sequence={"forward": ("inputs", "state")}
)

KINDS: dict[type, Kind] = {
    nn.Linear: _SYNAPSES,
    nn.Conv1d: _SYNAPSES,
    nn.Conv2d: _SYNAPSES,
    nn.BatchNorm1d: replace(_BATCH_NORM, before=_features(1)),
    nn.BatchNorm2d: replace(_BATCH_NORM, before=_features(3)),
    nn.LayerNorm: Kind(_count_layer_norm, before=_features(1), step=_INPUT),
    nn.AvgPool1d: replace(_POOL, before=_features(2)),
    nn.AvgPool2d: replace(_POOL, before=_features(3)),
    **dict.fromkeys((nn.RNN, nn.GRU, nn.LSTM), cells.LAYERS),
    **dict.fromkeys((nn.RNNCell, nn.GRUCell, nn.LSTMCell), cells.CELL),
    Leaky: spiking.stepped("input_", "mem"),
    RLeaky: spiking.stepped("input_", "spk", "mem", recurrent=True),
    Synaptic: spiking.stepped("input_", "syn", "mem"),
    RSynaptic: spiking.stepped("input_", "spk", "syn", "mem", recurrent=True),
    STPNLayer: short_term.STPN_LAYER,
    FastWeightsLayer: short_term.FAST_WEIGHTS_LAYER,
    LI: spiking.LEAKY_INTEGRATOR,
    Delay: spiking.DELAY,
    Layer: spiking.LAYER,
    Readout: spiking.READOUT,
}
"""How each class is counted; :func:`srnn.meters.synapses.class_of` says what a derived one is."""


def kind_of(module: nn.Module) -> Kind | None:
    """How a module is counted; None if only its parts are, and its own operations must be free."""
    kind = class_of(module, KINDS)
    if kind is not None:
        return KINDS[kind]
    if isinstance(module, SRNN) and type(module).forward is SRNN.forward:
        return _NETWORK
    if isinstance(module, SpikingLayer):
        return spiking.RECURRENT if isinstance(module, Recurrent) else spiking.FEED_FORWARD
    if isinstance(module, Leaky | RLeaky | Synaptic | RSynaptic):
        raise UncountedError(
            f"{type(module).__name__} is derived from a neuron of snnTorch, and no meter knows "
            "what it changes: teach the meters with srnn.meters.register."
        )
    return None


def register(module_class: type[nn.Module], count: Callable[[Call], Terms]) -> None:
    """Teach the meters a module of your own.

    Args:
        module_class: its class; classes derived from it need their own entry.
        count: takes a :class:`srnn.meters.Call`, whose ``arguments`` are those of ``forward`` that
            are given by name, with the first one as ``"input"``; returns terms by name, made with
            :func:`srnn.meters.work`. Everything within the module is then its affair.

    Raises:
        ValueError: if the class is known already.

    Example:
        >>> class Residual(nn.Module):
        ...     def forward(self, x):
        ...         return x + x.relu()
        >>> register(Residual, lambda call: {"sum": work(1, ac=call.output.numel())})
    """
    if module_class in KINDS:
        raise ValueError(f"The meters know {module_class.__name__} already.")
    KINDS[module_class] = Kind(count, step=_INPUT)
