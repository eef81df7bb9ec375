"""Leaky integrate-and-fire units, feed-forward (LIF) and recurrent (RLIF).

A membrane u leaks with time constant tau_mem, integrates its current I, and emits a spike S when it
passes the threshold B; the spike is subtracted from the membrane one step later:

    tau_mem du/dt = -u + I ;   u -> u - B at a spike

    u_t = alpha u_{t-1} + g I_t - B S_{t-1}             alpha = exp(-dt / tau_mem)
    S_t = H(u_t - B)                                    strict: no spike at u = B
    I_t = x_t                                           LIF
    I_t = x_t + W_rec S_{t-1} + b_rec                   RLIF

The subtraction is not multiplied by alpha. How the decay is given decides the other two properties:

| given                    | g          | reset in the gradient | decay                    |
|--------------------------|------------|-----------------------|--------------------------|
| ``beta=0.9`` (snnTorch)  | 1          | detached              | fixed unless learn_beta  |
| ``tau_mem=normal(20, 5)``| 1 - alpha  | differentiated        | learned, per neuron      |

| symbol       | argument       | unit       | default             | range    | source             |
|--------------|----------------|------------|---------------------|----------|--------------------|
| tau_mem      | ``tau_mem``    | step       | normal(20, 5),      | [1, 200] | Yin 2021, SHD      |
|              |                |            | or 20 (shared)      |          |                    |
| alpha        | ``beta``       | 1          | -                   | [0, 1]   | snnTorch           |
| B            | ``threshold``  | membrane   | 0.01, or 1          | > 0      | Yin 2021; snnTorch |
|              |                |            | with ``beta``       |          |                    |
| psi          | ``spike_grad`` | 1/membrane | multi_gaussian,     | -        | Yin 2021; snnTorch |
|              |                |            | or atan with beta   |          |                    |
| W_rec, b_rec | ``recurrent``  | -          | nn.Linear's         | -        | snnTorch           |

Sources: Yin, Corradi, Bohté 2020 (ICONS) and 2021 (Nature Machine Intelligence 3), as in their
code; snnTorch 1.0.0 (Eshraghian et al. 2023) for the ``beta`` form, whose spikes are met bit for
bit.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import snntorch as snn
from torch import Tensor

from ._layer import SpikingLayer
from ._wiring import FeedForward, Recurrent
from .reset import Reset, quantised


class LIFState(NamedTuple):
    """State of leaky integrate-and-fire units; tensors of shape [batch, neurons].

    Attributes:
        spikes: S, the spikes of the last step.
        membrane: u, the membrane potential after it.
    """

    spikes: Tensor
    membrane: Tensor


class LIFParams(NamedTuple):
    """Parameters of one step; the tensors broadcast against [batch, neurons].

    Attributes:
        alpha: decay of the membrane over one step.
        input_gain: g, what the current is multiplied by.
        threshold: B.
        spike: maps u - B to spikes, with its surrogate gradient.
        reset: what a spike does to the membrane.
        detach_reset: whether the gradient ignores the path through the reset.
    """

    alpha: Tensor
    input_gain: Tensor | float
    threshold: Tensor
    spike: Callable[[Tensor], Tensor]
    reset: Reset
    detach_reset: bool


def lif_membrane(
    current: Tensor, state: LIFState, params: LIFParams, recurrent: Tensor | None = None
) -> Tensor:
    """Charge the membrane of leaky integrate-and-fire units for one step, and reset it.

    Args:
        current: x_t, the feed-forward part of the current, [batch, neurons].
        state: S and u of the step before.
        params: the parameters; the threshold is what the reset subtracts.
        recurrent: W_rec S_{t-1} + b_rec, [batch, neurons]. It is added after the feed-forward part,
            as snnTorch does, since the order of a sum decides its last bit.

    Returns:
        u_t, [batch, neurons].
    """
    S, u = state
    alpha, g, B, _, reset, detach_reset = params
    S = S.detach() if detach_reset else S
    u = alpha * reset.before_leak(u, S) + g * current
    if recurrent is not None:
        u = u + g * recurrent
    return reset.after_leak(u, S, B)


def lif_step(
    current: Tensor, state: LIFState, params: LIFParams, recurrent: Tensor | None = None
) -> tuple[Tensor, LIFState]:
    """Advance leaky integrate-and-fire units by one step.

    Args:
        current: x_t, the feed-forward part of the current, [batch, neurons].
        state: S and u of the step before.
        params: the parameters.
        recurrent: as in :func:`lif_membrane`.

    Returns:
        The spikes [batch, neurons] and the new state.
    """
    u = lif_membrane(current, state, params, recurrent)
    S = params.spike(u - params.threshold)
    return S, LIFState(S, u)


class LIFDynamics(SpikingLayer):
    """What LIF and RLIF share: state, parameters, and which step function runs."""

    state_type: Any = LIFState
    step: Any = staticmethod(lif_step)

    def params(self) -> Any:
        """The parameters of one step, computed from what is learned."""
        reset = self.resets[self.reset_mechanism]
        if self.state_quant:
            reset = quantised(reset, self.state_quant)
        alpha = self.alpha
        return LIFParams(
            alpha, self._gain(alpha), self.threshold, self._spike, reset, self.detach_reset
        )

    def threshold_of(self, state: Any, params: Any) -> Tensor:
        """B, the threshold that the membrane of ``state`` was compared with."""
        return params.threshold

    def initial_state(self, like: Tensor) -> Any:
        """The state before the first step: zeros."""
        zeros = self._zeros(like)
        return LIFState(zeros, zeros)


class LIF(LIFDynamics, FeedForward, snn.Leaky):
    """Leaky integrate-and-fire layer; stands for :class:`snntorch.Leaky`.

    Called with a current of shape [batch, neurons] it returns as ``snntorch.Leaky`` does:
    ``(spikes, membrane)``, or the spikes alone with ``init_hidden=True`` unless ``output=True``.

    Args:
        beta: decay of the membrane, as in snnTorch; or leave it out and give ``tau_mem``.
        tau_mem: time constant of the membrane in steps: a number, a distribution, the text of one,
            or a :class:`TimeConstant`.
        linear_features: number of neurons, needed to draw a time constant for each.
        conv2d_channels: number of channels, for one time constant a channel of [batch, channels,
            height, width].
        threshold: B; 0.01 by default, or 1 with ``beta``.
        spike_grad: surrogate; ``multi_gaussian()`` by default, or ``atan()`` with ``beta``.
        detach_reset: whether the gradient ignores the reset; by default only with ``beta``.
        **snntorch: every other keyword of ``snntorch.Leaky``, with its meaning.

    Raises:
        ValueError: if both or contradictory time constants are given, or one is out of range.

    Example:
        >>> import torch
        >>> lif = LIF(tau_mem="normal(20, 5)", linear_features=3)
        >>> spikes, membrane = lif(torch.ones(2, 3))
        >>> spikes, state = lif.forward_sequence(torch.ones(100, 2, 3))  # time first
        >>> spikes.shape
        torch.Size([100, 2, 3])
    """


class RLIF(LIFDynamics, Recurrent, snn.RLeaky):
    """Recurrent leaky integrate-and-fire layer; stands for :class:`snntorch.RLeaky`.

    Called as ``rlif(x, spikes, membrane)`` it returns ``(spikes, membrane)``, or the spikes alone
    with ``init_hidden=True`` unless ``output=True``.

    Args:
        beta: as in :class:`LIF`.
        tau_mem: as in :class:`LIF`.
        linear_features: number of neurons, all connected to all.
        conv2d_channels: number of channels of a convolutional recurrence, with ``kernel_size``.
        threshold: as in :class:`LIF`.
        spike_grad: as in :class:`LIF`.
        detach_reset: as in :class:`LIF`.
        **snntorch: every other keyword of ``snntorch.RLeaky``, with its meaning.

    Raises:
        TypeError: if the shape of the recurrence is not given, as in snnTorch.
        ValueError: as in :class:`LIF`.
    """
