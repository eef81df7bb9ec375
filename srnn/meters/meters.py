"""The two meters: context managers that count what a module does while they are on.

    >>> import torch
    >>> from srnn import SRNN
    >>> net = SRNN(20, [32], 4)
    >>> with SynOpMeter(net) as synops, SpikeMeter(net) as spikes:
    ...     _ = net(torch.rand(50, 8, 20).round())
    >>> synops.samples, list(synops.layers), list(spikes.layers)
    (8, ['layer1', 'readout'], ['layer1'])

While a meter is on, the module is in evaluation mode: spikes are met before dropout. How many
samples there were follows from what the outermost module was called with. Three or five dimensions
are whole sequences, [time, batch, ...]; two or four are one step, [batch, ...]; where the first
layer of weights is a Conv1d, whose features are [channels, length], four are a sequence and three
are a step. All steps within one ``with`` belong to the same samples, and so do the pieces of a
sequence that a network of ours is given with the state of the piece before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from srnn.neurons.kernels import EventBatch
from srnn.neurons.kernels.events import counts_of

from .calls import Call, Kind
from .layers import kind_of
from .synapses import features_of, is_synapse
from .terms import EVENT_DRIVEN, Convention, Ops, Term, Terms, add, total_of
from .watch import Watch


@dataclass
class LayerOps:
    """Operations of one layer.

    Attributes:
        kind: name of its class.
        terms: what it did, by the names of :mod:`srnn.meters.terms`.
    """

    kind: str
    terms: dict[str, Term]

    def total(self, convention: Convention = EVENT_DRIVEN, *, spiking: bool = True) -> Ops:
        """Add up the terms over time and samples."""
        return convention.total(self.terms, spiking)


@dataclass
class Tally:
    """Operations of a network, layer by layer.

    Attributes:
        layers: by name, in the order in which they first ran.
        samples: number of samples that they were counted over.
        spiking: whether any neuron of the network can fire.
        timewise: whether time steps were kept apart.
    """

    layers: dict[str, LayerOps]
    samples: int
    spiking: bool
    timewise: bool

    def total(self, convention: Convention = EVENT_DRIVEN) -> Ops:
        """Operations over all samples and layers, whole numbers."""
        return total_of((layer.terms for layer in self.layers.values()), convention, self.spiking)

    def per_sample(self, convention: Convention = EVENT_DRIVEN) -> Ops:
        """Operations of one sample, on average.

        Raises:
            ValueError: if nothing ran.
        """
        if not self.samples:
            raise ValueError("Nothing was counted: run the network while the meter is on.")
        return self.total(convention).per(self.samples)

    def over_time(self, convention: Convention = EVENT_DRIVEN) -> Tensor:
        """Operations of every time step over all samples, int64 [4, time], in the order of Ops.

        Raises:
            ValueError: if time steps were not kept apart.
        """
        if not self.timewise:
            raise ValueError("Time steps were not kept apart: count with timewise=True.")
        rows = [convention.over_time(layer.terms, self.spiking) for layer in self.layers.values()]
        total = torch.zeros(4, max((r.shape[1] for r in rows), default=0), dtype=torch.int64)
        for row in rows:
            total[:, : row.shape[1]] += row
        return total


def refuse_batch_first(parts: Iterable[nn.Module]) -> None:
    """Refuse layers that put the batch first, where time and batch would be taken for each other.

    Raises:
        ValueError: if there is one.
    """
    for part in parts:
        if isinstance(part, nn.RNNBase) and part.batch_first:
            raise ValueError(
                f"A meter takes inputs as [time, batch, ...], and this {type(part).__name__} has "
                "batch_first=True: it would count time steps as samples. Build the network with "
                "batch_first=False."
            )


class _Meter:
    """What both meters share: a watch, evaluation mode, and the number of samples."""

    def __init__(self, module: nn.Module, *, timewise: bool, guard: bool) -> None:
        refuse_batch_first(part for part in module.modules() if part is not module)
        self._module = module
        self._training: list[tuple[nn.Module, bool]] = []
        self._watch = Watch(
            module, kind_of, self.see, began=self._began, timewise=timewise, guard=guard
        )
        self.samples = 0
        self._stepped = False
        synapses = (part for part in module.modules() if is_synapse(part))
        first = next(synapses, None)
        self._lines = first is not None and features_of(first) == 2

    def __enter__(self) -> Self:
        self._training = [(part, part.training) for part in self._module.modules()]
        self._module.eval()
        self._watch.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._watch.__exit__(*error)
        self.begin()
        for part, training in self._training:
            part.training = training

    def _began(self, given: Tensor | EventBatch, goes_on: bool) -> None:
        """The outermost module is called with this signal."""
        if goes_on:
            return
        first = isinstance(self._module, nn.RNNBase) and self._module.batch_first
        # The features of vectors and of images are one and three dimensions.
        if len(given.shape) % 2 != self._lines:
            self.begin()
            self.samples += given.shape[0 if first else 1]
        elif not self._stepped:
            self._stepped = True
            self.samples += given.shape[0]

    def begin(self) -> None:
        """Other samples follow."""

    def see(self, kind: Kind, call: Call) -> None:
        """Count a call."""
        raise NotImplementedError


class SynOpMeter(_Meter, Tally):
    """Counts the operations of a module.

    Args:
        module: any network of the layers in :mod:`srnn.meters.layers`.
        timewise: whether to keep time steps apart: the first dimension of a layer that is called
            with [time, batch, ...], and otherwise one call after the other.

    Raises:
        UncountedError: on entering or while the module runs, if a part of it cannot be counted.
    """

    def __init__(self, module: nn.Module, *, timewise: bool = False) -> None:
        Tally.__init__(self, {}, 0, False, timewise)
        _Meter.__init__(self, module, timewise=timewise, guard=True)
        self._at: dict[str, int] = {}

    def begin(self) -> None:
        """Other samples follow: their time begins at 0."""
        self._at = {}

    def check_time(self, steps: int) -> None:
        """Raise a ValueError unless every layer that ran has run over so many steps."""
        for name, at in self._at.items():
            if at != steps:
                raise ValueError(
                    f"{name} ran over {at} steps in a sequence of {steps}: its time steps cannot "
                    "be told apart; count with timewise=False."
                )

    def see(self, kind: Kind, call: Call) -> None:
        """Count a call."""
        terms = dict(kind.count(call))
        if not terms:
            return
        self.spiking = self.spiking or kind.spikes(call) is not None
        layer = self.layers.setdefault(call.name, LayerOps(type(call.module).__name__, {}))
        if self.timewise:
            blocks = len(next(iter(terms.values())).ac)
            at = self._at.get(call.name, 0)
            self._at[call.name] = at + blocks
            old = [len(t.ac) for t in layer.terms.values()]
            length = max([at + blocks, *old])
            terms = _spread(terms, at, length)
            layer.terms = _spread(layer.terms, 0, length)
        layer.terms = add(layer.terms, terms)


def _spread(terms: Terms, at: int, length: int) -> dict[str, Term]:
    """Put the blocks of terms at a place in a longer time."""

    def place(counts: Tensor) -> Tensor:
        placed = counts.new_zeros(len(counts), length)
        placed[:, at : at + counts.shape[1]] = counts
        return placed

    return {name: Term(place(term.counts)) for name, term in terms.items()}


@dataclass
class LayerSpikes:
    """Spikes of one layer.

    Attributes:
        spikes: number of outputs that were not 0.
        sent: number of outputs: neurons x steps x samples.
        active: number of neurons that fired in a sample, added up over samples.
        samples: number of samples.
        neurons: spikes of each neuron, int64, in the shape of the layer.
    """

    spikes: int
    sent: int
    active: int
    samples: int
    neurons: Tensor

    @property
    def per_sample(self) -> float:
        """Spikes a sample."""
        return self.spikes / self.samples

    @property
    def per_neuron(self) -> Tensor:
        """Spikes of each neuron a sample, float64."""
        return self.neurons.double() / self.samples

    @property
    def rate(self) -> float:
        """Mean firing rate: spikes a neuron and step."""
        return self.spikes / self.sent

    @property
    def sparsity(self) -> float:
        """Activation sparsity: the share of outputs that are 0."""
        return 1 - self.rate

    @property
    def active_fraction(self) -> float:
        """The share of neurons that fire in a sample, on average."""
        return self.active / (self.samples * self.neurons.numel())


class SpikeMeter(_Meter):
    """Counts the spikes of a module's neurons, as they leave them.

    Args:
        module: any network; parts that never fire need not be known.

    Attributes:
        layers: :class:`LayerSpikes` by name.
        samples: number of samples that were run.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module, timewise=False, guard=False)
        self.layers: dict[str, LayerSpikes] = {}
        self._open: dict[str, Tensor] = {}

    def see(self, kind: Kind, call: Call) -> None:
        """Count a call."""
        spikes = kind.spikes(call)
        if spikes is None:
            return
        spikes = spikes.detach()
        steps = len(spikes) if call.sequence else 1
        if not call.sequence:
            counts = spikes != 0
        elif kind.binary(call) and steps < 2**24:
            counts = counts_of(spikes).detach()
        else:
            counts = spikes.count_nonzero(0)
        counts = counts.double()
        layer = self.layers.get(call.name)
        if layer is None:
            empty = torch.zeros(counts.shape[1:], dtype=torch.int64)
            layer = self.layers[call.name] = LayerSpikes(0, 0, 0, 0, empty)
        layer.sent += steps * counts.numel()
        layer.spikes += int(counts.sum())
        layer.neurons = layer.neurons + counts.sum(0).long().cpu()
        before = self._open.get(call.name)
        self._open[call.name] = counts if before is None else before + counts

    def begin(self) -> None:
        """Other samples follow: close those that ran."""
        for name, counts in self._open.items():
            self.layers[name].samples += len(counts)
            self.layers[name].active += int((counts > 0).sum())
        self._open = {}

    def total(self) -> int:
        """Spikes of all layers and samples."""
        return sum(layer.spikes for layer in self.layers.values())
