"""The SrTiO3 device: what it draws, and what was published of it.

    decay bias    V² ∫ sum G dt
    updates       pulses E_pulse
    reads         V_read² t_read sum G z²
    converters    conversions E_conv                    apart, not in the total

| symbol  | argument         | unit | default | band        | source                             |
|---------|------------------|------|---------|-------------|------------------------------------|
| V       | ``bias_voltage`` | V    | 0.6     | x 0.5 .. 1  | worst case, as in the paper        |
| E_pulse | ``pulse``        | J    | 1e-12   | x 0.1 .. 10 | ours; < 1 pJ: optical, same family |
| V_read  | ``read_voltage`` | V    | 0.1     | x 0.5 .. 2  | ours, for an activity z of one     |
| t_read  | ``read_time``    | s    | 1e-6    | x 0.1 .. 10 | ours                               |
| E_conv  | ``conversion``   | J    | 1e-12   | x 0.1 .. 10 | ours: a line driven, a neuron read |

Only the decay bias is anchored: 4.3 nW for a device at rest at 0.6 V, measured by the authors. The
rest are assumptions, so an energy is to be shown with its band, never alone. Converters are kept
apart, since the published figure leaves them out, together with periphery, parasitics and
interconnect, which nobody here counts.

What was published is the energy of the synaptic operations of one layer, 169 984 synapses, over one
game of Pong: inference and short-term updates, no training, no other layer. A game of 48.7 s is our
derivation from it. The layer makes 13.7 % of the agent's multiplications, so that a ratio of the
layer says little of the agent.

Source: Weilenmann et al. 2024 (Nature Communications 15:6898), by way of published notes on it; a
Publisher Correction (15:10672) exists, whose content we do not know.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

IDLE_POWER = 4.3e-9
"""Power of a device at rest at 0.6 V, in watts; measured by the authors."""

FLOOR = IDLE_POWER / 0.6**2
"""g0, the conductance of a device at rest that follows from it, in siemens."""

SYNAPSES = 64 * (2592 + 64)
"""Number of synapses of the published layer."""

PUBLISHED_GAME = {"bias": 35.6e-3, "updates": 0.4e-3}
"""The memristors' energy over one game, in joules."""

PUBLISHED_GPU = {
    "optimal fp16": 3.4639,
    "standard fp16": 34.7805,
    "optimal fp32": 6.2920,
    "standard fp32": 34.9323,
}
"""An A100-40GB's energy for the same synapses, in joules: ``standard`` measured at their number,
``optimal`` scaled down from about 2^21 synapses."""

MACS = {"conv1": 409_600, "conv2": 663_552, "plastic": SYNAPSES, "heads": 448}
"""Multiplications of the agent per frame."""

BAND = {
    "bias_voltage": (0.5, 1.0),
    "pulse": (0.1, 10.0),
    "read_voltage": (0.5, 2.0),
    "read_time": (0.1, 10.0),
    "conversion": (0.1, 10.0),
}
"""Factors on each free parameter, lowest and highest, that its energy is to be shown for."""


def published_ratios() -> dict[str, float]:
    """How many times the memristors' energy each published figure of the GPU is."""
    game = sum(PUBLISHED_GAME.values())
    return {name: energy / game for name, energy in PUBLISHED_GPU.items()}


class DeviceActivity(NamedTuple):
    """What devices did, summed over them, over time, and over sequences.

    Attributes:
        siemens_seconds: conductance times time under bias, in S s.
        pulses: number of programming pulses.
        read: conductance times the square of the activity that it was read with, in S.
        conversions: number of lines driven and of neurons read.
    """

    siemens_seconds: float = 0.0
    pulses: float = 0.0
    read: float = 0.0
    conversions: float = 0.0

    def plus(self, other: "DeviceActivity") -> "DeviceActivity":
        """The activity of both."""
        return DeviceActivity(*(a + b for a, b in zip(self, other, strict=True)))


def at_rest(synapses: int, seconds: float, floor: float = FLOOR) -> DeviceActivity:
    """The activity of devices that sit at their floor under bias, and do nothing."""
    return DeviceActivity(siemens_seconds=synapses * seconds * floor)


class DeviceEnergy(NamedTuple):
    """An energy by what it was spent for, in joules.

    Attributes:
        bias: holding the decay bias.
        updates: programming pulses.
        reads: multiplication by the conductances.
        converters: digital-to-analogue and back; not in the total.
    """

    bias: float
    updates: float
    reads: float
    converters: float

    @property
    def total(self) -> float:
        """The synapses' energy: all but the converters'."""
        return self.bias + self.updates + self.reads


@dataclass(frozen=True)
class DeviceProfile:
    """Free parameters of the energy model; see the table of this module.

    Args:
        bias_voltage: V, in volts.
        pulse: E_pulse, in joules.
        read_voltage: V_read, in volts.
        read_time: t_read, in seconds.
        conversion: E_conv, in joules.

    Raises:
        ValueError: for a negative value.

    Example:
        >>> game = DeviceProfile().energy(at_rest(SYNAPSES, seconds=48.7))
        >>> round(1e3 * game.bias, 1)  # mJ
        35.6
    """

    bias_voltage: float = 0.6
    pulse: float = 1e-12
    read_voltage: float = 0.1
    read_time: float = 1e-6
    conversion: float = 1e-12

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "bias_voltage" and not getattr(self, field.name) >= 0:
                raise ValueError(
                    f"{field.name} of a device profile cannot be negative, "
                    f"got {getattr(self, field.name)}."
                )

    def energy(self, activity: DeviceActivity) -> DeviceEnergy:
        """Estimate the energy of what devices did."""
        return DeviceEnergy(
            bias=self.bias_voltage**2 * activity.siemens_seconds,
            updates=self.pulse * activity.pulses,
            reads=self.read_voltage**2 * self.read_time * activity.read,
            converters=self.conversion * activity.conversions,
        )

    def _scaled(self, **factors: float) -> "DeviceProfile":
        return replace(self, **{name: getattr(self, name) * f for name, f in factors.items()})

    def sensitivity(
        self, activity: DeviceActivity, band: dict[str, tuple[float, float]] = BAND
    ) -> dict[str, tuple[DeviceEnergy, DeviceEnergy]]:
        """The energies at the ends of each parameter's band, the other parameters held."""
        return {
            name: (
                self._scaled(**{name: low}).energy(activity),
                self._scaled(**{name: high}).energy(activity),
            )
            for name, (low, high) in band.items()
        }

    def extremes(
        self, activity: DeviceActivity, band: dict[str, tuple[float, float]] = BAND
    ) -> tuple[DeviceEnergy, DeviceEnergy]:
        """The lowest and the highest energy over all bands at once.

        Every term grows with every parameter, so these are the corners where all are at their ends.
        """
        low, high = (
            self._scaled(**{name: ends[end] for name, ends in band.items()}) for end in (0, 1)
        )
        return low.energy(activity), high.energy(activity)
