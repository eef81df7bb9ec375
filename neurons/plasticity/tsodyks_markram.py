"""Short-term depression and facilitation (TsodyksMarkramSTP): synapses that tire, or warm up.

A presynaptic neuron owns resources, of which a fraction x is at hand, and each of its spikes uses
the fraction u of these: x recovers with time constant tau_rec, and u, which every spike raises,
falls back with time constant tau_facil:

    dx/dt = (1 - x) / tau_rec - u⁺ x⁻ z
    du/dt = -u / tau_facil + U (1 - u⁻) z               u⁺: after the jump; x⁻, u⁻: before

A step is the spike, or none, and then the exact solution over the length dt of the step:

    u⁺ = u + U (1 - u) z
    r  = u⁺ x z                                         released
    I  = W r + b
    x' = 1 - (1 - x + r) exp(-dt / tau_rec)
    u' = u⁺ exp(-dt / tau_facil)

A long tau_rec depresses: of fast spikes only the first counts in full. A small U with a long
tau_facil facilitates: only fast spikes come to count. A regular train, one spike every D, settles
at

    u⁺ = U / (1 - (1 - U) exp(-D / tau_facil))
    x⁻ = (1 - exp(-D / tau_rec)) / (1 - (1 - u⁺) exp(-D / tau_rec))

| symbol    | argument      | unit | default             | range        | source                   |
|-----------|---------------|------|---------------------|--------------|--------------------------|
| U         | ``U``         | 1    | uniform(0.1, 0.9)   | [0.01, 0.99] | model: Tsodyks 1998;     |
| tau_rec   | ``tau_rec``   | step | loguniform(20, 800) | [1, 2000]    | starts and bounds: ours  |
| tau_facil | ``tau_facil`` | step | loguniform(20, 800) | [1, 2000]    |                          |
| x at t=0  | -             | 1    | 1                   | [0, 1]       | rest                     |
| u at t=0  | -             | 1    | 0                   | [0, 1]       | rest                     |
| W, b      | -             | -    | U(-1/√H, 1/√H)      | real         | :class:`Plasticity`      |

U, tau_rec and tau_facil are learned, one of each per presynaptic line. The activity z must lie
between 0 and 1, as spikes do; one in between is a fraction of a spike. Beyond, u and x grow without
a bound: a whole sequence is looked at before and after it runs, a single step is not.

Source: Tsodyks, Pawelzik and Markram 1998 (Neural Computation 10), "Neural Networks with Dynamic
Synapses".
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..distributions import Distribution, constant, parse
from ..time_constant import TimeConstant, check_fits
from .plugin import Plasticity

_U_BOUNDS = (0.01, 0.99)
_TAU_BOUNDS = (1.0, 2000.0)
# A start on a bound would sit where the sigmoid is flat: stay this far inside, as a fraction.
_MARGIN = 1e-4


class TsodyksMarkramState(NamedTuple):
    """State of depressing and facilitating synapses, one of each value per presynaptic line.

    Attributes:
        u: utilisation, the part of the resources that the last spikes have come to use, [batch,
            lines].
        x: resources at hand, [batch, lines].
    """

    u: Tensor
    x: Tensor


class TsodyksMarkramParams(NamedTuple):
    """Parameters of one step; the tensors other than W and the bias are [lines].

    Attributes:
        W: efficacies, [neurons, lines].
        bias: [neurons], or None.
        U: what a spike adds to the utilisation of a synapse at rest.
        recovery: exp(-dt / tau_rec).
        facilitation: exp(-dt / tau_facil).
    """

    W: Tensor
    bias: Tensor | None
    U: Tensor
    recovery: Tensor
    facilitation: Tensor


def tsodyks_markram_transmit(
    z: Tensor, state: TsodyksMarkramState, params: TsodyksMarkramParams
) -> tuple[Tensor, TsodyksMarkramState]:
    """Release what presynaptic spikes make use of.

    Args:
        z: presynaptic activity between 0 and 1, [batch, lines].
        state: u and x before the spikes.
        params: the parameters.

    Returns:
        The current [batch, neurons], and u and x right after the spikes.
    """
    u, x = state
    u = u + params.U * (1 - u) * z
    r = u * x * z
    return nn.functional.linear(r, params.W, params.bias), TsodyksMarkramState(u, x - r)


def tsodyks_markram_update(
    state: TsodyksMarkramState, params: TsodyksMarkramParams
) -> TsodyksMarkramState:
    """Recover over the length of one step, exactly.

    Args:
        state: u and x right after the spikes.
        params: the parameters.

    Returns:
        u and x before the spikes of the next step.
    """
    u, x = state
    return TsodyksMarkramState(u * params.facilitation, 1 - (1 - x) * params.recovery)


class TsodyksMarkramSTP(Plasticity):
    """Synapses with short-term depression and facilitation.

    Args:
        neurons: number of neurons.
        inputs: number of input lines that the synapses cover besides.
        U: where the utilisation starts: a number, a distribution, or the text of one. Draws outside
            0.01 .. 0.99 are clipped.
        tau_rec: time constant of the recovery in steps: a number, a distribution, the text of one,
            or a :class:`srnn.neurons.TimeConstant`.
        tau_facil: time constant of the facilitation, likewise.
        bias: whether a learned bias is added to the current.

    Raises:
        ValueError: for a value out of range, or sizes as in :class:`Plasticity`.

    Example:
        >>> depressing = TsodyksMarkramSTP(64, U=0.5, tau_rec=800.0, tau_facil=1.0)
        >>> depressing.initial_state(8, torch.zeros(())).x.shape
        torch.Size([8, 64])
    """

    state_type: Any = TsodyksMarkramState
    activity_range = (0.0, 1.0)

    def __init__(
        self,
        neurons: int,
        inputs: int = 0,
        *,
        U: float | str | Distribution = "uniform(0.1, 0.9)",
        tau_rec: float | str | Distribution | TimeConstant = "loguniform(20, 800)",
        tau_facil: float | str | Distribution | TimeConstant = "loguniform(20, 800)",
        bias: bool = True,
    ) -> None:
        super().__init__(neurons, inputs, bias=bias)
        self.theta_U = nn.Parameter(_logit(U, self.lines))
        self.tau_rec = self._time_constant(tau_rec)
        self.tau_facil = self._time_constant(tau_facil)

    def _time_constant(self, given: float | str | Distribution | TimeConstant) -> TimeConstant:
        if isinstance(given, TimeConstant):
            check_fits(given, (self.lines,))
            return given
        return TimeConstant(given, self.lines, bounds=_TAU_BOUNDS)

    @property
    def U(self) -> Tensor:  # noqa: N802 - the papers' symbol
        """The utilisation of a synapse at rest, [lines]; differentiable."""
        low, high = _U_BOUNDS
        return low + (high - low) * torch.sigmoid(self.theta_U)

    def params(self) -> TsodyksMarkramParams:
        """The parameters of one step, computed from what is learned."""
        return TsodyksMarkramParams(
            self.W, self.bias, self.U, self.tau_rec.decay(), self.tau_facil.decay()
        )

    def initial_state(self, batch: int, like: Tensor) -> TsodyksMarkramState:
        """The state before the first step: at rest, all resources at hand."""
        u = like.new_zeros(batch, self.lines)
        return TsodyksMarkramState(u, torch.ones_like(u))

    def transmit(
        self, z: Tensor, state: TsodyksMarkramState, params: TsodyksMarkramParams
    ) -> tuple[Tensor, TsodyksMarkramState]:
        """Release; see :func:`tsodyks_markram_transmit`."""
        return tsodyks_markram_transmit(z, state, params)

    def update(
        self, z: Tensor, h: Tensor, state: TsodyksMarkramState, params: TsodyksMarkramParams
    ) -> TsodyksMarkramState:
        """Recover, whatever the neurons answered; see :func:`tsodyks_markram_update`."""
        return tsodyks_markram_update(state, params)

    def efficacy(self, state: TsodyksMarkramState, params: TsodyksMarkramParams) -> Tensor:
        """W u⁺ x, what a spike delivers now, [batch, neurons, lines]."""
        u, x = state
        return params.W * ((u + params.U * (1 - u)) * x)[:, None, :]


def _logit(U: float | str | Distribution, lines: int) -> Tensor:
    """Draw U and return the theta whose sigmoid it is, within the bounds."""
    low, high = _U_BOUNDS
    start = parse(U)
    lowest, highest = start.core
    if highest < low or lowest > high:
        named = f"{start.value:g}" if isinstance(start, constant) else str(start)
        raise ValueError(f"U {named} lies outside the bounds {low:g} .. {high:g}.")
    position = (start.sample((lines,)).clamp(low, high) - low) / (high - low)
    return torch.logit(position, eps=_MARGIN)
