"""What is counted: the terms of a layer, and the conventions that add them up.

A term is one kind of work of a layer, with its accumulates (AC), multiply-accumulates (MAC), and
words of memory. Products with weights have a dense count too: every product, zeros included.

| term               | what it is                                                      |
|--------------------|-----------------------------------------------------------------|
| synapses           | products with a projection's, linear or convolutional weights   |
| recurrence         | products with recurrent weights                                 |
| bias               | one AC a non-zero bias and step                                 |
| leak, gain, ...    | updates of a neuron: see :mod:`srnn.meters.neurons`             |
| hadamard, gate     | elementwise products and 1 - z of gated cells                   |
| state              | words of state that a cell or delay reads and writes, no work   |
| norm, pool         | see :mod:`srnn.meters.layers`                                   |
| reduction          | of a readout over time: see :mod:`srnn.meters.spiking`          |

Comparisons other than a neuron's with its threshold, and non-linearities, are not counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


@dataclass(eq=False, slots=True)
class Term:
    """Work of one kind.

    Attributes:
        counts: int64 [5, blocks], a block for every time step or one for all: accumulates,
            multiply-accumulates, operations if nothing were skipped, words read from or written to
            memory, and words if nothing were skipped. One tensor, since a meter adds up many.
    """

    counts: Tensor

    @property
    def ac(self) -> Tensor:
        """Accumulates, int64 [blocks]."""
        return self.counts[0]

    @property
    def mac(self) -> Tensor:
        """Multiply-accumulates, int64 [blocks]."""
        return self.counts[1]

    @property
    def dense(self) -> Tensor:
        """Operations if nothing were skipped, int64 [blocks]."""
        return self.counts[2]

    @property
    def words(self) -> Tensor:
        """Words read from or written to memory, int64 [blocks]."""
        return self.counts[3]

    @property
    def dense_words(self) -> Tensor:
        """Words if nothing were skipped, int64 [blocks]."""
        return self.counts[4]


Terms = Mapping[str, Term]
PRODUCTS = ("synapses", "recurrence")
"""The terms that are products with weights."""


def work(
    blocks: int,
    *,
    ac: float | Tensor = 0,
    mac: float | Tensor = 0,
    words: float | Tensor = 0,
) -> Term:
    """A term of which nothing is ever skipped; numbers are for each block."""
    numbers = [round(count) for count in (ac, mac, words) if not isinstance(count, Tensor)]
    if len(numbers) == 3:
        return _constant(blocks, *numbers)
    done_ac, done_mac, moved = _whole(ac), _whole(mac), _whole(words)
    return _put_together(blocks, done_ac, done_mac, done_ac + done_mac, moved, moved)


@lru_cache(maxsize=1024)
def _constant(blocks: int, ac: int, mac: int, words: int) -> Term:
    """The same for every batch of a size, mostly; nobody writes into a term."""
    counts = torch.tensor([[ac], [mac], [ac + mac], [words], [words]], device="cpu")
    return Term(counts.expand(5, blocks))


def products(ac: Tensor, mac: Tensor, dense: int) -> Term:
    """Products with weights, each of which reads its weight; ``dense`` is for each block."""
    done_ac, done_mac = _whole(ac), _whole(mac)
    return _put_together(len(ac), done_ac, done_mac, dense, done_ac + done_mac, dense)


# A meter makes a dozen of such small terms for every layer and call, and beside a fast kernel they
# count: numpy takes a quarter of torch's time for numbers that are so few.


def _whole(count: float | Tensor) -> "np.ndarray[Any, np.dtype[np.int64]] | int":
    if not isinstance(count, Tensor):
        return round(count)
    return np.rint(count.detach().cpu().numpy()).astype(np.int64)


def _put_together(blocks: int, *rows: Any) -> Term:
    counts = np.empty((len(rows), blocks), np.int64)
    for row, count in zip(counts, rows, strict=True):
        row[:] = count
    return Term(torch.from_numpy(counts))


def add(one: Terms, other: Terms) -> dict[str, Term]:
    """Add two layers' terms of equally many blocks."""
    total = dict(one)
    for name, term in other.items():
        total[name] = Term(total[name].counts + term.counts) if name in total else term
    return total


class Ops(NamedTuple):
    """Operations, as whole numbers, or as floats for one sample.

    Attributes:
        ac: accumulates, under the convention that they were added up by.
        mac: multiply-accumulates, likewise.
        dense: operations if nothing were skipped.
        words: words of memory traffic.
    """

    ac: float
    mac: float
    dense: float
    words: float

    def per(self, samples: int) -> "Ops":
        """The share of one of so many samples."""
        return Ops(*(count / samples for count in self))

    def __add__(self, other: tuple[Any, ...]) -> "Ops":
        """Add number by number, not one tuple behind the other."""
        return Ops(*(a + b for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Convention:
    """Which terms are added up, and whether products with zeros are skipped.

    Args:
        name: what to call it in tables.
        left_out: names of the terms that do not count.
        dense: ``"never"``; ``"always"``: every product counts, as a MAC; ``"without spikes"``:
            that, in networks that have no spiking neuron.
        about: one sentence for reports.
        memory: whether words of memory count.
    """

    name: str
    left_out: frozenset[str]
    dense: str
    about: str
    memory: bool = True

    def over_time(self, terms: Terms, spiking: bool = True) -> Tensor:
        """Add up a layer's terms, int64 [4, blocks] in the order of :class:`Ops`."""
        counted = [(n, t) for n, t in terms.items() if n not in self.left_out]
        dense = self.dense == "always" or (self.dense == "without spikes" and not spiking)
        rows = [
            torch.stack([torch.zeros_like(t.ac), t.dense, t.dense, t.dense_words])
            if dense and name in PRODUCTS
            else t.counts[:4]
            for name, t in counted
        ]
        total = torch.stack(rows).sum(0) if rows else torch.zeros(4, 1, dtype=torch.int64)
        if not self.memory:
            total[3] = 0
        return total

    def total(self, terms: Terms, spiking: bool = True) -> Ops:
        """Add up a layer's terms over time."""
        return Ops(*self.over_time(terms, spiking).sum(-1).tolist())


_FOLDED_TERMS = frozenset({"threshold-folded"})

EVENT_DRIVEN = Convention(
    "event-driven",
    left_out=_FOLDED_TERMS,
    dense="never",
    about="products with a zero input or a zero weight are skipped; everything else counts",
)
DENSE = Convention(
    "dense",
    left_out=_FOLDED_TERMS,
    dense="always",
    about="every product counts as a MAC, zeros included",
)
FOLDED = Convention(
    "folded",
    left_out=frozenset(
        {"bias", "gain", "threshold", "compare", "gate", "norm", "pool", "reduction", "state"}
    ),
    dense="without spikes",
    about="the published ratios: the input gain is folded into the weights and the adaptation "
    "strength into the trace; biases, comparisons, norms, pooling, the reduction over time and "
    "memory are left out; networks without spikes are dense",
    memory=False,
)
CONVENTIONS = {c.name: c for c in (EVENT_DRIVEN, DENSE, FOLDED)}
"""The conventions by name."""


def total_of(layers: Iterable[Terms], convention: Convention, spiking: bool) -> Ops:
    """Add up several layers."""
    total = Ops(0, 0, 0, 0)
    for terms in layers:
        total = total + convention.total(terms, spiking)
    return total
