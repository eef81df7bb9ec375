"""Distributions that initial time constants are drawn from.

Heterogeneous time constants need a spread to start with: Yin, Corradi and Bohté (2021) draw
``tau_mem ~ N(20, 5)`` and ``tau_adapt ~ N(150, 10)`` steps, one value per neuron. A distribution is
a small immutable value, so that it prints, compares, pickles and reads back from a command line:

    >>> parse("normal(20, 5)")
    normal(mean=20.0, std=5.0)
    >>> parse("12.5")
    constant(value=12.5)

Samples come from torch's global generator: the seed of a run decides them.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Distribution(ABC):
    """A distribution over positive values, in the unit of the quantity that it initialises."""

    kinds: ClassVar[dict[str, type["Distribution"]]] = {}

    def __init_subclass__(cls) -> None:
        """Register the distribution under its name, for :func:`parse`."""
        Distribution.kinds[cls.__name__] = cls

    def __post_init__(self) -> None:
        for field, value in zip(fields(self), astuple(self), strict=True):
            if not math.isfinite(value):
                raise ValueError(f"{self}: {field.name} must be a finite number.")
            object.__setattr__(self, field.name, float(value))

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{value:g}' for value in astuple(self))})"

    @property
    @abstractmethod
    def core(self) -> tuple[float, float]:
        """Lowest and highest of what it draws but for its tails."""

    @abstractmethod
    def sample(self, shape: Sequence[int]) -> Tensor:
        """Draw a float32 tensor of the given shape from torch's global generator."""


@dataclass(frozen=True)
class constant(Distribution):  # noqa: N801 - reads as a function, as torch.distributions' names do not
    """Every neuron starts from the same value."""

    value: float

    @property
    def core(self) -> tuple[float, float]:
        """The value."""
        return self.value, self.value

    def sample(self, shape: Sequence[int]) -> Tensor:
        """Return a tensor filled with the value."""
        return torch.full(tuple(shape), self.value)


@dataclass(frozen=True)
class normal(Distribution):  # noqa: N801
    """Gaussian with mean and standard deviation ``std`` >= 0."""

    mean: float
    std: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.std < 0:
            raise ValueError(f"{self}: the standard deviation must not be negative.")

    @property
    def core(self) -> tuple[float, float]:
        """The mean."""
        return self.mean, self.mean

    def sample(self, shape: Sequence[int]) -> Tensor:
        """Draw from N(mean, std²)."""
        return self.mean + self.std * torch.randn(tuple(shape))


@dataclass(frozen=True)
class uniform(Distribution):  # noqa: N801
    """Uniform between ``low`` and ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ValueError(f"{self}: low must not exceed high.")

    @property
    def core(self) -> tuple[float, float]:
        """The range."""
        return self.low, self.high

    def sample(self, shape: Sequence[int]) -> Tensor:
        """Draw from U(low, high)."""
        return self.low + (self.high - self.low) * torch.rand(tuple(shape))


@dataclass(frozen=True)
class loguniform(uniform):  # noqa: N801
    """Uniform in the logarithm between ``low`` > 0 and ``high``: every timescale equally likely."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise ValueError(f"{self}: low must be positive, since its logarithm is taken.")

    def sample(self, shape: Sequence[int]) -> Tensor:
        """Draw exp(U(log low, log high))."""
        return self.low * (self.high / self.low) ** torch.rand(tuple(shape))


_FORMS = "give a number, normal(mean, std), uniform(low, high) or loguniform(low, high)"


def parse(text: str | float | Distribution) -> Distribution:
    """Read a distribution from text.

    Args:
        text: ``"normal(20, 5)"``, ``"uniform(5, 25)"``, ``"loguniform(5, 500)"``,
            ``"constant(20)"`` or a plain number; a distribution is returned as it is.

    Raises:
        ValueError: if it is none of these.
    """
    if isinstance(text, Distribution):
        return text
    if isinstance(text, Real):
        return constant(float(text))
    if not isinstance(text, str):
        raise ValueError(f"A {type(text).__name__} is not a distribution: {_FORMS}.")
    match = re.fullmatch(r"\s*(\w+)\s*\(([^()]*)\)\s*", text)
    try:
        if match is None:
            return constant(float(text))
        name, arguments = match.groups()
        return Distribution.kinds[name](*(float(a) for a in arguments.split(",")))
    except (KeyError, TypeError, ValueError) as error:
        detail = f" ({error})" if isinstance(error, ValueError) and match is not None else ""
        raise ValueError(f"{text!r} is not a distribution: {_FORMS}{detail}.") from None
