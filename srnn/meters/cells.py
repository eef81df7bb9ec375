"""torch's recurrent layers and cells: RNN, GRU, LSTM.

For n units with G gates (1, 3, 4) on m inputs, every step and direction:

| term       | equation                                       | AC  | MAC         | words          |
|------------|------------------------------------------------|-----|-------------|----------------|
| synapses   | W_ih x_t: by the element rule                  |     | dense G n m | a weight each  |
| recurrence | W_hh h_{t-1}: always MACs, h being real        |     | dense G n n | a weight each  |
| bias       | b_ih + b_hh                                    | 2Gn |             | 2Gn            |
| hadamard   | GRU: r (.), (1 - z) n_t, z h_{t-1}             |     | 3n          |                |
|            | LSTM: f c_{t-1}, i g, o tanh(c_t)              |     | 3n          |                |
| gate       | GRU: 1 - z                                     | n   |             |                |
| state      | h, and c of the LSTM, read and written         |     |             | 2n, LSTM 4n    |

The input of every layer above the first of one module is the hidden state of the one below: MACs as
well. An exact zero in a hidden state is skipped, as it is in the first step.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .calls import Call, Kind
from .errors import UncountedError
from .events import Input, read
from .synapses import biases, linear
from .terms import Terms, add, work

_HADAMARD = {"LSTM": 3, "GRU": 3, "RNN": 0}
_GATE = {"LSTM": 0, "GRU": 1, "RNN": 0}
_STATE = {"LSTM": 4, "GRU": 2, "RNN": 2}


def _family(module: nn.Module) -> str:
    """RNN, GRU or LSTM, of a layer or a cell."""
    return next(
        f for f in _HADAMARD if isinstance(module, getattr(nn, f) | getattr(nn, f"{f}Cell"))
    )


def _cell_terms(
    family: str,
    weights: tuple[Tensor, Tensor],
    bias: Sequence[Tensor | None],
    given: Input,
    hidden: Input,
) -> Terms:
    """Count one layer in one direction, from what it was given and its own past states."""
    n = weights[1].shape[1]
    updates, blocks = given.rows * n, len(given.events)
    terms: Terms = {
        "synapses": linear(weights[0], given),
        "recurrence": linear(weights[1], hidden.as_reals()),
        "state": work(blocks, words=_STATE[family] * updates),
    }
    if _HADAMARD[family]:
        terms = add(terms, {"hadamard": work(blocks, mac=_HADAMARD[family] * updates)})
    if _GATE[family]:
        terms = add(terms, {"gate": work(blocks, ac=_GATE[family] * updates)})
    for b in bias:
        terms = add(terms, biases(b, given, 1))
    return terms


# ------------------------------------------------------------------------------ cells


def _count_cell(call: Call) -> Terms:
    cell, x, hx = call.module, call.arguments["input"], call.arguments.get("hx")
    output = call.output[0] if isinstance(call.output, tuple) else call.output
    hidden = hx[0] if isinstance(hx, tuple) else hx
    hidden = torch.zeros_like(output) if hidden is None else hidden
    return _cell_terms(
        _family(cell),
        (cell.weight_ih, cell.weight_hh),
        [cell.bias_ih, cell.bias_hh],
        call.read(x),
        read(hidden),
    )


CELL = Kind(_count_cell, step={"forward": ("input", "hx")})


# ------------------------------------------------------------------------------ layers


def _check_layers(layers: nn.RNNBase, name: str) -> None:
    if layers.proj_size:
        raise UncountedError(f"{name}: an LSTM with proj_size cannot be counted.")


def _one_layer(layers: Any, index: int) -> nn.RNNBase:
    """The layer of this index alone, with the same weights."""
    like = layers.weight_ih_l0
    below = layers.hidden_size * (2 if layers.bidirectional else 1)
    options = {"nonlinearity": layers.nonlinearity} if _family(layers) == "RNN" else {}
    # Without values first: to initialise would draw from the user's random numbers.
    with torch.device("meta"):
        one = getattr(nn, _family(layers))(
            below if index else layers.input_size,
            layers.hidden_size,
            bias=layers.bias,
            bidirectional=layers.bidirectional,
            dtype=like.dtype,
            **options,
        )
    one = one.to_empty(device=like.device)
    mine = {k: getattr(layers, k.replace("_l0", f"_l{index}")) for k in one.state_dict()}
    one.load_state_dict(mine)
    return one.eval()


def _count_layers(call: Call) -> Terms:
    layers, x, hx = call.module, call.arguments["input"], call.arguments.get("hx")
    output = call.output[0]
    if not isinstance(x, Tensor):
        raise UncountedError(
            f"{call.name or type(layers).__name__}: a packed sequence cannot be counted; give a "
            "padded tensor."
        )
    if x.dim() == 2:
        raise UncountedError(
            f"{call.name or type(layers).__name__}: the input [time, features] has no samples to "
            "count by; add a batch dimension, [time, 1, features]."
        )
    lstm = _family(layers) == "LSTM"
    if layers.batch_first:
        x, output = x.transpose(0, 1), output.transpose(0, 1)
    directions, n = (2 if layers.bidirectional else 1), layers.hidden_size
    if hx is None:
        zeros = x.new_zeros(layers.num_layers * directions, x.shape[1], n)
        hx = (zeros, zeros) if lstm else zeros
    start = hx[0] if lstm else hx

    terms: Terms = {}
    for i in range(layers.num_layers):
        given = call.read(x)
        if i:
            given = given.as_reals()
        mine = slice(i * directions, (i + 1) * directions)
        if i + 1 < layers.num_layers:
            state = tuple(h[mine].contiguous() for h in hx) if lstm else hx[mine].contiguous()
            x = _one_layer(layers, i)(x.contiguous(), state)[0]
        else:
            x = output
        for d, states in enumerate(x.split(n, dim=-1)):
            suffix = f"_l{i}" + "_reverse" * d
            first = start[mine][d][None]
            # The backward direction comes from the end.
            past = torch.cat([states[1:], first]) if d else torch.cat([first, states[:-1]])
            terms = add(
                terms,
                _cell_terms(
                    _family(layers),
                    (getattr(layers, f"weight_ih{suffix}"), getattr(layers, f"weight_hh{suffix}")),
                    [getattr(layers, f"bias_{g}{suffix}", None) for g in ("ih", "hh")],
                    given,
                    read(past, timewise=call.timewise),
                ),
            )
    return terms


LAYERS = Kind(_count_layers, check=_check_layers, sequence={"forward": ("input", "hx")})
