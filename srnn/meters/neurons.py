"""What a neuron's own update costs, beside the equations that it comes from.

For n neurons over all steps (n = neurons x steps x samples) of which s spiked, in the symbols of
:mod:`srnn.neurons.lif` and :mod:`srnn.neurons.alif`:

| term             | equation                                 | AC | MAC | words              |
|------------------|------------------------------------------|----|-----|--------------------|
| leak             | u_t = alpha u_{t-1} + ...                |    | n   | 3n: u twice, alpha |
| gain             | ... + g I_t               where g is not 1 |  | n   | n: g               |
| reset            | ... - B S_{t-1}           ``subtract`` only | s |   |                    |
| compare          | H(u_t - B_t)                             | n  |     | n: b_0             |
| adaptation       | b_t = rho b_{t-1} + ...                  |    | n   | 3n: b twice, rho   |
| kick             | ... + (1 - rho) S_{t-1}                  | s  |     |                    |
| threshold        | B_t = b_0 + beta b_t                     |    | n   | n: beta            |
| threshold-folded | B_t = b_0 + a_t, a = beta b is the state | n  |     |                    |
| current          | snnTorch: syn_t = alpha syn_{t-1} + I_t  |    | n   | 3n: syn twice, alpha |

A product that is added to something is one MAC. The current is charged to the membrane within the
leak's MAC, and the products and biases that it is made of are counted on their own. A neuron is
charged for a spike's reset and kick in the step of the spike. A reset to zero writes a membrane
that is written anyway. Of ``threshold`` and ``threshold-folded`` a convention counts one.
"""

from collections.abc import Callable
from typing import Any

from snntorch import Leaky, RLeaky, RSynaptic, Synaptic
from torch import Tensor, nn

from srnn.neurons import LI, alif_step, lif_step
from srnn.neurons._layer import SpikingLayer

from .errors import UncountedError
from .synapses import class_of
from .terms import Term, work

Formula = Callable[[Any, float, Tensor], dict[str, Term]]


def _membrane(neuron: Any, n: float, s: Tensor) -> dict[str, Term]:
    """What every unit with a membrane does: leak, and be reset."""
    blocks = len(s)
    terms = {"leak": work(blocks, mac=n, words=3 * n)}
    if neuron.reset_mechanism == "subtract":
        terms["reset"] = work(blocks, ac=s)
    return terms | {"compare": work(blocks, ac=n, words=n)}


def _lif(neuron: Any, n: float, s: Tensor) -> dict[str, Term]:
    terms = _membrane(neuron, n, s)
    if neuron.tau_mem is not None:
        terms["gain"] = work(len(s), mac=n, words=n)
    return terms


def _alif(neuron: Any, n: float, s: Tensor) -> dict[str, Term]:
    return _lif(neuron, n, s) | {
        "adaptation": work(len(s), mac=n, words=3 * n),
        "kick": work(len(s), ac=s),
        "threshold": work(len(s), mac=n, words=n),
        "threshold-folded": work(len(s), ac=n),
    }


def _synaptic(neuron: Any, n: float, s: Tensor) -> dict[str, Term]:
    return _membrane(neuron, n, s) | {"current": work(len(s), mac=n, words=3 * n)}


def _li(neuron: Any, n: float, s: Tensor) -> dict[str, Term]:
    return {
        "leak": work(len(s), mac=n, words=3 * n),
        "gain": work(len(s), mac=n, words=n),
    }


FORMULAS: dict[Any, Formula] = {
    lif_step: _lif,
    alif_step: _alif,
    Leaky: _membrane,
    RLeaky: _membrane,
    Synaptic: _synaptic,
    RSynaptic: _synaptic,
    LI: _li,
}
"""Formulas by what computes the update: our step function, or the class that has it."""


def formula_of(neuron: nn.Module, name: str) -> Formula:
    """Find the formula of a neuron's update.

    Args:
        neuron: a spiking layer of ours or of snnTorch, or leaky integrators.
        name: what to call it in messages.

    Raises:
        UncountedError: if its update is none that we know.
    """
    ours = isinstance(neuron, SpikingLayer)
    key = type(neuron).step if ours else class_of(neuron, FORMULAS)  # type: ignore[attr-defined]
    if key not in FORMULAS:
        raise UncountedError(
            f"{name}: no meter knows what an update of {type(neuron).__name__} costs."
        )
    for option in ("inhibition", "state_quant"):
        if getattr(neuron, option, False):
            raise UncountedError(
                f"{name}: {type(neuron).__name__} with {option} cannot be counted; leave it off."
            )
    return FORMULAS[key]


STATES: dict[Any, int] = {
    lif_step: 1,
    alif_step: 2,
    Leaky: 1,
    RLeaky: 1,
    Synaptic: 2,
    RSynaptic: 2,
    LI: 1,
}
"""How many real numbers a neuron remembers; a recurrent one's last spike is a single bit more."""
