"""Watching a module run: every call of a part that can be counted, and every operation outside one.

While a watch is on, the methods of a network's parts are wrapped; hooks are left alone, since a
hook would keep a spiking layer from its compiled kernel. Operations that torch dispatches within a
part that is counted as a whole are its own affair. Anywhere else in the network they must be free:
views, copies, indexing, comparisons and non-linearities. Arithmetic there would go uncounted, and
is an error.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from srnn.neurons.kernels import EventBatch

from .errors import UncountedError
from .events import Input, read, read_batch
from .free import is_free
from .terms import Terms


@dataclass
class Call:
    """One call of a part, after it has run.

    Attributes:
        name: of the part within the network.
        module: the part.
        arguments: what it was called with, by name.
        output: what it returned.
        sequence: whether it ran over a whole sequence, [time, batch, ...].
        timewise: whether time steps are to be kept apart.
        before: what was noted before it ran.
        known: inputs that were read before, by the tensor that they were read from.
    """

    name: str
    module: Any
    arguments: dict[str, Any]
    output: Any
    sequence: bool
    timewise: bool
    before: Any = None
    known: "Known" = field(default_factory=lambda: Known())

    def read(self, x: Tensor | EventBatch, features: int = 1, *, binary: bool = False) -> Input:
        """Sort the elements of x as :func:`srnn.meters.events.read` does, once for each tensor."""
        if isinstance(x, EventBatch):
            return read_batch(x, timewise=self.timewise)
        return self.known.read(x, features, timewise=self.timewise, binary=binary)


class Known:
    """The tensor that was read last, since one layer's output is mostly the next one's input."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._read: Input | None = None

    def read(self, x: Tensor, features: int, *, timewise: bool, binary: bool) -> Input:
        """Read a tensor, or recall what was read of it while it has not changed."""
        key = (x, features, timewise, 0 if x.is_inference() else x._version)
        same = self._read is not None and key[0] is self._key[0] and key[1:] == self._key[1:]
        if not same:
            self._key, self._read = key, read(x, features, timewise=timewise, binary=binary)
        assert self._read is not None
        return self._read


Methods = Mapping[str, tuple[str, ...]]
"""Names of methods, each with the names of its arguments."""


def _nothing(*_: Any) -> Any:
    return None


def _no(call: "Call") -> bool:
    return False


def _none(module: Any) -> list[tuple[str, nn.Module]]:
    return []


@dataclass(frozen=True)
class Kind:
    """How a class of modules is counted.

    Attributes:
        count: the work of a call.
        spikes: what its neurons sent out in a call, or None.
        binary: whether these are known to be 0 or 1.
        check: (module, name): raises an UncountedError if this one cannot be counted.
        before: (module, arguments): notes what the call will overwrite.
        parts: the parts that are counted on their own; all others belong to it.
        step: its methods that take one step, or whatever shape is given, with their arguments.
        sequence: its methods that run over a whole sequence, likewise.
    """

    count: Callable[[Call], Terms]
    spikes: Callable[[Call], Tensor | None] = _nothing
    binary: Callable[[Call], bool] = _no
    check: Callable[[Any, str], None] = _nothing
    before: Callable[[Any, dict[str, Any]], Any] = _nothing
    parts: Callable[[Any], list[tuple[str, nn.Module]]] = _none
    step: Methods = field(default_factory=dict)
    sequence: Methods = field(default_factory=dict)


class Frame(NamedTuple):
    """A module that is running.

    Attributes:
        name: its name within the network.
        kind: the name of its class.
        covered: whether it is counted as a whole.
    """

    name: str
    kind: str
    covered: bool


class _Guard(TorchDispatchMode):
    """Refuses operations that nobody counts."""

    def __init__(self, running: list[Frame]) -> None:
        super().__init__()
        self._running = running

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        frame = self._running[-1] if self._running else None
        if frame is not None and not frame.covered and not is_free(func, args, given):
            raise UncountedError(
                f"{frame.name or 'The network'} ({frame.kind}) runs {func} itself, which no meter "
                "sees. Put it into a module that srnn.meters counts, or teach it with "
                "srnn.meters.register; what is no part of the network belongs outside it."
            )
        return func(*args, **given)


@contextmanager
def _counting() -> Iterator[None]:
    """Counting is no part of the network: no guard sees it, nor anyone else's mode."""
    with torch.no_grad(), _disable_current_modes():
        yield


def _check_own_forward(name: str, part: nn.Module) -> None:
    """Refuse a part, or one within it, whose instance computes something else than its class."""
    for inner, module in part.named_modules(prefix=name):
        own = module.__dict__.get("forward")
        if own is not None and not hasattr(own, "looks_on"):
            raise UncountedError(
                f"{inner or 'The network'} is a {type(module).__name__} with a forward of its own, "
                "and no meter knows what that computes: make it a class, and teach the meters with "
                "srnn.meters.register."
            )


def walk(
    module: nn.Module, kind_of: Callable[[nn.Module], Kind | None]
) -> Iterator[tuple[str, nn.Module, Kind | None]]:
    """Every part of a network that is counted or may run operations of its own, by name."""
    met: set[int] = set()

    def visit(name: str, part: nn.Module) -> Iterator[tuple[str, nn.Module, Kind | None]]:
        if id(part) in met:
            return
        met.add(id(part))
        if isinstance(part, torch.jit.ScriptModule) or hasattr(part, "_orig_mod"):
            raise UncountedError(
                f"{name or 'The network'} is compiled, and meters cannot look into it: give them "
                "the module that it was compiled from."
            )
        kind = kind_of(part)
        if kind is not None:
            _check_own_forward(name, part)
            kind.check(part, name or type(part).__name__)
            parts = kind.parts(part)
        else:
            # Networks that name their layers are reported by these names.
            named = getattr(part, "named_layers", None)
            parts = list(named()) if named else []
            parts = [*parts, *part.named_children()]
        yield name, part, kind
        for child, inner in parts:
            yield from visit(f"{name}.{child}" if name else child, inner)

    yield from visit("", module)


class Watch:
    """Calls ``seen`` with every call of a part that is counted.

    Args:
        module: the network.
        kind_of: finds how a part is counted; None where only its parts are.
        seen: takes the calls.
        began: takes the first signal that the outermost module is called with, before it runs, and
            whether it goes on from an earlier piece of the same sequences.
        timewise: whether calls are to keep time steps apart.
        guard: whether operations outside of all such parts are refused.
    """

    def __init__(
        self,
        module: nn.Module,
        kind_of: Callable[[nn.Module], Kind | None],
        seen: Callable[[Kind, Call], None],
        *,
        began: Callable[[Tensor | EventBatch, bool], None] = _nothing,
        timewise: bool = False,
        guard: bool = True,
    ) -> None:
        self._began = began
        self._module = module
        self._parts = list(walk(module, kind_of))
        self._seen, self._timewise = seen, timewise
        self.running: list[Frame] = []
        self._guard = _Guard(self.running) if guard else None
        self._known = Known()
        self._wrapped: list[tuple[nn.Module, str, Any]] = []
        self._hooked: list[tuple[Any, int, Any]] = []

    def __enter__(self) -> "Watch":
        self._frame_hooks()
        for name, part, kind in self._parts:
            if kind is None:
                self._wrap(name, part, None, "forward", (), False)
                continue
            for method, arguments in kind.step.items():
                self._wrap(name, part, kind, method, arguments, False)
            for method, arguments in kind.sequence.items():
                self._wrap(name, part, kind, method, arguments, True)
        if self._guard is not None:
            self._guard.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._guard is not None:
            self._guard.__exit__(*error)
        while self._wrapped:
            part, method, before = self._wrapped.pop()
            if before is None:
                del part.__dict__[method]
            else:
                part.__dict__[method] = before
        while self._hooked:
            hooks, key, hook = self._hooked.pop()
            hooks[key] = hook
        self._known = Known()

    def _frame_hooks(self) -> None:
        """Let hooks run as parts of their own, also those within a part that is counted as a whole.

        What torch prepares before a call, as by masking what is pruned, are weights: constants of
        the network that runs on a device. Any other hook may look, but not compute.
        """
        for name, part in self._module.named_modules():
            for hooks in (part._forward_pre_hooks, part._forward_hooks):
                for key, hook in hooks.items():
                    covered = type(hook).__module__.startswith("torch.nn.utils.")
                    frame = Frame(name, f"a hook of {type(part).__name__}", covered)
                    self._hooked.append((hooks, key, hook))
                    hooks[key] = self._framed(frame, hook)

    def _framed(self, frame: Frame, function: Callable[..., Any]) -> Callable[..., Any]:
        def framed(*args: Any, **kwargs: Any) -> Any:
            self.running.append(frame)
            try:
                return function(*args, **kwargs)
            finally:
                self.running.pop()

        return framed

    def _wrap(
        self,
        name: str,
        part: nn.Module,
        kind: Kind | None,
        method: str,
        names: tuple[str, ...],
        sequence: bool,
    ) -> None:
        original = getattr(part, method)
        frame = Frame(name, type(part).__name__, kind is not None)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not self.running:
                # An input that is written again between two calls may not show it.
                self._known = Known()
                first = (a for a in (*args, *kwargs.values()) if isinstance(a, Tensor | EventBatch))
                # Networks of ours take their second argument from a piece of sequence to the next.
                state = kwargs.get("state", args[1] if len(args) > 1 else None)
                goes_on = state is not None and hasattr(part, "named_layers")
                for signal in islice(first, 1):
                    self._began(signal, goes_on)
            self.running.append(frame)
            try:
                if kind is None:
                    return original(*args, **kwargs)
                given = dict(zip(names, args, strict=False)) | kwargs
                with _counting():
                    before = kind.before(part, given)
                output = original(*args, **kwargs)
                with _counting():
                    call = Call(
                        name, part, given, output, sequence, self._timewise, before, self._known
                    )
                    self._seen(kind, call)
                return output
            finally:
                self.running.pop()

        wrapped.looks_on = True  # type: ignore[attr-defined]  # so that kernels go on as before
        self._wrapped.append((part, method, part.__dict__.get(method)))
        part.__dict__[method] = wrapped
