"""The compiled kernel: exact forward and backward passes that exploit the sparsity of spikes.

It calls the library of :mod:`.library`. What makes it fast: a tile of sequences runs through all of
time in the cache; a product with spikes is a sum of the rows of those that fired; the gradients of
the weights are such sums too; and what passes between a spike's step and the next is never written
out for the whole sequence. The result is the same for any number of threads, which are torch's own.
"""

import ctypes
from collections.abc import Collection

import torch
from torch import Tensor

from . import memory, scans
from .event_checks import check_events
from .library import INTEGERS, PROBLEM, Call, level_of, library_at
from .problem import Bits, Cotangents, Events, Gradients, Problem, Solution

# A tile is a batch's part that runs through time in one go; wide layers need more rows for each
# weight that comes from beyond the second-level cache.
_ROWS, _WIDE, _ROWS_WIDE = 16, 256, 32
# Steps between two checkpoints of the adaptation: what 128 neurons hand to the gradients of the
# weights in that time is to stay in the second-level cache.
_FEWEST_STEPS, _MOST_STEPS, _BLOCK_BYTES = 4, 16, 2**19
# Density up to which a dense input is taken for a sparse one.
_SPARSE = 0.25
_FEW_CHANNELS = 16
_RESETS = ("subtract", "none", "zero", "zero-after")
# The order of call.h.
_KINDS = (
    *("no_gradient", "gaussian", "multi_gaussian", "slayer"),
    *("triangle", "fast_sigmoid", "boxcar", "atan"),
)


class _Prepared:
    """A problem as the library wants it: contiguous, by pointers, in a struct."""

    def __init__(self, problem: Problem, kept_bits: Tensor | None, level: str | None) -> None:
        p, rules = problem, problem.rules
        self.dtype = p.alpha.dtype
        if self.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"The kernel 'cpu' computes in float32 or float64, not {self.dtype}.")
        self.batch, self.neurons = p.membrane.shape
        self.steps = p.steps
        self.channels = 0 if p.projection is None else p.projection.shape[1]
        self.padded = -(-self.neurons // 32) * 32
        rows = _ROWS if self.neurons <= _WIDE else _ROWS_WIDE
        slice_bytes = max(1, self.batch) * min(self.padded, 128) * p.alpha.element_size()
        self.block = min(_MOST_STEPS, max(_FEWEST_STEPS, _BLOCK_BYTES // max(1, slice_bytes)))
        self.words = -(-self.neurons // 64)
        self._alive: list[Tensor] = []
        self.call = Call()
        integers = (
            *(self.steps, self.batch, self.neurons, self.channels, self.padded, rows),
            *(self.block, self.words, torch.get_num_threads()),
            *(_KINDS.index(rules.surrogate), _RESETS.index(rules.reset), int(rules.detach_reset)),
        )
        for name, value in zip(INTEGERS, integers, strict=True):
            setattr(self.call, name, value)
        for i, constant in enumerate(rules.constants):
            self.call.constants[i] = constant
        self.call.initial_adaptation = rules.initial_adaptation
        given = (
            *(p.projection, p.projection_bias, p.recurrent, p.recurrent_bias, p.alpha),
            *(p.input_gain, p.threshold, p.rho, p.adaptation_strength),
            *(p.spikes, p.crossed, p.membrane, p.adaptation),
        )
        for name, tensor in zip(PROBLEM, given, strict=False):
            self.point(name, tensor)
        if p.begin is not None:
            self.point("begin", p.begin, torch.bool)
        self.input_bits = kept_bits
        self._point_input(problem, level)

    def point(self, name: str, tensor: Tensor | None, dtype: torch.dtype | None = None) -> None:
        """Set a pointer of the struct, and keep alive what it points to.

        The library reads numbers of the problem's dtype there, or of the one given.
        """
        if tensor is None:
            return
        dtype = dtype or self.dtype
        if tensor.dtype != dtype or tensor.device.type != "cpu":
            raise TypeError(
                f"The kernel 'cpu' expects {name} as {dtype} on the CPU, got {tensor.dtype} on "
                f"{tensor.device}."
            )
        if not tensor.is_contiguous():
            tensor = tensor.detach().contiguous()
        self._alive.append(tensor)
        # Torch's empty tensors have no memory; null would mean that they are not given.
        setattr(self.call, name, tensor.data_ptr() or ctypes.addressof(self.call))

    def empty(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Make a tensor for the library to fill."""
        tensor = memory.empty(shape, dtype or self.dtype)
        self.point(name, tensor, dtype)
        return tensor

    def _point_input(self, p: Problem, level: str | None) -> None:
        self.point("current", p.current)
        if isinstance(p.events, Bits):
            self.point("input_bits", p.events.words, torch.int64)
        elif isinstance(p.events, Events) and self._all_of(p.events):
            self.point("inputs", p.events.values)
        elif isinstance(p.events, Events):
            self.point("offsets", p.events.offsets, torch.int64)
            self.point("indices", p.events.channels, torch.int32)
            self.point("values", p.events.values)
            self.call.weighted = int(p.events.values is not None)
        elif p.inputs is not None:
            self.point("inputs", p.inputs)
            if self.input_bits is None and self.channels > _FEW_CHANNELS:
                self._scan(p.inputs, self._alive[-1], level)
            if self.input_bits is not None and self.input_bits.numel():
                self.point("input_bits", self.input_bits, torch.int64)
                # Spikes are 1; anything else is looked up where it stands.
                self.call.weighted = int(self.input_bits[-1, 0])

    def _all_of(self, events: Events) -> bool:
        """Whether there is an event on every channel of every row: then they are a dense input."""
        values = events.values
        return values is not None and len(values) == self.steps * self.batch * self.channels

    def _scan(self, given: Tensor, inputs: Tensor, level: str | None) -> None:
        """Take a dense input for a sparse one if that is what it is: as given, and contiguous."""
        library, index = library_at(level)
        rows = self.steps * self.batch
        # The row after the last says whether there are values other than 1.
        bits = torch.empty(rows + 1, -(-self.channels // 64), dtype=torch.int64)
        others = ctypes.c_int64()
        apart = torch.empty_like(bits[:-1]) if scans.heard() else None
        total = library.srnn_scan(
            *(inputs.data_ptr(), int(self.dtype == torch.float64), rows, self.channels),
            *(bits.data_ptr(), None if apart is None else apart.data_ptr()),
            *(torch.get_num_threads(), ctypes.byref(others), index),
        )
        bits[-1] = int(others.value > 0)
        if apart is not None:
            scans.tell(given, Bits(bits[:-1]), Bits(apart) if others.value else None)
        sparse = total <= _SPARSE * rows * self.channels
        self.input_bits = bits if sparse else bits.new_empty(0)

    def run(self, function: str, level: str | None) -> None:
        """Call the library."""
        library, index = library_at(level)
        failed = getattr(library, function)(
            ctypes.byref(self.call), int(self.dtype == torch.float64), index
        )
        if failed:
            raise MemoryError("The kernel 'cpu' could not allocate its memory.")


def forward(problem: Problem, trace: bool, backward: bool, *, level: str | None = None) -> Solution:
    """Run a layer over a sequence.

    Args:
        problem: what to compute.
        trace: whether the membrane of every step is wanted.
        backward: whether a backward pass will follow.
        level: level of instructions to use, one of :data:`.library.LEVELS`; None for the highest
            there is.

    Returns:
        The solution; its ``fired`` are :class:`~.problem.Bits`.

    Raises:
        RuntimeError: if the compiled kernel is not there; see :func:`.library.reason`.
        TypeError: for a dtype other than float32 and float64.
        ValueError: for events that are not well formed, or a level that this machine lacks.
        MemoryError: if memory runs out.
    """
    level_of(level)
    if problem.events is not None:
        assert problem.projection is not None
        rows = problem.steps * len(problem.membrane)
        check_events(problem.events, rows, problem.projection.shape[1])
    c = _Prepared(problem, None, level)
    steps, batch, neurons = c.steps, c.batch, c.neurons
    spikes = c.empty("out_spikes", steps, batch, neurons)
    membrane = c.empty("out_membrane", batch, neurons)
    adaptation = None
    if problem.adaptation is not None:
        adaptation = c.empty("out_adaptation", batch, neurons)
    counts = c.empty("out_counts", batch, neurons)
    membranes = c.empty("out_trace", steps, batch, neurons) if trace else None
    bits = c.empty("bits", steps * batch, c.words, dtype=torch.int64)
    if neurons % 64:
        # The kernel writes no bits beyond the padding.
        bits[:, -1] = 0
    kept: tuple[Tensor, ...] = ()
    if backward:
        checkpoints = -(-steps // c.block) if problem.rho is not None else 0
        kept = (
            c.empty("kept", steps, batch, c.padded),
            bits,
            c.empty("checkpoints", checkpoints, batch, c.padded),
            bits.new_empty(0) if c.input_bits is None else c.input_bits,
        )
    c.run("srnn_forward", level)
    return Solution(spikes, membrane, adaptation, membranes, counts, Bits(bits), kept)


def backward(
    problem: Problem,
    kept: tuple[Tensor, ...],
    cotangents: Cotangents,
    needed: Collection[str],
    *,
    level: str | None = None,
) -> Gradients:
    """Compute the gradients of a problem.

    Args:
        problem: what was computed.
        kept: what the forward pass kept.
        cotangents: the gradients that arrive.
        needed: names of the gradients that are wanted.
        level: as in :func:`forward`.

    Returns:
        The gradients that were wanted and exist; None for the others.

    Raises:
        RuntimeError: as in :func:`forward`.
        MemoryError: as in :func:`forward`.
    """
    membrane, bits, checkpoints, input_bits = kept
    c = _Prepared(problem, input_bits, level)
    c.point("kept", membrane)
    c.point("bits", bits, torch.int64)
    c.point("checkpoints", checkpoints)
    for name, tensor in zip(Cotangents._fields, cotangents, strict=True):
        c.point(f"g_{name}", None if tensor is None else tensor.to(c.dtype))
    names = {"input_gain": "gain"} | {n: "bias" for n in ("projection_bias", "recurrent_bias")}
    found: dict[str, Tensor] = {}
    for name in Gradients._fields:
        like = getattr(problem, name)
        if name not in needed or like is None:
            continue
        target = names.get(name, name)
        if target not in found:
            found[target] = c.empty(f"d_{target}", *like.shape)
    if "spikes" in found and (problem.recurrent is None or not problem.steps):
        found["spikes"].zero_()
    c.run("srnn_backward", level)
    gradients = {
        name: found[names.get(name, name)]
        for name in Gradients._fields
        if name in needed and getattr(problem, name) is not None
    }
    if "projection_bias" in gradients and "recurrent_bias" in gradients:
        gradients["recurrent_bias"] = gradients["recurrent_bias"].clone()
    return Gradients(**gradients)
