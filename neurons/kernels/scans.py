"""What the compiled kernel finds when it scans a dense input, told to whoever listens.

The kernel makes bits of a dense input to skip its zeros. A meter that counts the same input right
afterwards need not read all of it again, and counts just what was computed with.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from torch import Tensor

from .problem import Bits


class Scan(NamedTuple):
    """A dense input, and what is in it.

    Attributes:
        inputs: the input as the layer was given it, [time, batch, channels].
        nonzero: where it is not 0.
        others: where it is neither 0 nor 1; None if that is nowhere.
        version: how often the input had been written to.
    """

    inputs: Tensor
    nonzero: Bits
    others: Bits | None
    version: int


_listener: ContextVar[list[Scan] | None] = ContextVar("listener", default=None)


@contextmanager
def listen() -> Iterator[list[Scan]]:
    """Collect the scans of this thread; they hold on to their inputs."""
    heard: list[Scan] = []
    token = _listener.set(heard)
    try:
        yield heard
    finally:
        _listener.reset(token)


def heard() -> bool:
    """Whether anybody listens."""
    return _listener.get() is not None


def tell(inputs: Tensor, nonzero: Bits, others: Bits | None) -> None:
    """Tell of a scan to who listens."""
    listener = _listener.get()
    # Of an inference tensor nobody could say whether it is written to before it is counted.
    if listener is not None and not inputs.is_inference():
        listener.append(Scan(inputs, nonzero, others, inputs._version))


def find(scans: list[Scan], inputs: Tensor) -> Scan | None:
    """Find the scan of an input that has not been written to since."""
    for scan in scans:
        if scan.inputs is inputs and scan.version == inputs._version:
            return scan
    return None
