"""Spikes with a surrogate gradient.

A spike is a step, S = H(v), of the distance v = u - B between membrane and threshold, with H(0) =
0. Its derivative is zero almost everywhere; in the backward pass a surrogate psi(v) takes its
place:

    forward    S  = 1 if v > 0 else 0
    backward   dS/dv = psi(v)

With g(v; mu, s) the normal density of mean mu and standard deviation s:

| name           | psi(v)                                   | source                            |
|----------------|------------------------------------------|-----------------------------------|
| gaussian       | gamma g(v; 0, sigma)                     | Yin et al. 2020                   |
| multi_gaussian | gamma [(1+h) g(v; 0, sigma)              | Yin et al. 2021                   |
|                | - h g(v; sigma, s sigma)                 |                                   |
|                | - h g(v; -sigma, s sigma)]               |                                   |
| slayer         | gamma exp(-a abs(v))                     | Shrestha, Orchard 2018; Yin's code |
| triangle       | gamma max(0, 1 - abs(v) / width)         | Bellec et al. 2018; Yin's code    |
| fast_sigmoid   | gamma / (1 + slope abs(v))²              | Zenke, Ganguli 2018; snnTorch     |
| boxcar         | gamma if abs(v) <= width / 2 else 0      | Bittar, Garner 2022               |
| atan           | (alpha / 2) / (1 + (pi/2 alpha v)²)      | Fang et al. 2021; snnTorch        |

Each is an immutable value with its constants: it prints, compares and pickles, and it keeps the
dtype of its input. ``integral`` is the antiderivative of psi that vanishes at minus infinity: a
spike replaced by it is smooth, and then backpropagation can be checked against finite differences.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import torch
from torch import Tensor


class _Spike(torch.autograd.Function):
    """The step function whose derivative is the surrogate's."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, surrogate: "Surrogate") -> Tensor:
        return (v > 0).to(v.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, "Surrogate"], output: Tensor) -> None:
        v, ctx.surrogate = inputs
        ctx.save_for_backward(v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.derivative(v), None


@dataclass(frozen=True)
class Surrogate(ABC):
    """Base of the surrogates: calling one with v = u - B of any shape returns the spikes."""

    def __post_init__(self) -> None:
        if type(self) not in SURROGATES.values():
            return  # somebody else's, who knows what its constants may be
        for field in fields(self):
            value, positive = getattr(self, field.name), field.name in _POSITIVE
            fits = isinstance(value, Real) and math.isfinite(value)
            if not fits or (positive and value <= 0):
                raise ValueError(
                    f"{field.name} of the surrogate {type(self).__name__} must be a finite number"
                    f"{' > 0' if positive else ''}, got {value!r}."
                )

    def __call__(self, v: Tensor) -> Tensor:
        """Return H(v) in the dtype of ``v``, with psi(v) as its derivative."""
        return _Spike.apply(v, self)

    @abstractmethod
    def derivative(self, v: Tensor) -> Tensor:
        """Return psi(v), elementwise."""

    @abstractmethod
    def integral(self, v: Tensor) -> Tensor:
        """Return the antiderivative of psi at v, elementwise."""


def _density(v: Tensor, sigma: float) -> Tensor:
    return torch.exp(-0.5 * (v / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)


def _cumulative(v: Tensor, sigma: float) -> Tensor:
    return 0.5 * (1 + torch.erf(v / (sigma * math.sqrt(2))))


@dataclass(frozen=True)
class gaussian(Surrogate):  # noqa: N801 - the fixed names of the design; they read as functions
    """Normal density of standard deviation ``sigma``, scaled by ``gamma``."""

    gamma: float = 0.5
    sigma: float = 0.5

    def derivative(self, v: Tensor) -> Tensor:
        """Return gamma g(v; 0, sigma)."""
        return self.gamma * _density(v, self.sigma)

    def integral(self, v: Tensor) -> Tensor:
        """Return gamma times the normal distribution function."""
        return self.gamma * _cumulative(v, self.sigma)


@dataclass(frozen=True)
class multi_gaussian(Surrogate):  # noqa: N801
    """A central Gaussian with two wide negative ones beside it; integral gamma (1 - h)."""

    gamma: float = 0.5
    h: float = 0.15
    s: float = 6.0
    sigma: float = 0.5

    def derivative(self, v: Tensor) -> Tensor:
        """Return psi(v); negative beyond abs(v) = 1.27 for the default constants."""
        return self._combine(_density, v)

    def integral(self, v: Tensor) -> Tensor:
        """Return the same combination of normal distribution functions."""
        return self._combine(_cumulative, v)

    def _combine(self, f: Any, v: Tensor) -> Tensor:
        sides = f(v - self.sigma, self.s * self.sigma) + f(v + self.sigma, self.s * self.sigma)
        return self.gamma * ((1 + self.h) * f(v, self.sigma) - self.h * sides)


@dataclass(frozen=True)
class slayer(Surrogate):  # noqa: N801
    """Two-sided exponential of rate ``a``."""

    gamma: float = 0.5
    a: float = 5.0

    def derivative(self, v: Tensor) -> Tensor:
        """Return gamma exp(-a abs(v))."""
        return self.gamma * torch.exp(-self.a * v.abs())

    def integral(self, v: Tensor) -> Tensor:
        """Return the antiderivative: gamma/a exp(a v) below 0, gamma/a (2 - exp(-a v)) above."""
        tail = torch.exp(-self.a * v.abs())
        return self.gamma / self.a * torch.where(v < 0, tail, 2 - tail)


@dataclass(frozen=True)
class triangle(Surrogate):  # noqa: N801
    """Triangle that reaches zero at abs(v) = ``width``; compact support."""

    gamma: float = 0.5
    width: float = 1.0

    def derivative(self, v: Tensor) -> Tensor:
        """Return gamma max(0, 1 - abs(v) / width)."""
        return self.gamma * torch.relu(1 - v.abs() / self.width)

    def integral(self, v: Tensor) -> Tensor:
        """Return the piecewise quadratic antiderivative."""
        x = (v / self.width).clamp(-1, 1)
        return self.gamma * self.width * (0.5 + x - 0.5 * x * x.abs())


@dataclass(frozen=True)
class fast_sigmoid(Surrogate):  # noqa: N801
    """Derivative of the fast sigmoid v / (1 + slope abs(v))."""

    gamma: float = 1.0
    slope: float = 25.0

    def derivative(self, v: Tensor) -> Tensor:
        """Return gamma / (1 + slope abs(v))²."""
        return self.gamma / (1 + self.slope * v.abs()) ** 2

    def integral(self, v: Tensor) -> Tensor:
        """Return gamma (1/slope + v / (1 + slope abs(v)))."""
        return self.gamma * (1 / self.slope + v / (1 + self.slope * v.abs()))


@dataclass(frozen=True)
class boxcar(Surrogate):  # noqa: N801
    """Constant ``gamma`` within half a ``width`` of the threshold; compact support."""

    gamma: float = 1.0
    width: float = 1.0

    def derivative(self, v: Tensor) -> Tensor:
        """Return gamma where abs(v) <= width / 2, else 0."""
        return self.gamma * (v.abs() <= self.width / 2).to(v.dtype)

    def integral(self, v: Tensor) -> Tensor:
        """Return the ramp from 0 to gamma * width."""
        return self.gamma * (v.clamp(-self.width / 2, self.width / 2) + self.width / 2)


@dataclass(frozen=True)
class atan(Surrogate):  # noqa: N801
    """snnTorch's default surrogate, here picklable and in the dtype of its input."""

    alpha: float = 2.0

    def derivative(self, v: Tensor) -> Tensor:
        """Return (alpha / 2) / (1 + (pi/2 alpha v)²)."""
        return self.alpha / 2 / (1 + (math.pi / 2 * self.alpha * v) ** 2)

    def integral(self, v: Tensor) -> Tensor:
        """Return atan(pi/2 alpha v) / pi + 1/2."""
        return torch.atan(math.pi / 2 * self.alpha * v) / math.pi + 0.5


@dataclass(frozen=True)
class no_gradient(Surrogate):  # noqa: N801
    """The bare step: what snnTorch's ``surrogate_disable`` asks for."""

    def derivative(self, v: Tensor) -> Tensor:
        """Return zeros."""
        return torch.zeros_like(v)

    def integral(self, v: Tensor) -> Tensor:
        """Return zeros."""
        return torch.zeros_like(v)


_POSITIVE = ("sigma", "s", "a", "width", "slope", "alpha")
"""Constants that are a width or a rate; those that weigh, gamma and h, may be any number."""

SURROGATES: dict[str, type[Surrogate]] = {
    kind.__name__: kind
    for kind in (multi_gaussian, gaussian, slayer, triangle, fast_sigmoid, boxcar, atan)
}
"""The surrogates by name, for command lines."""
