"""Products with weights: linear and convolutional layers, and one-to-one recurrence.

With x the input and fan-out f_j the number of non-zero weights that element j meets,

    AC = sum_j f_j sum abs(k_j)        MAC = sum_j f_j (number of x_j that are no whole number)

The dense count takes every element and every weight. At the border of a convolution, the padding
is no input and does not count; an element there meets fewer weights, which is found by convolving
with indicators of the weights.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from snntorch._neurons.rleaky import RecurrentOneToOne as LeakyOneToOne
from snntorch._neurons.rsynaptic import RecurrentOneToOne as SynapticOneToOne
from torch import Tensor, nn

from .events import Input
from .terms import Term, products, work
from .watch import RUNS

_CONVOLUTIONS: dict[type, int] = {nn.Conv1d: 2, nn.Conv2d: 3}
_ONE_TO_ONE = (LeakyOneToOne, SynapticOneToOne)
_SYNAPSES = (nn.Linear, *_CONVOLUTIONS, *_ONE_TO_ONE)


def class_of(module: nn.Module, known: Collection[type]) -> type | None:
    """Find the known class whose computation a module runs.

    A class that is derived from one of torch's or ours and keeps its ``forward`` and
    ``forward_sequence``, as one with a parametrization, counts as that; every other derived class
    is a class of its own.

    Args:
        module: any module.
        known: classes to choose from.
    """
    for kind in type(module).__mro__:
        same = kind is type(module) or (
            kind.__module__.startswith(("torch.", "srnn."))
            and all(getattr(type(module), run, None) is getattr(kind, run, None) for run in RUNS)
        )
        if same and kind in known:
            return kind
    return None


def is_synapse(module: nn.Module) -> bool:
    """Whether this file can count the module."""
    return class_of(module, _SYNAPSES) is not None


def features_of(module: nn.Module) -> int:
    """How many dimensions one input of the module has, without time and batch."""
    kind = class_of(module, _CONVOLUTIONS)
    return 1 if kind is None else _CONVOLUTIONS[kind]


def synapse_terms(module: Any, given: Input, term: str = "synapses") -> dict[str, Term]:
    """Count a layer of weights.

    Args:
        module: one that :func:`is_synapse`.
        given: what came in.
        term: what to call the products.

    Returns:
        The products, and the biases if there are any.
    """
    if isinstance(module, _ONE_TO_ONE):
        return one_to_one(module, given, term)
    if isinstance(module, nn.Linear):
        return {term: linear(module.weight, given)} | biases(module.bias, given, 1)
    return _convolution(module, given, term)


def linear(weight: Tensor, given: Input) -> Term:
    """Count products with a matrix [outputs, inputs]."""
    weight = weight.detach()
    if weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64):
        # By numpy, which takes less than half of torch's time for this.
        fan_out = torch.from_numpy((weight.numpy() != 0).sum(0, dtype=np.int32)).double()
    else:
        fan_out = weight.count_nonzero(0).double()
    return products(given.events @ fan_out, given.reals @ fan_out, given.rows * weight.numel())


def biases(bias: Tensor | None, given: Input, sites: int) -> dict[str, Term]:
    """Count biases that are added at so many sites for every feature vector."""
    if bias is None:
        return {}
    added = int(bias.detach().count_nonzero()) * given.rows * sites
    return {"bias": work(len(given.events), ac=added, words=added)}


def one_to_one(module: Any, given: Input, term: str) -> dict[str, Term]:
    """Count one weight for every neuron, or one for all, [blocks, neurons]."""
    weight = torch.as_tensor(module.V).detach()
    meets = (weight != 0).double().expand(given.events.shape[1:])
    axes = tuple(range(1, given.events.dim()))
    dense = given.rows * meets.numel()
    return {
        term: products((given.events * meets).sum(axes), (given.reals * meets).sum(axes), dense)
    }


def _convolution(module: Any, given: Input, term: str) -> dict[str, Term]:
    """Convolve the sums of the input with indicators: every non-zero weight is 1."""
    apply, weight = module._conv_forward, module.weight.detach()
    meets, every = (weight != 0).double(), torch.ones_like(weight).double()
    axes = tuple(range(1, given.events.dim()))
    ac = apply(given.events, meets, None).sum(axes)
    mac = apply(given.reals, meets, None).sum(axes)
    ones = apply(torch.ones_like(given.events[:1]), every, None)
    dense = int(ones.sum()) * given.rows
    sites = ones[0, 0].numel()
    return {term: products(ac, mac, dense)} | biases(module.bias, given, sites)
