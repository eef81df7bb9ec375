"""What users give, taken as what it has to be or refused in a sentence."""

import math
from collections.abc import Sequence
from numbers import Real
from operator import index
from typing import Any, NamedTuple

import torch
from torch import Tensor


def whole(least: int, **given: Any) -> None:
    """Refuse sizes that are no whole number of at least ``least``; None stands for none given.

    Raises:
        ValueError: with the name of the first that is not.
    """
    for name, value in given.items():
        try:
            fits = value is None or index(value) >= least
        except TypeError:
            fits = False
        if not fits:
            raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}.")


def not_negative(*, otherwise: str = "", **given: Any) -> float:
    """Return a finite number >= 0.

    Args:
        otherwise: what else may be given, in words for the message.
        **given: the number, by its name.

    Raises:
        ValueError: if it is none.
    """
    ((name, value),) = given.items()
    # A tensor of one number is one, a text is not.
    single = isinstance(value, Tensor) and value.numel() == 1
    if not (isinstance(value, Real) or single) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number >= 0{otherwise}, got {value!r}.")
    return float(value)


def floating(value: Any) -> Any:
    """Whole numbers as floating ones of the default dtype; whatever else is given, as it is."""
    if value is None:
        return None
    tensor = torch.as_tensor(value)
    return value if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


class Expected(NamedTuple):
    """What a layer has to be given.

    Attributes:
        what: in words.
        axes: the axes of the neurons: how many there are, or "neurons" where that is not known,
            then those of an image, in words.
        exact: whether no axes but those of time and batch may stand before them.
    """

    what: str
    axes: tuple[int | str, ...] = ("neurons",)
    exact: bool = False

    def check_step(self, layer: str, shape: Sequence[int]) -> None:
        """Refuse the input of a step; it may lack a batch, as snnTorch has it, if not ``exact``.

        Raises:
            ValueError: if it does not fit; it could be broadcast to as many neurons as there are.
        """
        known = not isinstance(self.axes[0], str)
        if known and not self._fits(shape, len(self.axes) + self.exact):
            self._refuse(layer, ("batch",), shape)

    def check_sequence(self, layer: str, shape: Sequence[int]) -> None:
        """Refuse a sequence.

        Raises:
            ValueError: if it does not fit.
        """
        if not self._fits(shape, len(self.axes) + 2):
            self._refuse(layer, ("time", "batch"), shape)

    def _fits(self, shape: Sequence[int], least: int) -> bool:
        """Whether a shape has ``least`` axes, or more where it may, and the right width."""
        if len(shape) < least or (self.exact and len(shape) > least):
            return False
        width = self.axes[0]
        return isinstance(width, str) or shape[-len(self.axes)] == width

    def _refuse(self, layer: str, before: tuple[str, ...], shape: Sequence[int]) -> None:
        axes = ", ".join(map(str, (*before, *self.axes)))
        raise ValueError(f"{layer} expects {self.what} of shape [{axes}], got {list(shape)}.")


def begins(mem: Tensor, kept: Tensor) -> bool:
    """Whether a membrane given to a step begins a sequence: zeros, but not those of the last step.

    Args:
        mem: the membrane given.
        kept: what the last step has left; detached, it is another tensor of the same memory.
    """
    if bool(mem.any()):
        return False
    return mem.dtype != kept.dtype or not mem.is_set_to(kept)
