"""Energy profiles, footprints and tables: arithmetic by hand."""

import csv
import io

import pytest
import snntorch as snn
import torch
from torch import nn
from torch.nn.utils import prune

from srnn import SRNN, Delay, baselines
from srnn.meters import (
    DEFAULT_PROFILE,
    DENSE,
    ESTIMATE,
    PROFILES,
    EnergyProfile,
    Footprint,
    SynOpMeter,
    Table,
    energy,
    layer_table,
    measure,
    table,
)
from srnn.neurons import ALIF, RLIF


def test_the_profiles_are_horowitz():
    one_memory = {name: p for name, p in PROFILES.items() if not p.levels}
    costs = {name: (p.ac, p.mac, p.word) for name, p in one_memory.items()}
    assert costs == {
        "45nm-fp32-sram": (0.9, 4.6, 5.0),
        "45nm-fp32": (0.9, 4.6, 0.0),
        "45nm-int32-sram": (0.1, 3.2, 5.0),
        "45nm-int32": (0.1, 3.2, 0.0),
        "45nm-int8-sram": (0.03, 0.23, 1.25),
        "45nm-int8": (0.03, 0.23, 0.0),
    }
    assert DEFAULT_PROFILE.memory
    assert "estimate" in ESTIMATE


@pytest.mark.parametrize(("width", "bits"), [("fp32", 32), ("int32", 32), ("int8", 8)])
def test_a_sized_memory_is_the_smallest_that_holds_the_network(width, bits):
    """Horowitz: 10, 20 and 100 pJ for 64 bits of 8 kB, 32 kB and 1 MB; DRAM 1.3 to 2.6 nJ."""
    profile, flat = PROFILES[f"45nm-{width}-sized"], PROFILES[f"45nm-{width}"]
    bounds = {0: 10, 8192: 20, 32768: 100, 1048576: 1280}  # more bytes than -> pJ for 64 bits
    for limit, cost in bounds.items():
        numbers = limit * 8 // bits
        for more in (1, 2):
            above = profile.sized(Footprint(numbers, numbers, more, 0))
            assert above.word == cost / 2 * bits / 32
            assert (above.ac, above.mac, above.bits) == (flat.ac, flat.mac, flat.bits)
        if limit:  # the last number that fits is one of the level below
            fitting = profile.sized(Footprint(numbers - 3, 0, 3, 0))
            assert fitting.word < above.word
    with pytest.raises(ValueError, match="memory of the network's size, which is not known here"):
        _ = profile.word
    assert flat.sized(None) is flat


def test_energy_with_a_sized_memory_by_hand():
    """A word costs 5 pJ in a network of 4 kB, and 10 in one of 16 kB; all else is the same."""
    x = (torch.rand(3, 2, 31) < 0.5).float()
    for neurons, cost in ((32, 5.0), (128, 10.0)):
        net = nn.Linear(31, neurons)
        assert Footprint.of(net).bytes == 4 * 32 * neurons
        measured = measure(net, [x], timewise=True)
        found = energy(measured, PROFILES["45nm-fp32-sized"])
        without, ops = energy(measured, PROFILES["45nm-fp32"]), measured.per_sample()
        assert found.total == pytest.approx(without.total + cost * ops.words)
        assert sum(found.over_time) == pytest.approx(found.total)
        assert found.profile.word == cost
    with SynOpMeter(net) as meter:
        net(x)
    with pytest.raises(ValueError, match=r"count with measure\(\)"):
        energy(meter, PROFILES["45nm-fp32-sized"])


def test_energy_by_hand():
    """Two inputs, one of them an event: 3 ACs; 3 biases; each reads its weight."""
    net, x = nn.Linear(2, 3), torch.tensor([[[1.0, 0.0]], [[0.5, 0.0]]])
    with SynOpMeter(net, timewise=True) as meter:
        net(x)
    profile = EnergyProfile("by hand", ac=1.0, mac=10.0, memory=100.0, bits=16)
    estimate = energy(meter, profile)
    first, second = 3 * (1 + 50) + 3 * (1 + 50), 3 * (10 + 50) + 3 * (1 + 50)
    assert estimate.over_time == [first, second]
    assert estimate.layers == {"": first + second}
    assert estimate.total == first + second
    dense = energy(meter, profile, DENSE)
    assert dense.over_time == [6 * 60 + 3 * 51] * 2


def test_energy_is_that_of_one_sample():
    net, x = SRNN(4, [5], 3), (torch.rand(9, 2, 4) < 0.3).float()
    once, twice = measure(net, [x]), measure(net, [x, x], timewise=True)
    assert energy(once).total == pytest.approx(energy(twice).total)
    assert sum(energy(twice).over_time) == pytest.approx(energy(twice).total)
    assert list(energy(once).layers) == ["layer1", "readout"]


def test_a_profile_from_yaml(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nac: 0.2\nmac: 1\nmemory: 2.5\nbits: 16\nsource: a data sheet\n")
    assert EnergyProfile.from_yaml(path) == EnergyProfile("mine", 0.2, 1, 2.5, 16, "a data sheet")
    path.write_text("name: mine\nac: 0.2\nmac: 1\nmemory: 80\nlevels: [[1024, 2], [65536, 9.5]]\n")
    found = EnergyProfile.from_yaml(path)
    assert found == EnergyProfile("mine", 0.2, 1, 80, levels=((1024, 2), (65536, 9.5)))
    assert (
        found.costs == "AC 0.2, MAC 1, word up to 1,024 bytes 2, up to 65,536 bytes 9.5, beyond 80"
    )
    assert EnergyProfile("flat", 1, 2, 4, 8).costs == "AC 1, MAC 2, word 1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nac: 1\n", "needs name, ac and mac"),
        (
            "name: x\nac: 1\nmac: 2\nmacs: 3\n",
            "may have memory, bits, source, levels; found .*'macs'",
        ),
        ("[1, 2]", "found list"),
        ("name: x\nac: a lot\nmac: 2\n", "ac must be a number of pJ, got 'a lot'"),
        ("name: x\nac: -1\nmac: 2\n", "ac must be finite and >= 0, got -1"),
        ("name: x\nac: 1\nmac: .nan\n", "mac must be finite"),
        ("name: x\nac: 1\nmac: 2\nbits: 0\n", "bits must be a whole number >= 1"),
        ("name: x\nac: 1\nmac: 2\nlevels: 8192\n", "levels must be pairs of bytes and pJ"),
        ("name: x\nac: 1\nmac: 2\nlevels: [[9, 1], [9, 2]]\n", r"rising .* bytes, got \[9, 9\]"),
        ("name: x\nac: 1\nmac: 2\nlevels: [[9, -1]]\n", "levels must be finite and >= 0, got -1"),
        ("a: [", "it is not YAML"),
        ("name: 45\nac: 1\nmac: 2\n", "The name of a profile must be text, got 45"),
        ("name: ''\nac: 1\nmac: 2\n", "The name of a profile must be text, got ''"),
        ("name: x\nac: 1\nmac: 2\nlevels: [[9000, 2]]\n", "levels need memory too.* 9,000 bytes"),
        (
            "name: x\nac: 1\nmac: 2\nmemory: 9\nlevels: [[8, 5], [16, 4]]\n",
            r"larger memory cannot cost less, got \[5, 4, 9\]",
        ),
        (
            "name: x\nac: 1\nmac: 2\nmemory: 4\nlevels: [[8, 5]]\n",
            r"larger memory cannot cost less, got \[5, 4\] pJ",
        ),
        ("name: x\nac: 0\nmac: 0.0\n", "ac, mac and memory are all 0, .* give one of them a cost"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        EnergyProfile.from_yaml(path)


def test_a_profile_of_memory_alone_is_one():
    """And levels may cost the same, or nothing where all else does."""
    assert EnergyProfile("x", 0, 0, 5, levels=((8, 0), (16, 5))).memory == 5


# ------------------------------------------------------------------------------ footprint


def test_footprints_by_hand():
    net = SRNN(4, [5], 3, readout="mean")
    # Weights and biases, then tau_mem and tau_adapt; u and b, o and the running sum.
    parameters = (4 * 5 + 5) + (5 * 5 + 5) + 10 + (5 * 3 + 3) + 3
    found = Footprint.of(net)
    assert (found.parameters, found.states) == (parameters, 10 + 6)
    saved = sum(v.numel() * v.element_size() for v in net.state_dict().values())
    assert found.bytes == saved + 4 * 16
    zero_biases = 5 + 5
    assert found.nonzero == parameters - zero_biases


def test_what_is_pruned_is_not_there():
    """Of 100 weights 50 are masked: neither they nor their mask are there on a device."""
    net = nn.Sequential(nn.Linear(10, 10, bias=False), nn.GRU(10, 2, bias=False))
    before = Footprint.of(net)
    prune.random_unstructured(net[0], "weight", amount=50)
    prune.random_unstructured(net[1], "weight_hh_l0", amount=3)
    prune.random_unstructured(net[1], "weight_hh_l0", amount=2)  # of the 9 that are left
    found = Footprint.of(net)
    assert (before.nonzero, found.nonzero) == (100 + 60 + 12, 50 + 60 + 7)
    assert (found.parameters, found.bytes) == (before.parameters, before.bytes)
    prune.remove(net[0], "weight")
    assert Footprint.of(net) == found


@pytest.mark.parametrize(
    ("net", "states"),
    [
        (nn.LSTM(4, 5, 2, bidirectional=True), 40),
        (nn.GRU(4, 5, 2), 10),
        (nn.LSTMCell(4, 5), 10),
        (baselines.LSTM(4, [5, 6], 3), 22 + 3),
        (SRNN(4, [5], 3, readout="stream", between=lambda n: Delay(n, 2)), 10 + 10 + 3),
        (SRNN(4, [5], 3, neuron=RLIF, readout="count"), 5 + 6 + 3),
        (ALIF(beta=0.9), None),
    ],
    ids=str,
)
def test_states(net, states):
    assert Footprint.of(net).states == states


def test_a_footprint_does_not_depend_on_the_last_batch():
    """NeuroBench's does: it counts the buffers that hold the states."""
    net = nn.Sequential(nn.Linear(4, 5), snn.RSynaptic(alpha=0.8, beta=0.8, linear_features=5))
    before = Footprint.of(net)
    for batch in (1, 8, 3):
        net(torch.ones(batch, 4))
        assert Footprint.of(net) == before
    assert before.states == 10
    unknown = nn.Sequential(nn.Linear(4, 5), snn.Leaky(beta=0.9, init_hidden=True))
    run = lambda net, x: [net(now) for now in x]  # noqa: E731
    prints = [measure(unknown, [torch.ones(3, b, 4)], step=run).footprint for b in (1, 6)]
    assert prints[0] == prints[1]
    assert prints[0].states == 5


# ------------------------------------------------------------------------------ tables


def test_a_table_in_every_form():
    t = Table(["a|b", "n"], [["x", 1234.5], ["y", None], ["z", 0.12345]], ["a note"])
    lines = t.markdown().splitlines()
    assert lines[0] == "| a\\|b |      n |"
    assert lines[1] == "|-----|-------:|"
    assert [line.split("|")[-2].strip() for line in lines[2:5]] == ["1,234", "-", "0.1235"]
    assert lines[5:] == ["", "a note"]
    read = list(csv.reader(io.StringIO(t.csv())))
    assert read == [["a|b", "n"], ["x", "1234.5"], ["y", ""], ["z", "0.12345"]]
    pytest.importorskip("rich")
    shown = t.rich()
    assert [column.header for column in shown.columns] == t.columns
    assert shown.row_count == 3


def test_networks_side_by_side():
    x = (torch.rand(9, 2, 4) < 0.3).float()
    nets = {"SRNN": SRNN(4, [5], 3), "LSTM": baselines.LSTM(4, [5], 3)}
    measured = {name: measure(net, [x]) for name, net in nets.items()}
    profiles = list(PROFILES.values())
    t = table(measured, profiles)
    assert all(len(row) == len(t.columns) for row in t.rows)
    rows = {row[0]: dict(zip(t.columns, row, strict=True)) for row in t.rows}
    assert rows["LSTM"]["spikes"] is None
    assert rows["SRNN"]["spikes"] == measured["SRNN"].spikes_per_sample
    for name, row in rows.items():
        for profile in profiles:
            events = energy(measured[name], profile).total
            dense = energy(measured[name], profile, DENSE).total
            assert row[f"nJ {profile.name}, event-driven"] == events / 1000
            assert row[f"nJ {profile.name}, dense"] == dense / 1000 > events / 1000
            ratio = events / energy(measured["SRNN"], profile).total
            assert row[f"ratio {profile.name}, event-driven"] == ratio
    assert ESTIMATE in t.notes


@pytest.mark.parametrize(("per", "steps"), [("sample", 1), ("step", 9)])
def test_a_network_layer_by_layer(per, steps):
    torch.manual_seed(0)
    measured = measure(SRNN(4, [5], 3), [(torch.rand(9, 2, 4) < 0.3).float()])
    t = layer_table(measured, per=per)
    total = dict(zip(t.columns, t.rows[-1], strict=True))
    assert total["spikes"] * steps == pytest.approx(measured.spikes_per_sample)
    assert total["ACs"] * steps == pytest.approx(measured.per_sample().ac)
    nanojoules = energy(measured, DEFAULT_PROFILE).total / 1e3
    assert total["nJ 45nm-fp32-sram"] * steps == pytest.approx(nanojoules)
    assert f"All figures are for one {per}." in t.notes
    assert [row[0] for row in t.rows] == ["layer1", "readout", "total"]
    for column in ("ACs", "MACs", "dense operations", "nJ 45nm-fp32-sram"):
        i = t.columns.index(column)
        assert t.rows[0][i] + t.rows[1][i] == pytest.approx(t.rows[2][i])
    assert ESTIMATE in t.notes
