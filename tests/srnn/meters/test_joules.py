"""Measured joules, from a tree of files in the form of the kernel's."""

import sys
from types import SimpleNamespace

import pytest

from srnn.meters import NoJoulesError, joule_meter


def package(powercap, name, energy, end=10_000_000):
    folder = powercap / name
    folder.mkdir(parents=True)
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{end}\n")
    return folder / "energy_uj"


def test_packages_are_added_up_and_their_parts_left_out(tmp_path):
    first, second = (
        package(tmp_path, "intel-rapl:0", 1_000_000),
        package(tmp_path, "intel-rapl:1", 5),
    )
    core = package(tmp_path, "intel-rapl:0:0", 0)
    machine = package(tmp_path, "intel-rapl:2", 0)
    (machine.parent / "name").write_text("psys\n")
    (first.parent / "name").write_text("package-0\n")
    with joule_meter("cpu", tmp_path) as meter:
        first.write_text("3500000\n")
        second.write_text("500005\n")
        core.write_text("9000000\n")
        machine.write_text("9000000\n")
    assert meter.joules == pytest.approx(2.5 + 0.5)
    assert meter.source == "RAPL, 2 package(s)"


def test_a_counter_that_began_anew(tmp_path):
    counter = package(tmp_path, "intel-rapl:0", 9_000_000)
    with joule_meter("cpu", tmp_path) as meter:
        counter.write_text("250000\n")
    assert meter.joules == pytest.approx(1.25)


def test_a_machine_without_counters_says_so(tmp_path):
    with pytest.raises(NoJoulesError, match="this machine has no RAPL counters"):
        joule_meter("cpu", tmp_path)
    broken = package(tmp_path, "intel-rapl:0", 1)
    broken.write_text("")
    with pytest.raises(NoJoulesError, match="cannot be read"):
        joule_meter("cpu", tmp_path)


def test_a_gpu_is_found_by_its_identity_and_read_in_millijoules_when_it_is_done(monkeypatch):
    class NVML:
        NVMLError = OSError
        joules = 1000

        def nvmlInit(self):  # noqa: N802
            pass

        def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
            return uuid

        def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
            assert handle == "GPU-of-cuda:1"
            return self.joules

    waited = []
    found = lambda device: SimpleNamespace(uuid=f"of-{device}")  # noqa: E731
    monkeypatch.setattr("torch.cuda.get_device_properties", found)
    monkeypatch.setattr("torch.cuda.synchronize", waited.append)
    nvml = NVML()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with joule_meter("cuda:1") as meter:
        nvml.joules = 3500
    assert meter.joules == 2.5
    assert waited == ["cuda:1"] * 2


def test_a_gpu_without_nvml_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(NoJoulesError, match="pip install nvidia-ml-py"):
        joule_meter("cuda")
