"""Learnable time constants, one per neuron, that cannot leave their bounds.

A unit that leaks with time constant tau keeps the fraction

    decay = exp(-dt / tau)

of its state over one step of length dt. Two parametrisations of a learned tau:

    bounded   tau = low * (high / low) ** sigmoid(theta)      any real theta is legal
    raw       tau = theta                                     as published; unsafe

Training raw time constants has shipped networks with a negative tau (a decay above 1, hence
unstable), with a tau of 0.04 steps in a "leaky" readout (no memory left), and with NaN. In the
bounded form, no optimiser step of any size can do this. It also gives the gradient a useful scale:
a change of theta moves tau by a fraction of itself, whereas d decay / d tau = exp(-dt/tau) dt /
tau² all but vanishes for the long time constants that matter most. The raw form exists to load
published weights.

| symbol    | unit | default   | range       | meaning                                |
|-----------|------|-----------|-------------|----------------------------------------|
| tau       | step | -         | low .. high | time constant                          |
| low, high | step | 1, 1000   | 0 < low < high | bounds                              |
| dt        | step | 1         | > 0         | length of one step, in the unit of tau |
| theta     | 1    | from init | real        | what the optimiser sees                |

Source: Yin, Corradi, Bohté, "Accurate and efficient time-domain classification with adaptive
spiking recurrent neural networks", Nature Machine Intelligence 3 (2021), for per-neuron learned
time constants; the bounded form is this project's.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._given import whole
from .distributions import Distribution, constant, parse

# A start on a bound would sit where the sigmoid is flat and could never leave: stay this far
# inside, as a fraction of the logarithmic range.
_MARGIN = 1e-4


class TimeConstant(nn.Module):
    """A time constant per neuron, learned and bounded by default.

    Args:
        initial: where tau starts, in steps: a number, a distribution such as ``normal(20, 5)``, or
            the text of one. Draws outside the bounds are clipped to them, and a start on a bound
            is placed a hair inside, 0.01 % of the logarithmic range, so that it can be learned.
        size: shape of the neurons, for example ``128`` or ``(16, 1, 1)``; None for one shared
            value.
        bounds: lowest and highest tau. The raw parametrisation ignores them, but starts a neuron
            whose draw is not positive at the lower one.
        parametrization: ``"bounded"`` or ``"raw"``.
        learn: whether the optimiser may change it.
        dt: length of one step, in the unit of tau.

    Raises:
        ValueError: for a tau, bound or dt that is not positive, bounds in the wrong order, a
            number, or the mean or range of a distribution, outside the bounds, an unknown
            parametrisation, or a distribution without a size to draw for.

    Example:
        >>> tau = TimeConstant(20.0, size=3)
        >>> [round(value, 4) for value in tau.decay().tolist()]
        [0.9512, 0.9512, 0.9512]
    """

    def __init__(
        self,
        initial: float | str | Distribution,
        size: int | Sequence[int] | None = None,
        *,
        bounds: tuple[float, float] = (1.0, 1000.0),
        parametrization: str = "bounded",
        learn: bool = True,
        dt: float = 1.0,
    ) -> None:
        super().__init__()
        low, high = map(float, bounds)
        if not 0 < low < high < math.inf:
            raise ValueError(f"The bounds of a time constant must be 0 < low < high, got {bounds}.")
        if not 0 < dt < math.inf:
            raise ValueError(f"The time step dt must be positive, got {dt}.")
        if parametrization not in ("bounded", "raw"):
            raise ValueError(
                f"parametrization must be 'bounded' or 'raw', got {parametrization!r}."
            )
        self.bounds = (low, high)
        self.parametrization = parametrization
        self.dt = float(dt)

        self.initial = parse(initial)
        # A tail may be clipped; a start that lies outside as a whole is a mistake.
        start = self.initial
        named = f"{start.value:g}" if isinstance(start, constant) else str(start)
        lowest, highest = start.core
        if highest <= 0:
            raise ValueError(f"A time constant must be positive, got {named}.")
        if not self._raw and (highest < low or lowest > high):
            raise ValueError(f"tau {named} lies outside the bounds {low:g} .. {high:g}.")
        if size is None:
            if not isinstance(self.initial, constant):
                raise ValueError(
                    f"{self.initial} draws one value per neuron: say how many with size."
                )
            shape: tuple[int, ...] = ()
        else:
            shape = tuple(size) if isinstance(size, Sequence) else (size,)
            for length in shape:
                whole(0, size=length)
        self.theta = nn.Parameter(torch.empty(shape), requires_grad=learn)
        drawn = self.initial.sample(shape)
        self.assign(drawn.where(drawn > 0, low) if self._raw else drawn.clamp(low, high))

    @property
    def _raw(self) -> bool:
        return self.parametrization == "raw"

    @property
    def tau(self) -> Tensor:
        """The time constants, in the unit of dt; differentiable."""
        if self._raw:
            return self.theta
        low, high = self.bounds
        tau = low * torch.exp(math.log(high / low) * torch.sigmoid(self.theta))
        return tau.clamp(low, high)  # against the last rounding only

    def decay(self) -> Tensor:
        """The fraction of the state that survives one step, exp(-dt / tau); differentiable."""
        if self._raw:
            return torch.exp(-self.dt / self.theta)
        low, high = self.bounds
        # 1 / tau by one exponential, in fewer and smaller steps than by tau itself.
        rate = torch.exp(math.log(low / high) * torch.sigmoid(self.theta))
        return torch.exp((-self.dt / low) * rate)

    @torch.no_grad()
    def assign(self, tau: Tensor) -> None:
        """Set the time constants; the bounded form clips them, the raw form takes them as they are.

        Args:
            tau: values in the unit of dt, of this time constant's shape.

        Raises:
            ValueError: if a value is not finite or, in the bounded form, not positive, or if the
                shape is another one.
        """
        if tau.shape != self.theta.shape:
            raise ValueError(
                f"These time constants have the shape {tuple(self.theta.shape)}, "
                f"the given values {tuple(tau.shape)}."
            )
        finite = bool(tau.isfinite().all())
        if self._raw:
            # Published networks hold negative ones; they load as they were trained.
            if not finite:
                raise ValueError("A raw time constant must be a finite number.")
            self.theta.copy_(tau)
            return
        if not finite or not bool((tau > 0).all()):
            raise ValueError("A time constant must be a positive, finite number.")
        low, high = self.bounds
        position = torch.log(tau.double().clamp(low, high) / low) / math.log(high / low)
        self.theta.copy_(torch.logit(position, eps=_MARGIN))

    def extra_repr(self) -> str:
        """What ``print(module)`` shows: where it started, its shape and how it is kept in range."""
        kept = "raw" if self._raw else f"bounds=({self.bounds[0]:g}, {self.bounds[1]:g})"
        learned = "" if self.theta.requires_grad else ", fixed"
        return f"{self.initial}, size={tuple(self.theta.shape)}, {kept}{learned}"


def check_fits(given: TimeConstant, size: Sequence[int]) -> None:
    """Refuse a time constant that is neither shared nor of a layer's size.

    Args:
        given: what a user made for the layer.
        size: shape of the layer's own values, one per neuron or per channel.

    Raises:
        ValueError: if its shape does not broadcast to the size.
    """
    shape, own = tuple(given.theta.shape), tuple(size)
    try:
        fits = torch.broadcast_shapes(shape, own) == own
    except RuntimeError:
        fits = False
    if not fits:
        neurons = "neurons" if len(own) == 1 else "channels"
        raise ValueError(
            f"The time constant has {given.theta.numel()} values, the layer {own[0]} {neurons}: "
            f"its shape {shape} does not broadcast to {own}."
        )
