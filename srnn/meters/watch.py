"""Watching a module run: every call of a part that can be counted, and every operation outside one.

While a watch is on, the methods of a network's parts are wrapped; hooks are left alone, since a
hook would keep a spiking layer from its compiled kernel.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode_stack

from srnn.neurons.kernels import EventBatch
from srnn.neurons.kernels.scans import listen

from .calls import Call, Kind, Known, nothing
from .errors import UncountedError
from .guard import Frame, Guard


@contextmanager
def _counting() -> Iterator[None]:
    """Counting is no part of the network: no guard sees it, nor anyone else's mode."""
    # Mostly there is none, and looking for one takes a twentieth of the time of turning it off.
    modes = _disable_current_modes() if _get_current_dispatch_mode_stack() else nullcontext()
    with torch.no_grad(), modes:
        yield


RUNS = ("forward", "forward_sequence")
"""The methods by which a module computes."""


def _check_own_forward(name: str, part: nn.Module) -> None:
    """Refuse a part, or one within it, whose instance computes something else than its class."""
    for inner, module in part.named_modules(prefix=name):
        for method in RUNS:
            own = module.__dict__.get(method)
            if own is not None and not hasattr(own, "looks_on"):
                raise UncountedError(
                    f"{inner or 'The network'} is a {type(module).__name__} with a {method} of its "
                    "own, and no meter knows what that computes: make it a class, and teach the "
                    "meters with srnn.meters.register."
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


def _own(part: nn.Module, kind: Kind | None) -> frozenset[int]:
    """Which modules a part that is counted as a whole is counted with, itself among them."""
    if kind is None:
        return frozenset()
    apart = {id(m) for _, inner in kind.parts(part) for m in inner.modules()}
    return frozenset(id(m) for m in part.modules()) - apart


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
        began: Callable[[Tensor | EventBatch, bool], None] = nothing,
        timewise: bool = False,
        guard: bool = True,
    ) -> None:
        self._began = began
        self._module = module
        self._parts = list(walk(module, kind_of))
        self._counted = {id(part): (name, kind) for name, part, kind in self._parts if kind}
        self._calls: Counter[int] = Counter()
        self._seen, self._timewise = seen, timewise
        self.running: list[Frame] = []
        self._known = Known()
        self._guard = Guard(self.running, self._known.forget) if guard else None
        self._wrapped: list[tuple[nn.Module, str, Any]] = []
        self._hooked: list[tuple[Any, int, Any]] = []

    def __enter__(self) -> "Watch":
        self._frame_hooks()
        for name, part, kind in self._parts:
            frame = Frame(name, type(part).__name__, kind is not None, _own(part, kind))
            if kind is None:
                for method in RUNS:
                    if hasattr(part, method):
                        self._wrap(frame, part, None, method, (), False)
                continue
            for method, arguments in kind.step.items():
                self._wrap(frame, part, kind, method, arguments, False)
            for method, arguments in kind.sequence.items():
                self._wrap(frame, part, kind, method, arguments, True)
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
        self._known.forget()

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
            with self.running_as(frame):
                output = function(*args, **kwargs)
            self._known.forget()  # a hook may write by ways that nobody sees
            return output

        return framed

    @contextmanager
    def running_as(self, frame: Frame) -> Iterator[None]:
        """Let operations be those of a part; nobody looks at one that is counted as a whole."""
        self.running.append(frame)
        try:
            with nullcontext() if self._guard is None else self._guard.looking(not frame.covered):
                yield
        finally:
            self.running.pop()

    def _see(self, kind: Kind, call: Call) -> None:
        """Let a call be counted; before it that of a projection which a kernel stood in for."""
        if id(call.projection) in self._counted:
            name, inner = self._counted[id(call.projection)]
            given = {"input": call.arguments["input_"]}
            part, call.projection = call.projection, None
            self._seen(inner, replace(call, name=name, module=part, arguments=given))
        self._seen(kind, call)

    def _wrap(
        self,
        frame: Frame,
        part: nn.Module,
        kind: Kind | None,
        method: str,
        names: tuple[str, ...],
        sequence: bool,
    ) -> None:
        original = getattr(part, method)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not self.running:
                # An input that is written again between two calls may not show it.
                self._known.forget()
                first = (a for a in (*args, *kwargs.values()) if isinstance(a, Tensor | EventBatch))
                # Networks of ours take their second argument from a piece of sequence to the next.
                state = kwargs.get("state", args[1] if len(args) > 1 else None)
                goes_on = state is not None and hasattr(part, "named_layers")
                for signal in islice(first, 1):
                    self._began(signal, goes_on)
            included = any(id(part) in around.own for around in self.running)
            self._calls[id(part)] += 1
            with self.running_as(frame):
                if kind is None or included:
                    return original(*args, **kwargs)
                given = dict(zip(names, args, strict=False)) | kwargs
                projection = given.get("projection") if sequence else None
                calls, before = self._calls[id(projection)], None
                if kind.before is not nothing:
                    with _counting():
                        before = kind.before(part, given)
                with listen() as scans:
                    output = original(*args, **kwargs)
                with _counting():
                    call = Call(
                        *(frame.name, part, given, output, sequence, self._timewise, before),
                        *(self._known, scans),
                    )
                    if self._calls[id(projection)] == calls:
                        call.projection = projection
                    self._see(kind, call)
                return output

        wrapped.looks_on = True  # type: ignore[attr-defined]  # so that kernels go on as before
        self._wrapped.append((part, method, part.__dict__.get(method)))
        part.__dict__[method] = wrapped
