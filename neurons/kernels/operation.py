"""The kernels as one operation of PyTorch, ``srnn::sequence``, with its gradient.

As an operation, a kernel is opaque to what traces and compiles programs, and composes with
autograd, ``torch.compile``, ``torch.export``, autocast and distributed training. Its schema holds
a :class:`Problem` taken apart, since an operation takes tensors, numbers and text alone.

A traced program must know all shapes beforehand, and what a backend keeps for its backward pass is
its own affair. So a program that is being traced keeps nothing, and its backward pass repeats the
forward pass first.
"""

import functools
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from .problem import Backend, Bits, Cotangents, Events, Gradients, Problem, Rules, Solution

_PROBLEM = """
    Tensor? current, Tensor? inputs,
    Tensor? offsets, Tensor? channels, Tensor? values, Tensor? words, SymInt steps,
    Tensor? projection, Tensor? projection_bias, Tensor? recurrent, Tensor? recurrent_bias,
    Tensor alpha, Tensor input_gain, Tensor threshold, Tensor? rho, Tensor? adaptation_strength,
    Tensor spikes, Tensor crossed, Tensor membrane, Tensor? adaptation, Tensor? begin,
    str surrogate, float[] constants, str reset, bool detach_reset, float initial_adaptation
"""
_NAMES = [argument.split()[-1] for argument in _PROBLEM.split(",")]
_TENSORS = [a.split()[-1] for a in _PROBLEM.split(",") if a.split()[0].startswith("Tensor")]


@functools.cache
def backend(kernel: str) -> Backend:
    """The module of a kernel, by its name."""
    return import_module(f".{kernel}_backend", __package__)


def solve(problem: Problem, kernel: str, *, trace: bool) -> Solution:
    """Run a kernel over a sequence; differentiable.

    Args:
        problem: what to compute.
        kernel: ``"torch"`` or ``"cpu"``.
        trace: whether the membrane of every step is wanted.

    Returns:
        The solution, without what the backward pass keeps. In a program that is being traced,
        ``fired`` is None.
    """
    arguments = _take_apart(problem)
    wanted = any(isinstance(a, Tensor) and a.requires_grad for a in arguments)
    traced = torch.compiler.is_compiling()
    backward = wanted and torch.is_grad_enabled() and not traced
    spikes, membrane, adaptation, membranes, counts, fired, _ = torch.ops.srnn.sequence(
        *arguments, kernel, trace, backward, not traced
    )
    return Solution(
        spikes=spikes,
        membrane=membrane,
        adaptation=adaptation if problem.adaptation is not None else None,
        trace=membranes if trace else None,
        counts=counts,
        fired=Bits(fired) if len(fired) else None,
        kept=(),
    )


def _take_apart(problem: Problem) -> list[Any]:
    arguments: list[Any] = []
    for name, value in zip(problem._fields, problem, strict=True):
        if name == "events":
            arguments += value if isinstance(value, Events) else (None, None, None)
            arguments.append(value.words if isinstance(value, Bits) else None)
        elif name == "rules":
            arguments += problem.rules
        else:
            arguments.append(value)
    return arguments


def _put_together(arguments: Iterable[Any]) -> Problem:
    named = dict(zip(_NAMES, arguments, strict=True))
    listed = Events(*(named.pop(part) for part in Events._fields))
    packed = Bits(*(named.pop(part) for part in Bits._fields))
    events = listed if listed.offsets is not None else packed if packed.words is not None else None
    rules = Rules(*(named.pop(part) for part in Rules._fields))
    rules = rules._replace(constants=tuple(rules.constants))
    return Problem(**named, events=events, rules=rules)


def _of_their_own(tensors: Iterable[Tensor], taken: Iterable[Tensor]) -> list[Tensor]:
    """The tensors, copied where they share memory: an operation's results must not."""
    seen = {tensor.untyped_storage()._cdata for tensor in taken}
    own = []
    for tensor in tensors:
        memory = tensor.untyped_storage()._cdata
        own.append(tensor.clone() if memory in seen else tensor)
        seen.add(memory)
    return own


def _sequence(*arguments: Any) -> Any:
    *parts, kernel, trace, backward, fired = arguments
    problem = _put_together(parts)
    solution = backend(kernel).forward(problem, trace, backward)
    none = problem.membrane.new_empty(0)
    results = [
        solution.spikes,
        solution.membrane,
        none if solution.adaptation is None else solution.adaptation,
        none if solution.trace is None else solution.trace,
        solution.counts,
        solution.fired.words if fired and solution.fired else none,
    ]
    given = [a for a in parts if isinstance(a, Tensor)]
    own = _of_their_own([*results, *solution.kept], given)
    return *own[: len(results)], own[len(results) :]


def _shapes(*arguments: Any) -> Any:
    *parts, _, trace, _, _ = arguments
    problem = _put_together(parts)
    state = problem.membrane
    none = state.new_empty(0)
    whole = (problem.steps, *state.shape)
    return (
        state.new_empty(whole),
        state.new_empty(state.shape),
        none if problem.adaptation is None else state.new_empty(state.shape),
        state.new_empty(whole) if trace else none.clone(),
        state.new_empty(state.shape),
        none.clone(),
        [],
    )


def _sequence_backward(*arguments: Any) -> Any:
    *parts, kernel, kept, spikes, membrane, adaptation, trace, needed = arguments
    problem = _put_together(parts)
    run = backend(kernel)
    kept = tuple(kept) or run.forward(problem, False, True).kept
    names = needed.split()
    cotangents = Cotangents(spikes, membrane, adaptation, trace)
    gradients = run.backward(problem, kept, cotangents, frozenset(names))
    given = [a for a in arguments if isinstance(a, Tensor)]
    return _of_their_own((getattr(gradients, name) for name in names), [*given, *kept])


def _shapes_backward(*arguments: Any) -> Any:
    named = dict(zip(_NAMES, arguments, strict=False))
    return [torch.empty_like(named[name]) for name in arguments[-1].split()]


class _Sequence(torch.autograd.Function):
    """What autograd does with the operation."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            *results, fired, kept = torch.ops.srnn.sequence(*arguments)
        parts = dict(zip(_NAMES, arguments, strict=False))
        ctx.rest = {name: parts[name] for name in _NAMES if name not in _TENSORS}
        ctx.kernel = arguments[len(_NAMES)]
        ctx.save_for_backward(*(parts[name] for name in _TENSORS), *kept)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(fired)
        return *results, fired, kept

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        spikes, membrane, adaptation, trace, counts, _, _ = gradients
        saved = ctx.saved_tensors
        tensors = dict(zip(_TENSORS, saved, strict=False))
        parts = [tensors[name] if name in tensors else ctx.rest[name] for name in _NAMES]
        if counts is not None:
            spikes = counts if spikes is None else spikes + counts
            spikes = spikes.expand(ctx.rest["steps"], *counts.shape)
        wanted = zip(_NAMES, ctx.needs_input_grad, strict=False)
        needed = [name for name, want in wanted if want and name in Gradients._fields]
        found = torch.ops.srnn.sequence_backward(
            *parts,
            ctx.kernel,
            saved[len(_TENSORS) :],
            spikes,
            membrane,
            adaptation if tensors["adaptation"] is not None else None,
            trace,
            " ".join(needed),
        )
        named = dict(zip(needed, found, strict=True))
        return *(named.get(name) for name in _NAMES), None, None, None, None


def refuse_second_derivative(ctx: Any, *gradients: Any) -> Any:
    """The backward pass of a gradient that goes no further."""
    raise NotImplementedError(
        "The kernels have no second derivative: set SRNN_KERNEL=reference in the environment to "
        "differentiate twice."
    )


class _Gradient(torch.autograd.Function):
    """What autograd does with the operation's gradient: it goes no further."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return tuple(torch.ops.srnn.sequence_backward(*arguments))

    backward = staticmethod(refuse_second_derivative)


# By hand and not by `torch.library.custom_op`, which flattens and rebuilds all arguments as trees
# several times a call: milliseconds of a training step.
_library = torch.library.Library("srnn", "FRAGMENT")


def _register(name: str, schema: str, run: Any, shapes: Any, differentiated: Any) -> None:
    _library.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
    _library.impl(name, run, "CompositeExplicitAutograd")
    _library.impl(name, differentiated, "Autograd")
    torch.library.register_fake(f"srnn::{name}", shapes, lib=_library)
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(f"srnn::{name}", device, torch.float32, lib=_library)


_register(
    "sequence",
    f"({_PROBLEM}, str kernel, bool trace, bool backward, bool fired)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor[])",
    _sequence,
    _shapes,
    lambda *arguments: _Sequence.apply(*arguments),
)
_register(
    "sequence_backward",
    f"({_PROBLEM}, str kernel, Tensor[] kept, Tensor? of_spikes, Tensor? of_membrane, "
    "Tensor? of_adaptation, Tensor? of_trace, str needed) -> Tensor[]",
    _sequence_backward,
    _shapes_backward,
    lambda *arguments: list(_Gradient.apply(*arguments)),
)
