"""A call of a part that is counted, and how the parts of a class are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from srnn.neurons.kernels import EventBatch
from srnn.neurons.kernels.scans import Scan, find

from .events import Input, read, read_batch, read_scan
from .terms import Terms


class Known:
    """The tensor that was read last, since one layer's output is mostly the next one's input."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._read: Input | None = None

    def forget(self) -> None:
        """Forget it, where somebody may have written to it unseen."""
        self._key, self._read = (), None

    def read(self, x: Tensor, features: int, read: Callable[[], Input]) -> Input:
        """Read a tensor, or recall what was read of it while it has not changed."""
        if x.is_inference():  # of which nobody could say whether it has been written to
            return read()
        key = (x, features, x._version)
        if self._read is None or key[0] is not self._key[0] or key[1:] != self._key[1:]:
            self._key, self._read = key, read()
        return self._read


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
        known: the tensor that was read last.
        scans: inputs that its kernel scanned.
        projection: the module given by this name, if the call is to be counted with it: one that is
            no part of the network, or that a kernel stood in for, is not seen to run.
    """

    name: str
    module: Any
    arguments: dict[str, Any]
    output: Any
    sequence: bool
    timewise: bool
    before: Any = None
    known: Known = field(default_factory=Known)
    scans: list[Scan] = field(default_factory=list)
    projection: Any = None

    def read(self, x: Tensor | EventBatch, features: int = 1, *, binary: bool = False) -> Input:
        """Sort the elements of x as :func:`srnn.meters.events.read` does, once for each tensor."""
        if isinstance(x, EventBatch):
            return read_batch(x, timewise=self.timewise)
        scan = find(self.scans, x) if features == 1 else None

        def sorted_out() -> Input:
            if scan is None:
                return read(x, features, timewise=self.timewise, binary=binary)
            return read_scan(scan, timewise=self.timewise)

        return self.known.read(x, features, sorted_out)


Methods = Mapping[str, tuple[str, ...]]
"""Names of methods, each with the names of its arguments."""


def nothing(*_: Any) -> Any:
    """Do nothing, and find nothing."""
    return None


def _no(call: Call) -> bool:
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
    spikes: Callable[[Call], Tensor | None] = nothing
    binary: Callable[[Call], bool] = _no
    check: Callable[[Any, str], None] = nothing
    before: Callable[[Any, dict[str, Any]], Any] = nothing
    parts: Callable[[Any], list[tuple[str, nn.Module]]] = _none
    step: Methods = field(default_factory=dict)
    sequence: Methods = field(default_factory=dict)
