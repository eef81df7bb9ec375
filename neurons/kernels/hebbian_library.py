"""The compiled pass over a sequence of tanh units with Hebbian synapses.

The library is that of :mod:`.library`. A few sequences, a tile, run through time together, and
every step is one sweep over their F. The backward pass computes F again, from one checkpoint to the
next, so that memory grows with the square root of the number of steps:

    F in memory = ((T / K - 1) B + K R) H N             B: batch, R: sequences of a tile

is least for K = sqrt(T B / R) steps from checkpoint to checkpoint.
"""

import ctypes
import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from . import library as compiled
from . import memory

NORMALISATIONS = ("before", "after", "none", "input")  # in the order of hebbian.h
_PADDING = 16  # lines; that of hebbian.h
_TILE_BYTES = 2**19  # of F, so that it stays in the second-level cache
_TILE = 4  # sequences at least, which share what a sweep reads of the parameters

_INTEGERS = (
    *("steps", "batch", "neurons", "inputs", "recurrent", "lines"),
    *("tile", "chunk", "threads", "normalisation", "fresh", "of_sum"),
)
_NUMBERS = ("low", "high", "threshold")
_POINTERS = (
    *("x", "h", "F", "begin", "W", "Lambda", "Gamma", "bias", "out_h", "out_F"),
    *("norms", "currents", "divisors", "checkpoints", "g_h", "g_F", "history"),
    *("d_x", "d_h", "d_F", "d_W", "d_Lambda", "d_Gamma", "d_bias"),
)


class HebbianProblem(NamedTuple):
    """What to compute: h = tanh(I) over a sequence, the symbols being those of HebbianSTP.

    MemristiveSTP without noise and levels is the same, with its lambda as Lambda, a threshold, and
    bounds that hold for W + F.

    Attributes:
        x: input, [time, batch, inputs]; at least one step and one input.
        h: activity before the first step, [batch, neurons].
        F: short-term efficacies before the first step, [batch, neurons, lines].
        begin: mask [time, batch] of steps before which h and F become zero, or None.
        W: long-term efficacies, [neurons, lines].
        Lambda: one value, or [neurons, lines].
        Gamma: likewise.
        bias: [neurons], or None.
        normalisation: one of :data:`NORMALISATIONS`.
        recurrent: ``"old"`` or ``"new"``.
        low: bound that F, or W + F, is clipped to after it has learned.
        high: likewise.
        of_sum: whether the bounds are those of W + F.
        threshold: changes of F up to this size are not made, but have their gradients.
    """

    x: Tensor
    h: Tensor
    F: Tensor
    begin: Tensor | None
    W: Tensor
    Lambda: Tensor
    Gamma: Tensor
    bias: Tensor | None
    normalisation: str
    recurrent: str
    low: float
    high: float
    of_sum: bool
    threshold: float


class _Call(ctypes.Structure):
    """``struct Hebbian`` of hebbian.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _INTEGERS),
        *((name, ctypes.c_double) for name in _NUMBERS),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    )


@functools.cache
def reason() -> str | None:
    """Say why the compiled pass cannot run on this machine; None if it can."""
    library, missing = compiled.load()
    if library is None:
        return missing
    if hasattr(library, "srnn_hebbian") and library.srnn_hebbian_size() == ctypes.sizeof(_Call):
        return None
    return "the compiled kernel is of another version of srnn: reinstall srnn"


class _Prepared:
    """A problem as the library wants it: by pointers, its parameters padded."""

    def __init__(self, problem: HebbianProblem) -> None:
        p = problem
        self.steps, self.batch, inputs = p.x.shape
        self.neurons = p.h.shape[1]
        self.inputs = inputs
        self.split = _padded(inputs)
        self.lines = self.split + _padded(self.neurons)
        self.dtype = p.x.dtype
        row_bytes = self.neurons * self.lines * self.dtype.itemsize
        self.tile = max(1, min(self.batch, max(_TILE, _TILE_BYTES // row_bytes)))
        chunk = math.isqrt(self.steps * self.batch // self.tile)
        self.chunk = max(1, min(self.steps, chunk))
        self._alive: list[Tensor] = []
        self.call = _Call(low=p.low, high=p.high, threshold=p.threshold)
        integers = (
            *(self.steps, self.batch, self.neurons, inputs, self.split, self.lines),
            *(self.tile, self.chunk, torch.get_num_threads()),
            *(NORMALISATIONS.index(p.normalisation), int(p.recurrent == "new"), int(p.of_sum)),
        )
        for name, value in zip(_INTEGERS, integers, strict=True):
            setattr(self.call, name, value)
        for name in ("x", "h", "F", "bias"):
            self.point(name, getattr(p, name))
        self.point("begin", None if p.begin is None else p.begin.to(torch.bool))
        for name in ("W", "Lambda", "Gamma"):
            self.point(name, self._pad(getattr(p, name)))

    def _pad(self, values: Tensor) -> Tensor:
        """Spread a parameter over the padded lines of all neurons."""
        values = values.detach().expand(self.neurons, self.inputs + self.neurons)
        padded = values.new_zeros(self.neurons, self.lines)
        padded[:, : self.inputs] = values[:, : self.inputs]
        padded[:, self.split : self.split + self.neurons] = values[:, self.inputs :]
        return padded

    def unpad(self, padded: Tensor, like: Tensor) -> Tensor:
        """Gather the gradient of a parameter that :meth:`_pad` spread."""
        if not like.dim():
            # In two steps, neither of which torch divides among threads within one sum.
            return padded.sum(1).sum()
        recurrent = padded[:, self.split : self.split + self.neurons]
        return torch.cat([padded[:, : self.inputs], recurrent], 1)

    def point(self, name: str, tensor: Tensor | None) -> None:
        """Set a pointer of the struct, and keep alive what it points to."""
        if tensor is not None:
            tensor = tensor.detach().contiguous()
            self._alive.append(tensor)
            setattr(self.call, name, tensor.data_ptr())

    def empty(self, name: str, *shape: int) -> Tensor:
        """Make a tensor for the library to fill."""
        tensor = memory.empty(shape, self.dtype)
        self.point(name, tensor)
        return tensor

    def zeros(self, name: str, *shape: int) -> Tensor:
        """Make a tensor for the library to add to."""
        return self.empty(name, *shape).zero_()

    def run(self, *, backward: bool, level: str | None) -> None:
        """Call the library."""
        if reason():
            raise RuntimeError(f"Cannot run the kernel 'cpu': {reason()}.")
        library, index = compiled.library_at(level)
        double = self.dtype == torch.float64
        if library.srnn_hebbian(ctypes.byref(self.call), int(backward), int(double), index):
            raise MemoryError("The kernel 'cpu' could not allocate its memory.")


def _padded(columns: int) -> int:
    return -(-columns // _PADDING) * _PADDING


def forward(
    problem: HebbianProblem, backward: bool, *, level: str | None = None
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Run over a sequence.

    Args:
        problem: what to compute.
        backward: whether a backward pass will follow.
        level: as in :func:`.cpu_backend.forward`.

    Returns:
        The activity of every step [time, batch, neurons], the final F, and what the backward pass
        needs besides.

    Raises:
        RuntimeError: if the compiled kernel is not there.
        ValueError: for a level that this machine lacks.
        MemoryError: if memory runs out.
    """
    c = _Prepared(problem)
    whole = (c.steps, c.batch, c.neurons)
    h, F = c.empty("out_h", *whole), c.empty("out_F", *problem.F.shape)
    kept: tuple[Tensor, ...] = ()
    if backward:
        checkpoints = (-(-c.steps // c.chunk) - 1, c.batch, c.neurons, c.lines)
        divided = whole if problem.normalisation == "after" else (0,)
        kept = (
            c.empty("norms", *whole),
            c.empty("currents", *whole),
            c.empty("divisors", *divided),
            c.empty("checkpoints", *checkpoints),
        )
    c.run(backward=False, level=level)
    return h, F, kept


def backward(
    problem: HebbianProblem,
    h: Tensor,
    kept: tuple[Tensor, ...],
    of_h: Tensor | None,
    of_F: Tensor | None,
    *,
    with_x: bool,
    level: str | None = None,
) -> dict[str, Tensor]:
    """Compute the gradients of a problem.

    Args:
        problem: what was computed.
        h: its solution, the activity of every step.
        kept: what the forward pass kept.
        of_h: the gradient that arrives at h, or None.
        of_F: that at the final F, or None.
        with_x: whether the gradient of x is wanted.
        level: as in :func:`forward`.

    Returns:
        The gradient of each tensor of the problem, by its name.

    Raises:
        RuntimeError: as in :func:`forward`.
        MemoryError: as in :func:`forward`.
    """
    p, c = problem, _Prepared(problem)
    names = ("out_h", "norms", "currents", "divisors", "checkpoints", "g_h", "g_F")
    for name, tensor in zip(names, (h, *kept, of_h, of_F), strict=True):
        c.point(name, tensor)
    c.empty("history", c.chunk, c.tile, c.neurons, c.lines)
    gradients = {"h": c.empty("d_h", *p.h.shape), "F": c.empty("d_F", *p.F.shape)}
    if with_x:
        gradients["x"] = c.empty("d_x", *p.x.shape)
    if p.bias is not None:
        gradients["bias"] = c.zeros("d_bias", c.neurons)
    parameters = {n: c.zeros(f"d_{n}", c.neurons, c.lines) for n in ("W", "Lambda", "Gamma")}
    c.run(backward=True, level=level)
    return gradients | {n: c.unpad(d, getattr(p, n)) for n, d in parameters.items()}
