"""The energy of the devices: the published arithmetic, and every term by hand."""

import pytest

from srnn.neurons.plasticity import DeviceActivity, DeviceProfile
from srnn.neurons.plasticity.device import (
    BAND,
    IDLE_POWER,
    MACS,
    PUBLISHED_GAME,
    SYNAPSES,
    at_rest,
    published_ratios,
)


def test_the_published_game():
    """Devices at rest at 0.6 V for 48.7 s, and pulses for 0.4 mJ."""
    profile = DeviceProfile()
    game = at_rest(SYNAPSES, seconds=48.7).plus(DeviceActivity(pulses=0.4e-3 / profile.pulse))
    energy = profile.energy(game)
    assert energy.bias == pytest.approx(35.6e-3, rel=1e-3)
    assert energy.total == pytest.approx(36.0e-3, rel=1e-3)
    assert energy.bias / energy.total == pytest.approx(0.989, abs=5e-4)
    assert energy.updates / energy.total == pytest.approx(0.011, abs=5e-4)
    assert energy.total / SYNAPSES == pytest.approx(212e-9, rel=5e-3)
    assert energy.converters == 0


def test_the_power_at_rest():
    assert SYNAPSES == 169_984
    second = DeviceProfile().energy(at_rest(SYNAPSES, seconds=1.0))
    assert second.bias == pytest.approx(0.731e-3, abs=5e-7)
    assert PUBLISHED_GAME["bias"] / second.bias == pytest.approx(48.7, abs=0.05)
    one = DeviceProfile().energy(at_rest(1, seconds=1.0))
    assert one.bias == pytest.approx(IDLE_POWER) == 4.3e-9


def test_the_four_published_ratios():
    ratios = {name: round(ratio, 1) for name, ratio in published_ratios().items()}
    assert ratios == {
        "optimal fp16": 96.2,
        "standard fp16": 966.1,
        "optimal fp32": 174.8,
        "standard fp32": 970.3,
    }


def test_the_layers_share_of_the_agent():
    assert MACS["plastic"] / sum(MACS.values()) == pytest.approx(0.137, abs=5e-4)


ACTIVITY = DeviceActivity(siemens_seconds=2e-6, pulses=3e6, read=5e-3, conversions=7e4)


def test_every_term_by_hand():
    profile = DeviceProfile(
        bias_voltage=-0.5, pulse=2e-12, read_voltage=0.2, read_time=1e-7, conversion=3e-12
    )
    energy = profile.energy(ACTIVITY)
    assert energy.bias == pytest.approx(0.25 * 2e-6)
    assert energy.updates == pytest.approx(6e-6)
    assert energy.reads == pytest.approx(0.04 * 1e-7 * 5e-3)
    assert energy.converters == pytest.approx(2.1e-7)
    assert energy.total == pytest.approx(sum(energy) - energy.converters)


def test_the_band_moves_each_parameter_alone_and_then_all():
    profile = DeviceProfile()
    nominal, ends = profile.energy(ACTIVITY), profile.sensitivity(ACTIVITY)
    assert ends.keys() == BAND.keys()
    scale = {"bias_voltage": (0.25, 1), "read_voltage": (0.25, 4)}  # squared
    term = {"bias_voltage": "bias", "pulse": "updates", "conversion": "converters"}
    for name, (low, high) in ends.items():
        field = term.get(name, "reads")
        for end, factor in zip((low, high), scale.get(name, (0.1, 10)), strict=True):
            changed = nominal._replace(**{field: factor * getattr(nominal, field)})
            assert end == pytest.approx(changed)
    low, high = profile.extremes(ACTIVITY)
    assert low.total < min(end.total for end, _ in ends.values())
    assert high.total > max(end.total for _, end in ends.values())
    assert low.reads == pytest.approx(0.025 * nominal.reads)
    assert high.reads == pytest.approx(40 * nominal.reads)


@pytest.mark.parametrize("name", ["pulse", "read_voltage", "read_time", "conversion"])
def test_a_negative_parameter_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} of a device profile cannot be negative"):
        DeviceProfile(**{name: -1.0})
