"""A class under test: how it is built, what it is fed, and how a user of snnTorch steps it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import snntorch as snn
import torch

CHECKS: dict[str, "Check"] = {}
"""Every check by its name, cNN_what: NN is the number on the checklist, reference section 1.6."""


@dataclass(frozen=True)
class Subject:
    """A class, and the keywords that it is built with."""

    name: str
    kind: type
    options: dict[str, Any]
    shape: tuple[int, ...] = (2, 3)
    # Keywords that make it its counterpart, or None if there are none.
    plain: dict[str, Any] | None = None

    @property
    def recurrent(self):
        return issubclass(self.kind, snn.RLeaky)

    @property
    def dense(self):
        return len(self.shape) == 2

    @property
    def counterpart(self):
        return snn.RLeaky if self.recurrent else snn.Leaky

    @property
    def fits(self):
        """What says how large the layer is, for the counterpart."""
        return {"linear_features": self.shape[1]} if self.recurrent else {}

    def build(self, seed=1, **more):
        """A layer, the same one every time."""
        torch.manual_seed(seed)
        return self.kind(**{**self.options, **more})

    def keeping(self, seed=1, **more):
        """A layer that keeps its states and returns them."""
        return self.build(seed, init_hidden=True, output=True, **more)

    def current(self, steps=12, *, batch=None, seed=2):
        """A current that makes every layer spike, and not always."""
        shape = self.shape if batch is None else (batch, *self.shape[1:])
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(steps, *shape, generator=generator) + 0.4

    def zeros(self, x):
        """The states that a user begins a sequence with."""
        return (torch.zeros_like(x),) * (2 if self.recurrent else 1)

    def step_explicitly(self, layer, current, state=None):
        """Step with states given and taken; spikes, membranes and the last state."""
        state = self.zeros(current[0]) if state is None else state
        pairs = []
        for x in current:
            spk, mem = layer(x, *state)
            state = (spk, mem) if self.recurrent else (mem,)
            pairs.append((spk, mem))
        spikes, membranes = (torch.stack(part) for part in zip(*pairs, strict=True))
        return spikes, membranes, state


@dataclass(frozen=True)
class Check:
    """A function of a subject that raises if the subject breaks the contract."""

    run: Callable[[Subject], None]
    applies: Callable[[Subject], bool]


def check(run=None, *, applies=lambda subject: True):
    """Enter a function into the suite, for the subjects that it applies to."""
    if run is None:
        return lambda function: check(function, applies=applies)
    assert run.__name__ not in CHECKS
    CHECKS[run.__name__] = Check(run, applies)
    return run


def dense(subject):
    """For checks that put a layer into a network of linear layers."""
    return subject.dense


def checks_of(subject):
    """Names of the checks for a subject."""
    return [name for name, each in CHECKS.items() if each.applies(subject)]


def step(layer, current):
    """Step a layer that keeps its states; stacked spikes and membranes."""
    pairs = [layer(x) for x in current]
    spikes, membranes = (torch.stack(part) for part in zip(*pairs, strict=True))
    return spikes, membranes


def same(*runs):
    """Assert that runs agree to the last bit, part by part."""
    for parts in zip(*runs, strict=True):
        for part in parts[1:]:
            assert part.shape == parts[0].shape
            assert torch.equal(part, parts[0])
