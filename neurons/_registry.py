"""Let snnTorch find our layers without keeping them alive.

snnTorch keeps every layer that was ever made in one list, ``SpikingNeuron.instances``, and resets
or detaches layers by walking it: by index over a length taken once, asking ``isinstance`` of each
entry, then reading and assigning its states. A layer in that list is never freed, and a copied or
unpickled one is not in it.

An :class:`Entry` stands in the list for one of our layers and refers to it weakly. When the layer
dies the entry stays where it is, an instance of nothing that a walk looks for, until a new layer
takes its place: no entry ever moves while somebody walks, and the list is no longer than the
largest number of layers that were alive at once.
"""

import threading
import weakref
from collections import deque
from types import SimpleNamespace
from typing import Any

import snntorch as snn
import torch
from torch import nn

_lock = threading.RLock()  # reentrant: the collector may run a destructor that makes a layer
# Entries without a layer. Filled by a bound method of C, which is safe in whatever thread, and at
# whatever moment of the interpreter's shutdown, a layer dies.
_vacant: deque["Entry"] = deque()

# A layer may die between a walk's question and its answer; the walk then finds an empty state.
_NOBODY = SimpleNamespace(
    mem=torch.zeros(0), spk=torch.zeros(0), init_rleaky=lambda: (torch.zeros(0), torch.zeros(0))
)


class Entry(weakref.ref):
    """Stands for a layer in ``SpikingNeuron.instances``: what is asked of it, the layer answers."""

    __slots__ = ("position",)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The layer's class, by which isinstance goes; once the layer is gone, its own."""
        layer = self()
        return Entry if layer is None else type(layer)

    def __getattr__(self, name: str) -> Any:
        layer = self()
        return getattr(_NOBODY if layer is None else layer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        layer = self()
        if layer is not None:
            setattr(layer, name, value)

    def __eq__(self, other: object) -> bool:
        return self is other or (other is not None and self() is other)

    __hash__ = weakref.ref.__hash__


def register(layer: nn.Module) -> None:
    """Have a layer found by snnTorch for as long as it lives.

    Args:
        layer: one that snnTorch's constructor has just put into its list, or a copy that is not in
            it.
    """
    with _lock:
        layers = _layers()
        if layers is None:
            return
        own = _position(layers, layer)
        last = own is None or own == len(layers) - 1
        place = _vacancy(layers) if last else None
        if place is None:
            place = own
        entry = Entry(layer, _vacant.append)
        if place is None:
            place = len(layers)
            layers.append(entry)
        else:
            layers[place] = entry
        object.__setattr__(entry, "position", place)
        if own is not None and own != place:
            del layers[own]  # the last: a walk that has counted it began while it was being made


def forget(layer: nn.Module) -> None:
    """Take a layer that could not be completed out of snnTorch's list: a walk would fail at it."""
    with _lock:
        layers = _layers()
        own = None if layers is None else _position(layers, layer)
        if layers is not None and own is not None:
            del layers[own]


def _layers() -> list[Any] | None:
    """Return snnTorch's list; None where it keeps its layers in another way, or not at all."""
    layers = getattr(snn.SpikingNeuron, "instances", None)
    return layers if isinstance(layers, list) else None


def _position(layers: list[Any], layer: nn.Module) -> int | None:
    """Where snnTorch has put a layer; a new one stands near the end."""
    return next((i for i in reversed(range(len(layers))) if layers[i] is layer), None)


def _vacancy(layers: list[Any]) -> int | None:
    """Find a place whose layer has died; the list may have been emptied since."""
    while _vacant:
        gone = _vacant.popleft()
        place = object.__getattribute__(gone, "position")
        if place < len(layers) and layers[place] is gone:
            return place
    return None


class Registered(nn.Module):
    """A layer whose copies and unpickled twins snnTorch finds too, whatever its state was."""

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of: everything, with the states cut from their graph."""
        state = dict(super().__getstate__())
        state["_buffers"] = {
            name: None if value is None else value.detach() if value.requires_grad else value
            for name, value in self._buffers.items()
        }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a copy, and register it."""
        super().__setstate__(state)
        register(self)
