"""Plastic synapses: what they deliver, and what it takes to keep them up to date.

For H neurons on N lines, in one step of one sample; a of the lines are active, and c pairs of an
active line (by the p of :mod:`srnn.neurons.plasticity.hebbian`) and an active neuron meet:

| term                 | equation                         | AC     | MAC       | words    |
|----------------------|----------------------------------|--------|-----------|----------|
| synapses, recurrence | g z, by the element rule         | H each | H each    | H each   |
| bias                 | + b                              | H      |           | H        |
| **Hebbian**          |                                  |        |           |          |
| efficacy             | W + F; without a norm a H        | H N    |           | H N: F   |
| normalise, "before"  | squares of G; I / n; F / n       |        | 2 H N + H |          |
| normalise, "after"   | as before; and of W + F', F' / n | H N    | 3 H N + H | H N: W   |
| decay                | Lambda F                         |        | H N       | 3 H N    |
| learning             | + Gamma h p: spikes, else reals  | c      | 2 c       | c: Gamma |
| **memristive**       | as Hebbian without a norm        |        |           |          |
| normalise, "input"   | squares of z, z over its norm,   |        | N + a     |          |
|                      | which is real: MACs from there   |        |           |          |
| **Tsodyks-Markram**  | what is released is real: MACs   |        |           |          |
| release              | u + U (1 - u) z, u x z, x - r    | 2 a    | 2 a       | a: U     |
| recovery             | u exp(.), 1 - (1 - x) exp(.)     |        | 2 N       | 6 N      |

The first two rows count every synapse, since a weight of zero does not stay one. A current is
divided by n once a neuron, which is the cheapest way to the same number. What a simulated device
does to a pulse, noise and levels, is the device's own affair; its energy is that of
:mod:`srnn.neurons.plasticity.device`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from srnn.neurons.kernels import EventBatch
from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, Plasticity, TsodyksMarkramSTP

from .terms import Term, Terms, products, work


class Activity(NamedTuple):
    """What elements of a kind there were, added up over features; tensors [time, batch].

    Attributes:
        events: sum of abs(k) over the whole numbers k.
        whole: how many of these were not 0.
        reals: number of all others.
    """

    events: Tensor
    whole: Tensor
    reals: Tensor

    @classmethod
    def of(cls, x: Tensor, *, real: bool = False) -> "Activity":
        """Sort the elements of [time, batch, features]; all of them are reals if it is said so."""
        x = x.detach().double()
        whole = (x == x.round()) & (not real)
        events = torch.where(whole, x.abs(), 0.0).sum(-1)
        return cls(events, (whole & (x != 0)).sum(-1), (~whole & (x != 0)).sum(-1))

    def plus(self, other: "Activity") -> "Activity":
        """The activity of both."""
        return Activity(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def active(self) -> Tensor:
        """Number of elements that are not 0."""
        return self.whole + self.reals


class _Seen(NamedTuple):
    """What a layer of plastic synapses saw, [blocks] unless it says something else.

    Attributes:
        rows: steps times samples in a block, a number.
        blocks: number of blocks.
        active: number of active lines.
        pairs: events at both ends of a synapse.
        real_pairs: pairs of active ends of which one is a real number.
    """

    rows: int
    blocks: int
    active: Tensor
    pairs: Tensor
    real_pairs: Tensor


def before(h: Tensor, first: Tensor | None, reset: Tensor | None) -> Tensor:
    """Return the activity of the step before each, [time, batch, neurons].

    Args:
        h: the activity, likewise.
        first: before the first step, [batch, neurons]; None for zeros.
        reset: mask [time, batch] of steps that begin anew, or None.
    """
    start = torch.zeros_like(h[:1]) if first is None else first[None].to(h)
    past = torch.cat([start, h[:-1]])
    return past if reset is None else past.masked_fill(reset.bool()[..., None], 0)


def plastic_terms(
    stp: Plasticity,
    x: Tensor | EventBatch,
    h: Tensor,
    past: Tensor,
    *,
    real: bool,
    timewise: bool,
) -> Terms:
    """Count plastic synapses over a sequence.

    Args:
        stp: the plugin.
        x: what the layer was given, [time, batch, channels]; looked at where the plugin covers it.
        h: what the neurons answered, [time, batch, neurons].
        past: what they had sent in the step before, likewise.
        real: whether h counts as real numbers whatever it holds, as hidden states do.
        timewise: whether to keep time steps apart.

    Returns:
        The terms of the table above.
    """

    def blocks(count: Tensor) -> Tensor:
        return count.sum(1) if timewise else count.sum()[None]

    divided = getattr(stp, "normalisation", "none") == "input"
    recurrent, answered = Activity.of(past, real=real or divided), Activity.of(h, real=real)
    dense = x.dense(torch.float64) if isinstance(x, EventBatch) else x
    given = Activity.of(dense[..., : stp.inputs] if stp.inputs else dense[..., :0], real=divided)
    ends = given.plus(answered if getattr(stp, "recurrent", "old") == "new" else recurrent)
    pairs = answered.events * ends.events
    mixed = answered.active * ends.active - answered.whole * ends.whole
    rows = h.shape[1] if timewise else h.shape[0] * h.shape[1]
    active = blocks(given.plus(recurrent).active)
    seen = _Seen(rows, len(active), active, blocks(pairs), blocks(mixed))
    H = stp.neurons
    terms: dict[str, Term] = {}
    for name, kind, lines in (
        ("synapses", given, stp.inputs),
        ("recurrence", recurrent, stp.neurons),
    ):
        ac, mac = blocks(kind.events).double() * H, blocks(kind.reals).double() * H
        if isinstance(stp, TsodyksMarkramSTP):
            ac, mac = torch.zeros_like(ac), blocks(kind.active).double() * H
        if lines:
            terms[name] = products(ac, mac, rows * lines * H)
    if stp.bias is not None:
        terms["bias"] = work(seen.blocks, ac=rows * H, words=rows * H)
    return terms | FORMULAS[type(stp)](stp, seen)


def _hebbian(stp: Any, seen: _Seen) -> dict[str, Term]:
    synapses, neurons, blocks = seen.rows * stp.synapses, seen.rows * stp.neurons, seen.blocks
    terms = _learning(synapses, seen)
    if stp.normalisation == "none":
        return terms | _efficacy(stp, seen)
    terms["efficacy"] = work(blocks, ac=synapses, words=synapses)
    if stp.normalisation == "before":
        terms["normalise"] = work(blocks, mac=2 * synapses + neurons)
    else:
        terms["normalise"] = work(blocks, ac=synapses, mac=3 * synapses + neurons, words=synapses)
    return terms


def _memristive(stp: Any, seen: _Seen) -> dict[str, Term]:
    terms = _learning(seen.rows * stp.synapses, seen) | _efficacy(stp, seen)
    if stp.normalisation == "input":
        terms["normalise"] = work(seen.blocks, mac=seen.rows * stp.lines + seen.active)
    return terms


def _efficacy(stp: Any, seen: _Seen) -> dict[str, Term]:
    used = stp.neurons * seen.active
    return {"efficacy": work(seen.blocks, ac=used, words=used)}


def _learning(synapses: int, seen: _Seen) -> dict[str, Term]:
    return {
        "decay": work(seen.blocks, mac=synapses, words=3 * synapses),
        "learning": work(
            seen.blocks,
            ac=seen.pairs,
            mac=2 * seen.real_pairs,
            words=seen.pairs + seen.real_pairs,
        ),
    }


def _tsodyks_markram(stp: Any, seen: _Seen) -> dict[str, Term]:
    lines = seen.rows * stp.lines
    return {
        "release": work(seen.blocks, ac=2 * seen.active, mac=2 * seen.active, words=seen.active),
        "recovery": work(seen.blocks, mac=2 * lines, words=6 * lines),
    }


FORMULAS: dict[type[Plasticity], Callable[[Any, _Seen], dict[str, Term]]] = {
    HebbianSTP: _hebbian,
    MemristiveSTP: _memristive,
    TsodyksMarkramSTP: _tsodyks_markram,
}
"""What upkeep costs, by plugin; a class derived from one is a plugin of its own."""

STATES: dict[type[Plasticity], Callable[[Plasticity], int]] = {
    HebbianSTP: lambda stp: stp.synapses,
    MemristiveSTP: lambda stp: stp.synapses,
    TsodyksMarkramSTP: lambda stp: 2 * stp.lines,
}
"""How many real numbers synapses remember."""
