"""How a memristor is written: by pulses or not at all, with noise, within a window, to levels.

    dF'  = dF (1 + sigma eps) where |dF| > theta, else 0            eps ~ N(0, 1), one per pulse
    F'   = F + dF', such that W + F' is clipped to [low, high]
    F''  = that which takes W + F' to the nearest level, where there was a pulse, if there are any

Learning goes by what was meant, not by what was realised (straight through): the gradient of dF' is
that of dF, below the threshold too, or a synapse that never got a pulse would never learn to get
one; and the gradient of F'' is that of F'. The clip is differentiated as it is: a conductance held
at a bound passes no gradient to what pressed it there.

Source: Bengio, Léonard and Courville 2013 (arXiv 1308.3432) for the straight-through estimator.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Writing(NamedTuple):
    """What a device does with a change that it is asked for.

    Attributes:
        low: W + F at the lower end of the conductance window.
        high: the same at its upper end.
        threshold: theta; changes of F up to this size get no pulse.
        noise: sigma.
        levels: number of levels, equally spaced from low to high; None for any value.
        generator: where the noise comes from; None for torch's global generator.
    """

    low: float = -math.inf
    high: float = math.inf
    threshold: float = 0.0
    noise: float = 0.0
    levels: int | None = None
    generator: torch.Generator | None = None

    @property
    def plain(self) -> bool:
        """Whether there is neither noise nor a fixed set of levels."""
        return self.levels is None and not self.noise


class _StraightThrough(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(meant: Tensor, realised: Tensor) -> Tensor:
        return realised.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


def _straight_through(meant: Tensor, realised: Tensor) -> Tensor:
    """``realised``, to the last bit, with the gradient of ``meant``."""
    return _StraightThrough.apply(meant, realised.detach())


def _nearest_level(G: Tensor, writing: Writing) -> Tensor:
    assert writing.levels is not None
    spacing = (writing.high - writing.low) / (writing.levels - 1)
    return writing.low + ((G - writing.low) / spacing).round() * spacing


def held(W: Tensor, writing: Writing) -> Tensor:
    """Return W as devices can hold it, clipped and on a level, with the gradient of W."""
    realised = W.clamp(writing.low, writing.high)
    if writing.levels is not None:
        realised = _nearest_level(realised, writing)
    return _straight_through(W, realised)


def pulses(dF: Tensor, writing: Writing) -> Tensor:
    """Return the mask of the devices that get a pulse for a change of their F."""
    return dF.abs() > writing.threshold


def write(F: Tensor, dF: Tensor, W: Tensor, writing: Writing) -> Tensor:
    """Change F as well as devices can.

    Args:
        F: short-term efficacies, [batch, neurons, lines].
        dF: the changes asked for, likewise.
        W: long-term efficacies, [neurons, lines].
        writing: what the devices do.

    Returns:
        The new F.
    """
    pulse = pulses(dF, writing)
    realised = dF
    if writing.noise:
        eps = torch.randn(dF.shape, dtype=dF.dtype, device=dF.device, generator=writing.generator)
        realised = dF * (1 + writing.noise * eps)
    F = F + _straight_through(dF, torch.where(pulse, realised, 0.0))
    F = F.clamp(writing.low - W, writing.high - W)
    if writing.levels is not None:
        level = _nearest_level(W + F, writing)
        F = _straight_through(F, torch.where(pulse, level - W, F))
    return F
