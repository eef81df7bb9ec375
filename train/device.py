"""The device that a run trains on, and why."""

import torch

from .errors import ConfigError


def training_device(accelerator: str) -> torch.device:
    """Return the device: the machine's accelerator, unless there is none or it is not wanted.

    Args:
        accelerator: what ``--accelerator`` says.
    """
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return torch.device("cpu") if accelerator == "cpu" or found is None else found


def device_and_reason(accelerator: str, devices: int) -> str:
    """Name the device that Lightning will choose, and why.

    Raises:
        ConfigError: if the machine has no such device, or not so many.
    """
    if accelerator == "cpu":
        return "cpu (as asked for)"
    kind = training_device(accelerator)
    if kind.type == "cpu" and accelerator == "auto":
        return "cpu (no GPU was found)"
    if accelerator not in ("auto", kind.type):
        raise ConfigError(
            f"--accelerator {accelerator}: this machine has no such device, or torch was installed "
            "without support for it; leave the flag out to train on what there is."
        )
    count = torch.accelerator.device_count()
    if devices > count:
        raise ConfigError(f"--devices {devices} is more than the {count} of this machine.")
    reason = "found" if accelerator == "auto" else "as asked for"
    return f"{devices} x {kind} ({reason})"
