"""Energy as the machine itself measures it, where it can: RAPL on Linux, NVML on NVIDIA's devices.

Both are counters of everything that a processor package or a device consumed, this process or not,
so that a reading is right only while nothing else runs. RAPL counts microjoules and begins anew at
``max_energy_range_uj``; it is read with the right to read ``/sys/class/powercap``, which most
systems give to root alone. NVML counts millijoules.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_POWERCAP = Path("/sys/class/powercap")


class NoJoulesError(RuntimeError):
    """This machine does not say how much energy it uses."""


class JouleMeter:
    """Reads how much energy was used: ``with meter: ...``, then ``meter.joules``.

    Args:
        source: what is read, for reports.
        read: returns the counters in joules.
        ranges: where each of them begins anew, in joules; infinite if never.
    """

    def __init__(self, source: str, read: Callable[[], list[float]], ranges: list[float]) -> None:
        self.source = source
        self._read, self._ranges = read, ranges
        self._start: list[float] = []
        self.joules: float | None = None

    def __enter__(self) -> "JouleMeter":
        self._start, self.joules = self._read(), None
        return self

    def __exit__(self, *error: Any) -> None:
        used = zip(self._read(), self._start, self._ranges, strict=True)
        # A counter that began anew once; a second time within one reading cannot be seen.
        self.joules = sum(b - a if b >= a else b - a + end for b, a, end in used)


def joule_meter(device: str = "cpu", powercap: Path = _POWERCAP) -> JouleMeter:
    """Find what measures the energy of a device.

    Args:
        device: ``"cpu"``, or ``"cuda"`` with or without a number.
        powercap: where the kernel keeps RAPL's counters.

    Raises:
        NoJoulesError: if nothing does, with the reason.
    """
    return _nvml(device) if device.startswith("cuda") else _rapl(powercap)


def _rapl(powercap: Path) -> JouleMeter:
    # Packages are intel-rapl:0, intel-rapl:1; what follows a second colon is a part of one. The
    # counter called psys is of the whole machine, packages included.
    folders = [
        folder
        for folder in sorted(powercap.glob("intel-rapl:*"))
        if folder.name.count(":") == 1
        and (folder / "energy_uj").exists()
        and not _name(folder).startswith("psys")
    ]
    if not folders:
        raise NoJoulesError(
            f"No energy was measured: this machine has no RAPL counters in {powercap}."
        )

    def read() -> list[float]:
        return [int((folder / "energy_uj").read_text()) / 1e6 for folder in folders]

    try:
        read()
        ranges = [int((f / "max_energy_range_uj").read_text()) / 1e6 for f in folders]
    except (OSError, ValueError) as error:
        raise NoJoulesError(
            f"No energy was measured: RAPL's counters in {powercap} cannot be read ({error})."
        ) from error
    return JouleMeter(f"RAPL, {len(folders)} package(s)", read, ranges)


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""


def _nvml(device: str) -> JouleMeter:
    try:
        import pynvml
    except ImportError as error:
        raise NoJoulesError(
            "No energy was measured: reading a GPU's counter needs pip install nvidia-ml-py."
        ) from error
    try:
        pynvml.nvmlInit()
        # By its own number: torch counts only the devices that CUDA_VISIBLE_DEVICES leaves.
        identity = torch.cuda.get_device_properties(torch.device(device)).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        raise NoJoulesError(f"No energy was measured: NVML says {error}.") from error

    def read() -> list[float]:
        torch.cuda.synchronize(device)  # what was asked for has to be done, too
        return [pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3]

    return JouleMeter("NVML", read, [float("inf")])
