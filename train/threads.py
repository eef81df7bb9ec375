"""How many CPU threads a run takes."""

import os

import torch

from .config import Experiment
from .device import training_device
from .errors import ConfigError

_SPLIT = 32768
"""Numbers in a tensor from which on torch shares an elementwise operation among threads."""


def usable_cores() -> int:
    """Cores that this process may use by its affinity, its container's share, OMP_NUM_THREADS."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no such limit on this system
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(limit)) if limit.isdigit() and int(limit) > 0 else cores


def choose_threads(experiment: Experiment, channels: int) -> int:
    """Set torch's number of threads: those of all processes and workers share the cores.

    A network whose steps are too small to be shared gets one thread: more would only wait for each
    other, hundreds of times a batch.

    Args:
        experiment: the settings; ``threads`` above 0 decides.
        channels: input channels of the data.

    Returns:
        The number of threads.

    Raises:
        ConfigError: if more are asked for than there are cores.
    """
    cores = usable_cores()
    on_cpu = training_device(experiment.accelerator).type == "cpu"
    processes = experiment.devices if on_cpu else 1
    share = max(1, cores // processes)
    if experiment.threads > share:
        among = f" for {processes} processes" if processes > 1 else ""
        raise ConfigError(
            f"--threads {experiment.threads} is too many: this run may use {cores} cores{among}, "
            f"so give at most {share}."
        )
    worth_sharing = experiment.batch_size * max(channels, *experiment.hidden) > _SPLIT
    chosen = max(1, share - experiment.num_workers) if worth_sharing else 1
    threads = experiment.threads or chosen
    torch.set_num_threads(threads)
    return threads
