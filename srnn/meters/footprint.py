"""What a network keeps: parameters, states and bytes, whatever batch it saw last.

States are the real numbers that a network remembers from one step to the next, for one sample: a
membrane, an adaptation, a hidden state, a running sum. The last spike of a recurrent neuron is a
bit and does not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from srnn.delay import Delay
from srnn.fast_weights import FastWeightsLayer
from srnn.network import Layer
from srnn.neurons import LI
from srnn.neurons._layer import SpikingLayer
from srnn.readout import Readout
from srnn.stpn import STPNLayer

from . import plastic, short_term
from .layers import kind_of
from .neurons import STATES
from .synapses import class_of
from .watch import walk


@dataclass(frozen=True)
class Footprint:
    """What a network keeps.

    Attributes:
        parameters: number of parameters.
        nonzero: how many of them are not 0, as the network computes with them: less what is pruned.
        states: real numbers remembered for one sample; None if a layer does not know how many
            neurons it has before it runs.
        bytes: of parameters, of constants that are saved with them but for masks of what is pruned,
            and of the states of one sample in the precision of the parameters.
    """

    parameters: int
    nonzero: int
    states: int | None
    bytes: int

    @classmethod
    def of(cls, module: nn.Module, neurons: Mapping[str, int] | None = None) -> Self:
        """Take the footprint of a network.

        Args:
            module: the network.
            neurons: how many neurons its layers have, by name, where they do not know it.
        """
        parameters = list(module.parameters())
        masks = _masks(module)
        kept = {id(v): v for v in module.state_dict(keep_vars=True).values()}
        for mask in masks.values():
            kept.pop(id(mask), None)
        states: int | None = 0
        for name, part, kind in walk(module, kind_of):
            own = 0 if kind is None else _states(part, (neurons or {}).get(name))
            states = None if states is None or own is None else states + own
        width = parameters[0].element_size() if parameters else 4
        return cls(
            parameters=sum(p.numel() for p in parameters),
            nonzero=sum(
                int((p.detach() * masks.get(id(p), 1)).count_nonzero()) for p in parameters
            ),
            states=states,
            bytes=sum(v.numel() * v.element_size() for v in kept.values()) + width * (states or 0),
        )


def _masks(module: nn.Module) -> dict[int, Tensor]:
    """What ``torch.nn.utils.prune`` multiplies parameters by, by the id of the parameter."""
    masks = {}
    for part in module.modules():
        for name, mask in part.named_buffers(recurse=False):
            original = getattr(part, f"{name.removesuffix('_mask')}_orig", None)
            if name.endswith("_mask") and isinstance(original, nn.Parameter):
                masks[id(original)] = mask
    return masks


def _states(part: Any, neurons: int | None) -> int | None:
    """How much one part remembers; None if it does not say."""
    if isinstance(part, Layer):
        between = _states(part.between, None)
        own = _states(part.neuron, neurons)
        return None if own is None else own + (between or 0)
    if isinstance(part, Readout):
        own = 0 if isinstance(part.neuron, nn.Identity) else _states(part.neuron, neurons)
        summed = part.reduction in ("softmax-sum", "mean", "count")
        return None if own is None else own + summed * part.projection.out_features
    if isinstance(part, Delay):
        return int(part.steps.max()) * part.neurons
    if isinstance(part, STPNLayer | FastWeightsLayer):
        return short_term.states(part)
    if isinstance(part, nn.RNNBase):
        layers = part.num_layers * (2 if part.bidirectional else 1)
        return layers * part.hidden_size * (2 if isinstance(part, nn.LSTM) else 1)
    if isinstance(part, nn.RNNCellBase):
        return part.hidden_size * (2 if isinstance(part, nn.LSTMCell) else 1)
    key = type(part).step if isinstance(part, SpikingLayer) else class_of(part, STATES)
    if key not in STATES:
        return 0
    size = part.neurons if isinstance(part, LI) else getattr(part, "linear_features", None)
    size = neurons if size is None else size
    stp = getattr(part, "plasticity", None)
    synapses = 0 if stp is None else plastic.STATES[type(stp)](stp)
    return None if size is None else size * STATES[key] + synapses
