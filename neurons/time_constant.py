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

from .distributions import Distribution, constant, parse

# A start on a bound would sit where the sigmoid is flat and could never leave: stay this far
# inside, as a fraction of the logarithmic range.
_MARGIN = 1e-4


class TimeConstant(nn.Module):
    """A time constant per neuron, learned and bounded by default.

    Args:
        initial: where tau starts, in steps: a number, a distribution such as ``normal(20, 5)``, or
            the text of one. Values outside the bounds are clipped to them.
        size: shape of the neurons, for example ``128`` or ``(16, 1, 1)``; None for one shared
            value.
        bounds: lowest and highest tau. The raw parametrisation ignores them, but starts a neuron
            whose draw is not positive at the lower one.
        parametrization: ``"bounded"`` or ``"raw"``.
        learn: whether the optimiser may change it.
        dt: length of one step, in the unit of tau.

    Raises:
        ValueError: for a tau, bound or dt that is not positive, bounds in the wrong order, an
            unknown parametrisation, or a distribution without a size to draw for.

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
        if isinstance(self.initial, constant) and self.initial.value <= 0:
            raise ValueError(f"A time constant must be positive, got {self.initial.value:g}.")
        if size is None:
            if not isinstance(self.initial, constant):
                raise ValueError(
                    f"{self.initial} draws one value per neuron: say how many with size."
                )
            shape: tuple[int, ...] = ()
        else:
            shape = (size,) if isinstance(size, int) else tuple(size)
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
        return torch.exp(-self.dt / self.tau)

    @torch.no_grad()
    def assign(self, tau: Tensor) -> None:
        """Set the time constants, clipped to the bounds.

        Args:
            tau: values in the unit of dt, of this time constant's shape.

        Raises:
            ValueError: if a value is not a positive number, or the shape is another one.
        """
        if tau.shape != self.theta.shape:
            raise ValueError(
                f"These time constants have the shape {tuple(self.theta.shape)}, "
                f"the given values {tuple(tau.shape)}."
            )
        if not bool((tau > 0).all() & tau.isfinite().all()):
            raise ValueError("A time constant must be a positive, finite number.")
        if self._raw:
            self.theta.copy_(tau)
            return
        low, high = self.bounds
        position = torch.log(tau.double().clamp(low, high) / low) / math.log(high / low)
        self.theta.copy_(torch.logit(position, eps=_MARGIN))

    def extra_repr(self) -> str:
        """What ``print(module)`` shows: where it started, its shape and how it is kept in range."""
        kept = "raw" if self._raw else f"bounds=({self.bounds[0]:g}, {self.bounds[1]:g})"
        learned = "" if self.theta.requires_grad else ", fixed"
        return f"{self.initial}, size={tuple(self.theta.shape)}, {kept}{learned}"
