"""Sparse signals: a batch of events as a network's input, and spikes handed to the layer above.

A layer that a kernel ran knows where its spikes are, so the layer above need not look for them. It
is told by a note on the tensor of spikes, not by the tensor itself: hooks see plain tensors, and
whoever replaces the spikes or writes into them also loses the note. Writing to their ``.data``, or
by way of numpy, cannot be seen; a network with hooks forgets the notes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from .event_checks import check_events
from .problem import WORD, Bits, Events


class EventBatch(NamedTuple):
    """A batch of sequences of events, in place of a dense input [time, batch, channels].

    Attributes:
        events: the events, as lists or as bits, by rows of one step of one sequence.
        shape: [time, batch, channels].

    Example:
        >>> batch = EventBatch.of(torch.eye(3)[:, None])  # channel t fires at step t
        >>> batch.shape, batch.events.channels
        ((3, 1, 3), tensor([0, 1, 2], dtype=torch.int32))
    """

    events: Events | Bits
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, dense: Tensor) -> "EventBatch":
        """Collect the non-zero entries of a dense input [time, batch, channels].

        Raises:
            ValueError: if it has other dimensions.
        """
        if dense.dim() != 3:
            raise ValueError(f"Expected [time, batch, channels], got {list(dense.shape)}.")
        steps, batch, channels = dense.shape
        rows = dense.detach().reshape(steps * batch, channels)
        fires = rows != 0
        where = fires.nonzero(as_tuple=True)
        values = rows[where]
        events = Events(
            offsets=F.pad(fires.sum(1).cumsum(0), (1, 0)),
            channels=where[1].to(torch.int32),
            values=None if bool((values == 1).all()) else values,
        )
        return cls(events, (steps, batch, channels))

    def check(self) -> None:
        """Refuse events that do not fit the shape; a kernel would read beyond its memory.

        Raises:
            ValueError: if they do not.
        """
        steps, batch, width = self.shape
        check_events(self.events, steps * batch, width)
        learned = any(part is not None and part.requires_grad for part in self.events)
        if learned and torch.is_grad_enabled():
            raise ValueError(
                "The values of events take no gradient: detach them, or give the input as a dense "
                "tensor."
            )

    def dense(self, dtype: torch.dtype) -> Tensor:
        """The same as a dense tensor [time, batch, channels]."""
        steps, batch, width = self.shape
        if isinstance(self.events, Bits):
            return self._unpacked().to(dtype).view(self.shape)
        offsets, channels, values = self.events
        rows = torch.arange(steps * batch, device=offsets.device)
        rows = rows.repeat_interleave(offsets.diff())
        whole = torch.zeros(steps * batch, width, dtype=dtype, device=offsets.device)
        entries = torch.ones((), dtype=dtype, device=offsets.device) if values is None else values
        whole[rows, channels.long()] = entries.to(dtype)
        return whole.view(self.shape)

    def lists(self) -> Events:
        """The same as lists of channels."""
        if isinstance(self.events, Events):
            return self.events
        fires = self._unpacked()
        return Events(F.pad(fires.sum(1).cumsum(0), (1, 0)), fires.nonzero()[:, 1].to(torch.int32))

    def _unpacked(self) -> Tensor:
        """The bits as numbers 0 and 1, [time * batch, channels]."""
        assert isinstance(self.events, Bits)
        (words,) = self.events
        bits = torch.arange(WORD, device=words.device)
        return ((words[..., None] >> bits) & 1).flatten(1)[:, : self.shape[-1]]

    def to(self, *args: object, **keywords: object) -> "EventBatch":
        """Move the events to a device, as :meth:`torch.Tensor.to` does; their types stay."""
        here = torch.empty(0, device=self.events[0].device)
        device = here.to(*args, **keywords).device  # type: ignore[call-overload]
        if isinstance(self.events, Bits):
            return EventBatch(Bits(self.events.words.to(device)), self.shape)
        offsets, channels, values = self.events
        values = None if values is None else values.to(device)
        return EventBatch(Events(offsets.to(device), channels.to(device), values), self.shape)


class Note(NamedTuple):
    """What a kernel knows of the spikes that it made.

    Attributes:
        counts: number of spikes of each neuron, [batch, neurons]; differentiable.
        fired: the spikes as bits, or None.
        version: how often the tensor of spikes had been written to.
    """

    counts: Tensor
    fired: Bits | None
    version: int


_notes = WeakTensorKeyDictionary()


def note(spikes: Tensor, counts: Tensor, fired: Bits | None) -> None:
    """Note what is known of a tensor of spikes, for as long as it lives."""
    # Of an inference tensor nobody could say whether it has been written to.
    if not torch.compiler.is_compiling() and not spikes.is_inference():
        _notes[spikes] = Note(counts, fired, spikes._version)


def forget(spikes: Tensor) -> None:
    """Drop the note, where somebody may have written to the spikes unseen, as by ``.data``."""
    if not torch.compiler.is_compiling():
        _notes.pop(spikes, None)


def noted(spikes: Tensor) -> Note | None:
    """What is known of a tensor of spikes, if it still is as its kernel made it."""
    if torch.compiler.is_compiling() or spikes.is_inference():
        return None
    found: Note | None = _notes.get(spikes)
    return found if found is not None and found.version == spikes._version else None


def counts_of(spikes: Tensor) -> Tensor:
    """Number of spikes of each neuron, [batch, neurons], of spikes [time, batch, neurons]."""
    known = noted(spikes)
    return spikes.sum(0) if known is None else known.counts
