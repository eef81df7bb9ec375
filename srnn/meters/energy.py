"""From operations to an estimate of energy.

    E = AC E_AC + MAC E_MAC + words E_word                        pJ

| symbol | meaning                     | unit | fp32 | int32 | int8 | source                       |
|--------|-----------------------------|------|------|-------|------|------------------------------|
| E_AC   | one addition                | pJ   | 0.9  | 0.1   | 0.03 | Horowitz 2014, 45 nm         |
| E_MAC  | one product and addition    | pJ   | 4.6  | 3.2   | 0.23 | Horowitz 2014: 3.7, 3.1, 0.2,|
|        |                             |      |      |       |      | and the addition             |
| E_word | one word read or written    | pJ   | 5    | 5     | 1.25 | Horowitz 2014: 5 for 32 bits |
|        | in an SRAM of 8 kB          |      |      |       |      | of 8 kB; in proportion to the|
|        |                             |      |      |       |      | width                        |

A larger memory takes more for a word: 10 pJ for 32 bits of 32 kB, 50 of 1 MB, 640 of DRAM. A
profile either has one memory for all networks, or sizes it: with ``levels``, all words of a network
come from the smallest memory that holds its parameters and the states of one sample,

    (parameters + states) bits / 8 <= bytes of the level

Source: M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014.
"""

from dataclasses import dataclass, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any, Self

from .footprint import Footprint
from .measure import Measurement
from .meters import Tally
from .terms import EVENT_DRIVEN, Convention, Ops

ESTIMATE = (
    "Energies are estimates from operation counts: they leave out control, communication between "
    "cores, clocks and leakage, input encoding, caches that are larger or further away than the "
    "profile's memory, and all that a real device does besides."
)
"""The sentence that stands beside every figure."""

MEMORY_LEVELS = {
    "none": 0.0,
    "sram-8kB": 5.0,
    "sram-32kB": 10.0,
    "sram-1MB": 50.0,
    "dram": 640.0,
}
"""pJ for a 32-bit word by level of memory, Horowitz 2014."""


@dataclass(frozen=True)
class EnergyProfile:
    """What operations cost on one kind of hardware.

    Args:
        name: what to call it.
        ac: pJ of an accumulate.
        mac: pJ of a multiply-accumulate.
        memory: pJ of a 32-bit word read or written; 0 to leave memory out. With levels, that of
            the memory of networks that fit into none of them.
        bits: width of a word.
        source: where the numbers come from.
        levels: smaller memories, each with its bytes and the pJ of a 32-bit word, in rising order
            of both; none where all networks have the same memory.

    Raises:
        ValueError: for a name that is no text, a cost that is negative or not finite, costs that
            are all 0, a width below one bit, or levels that do not rise or that a memory does not
            go on from.
    """

    name: str
    ac: float
    mac: float
    memory: float = 0.0
    bits: int = 32
    source: str = ""
    levels: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"The name of a profile must be text, got {self.name!r}: quote it.")
        try:
            levels = tuple((size, cost) for size, cost in self.levels)
        except (TypeError, ValueError):
            raise ValueError(
                f"{self.name}: levels must be pairs of bytes and pJ, got {self.levels!r}."
            ) from None
        object.__setattr__(self, "levels", levels)
        self._check_costs()
        if levels:
            self._check_levels()
        if not isinstance(self.bits, int) or self.bits < 1:
            raise ValueError(f"{self.name}: bits must be a whole number >= 1, got {self.bits!r}.")

    def _check_costs(self) -> None:
        costs = [(field, getattr(self, field)) for field in ("ac", "mac", "memory")]
        costs += [("levels", cost) for _, cost in self.levels]
        for field, value in costs:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{self.name}: {field} must be a number of pJ, got {value!r}.")
            if not isfinite(value) or value < 0:
                raise ValueError(f"{self.name}: {field} must be finite and >= 0, got {value}.")
        if not any(value for _, value in costs):
            raise ValueError(
                f"{self.name}: ac, mac and memory are all 0, so that every network would be free; "
                "give one of them a cost."
            )

    def _check_levels(self) -> None:
        sizes = [size for size, _ in self.levels]
        whole = all(isinstance(size, int) and size > 0 for size in sizes)
        if not whole or sizes != sorted(set(sizes)):
            raise ValueError(f"{self.name}: levels must have rising numbers of bytes, got {sizes}.")
        if not self.memory:
            raise ValueError(
                f"{self.name}: levels need memory too, the pJ of a word in networks of more than "
                f"{sizes[-1]:,} bytes, which would be free."
            )
        costs = [*(cost for _, cost in self.levels), self.memory]
        if costs != sorted(costs):
            raise ValueError(
                f"{self.name}: a word of a larger memory cannot cost less, got {costs} pJ for "
                "levels and, last, memory."
            )

    def sized(self, footprint: Footprint | None) -> Self:
        """The profile with the memory that a network needs, in place of levels to choose from.

        Raises:
            ValueError: if there are levels, and the footprint or its states are not known.
        """
        if not self.levels:
            return self
        if footprint is None or footprint.states is None:
            raise ValueError(
                f"The profile {self.name} takes a memory of the network's size, which is not known "
                "here: count with measure(), or choose a profile with one memory."
            )
        size = (footprint.parameters + footprint.states) * self.bits / 8
        fitting = (cost for most, cost in self.levels if size <= most)
        return replace(self, memory=next(fitting, self.memory), levels=())

    @property
    def costs(self) -> str:
        """What an operation and a word cost in pJ, for a report."""
        steps = [f"up to {size:,} bytes {cost * self._width:g}" for size, cost in self.levels]
        steps += [f"beyond {self.memory * self._width:g}" if steps else f"{self.word:g}"]
        return f"AC {self.ac:g}, MAC {self.mac:g}, word {', '.join(steps)}"

    @property
    def word(self) -> float:
        """Cost of one word read or written, in pJ.

        Raises:
            ValueError: if there are levels, so that it depends on the network; see :meth:`sized`.
        """
        return self.sized(None).memory * self._width

    @property
    def _width(self) -> float:
        """The share of a 32-bit word."""
        return self.bits / 32

    def picojoules(self, ops: Ops) -> float:
        """Energy of some operations; see :meth:`word` for profiles with levels."""
        return ops.ac * self.ac + ops.mac * self.mac + ops.words * self.word

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a profile from a YAML file with this class's arguments as keys.

        Raises:
            ImportError: if PyYAML is not installed.
            ValueError: if the file says something else, with the keys that it should have.
        """
        try:
            import yaml
        except ImportError as error:
            raise ImportError(
                'Reading a profile needs PyYAML: pip install "srnn[train]".'
            ) from error
        keys = [field.name for field in fields(cls)]
        try:
            content: Any = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no energy profile: it is not YAML ({error}).") from error
        if not isinstance(content, dict) or not {"name", "ac", "mac"} <= set(content) <= set(keys):
            found = list(content) if isinstance(content, dict) else type(content).__name__
            raise ValueError(
                f"{path} is no energy profile: it needs name, ac and mac, and may have "
                f"{', '.join(keys[3:])}; found {found}."
            )
        return cls(**content)


_HOROWITZ = "Horowitz, ISSCC 2014, 45 nm"
_WIDTHS = (("fp32", 0.9, 4.6, 32), ("int32", 0.1, 3.2, 32), ("int8", 0.03, 0.23, 8))
_LEVELS = (
    (2**13, MEMORY_LEVELS["sram-8kB"]),
    (2**15, MEMORY_LEVELS["sram-32kB"]),
    (2**20, MEMORY_LEVELS["sram-1MB"]),
)
PROFILES = {
    profile.name: profile
    for width, ac, mac, bits in _WIDTHS
    for profile in (
        EnergyProfile(
            f"45nm-{width}-sram",
            ac,
            mac,
            MEMORY_LEVELS["sram-8kB"],
            bits,
            f"{_HOROWITZ}, with words from 8 kB of SRAM",
        ),
        EnergyProfile(f"45nm-{width}", ac, mac, 0.0, bits, f"{_HOROWITZ}, without memory"),
        EnergyProfile(
            f"45nm-{width}-sized",
            ac,
            mac,
            MEMORY_LEVELS["dram"],
            bits,
            f"{_HOROWITZ}, with words from the smallest memory that holds the network",
            _LEVELS,
        ),
    )
}
"""The profiles by name, each with a small memory, without, and with one of the network's size."""

DEFAULT_PROFILE = PROFILES["45nm-fp32-sram"]
"""With memory, since it is most of the energy."""


@dataclass(frozen=True)
class Energy:
    """An estimate of energy; see :data:`ESTIMATE`.

    Attributes:
        profile: what operations were taken to cost.
        convention: which operations counted.
        layers: pJ a sample by layer.
        over_time: pJ a sample of every time step; None if time steps were not kept apart.
    """

    profile: EnergyProfile
    convention: Convention
    layers: dict[str, float]
    over_time: list[float] | None

    @property
    def total(self) -> float:
        """Energy of a sample in pJ."""
        return sum(self.layers.values())


def energy(
    measurement: Tally,
    profile: EnergyProfile = DEFAULT_PROFILE,
    convention: Convention = EVENT_DRIVEN,
) -> Energy:
    """Estimate the energy of a sample, layer by layer.

    Args:
        measurement: what was counted, by :func:`srnn.meters.measure` or a
            :class:`srnn.meters.SynOpMeter`.
        profile: what operations cost.
        convention: which of them count.

    Returns:
        The estimate; its profile has the memory that the network takes.

    Raises:
        ValueError: if nothing was counted; or if the profile has levels, and the size of the
            network was not measured.
    """
    measurement.per_sample(convention)  # refuses an empty one
    profile = profile.sized(measurement.footprint if isinstance(measurement, Measurement) else None)
    n = measurement.samples
    over_time = None
    if measurement.timewise:
        steps = measurement.over_time(convention).T.tolist()
        over_time = [profile.picojoules(Ops(*step).per(n)) for step in steps]
    return Energy(
        profile,
        convention,
        {
            name: profile.picojoules(layer.total(convention, spiking=measurement.spiking).per(n))
            for name, layer in measurement.layers.items()
        },
        over_time,
    )
