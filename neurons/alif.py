"""Adaptive leaky integrate-and-fire units, feed-forward (ALIF) and recurrent (RALIF).

Every spike raises the neuron's own threshold by a trace b that decays with the time constant
tau_adapt, often ten times slower than the membrane: a second memory, in the threshold, that spikes
do not erase.

    b_t = rho b_{t-1} + (1 - rho) S_{t-1}               rho = exp(-dt / tau_adapt)
    B_t = b_0 + beta b_t                                threshold, for the reset and for the spike
    u_t = alpha u_{t-1} + g I_t - B_t S_{t-1}           alpha = exp(-dt / tau_mem)
    S_t = H(u_t - B_t)

The order of evaluation is b, B, u, S: the reset subtracts the threshold that S_{t-1} has already
raised. With beta = 0 the units are those of :mod:`srnn.neurons.lif`, where g, I and alpha are
explained.

| symbol    | argument                | unit     | default         | range     | source            |
|-----------|-------------------------|----------|-----------------|-----------|-------------------|
| tau_adapt | ``tau_adapt``           | step     | normal(150, 10) | [1, 2000] | Yin 2021, SHD     |
|           |                         |          | or 150 (shared) |           |                   |
| beta      | ``adaptation_strength`` | membrane | 1.8             | >= 0      | Yin 2021          |
| b_0       | ``threshold``           | membrane | 0.01, or 1      | > 0       | Yin 2021;         |
|           |                         |          | with ``beta``   |           | snnTorch          |
| b at t=0  | ``initial_adaptation``  | 1        | 0               | >= 0      | ours; Yin: b_0    |

The keyword ``beta`` is snnTorch's name for the membrane's decay, alpha here; the papers' beta is
``adaptation_strength``.

Sources: Bellec et al. 2018 (NeurIPS) for the adaptive threshold; Yin, Corradi, Bohté 2020 (ICONS)
and 2021 (Nature Machine Intelligence 3) for this form, as in their code.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._given import not_negative
from .distributions import Distribution
from .lif import LIF, RLIF, LIFDynamics, LIFParams, LIFState, lif_membrane
from .time_constant import TimeConstant


class ALIFState(NamedTuple):
    """State of adaptive units; tensors of shape [batch, neurons].

    Attributes:
        spikes: S, the spikes of the last step.
        membrane: u, the membrane potential after it.
        adaptation: b, the trace of past spikes, between 0 and 1 if it starts there.
    """

    spikes: Tensor
    membrane: Tensor
    adaptation: Tensor


class ALIFParams(NamedTuple):
    """Parameters of one step; the tensors broadcast against [batch, neurons].

    Attributes:
        lif: parameters of the membrane; its threshold is b_0, that of a neuron at rest.
        rho: decay of the adaptation over one step.
        adaptation_strength: beta.
    """

    lif: LIFParams
    rho: Tensor
    adaptation_strength: Tensor


def alif_step(
    current: Tensor, state: ALIFState, params: ALIFParams, recurrent: Tensor | None = None
) -> tuple[Tensor, ALIFState]:
    """Advance adaptive leaky integrate-and-fire units by one step.

    Args:
        current: x_t, the feed-forward part of the current, [batch, neurons].
        state: S, u and b of the step before.
        params: the parameters.
        recurrent: W_rec S_{t-1} + b_rec, [batch, neurons], if the units are recurrent.

    Returns:
        The spikes [batch, neurons] and the new state.
    """
    S, u, b = state
    lif, rho, beta = params
    b = rho * b + (1 - rho) * S
    B = lif.threshold + beta * b
    # A reset that the gradient ignores is ignored whole. Through b alone it would teach neurons,
    # wherever a loss looks at their membranes, to be silent.
    reset_by = lif.threshold + beta * b.detach() if lif.detach_reset else B
    u = lif_membrane(current, LIFState(S, u), lif._replace(threshold=reset_by), recurrent)
    S = lif.spike(u - B)
    return S, ALIFState(S, u, b)


class _Adaptive(LIFDynamics):
    """What ALIF and RALIF add to their plain counterparts."""

    state_type: Any = ALIFState
    step: Any = staticmethod(alif_step)
    adaptation_strength: Tensor
    initial_adaptation: float = 0.0

    def __init__(
        self,
        *args: Any,
        tau_adapt: float | str | Distribution | TimeConstant | None = None,
        adaptation_strength: float = 1.8,
        initial_adaptation: float | str = 0.0,
        **keywords: Any,
    ) -> None:
        super().__init__(*args, **keywords)
        strength = not_negative(adaptation_strength=adaptation_strength)
        if not self.reset_delay and strength:
            raise ValueError(
                "An adaptive neuron resets one step after its spike: leave reset_delay at True."
            )
        if isinstance(initial_adaptation, str) and initial_adaptation == "threshold":
            if self.threshold.numel() != 1:
                raise ValueError(
                    "initial_adaptation='threshold' needs one threshold for all neurons, "
                    f"got {self.threshold.numel()}."
                )
            initial_adaptation = float(self.threshold.detach())
        self.initial_adaptation = not_negative(
            initial_adaptation=initial_adaptation, otherwise=" or 'threshold'"
        )
        self.tau_adapt = self._time_constant(tau_adapt, "normal(150, 10)", "150", (1.0, 2000.0))
        self.register_buffer("adaptation_strength", torch.as_tensor(strength))

    def params(self) -> Any:
        """The parameters of one step, computed from what is learned."""
        return ALIFParams(super().params(), self.tau_adapt.decay(), self.adaptation_strength)

    def threshold_of(self, state: Any, params: Any) -> Tensor:
        """B, the threshold that the membrane of ``state`` was compared with."""
        return params.lif.threshold + params.adaptation_strength * state.adaptation

    def initial_state(self, like: Tensor) -> Any:
        """The state before the first step: zeros, and ``initial_adaptation``."""
        zeros = self._zeros(like)
        return ALIFState(zeros, zeros, torch.full_like(zeros, self.initial_adaptation))


class ALIF(_Adaptive, LIF):
    """Adaptive leaky integrate-and-fire layer; stands for :class:`snntorch.Leaky`.

    In the step call the adaptation belongs to the layer, so a layer steps one stream at a time. To
    begin a sequence with a membrane other than zeros, call ``reset_mem`` first, or use
    ``forward_sequence``, which carries the whole state.

    Args:
        tau_adapt: time constant of the adaptation in steps: a number, a distribution, the text of
            one, or a :class:`TimeConstant`.
        adaptation_strength: the papers' beta: how far a trace of 1 raises the threshold.
        initial_adaptation: b before the first step; ``"threshold"`` for b_0, as in the published
            code.
        **lif: every keyword of :class:`LIF`, with its meaning.

    Raises:
        ValueError: as in :class:`LIF`, and for a strength or adaptation that is negative or not
            finite.

    Example:
        >>> alif = ALIF(beta=0.9)                      # in place of snntorch.Leaky(beta=0.9)
        >>> spikes, membrane = alif(torch.ones(2, 3))
    """


class RALIF(_Adaptive, RLIF):
    """Recurrent adaptive leaky integrate-and-fire layer; stands for :class:`snntorch.RLeaky`.

    In the step call the adaptation belongs to the layer, so a layer steps one stream at a time. To
    begin a sequence with a membrane other than zeros, call ``reset_mem`` first, or use
    ``forward_sequence``, which carries the whole state.

    Args:
        tau_adapt: as in :class:`ALIF`.
        adaptation_strength: as in :class:`ALIF`.
        initial_adaptation: as in :class:`ALIF`.
        **rlif: every keyword of :class:`RLIF`, with its meaning.

    Raises:
        TypeError: as in :class:`RLIF`.
        ValueError: as in :class:`ALIF`.

    Example:
        >>> ralif = RALIF(tau_adapt="loguniform(30, 300)", linear_features=8)
        >>> spikes, state = ralif.forward_sequence(torch.rand(50, 4, 8))
        >>> state.adaptation.shape
        torch.Size([4, 8])
    """
