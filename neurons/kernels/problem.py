"""What a kernel computes: one layer of neurons over one sequence, as plain tensors.

With S the spikes, u the membrane, b the adaptation and x_t the input of a step,

    b_t = rho b_{t-1} + (1 - rho) S_{t-1}
    B_t = b_0 + beta b_t
    I_t = x_t, or W_in x_t + b_in ;  plus W_rec S_{t-1} + b_rec in a recurrent layer
    u_t = alpha u_{t-1} + g I_t - B_t S_{t-1}           or another reset, see `srnn.neurons.reset`
    S_t = H(u_t - B_t)                                  psi(u_t - B_t) is its surrogate gradient

Every backend takes the same `Problem` and answers with the same `Solution`; what it keeps for its
backward pass is its own affair. All floating-point tensors of a problem share one dtype, float32 or
float64, and one device.
"""

from typing import Any, NamedTuple

from torch import Tensor

WORD = 64
"""Channels of a word of :class:`Bits`."""


class Events(NamedTuple):
    """A sparse input [time, batch, channels], by rows of one step of one sequence.

    Row ``t * batch + i`` holds the entries ``offsets[row]`` to ``offsets[row + 1]``.

    Attributes:
        offsets: int64, [time * batch + 1].
        channels: int32, [entries]; they rise within a row.
        values: floating point, [entries]; None where every entry is 1, as spikes are.
    """

    offsets: Tensor
    channels: Tensor
    values: Tensor | None = None


class Bits(NamedTuple):
    """A binary input [time, batch, channels], such as spikes, in one bit for each entry.

    Attributes:
        words: int64, [time * batch, ceil(channels / 64)]; bit j of word w is channel 64 w + j. The
            bits beyond the last channel are 0.
    """

    words: Tensor


class Rules(NamedTuple):
    """The part of a layer's dynamics that is no tensor; hashable.

    Attributes:
        surrogate: name of a surrogate in :data:`srnn.neurons.surrogate.SURROGATES`, or
            ``"no_gradient"``.
        constants: its constants, in the order of its fields.
        reset: ``"subtract"``, ``"none"``, ``"zero"`` as in a feed-forward layer, or
            ``"zero-after"`` as in a recurrent one.
        detach_reset: whether the gradient ignores the reset, and with it the adaptation's part of
            the threshold in the reset.
        initial_adaptation: b of a new episode.
    """

    surrogate: str
    constants: tuple[float, ...]
    reset: str
    detach_reset: bool
    initial_adaptation: float = 0.0


class Problem(NamedTuple):
    """One layer over one sequence.

    Either ``current`` is given, or ``inputs``, or ``events``, or the last two for one and the same
    input: then the events are what is computed with, and the gradient is that of ``inputs``.

    Attributes:
        current: x, [time, batch, neurons].
        inputs: dense input of the projection, [time, batch, channels].
        events: sparse input of the projection; it takes no gradient.
        steps: number of time steps.
        projection: W_in, [neurons, channels]; with ``inputs`` or ``events``.
        projection_bias: b_in, [neurons], or None.
        recurrent: W_rec, [neurons, neurons], or None in a feed-forward layer.
        recurrent_bias: b_rec, [neurons], or None.
        alpha: decay of the membrane, [neurons].
        input_gain: g, [neurons].
        threshold: b_0, [neurons]; infinite in a neuron that never spikes.
        rho: decay of the adaptation, [neurons], or None without adaptation.
        adaptation_strength: beta, [neurons], or None; it takes no gradient.
        spikes: S_{-1} as it was sent out, [batch, neurons], any values: what W_rec sees first.
        crossed: S_{-1} as the reset and the adaptation see it, [batch, neurons].
        membrane: u_{-1}, [batch, neurons].
        adaptation: b_{-1}, [batch, neurons], or None.
        begin: bool, [time, batch]: where a new episode begins, with S = u = 0 and b =
            ``rules.initial_adaptation`` before that step; or None.
        rules: the rest.
    """

    current: Tensor | None
    inputs: Tensor | None
    events: Events | Bits | None
    steps: int
    projection: Tensor | None
    projection_bias: Tensor | None
    recurrent: Tensor | None
    recurrent_bias: Tensor | None
    alpha: Tensor
    input_gain: Tensor
    threshold: Tensor
    rho: Tensor | None
    adaptation_strength: Tensor | None
    spikes: Tensor
    crossed: Tensor
    membrane: Tensor
    adaptation: Tensor | None
    begin: Tensor | None
    rules: Rules


class Solution(NamedTuple):
    """What a kernel answers.

    Attributes:
        spikes: S, [time, batch, neurons].
        membrane: u after the last step, [batch, neurons].
        adaptation: b after the last step, [batch, neurons], or None.
        trace: u of every step, [time, batch, neurons], or None if nobody asked for it.
        counts: number of spikes of each neuron, [batch, neurons].
        fired: the spikes again, as bits for the layer above, or None if the backend makes none.
        kept: what the backend's backward pass needs besides the problem; empty without one.
    """

    spikes: Tensor
    membrane: Tensor
    adaptation: Tensor | None
    trace: Tensor | None
    counts: Tensor
    fired: Bits | None
    kept: tuple[Tensor, ...]


class Cotangents(NamedTuple):
    """Gradients that arrive at a solution; None where none does."""

    spikes: Tensor | None
    membrane: Tensor | None
    adaptation: Tensor | None
    trace: Tensor | None


class Gradients(NamedTuple):
    """Gradients of a problem, by its attributes' names; None where they were not needed."""

    current: Tensor | None = None
    inputs: Tensor | None = None
    projection: Tensor | None = None
    projection_bias: Tensor | None = None
    recurrent: Tensor | None = None
    recurrent_bias: Tensor | None = None
    alpha: Tensor | None = None
    input_gain: Tensor | None = None
    threshold: Tensor | None = None
    rho: Tensor | None = None
    spikes: Tensor | None = None
    crossed: Tensor | None = None
    membrane: Tensor | None = None
    adaptation: Tensor | None = None


Backend = Any
"""A module with ``forward(problem, trace: bool, backward: bool) -> Solution``, told whether the
trace is wanted and whether a backward pass will follow, and with
``backward(problem, kept, cotangents, needed) -> Gradients``, where ``needed`` is the set of the
names of the gradients that are wanted."""
