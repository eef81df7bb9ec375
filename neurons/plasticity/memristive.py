"""Hebbian synapses on a simulated SrTiO3 memristor (MemristiveSTP).

One two-terminal device per synapse holds the long-term and the short-term efficacy in its
conductance, multiplies by it (Ohm's law), and lets the short-term part decay at a rate that a bias
voltage sets:

    G_t     = g0 + s (W + F_t)                          conductance, within its window
    I_t     = (W + F_t) z_t + b
    dF      = Gamma (*) (h_t p_t^T)                     p: as in :mod:`hebbian`
    dF'     = dF (1 + sigma eps) where |dF| > theta, else 0         eps ~ N(0, 1): a pulse, or none
    F_{t+1} = lambda F_t + dF'                          then G_{t+1} is clipped to its window
    lambda  = exp(-dt / tau(V))
    tau(V)  = tau_low (tau_high / tau_low) ** ((V - V_low) / (V_high - V_low))

With ``levels``, a synapse that a pulse has reached lands on the nearest of as many conductances,
equally spaced over the window, and W is held at the nearest one; in between, F decays freely. With
``device_spread``, every device has its own factor on tau and on Gamma, each exp(spread * N(0, 1)),
drawn once and kept with the weights. There is no row normalisation, which conductances cannot do;
with ``normalisation="input"`` the presynaptic activity z is divided by its norm instead. With an
unlimited window, no threshold, noise, spread or levels these are the Hebbian synapses with one
Lambda and no normalisation, to the last bit.

| symbol    | argument            | unit | default         | range   | source                  |
|-----------|---------------------|------|-----------------|---------|-------------------------|
| g0        | ``floor``           | S    | 11.94e-9        | > 0     | 4.3 nW at 0.6 V,        |
|           |                     |      |                 |         | Weilenmann 2024         |
| s         | ``scale``           | S    | g0              | > 0     | ours: G = 0 at W+F = -1 |
| window    | ``window``          | S    | (0, g0 + 40e-9) | -       | ours; 40 nS: optical    |
|           |                     |      |                 |         | devices of the family   |
| V         | ``bias_voltage``    | V    | 0, learned      | V_range | ours                    |
| V_range   | ``voltage_range``   | V    | (-0.6, 0.6)     | -       | ours                    |
| tau_low,  | ``retention_range`` | s    | (1e-3, 60)      | > 0     | "ms to minutes", ibid.; |
| tau_high  |                     |      |                 |         | the exponential is ours |
| dt        | ``dt``              | s    | 0.05            | > 0     | ours: length of a step  |
| theta     | ``threshold``       | 1    | 0               | >= 0    | ours                    |
| sigma     | ``write_noise``     | 1    | 0               | >= 0    | ours                    |
| spread    | ``device_spread``   | 1    | 0               | >= 0    | ours                    |
| levels    | ``levels``          | 1    | any value       | >= 2    | ours                    |

Writing is differentiated straight through, see :mod:`writing`; a W outside the window learns too.

The published network was a simulation on measured device data; of its update rule, thresholds,
noise and conductances we know nothing. This is a model of our own, consistent with what is known,
and each of its parameters is an assumption.

Sources: Weilenmann et al. 2024 (Nature Communications 15:6898) for the device; Rodriguez, Guo and
Moraitis 2022 (ICML) for the rule.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._given import not_negative, whole
from ..time_constant import TimeConstant
from .device import FLOOR, DeviceActivity
from .hebbian import RECURRENT_TERMS, HebbianState, coincidence
from .plugin import Plasticity, deliver, one_of
from .proxy import conductance_proxy
from .writing import Writing, held, pulses, write


class MemristiveParams(NamedTuple):
    """Parameters of one step.

    Attributes:
        W: long-term efficacies as the devices hold them, [neurons, lines].
        decay: lambda; one value, or [neurons, lines].
        Gamma: what a coincidence asks to be added to F; likewise.
        bias: [neurons], or None.
        writing: what a device does with that.
        recurrent: ``"old"`` or ``"new"``, the neurons' activity that counts as presynaptic.
        normalisation: ``"none"`` or ``"input"``.
    """

    W: Tensor
    decay: Tensor
    Gamma: Tensor
    bias: Tensor | None
    writing: Writing
    recurrent: str = "old"
    normalisation: str = "none"


def _presented(z: Tensor, params: MemristiveParams) -> Tensor:
    """The activity that the devices see."""
    return z if params.normalisation == "none" else nn.functional.normalize(z, dim=-1)


def memristive_transmit(
    z: Tensor, state: HebbianState, params: MemristiveParams
) -> tuple[Tensor, HebbianState]:
    """Read the devices.

    Args:
        z: presynaptic activity, [batch, lines].
        state: F.
        params: the parameters.

    Returns:
        The current [batch, neurons], and F, which reading does not change.
    """
    return deliver(params.W + state.F, _presented(z, params), params.bias), state


def memristive_change(z: Tensor, h: Tensor, params: MemristiveParams) -> Tensor:
    """Return dF, what the rule asks for after a step.

    Args:
        z: what was transmitted, [batch, lines].
        h: what the neurons answered, [batch, neurons].
        params: the parameters.

    Returns:
        dF, [batch, neurons, lines].
    """
    return params.Gamma * coincidence(_presented(z, params), h, params.recurrent)


def memristive_update(
    z: Tensor, h: Tensor, state: HebbianState, params: MemristiveParams
) -> HebbianState:
    """Let the devices decay over one step, and program them.

    Args:
        z: what was transmitted, [batch, lines].
        h: what the neurons answered, [batch, neurons].
        state: F.
        params: the parameters.

    Returns:
        The state of the next step.
    """
    dF = memristive_change(z, h, params)
    return HebbianState(write(params.decay * state.F, dF, params.W, params.writing))


class MemristiveSTP(Plasticity):
    """Synapses with short-term plasticity on simulated SrTiO3 devices.

    Args:
        neurons: number of neurons.
        inputs: number of input lines that the synapses cover besides.
        bias_voltage: where the voltage that sets the decay starts, in volts; an end of its range is
            taken a hair inside, as :class:`srnn.neurons.TimeConstant` does.
        learn_bias_voltage: whether the optimiser may change it (the meta-plasticity).
        voltage_range: voltages of the shortest and of the longest retention.
        retention_range: those retentions, in seconds.
        dt: length of one step in seconds.
        floor: g0, the conductance of a device at W + F = 0, in siemens.
        scale: s, siemens per unit of W + F; None for ``floor``.
        window: lowest and highest conductance in siemens, infinite for none; the default is
            (0, floor + 40 nS).
        threshold: changes of F up to this size get no pulse.
        write_noise: standard deviation of a pulse's effect, as a fraction of it; the noise is there
            in evaluation too.
        device_spread: spread of the devices' tau and Gamma.
        levels: number of conductances that can be written; None for any.
        gamma_per: one Gamma per ``"synapse"``, or one ``"scalar"`` for all.
        recurrent: whether the neurons' ``"old"`` or ``"new"`` activity counts as presynaptic.
        normalisation: ``"none"``, or ``"input"`` to divide the presynaptic activity by its norm.
        bias: whether a learned bias is added to the current.
        generator: draws the spread and the noise; None for torch's global generator, whose state a
            checkpoint of a training run keeps.

    Raises:
        ValueError: for a value out of range, a window that leaves out the floor, or levels without
            a finite window.

    Example:
        >>> stp = MemristiveSTP(64, inputs=2592, threshold=1e-3, write_noise=0.05)
        >>> stp.synapses
        169984
    """

    state_type: Any = HebbianState
    tau_factor: Tensor
    gamma_factor: Tensor

    def __init__(
        self,
        neurons: int,
        inputs: int = 0,
        *,
        bias_voltage: float = 0.0,
        learn_bias_voltage: bool = True,
        voltage_range: tuple[float, float] = (-0.6, 0.6),
        retention_range: tuple[float, float] = (1e-3, 60.0),
        dt: float = 0.05,
        floor: float = FLOOR,
        scale: float | None = None,
        window: tuple[float, float] | None = None,
        threshold: float = 0.0,
        write_noise: float = 0.0,
        device_spread: float = 0.0,
        levels: int | None = None,
        gamma_per: str = "synapse",
        recurrent: str = "old",
        normalisation: str = "none",
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(neurons, inputs, bias=bias)
        self.floor = _positive(floor=floor)
        self.scale = floor if scale is None else _positive(scale=scale)
        window = (0.0, floor + 40e-9) if window is None else window
        if not window[0] <= floor <= window[1] or window[0] == window[1]:
            raise ValueError(
                f"The window {window} must hold the floor, {floor:g} S, the conductance of "
                "W + F = 0."
            )
        self.window = window
        whole(2, levels=levels)
        if levels is not None and not all(map(math.isfinite, window)):
            raise ValueError(f"levels need a finite window, got {levels} over {window} S.")
        low, high = ((G - self.floor) / self.scale for G in window)
        self.writing = Writing(
            low,
            high,
            not_negative(threshold=threshold),
            not_negative(write_noise=write_noise),
            levels,
            generator,
        )
        self.recurrent = one_of(RECURRENT_TERMS, recurrent=recurrent)
        self.normalisation = one_of(("none", "input"), normalisation=normalisation)
        V_low, V_high = self.voltage_range = voltage_range
        if not V_low <= bias_voltage <= V_high or V_low == V_high:
            raise ValueError(
                f"bias_voltage must lie in the voltage_range {voltage_range}, got {bias_voltage}."
            )
        # A bounded time constant is exponential in its position, as retention is in the voltage;
        # it refuses a bad range itself.
        low, high = retention_range
        position = (bias_voltage - V_low) / (V_high - V_low)
        self.retention = TimeConstant(
            low * (high / low) ** position if low > 0 else low,
            bounds=retention_range,
            learn=learn_bias_voltage,
            dt=dt,
        )
        shape = self._shape_per(gamma_per=gamma_per)
        self.Gamma = self._drawn(shape, scale=0.001)
        self._draw_devices(not_negative(device_spread=device_spread))

    def _draw_devices(self, spread: float) -> None:
        """Draw what makes every device another one; without spread, one value stands for all."""
        shape = (self.neurons, self.lines) if spread else ()
        for name in ("tau_factor", "gamma_factor"):
            drawn = (
                torch.randn(shape, generator=self.writing.generator) if spread else torch.zeros(())
            )
            self.register_buffer(name, torch.exp(spread * drawn))

    @property
    def bias_voltage(self) -> Tensor:
        """V, in volts, that the learned decay stands for; differentiable."""
        V_low, V_high = self.voltage_range
        low, high = self.retention.bounds
        position = torch.log(self.retention.tau / low) / math.log(high / low)
        return V_low + (V_high - V_low) * position

    def params(self) -> MemristiveParams:
        """The parameters of one step, computed from what is learned."""
        tau = self.retention.tau * self.tau_factor
        return MemristiveParams(
            held(self.W, self.writing),
            torch.exp(-self.retention.dt / tau),
            self.Gamma * self.gamma_factor,
            self.bias,
            self.writing,
            self.recurrent,
            self.normalisation,
        )

    def initial_state(self, batch: int, like: Tensor) -> HebbianState:
        """The state before the first step: zeros."""
        return HebbianState(like.new_zeros(batch, self.neurons, self.lines))

    def transmit(
        self, z: Tensor, state: HebbianState, params: MemristiveParams
    ) -> tuple[Tensor, HebbianState]:
        """Read the devices; see :func:`memristive_transmit`."""
        return memristive_transmit(z, state, params)

    def update(
        self, z: Tensor, h: Tensor, state: HebbianState, params: MemristiveParams
    ) -> HebbianState:
        """Decay, and program the devices; see :func:`memristive_update`."""
        return memristive_update(z, h, state, params)

    def efficacy(self, state: HebbianState, params: MemristiveParams) -> Tensor:
        """W + F, [batch, neurons, lines]."""
        return params.W + state.F

    def conductance(self, state: HebbianState, params: MemristiveParams) -> Tensor:
        """G in siemens, [batch, neurons, lines]."""
        return self.floor + self.scale * self.efficacy(state, params)

    @torch.no_grad()
    def activity(
        self, z: Tensor, h: Tensor, state: HebbianState, params: MemristiveParams
    ) -> DeviceActivity:
        """What the devices do in one step, summed over the batch; for :class:`DeviceProfile`.

        Args:
            z: what is transmitted, [batch, lines].
            h: what the neurons answer, [batch, neurons].
            state: the state before the step.
            params: the parameters.
        """
        G = self.conductance(state, params).double()
        dF = memristive_change(z, h, params)
        seen = _presented(z, params).double()
        return DeviceActivity(
            siemens_seconds=float(G.sum()) * self.retention.dt,
            pulses=float(pulses(dF, params.writing).sum()),
            read=float(conductance_proxy(G, seen).sum()),
            conversions=float(z.count_nonzero() + h.numel()),
        )


def _positive(**given: float) -> float:
    ((name, value),) = given.items()
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}.")
    return value
