"""Refusing operations that nobody counts.

Operations that torch dispatches within a part that is counted as a whole are its own affair.
Anywhere else in the network they must be free: views, copies, indexing, comparisons and
non-linearities. Arithmetic there would go uncounted, and is an error.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

from .errors import UncountedError
from .free import is_free


class Frame(NamedTuple):
    """A module that is running.

    Attributes:
        name: its name within the network.
        kind: the name of its class.
        covered: whether it is counted as a whole.
        own: the modules, by id, that are counted with it; their calls within it are not.
    """

    name: str
    kind: str
    covered: bool
    own: frozenset[int] = frozenset()


class Guard(TorchDispatchMode):
    """Refuses operations that nobody counts.

    Args:
        running: the modules that are running, the innermost last.
        wrote: told of every operation that it sees write to a tensor.
    """

    def __init__(self, running: list[Frame], wrote: Callable[[], None]) -> None:
        super().__init__()
        self._running, self._wrote = running, wrote

    @contextmanager
    def looking(self, wanted: bool) -> Iterator[None]:
        """Look at operations or not: that torch asks Python costs more than most of them do."""
        stack = _get_current_dispatch_mode_stack()
        if wanted and self not in stack:
            with self:
                yield
        elif not wanted and stack and stack[-1] is self:
            self.__exit__(None, None, None)
            try:
                yield
            finally:
                self.__enter__()
        else:  # as wanted, or somebody else's mode lies above
            yield

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
        if func._schema.is_mutable:
            self._wrote()
        return func(*args, **given)
