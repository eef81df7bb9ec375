"""Tanh units with Hebbian synapses as one operation of PyTorch, ``srnn::hebbian``.

It computes what the loop of ``plasticity.sequence`` computes for HebbianSTP, or for MemristiveSTP
without noise and levels, and h = tanh(I), with a gradient derived by hand. As in :mod:`operation`,
a program that is being traced keeps nothing, and its backward pass repeats the forward pass first.
Spiking neurons with such synapses run in the loop.
"""

from typing import Any

import torch
from torch import Tensor

from . import hebbian_library
from .choice import best, transformed
from .hebbian_library import HebbianProblem
from .operation import refuse_second_derivative

_PROBLEM = """
    Tensor x, Tensor h, Tensor F, Tensor? begin, Tensor W, Tensor Lambda, Tensor Gamma,
    Tensor? bias, str normalisation, str recurrent, float low, float high, bool of_sum,
    float threshold
"""
_TENSORS = 8
_DIFFERENTIABLE = ("x", "h", "F", "W", "Lambda", "Gamma", "bias")


def compiled(problem: HebbianProblem) -> bool:
    """Whether the operation can run a problem, and SRNN_KERNEL does not name another kernel.

    Raises:
        ValueError: if SRNN_KERNEL names no kernel.
        RuntimeError: if it names one that is not installed.
    """
    given = [v for v in problem._replace(begin=None) if isinstance(v, Tensor)]
    device, dtype = given[0].device, given[0].dtype
    reason = _missing()
    if transformed():
        reason = "a transform of torch.func is at work"
    elif torch.is_autocast_enabled(device.type):
        reason = "autocast is on"
    elif any(t.dtype != dtype for t in given) or dtype not in (torch.float32, torch.float64):
        reason = "the numbers are not all float32 or all float64"
    return best(device, reason, announce=False)[0] == "cpu"


@torch.compiler.assume_constant_result
def _missing() -> str | None:
    return hebbian_library.reason()


def solve(problem: HebbianProblem) -> tuple[Tensor, Tensor]:
    """Run over a sequence; differentiable.

    Returns:
        The activity of every step [time, batch, neurons], and the final F.

    Raises:
        ValueError: if a shape does not fit.
    """
    _check(problem)
    wanted = any(isinstance(a, Tensor) and a.requires_grad for a in problem)
    keep = wanted and torch.is_grad_enabled() and not torch.compiler.is_compiling()
    h, F, _ = torch.ops.srnn.hebbian(*problem, keep)
    return h, F


def _check(p: HebbianProblem) -> None:
    """Refuse shapes that the library would read beyond."""
    steps, batch, inputs = p.x.shape
    neurons = p.h.shape[-1]
    synapses = (neurons, inputs + neurons)
    expected: dict[str, tuple[tuple[int, ...], ...]] = {
        "h": ((batch, neurons),),
        "F": ((batch, *synapses),),
        "begin": ((steps, batch),),
        "W": (synapses,),
        "Lambda": ((), synapses),
        "Gamma": ((), synapses),
        "bias": ((neurons,),),
    }
    for name, shapes in expected.items():
        given = getattr(p, name)
        if given is not None and tuple(given.shape) not in shapes:
            raise ValueError(
                f"{name} of the Hebbian synapses must have the shape {list(shapes[-1])}, "
                f"got {list(given.shape)}."
            )


@torch.library.custom_op(
    "srnn::hebbian",
    mutates_args=(),
    schema=f"({_PROBLEM}, bool backward) -> (Tensor, Tensor, Tensor[])",
)
def _hebbian(*arguments: Any) -> Any:
    *parts, backward = arguments
    h, F, kept = hebbian_library.forward(HebbianProblem(*parts), backward)
    return h, F, list(kept)


@_hebbian.register_fake
def _(*arguments: Any) -> Any:
    p = HebbianProblem(*arguments[:-1])
    return p.x.new_empty(*p.x.shape[:2], p.h.shape[1]), torch.empty_like(p.F), []


def _found(problem: HebbianProblem, with_x: bool) -> list[str]:
    """Names of the gradients that there are."""
    there = {"x": with_x, "bias": problem.bias is not None}
    return [name for name in _DIFFERENTIABLE if there.get(name, True)]


@torch.library.custom_op(
    "srnn::hebbian_backward",
    mutates_args=(),
    schema=f"({_PROBLEM}, Tensor out, Tensor[] kept, Tensor? of_h, Tensor? of_F, bool with_x)"
    " -> Tensor[]",
)
def _hebbian_backward(*arguments: Any) -> Any:
    *parts, h, kept, of_h, of_F, with_x = arguments
    problem = HebbianProblem(*parts)
    kept = tuple(kept) or hebbian_library.forward(problem, True)[2]
    found = hebbian_library.backward(problem, h, kept, of_h, of_F, with_x=with_x)
    return [found[name] for name in _found(problem, with_x)]


@_hebbian_backward.register_fake
def _(*arguments: Any) -> Any:
    p = HebbianProblem(*arguments[:-5])
    return [torch.empty_like(getattr(p, name)) for name in _found(p, arguments[-1])]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    h, _, kept = output
    ctx.options = inputs[_TENSORS:-1]
    ctx.save_for_backward(*inputs[:_TENSORS], h, *kept)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*kept)


def _differentiate(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
    of_h, of_F, _ = gradients
    saved = ctx.saved_tensors
    problem = HebbianProblem(*saved[:_TENSORS], *ctx.options)
    h, *kept = saved[_TENSORS:]
    with_x = ctx.needs_input_grad[0]
    found = torch.ops.srnn.hebbian_backward(*problem, h, kept, of_h, of_F, with_x)
    named = dict(zip(_found(problem, with_x), found, strict=True))
    return *(named.get(name) for name in HebbianProblem._fields), None


_hebbian.register_autograd(_differentiate, setup_context=_keep)
_hebbian_backward.register_autograd(refuse_second_derivative)
