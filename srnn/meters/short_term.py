"""The non-spiking layers with a short-term memory in their synapses: STPN and fast weights.

STPN costs what its synapses cost (:mod:`srnn.meters.plastic`), with a real h, and 2n words of h.
For n units on m inputs with fast weights and S inner steps, in one step of one sample:

| term       | equation                                     | AC     | MAC            | words      |
|------------|----------------------------------------------|--------|----------------|------------|
| synapses   | C x_t, by the element rule                   |        | dense n m      | one each   |
| recurrence | W h_{t-1}: MACs, h being real                |        | dense n n      | one each   |
| bias       | + b                                          | n      |                | n          |
| inner      | a + A h: n n MACs in each inner step         | S n    | S n n          | S n n: A   |
| norm       | layer norm in each                           | 2 S n  | 3 S n          | 2 S n      |
| decay      | lambda A                                     |        | n n            | 2 n n: A   |
| learning   | + (eta h) h^T                                |        | n + n n        |            |
| state      | h                                            |        |                | 2 n        |

Zeros are skipped in the products of C and W alone.
"""

from typing import Any

from srnn.fast_weights import FastWeightsLayer

from .calls import Call, Kind
from .events import read
from .plastic import before, plastic_terms
from .synapses import biases, linear
from .terms import Terms, add, work


def _count_stpn(call: Call) -> Terms:
    stp, given, h = call.module.plasticity, call.arguments, call.output[0]
    state = given.get("state")
    past = before(h, None if state is None else state.h, given.get("reset"))
    terms = plastic_terms(stp, given["inputs"], h, past, real=True, timewise=call.timewise)
    blocks = len(h) if call.timewise else 1
    return add(terms, {"state": work(blocks, words=2 * h.numel() / max(blocks, 1))})


def _count_fast_weights(call: Call) -> Terms:
    layer: FastWeightsLayer = call.module
    x, state, h = call.arguments["inputs"], call.arguments.get("state"), call.output[0]
    n, S = layer.hidden_size, layer.inner_steps
    given = call.read(x)
    past = read(before(h, None if state is None else state[:, :n], None), timewise=call.timewise)
    rows, blocks = given.rows, len(given.events)
    return {
        "synapses": linear(layer.projection.weight, given),
        "recurrence": linear(layer.recurrent.weight, past.as_reals()),
        **biases(layer.projection.bias, given, 1),
        "inner": work(blocks, ac=rows * S * n, mac=rows * S * n * n, words=rows * S * n * n),
        "norm": work(blocks, ac=rows * 2 * S * n, mac=rows * 3 * S * n, words=rows * 2 * S * n),
        "decay": work(blocks, mac=rows * n * n, words=rows * 2 * n * n),
        "learning": work(blocks, mac=rows * (n + n * n)),
        "state": work(blocks, words=rows * 2 * n),
    }


def states(layer: Any) -> int:
    """How many real numbers a layer remembers."""
    n = layer.hidden_size
    return n + (n * n if isinstance(layer, FastWeightsLayer) else layer.plasticity.synapses)


STPN_LAYER = Kind(_count_stpn, sequence={"forward": ("inputs", "state")})
FAST_WEIGHTS_LAYER = Kind(_count_fast_weights, sequence={"forward": ("inputs", "state")})
