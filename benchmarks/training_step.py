"""How much of a training step of srnn-train is the kernel's: CPU time on one thread.

    python benchmarks/training_step.py --dataset shd-synth
    python benchmarks/training_step.py --dataset smnist --data-dir ...

Any flag of srnn-train may follow; the run goes to a folder that is thrown away. A step is the time
from one batch to the next within an epoch: loader, network, optimiser and all that is logged. The
kernel's own time is that of the calls into the compiled library, forward and backward; the
backend's is with what makes a call ready and takes its results. The first epoch warms up.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from srnn.neurons.kernels import cpu_backend
from srnn.train.main import train
from srnn.train.module import SequenceClassifier

spent = {"library": 0.0, "backend": 0.0}
steps: list[dict[str, float]] = []


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the CPU time of a function's calls to what is spent."""

    def run(*arguments: Any, **keywords: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments, **keywords)
        finally:
            spent[name] += time.process_time() - began

    return run


def begins(training_step: Callable[..., Any]) -> Callable[..., Any]:
    """Note where a batch begins, and what the one before it in its epoch has cost."""
    before: dict[str, float] = {}

    def run(self: SequenceClassifier, batch: Any, index: int) -> Any:
        now = {"step": time.process_time(), **spent}
        if index and self.current_epoch:
            steps.append({name: now[name] - before[name] for name in now})
        before.update(now)
        return training_step(self, batch, index)

    return run


def main() -> int:
    cpu_backend._Prepared.run = timed("library", cpu_backend._Prepared.run)  # type: ignore[method-assign]
    cpu_backend.forward = timed("backend", cpu_backend.forward)
    cpu_backend.backward = timed("backend", cpu_backend.backward)
    SequenceClassifier.training_step = begins(SequenceClassifier.training_step)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        failed = train([*sys.argv[1:], "--threads", "1", "--run-dir", folder])
    if failed:
        return failed
    print(f"\n{len(steps)} steps, CPU ms: median (quartiles)")
    for name in ("step", "backend", "library"):
        cuts = statistics.quantiles([1e3 * step[name] for step in steps], n=4)
        print(f"{name:8} {cuts[1]:6.2f} ({cuts[0]:.2f} - {cuts[2]:.2f})")
    for name in ("backend", "library"):
        ratios = [step["step"] / step[name] for step in steps]
        low, median, high = statistics.quantiles(ratios, n=4)
        print(f"a step is {median:.2f} ({low:.2f} - {high:.2f}) times the {name}'s time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
