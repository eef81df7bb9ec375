"""The whole time loop in one call: what a training step costs, against the usual ways.

    python benchmarks/kernels.py                        # the three shapes, one thread, CPU time
    python benchmarks/kernels.py --threads 2            # the same by wall time on two threads
    python benchmarks/kernels.py --memory               # peak memory of a step
    python benchmarks/kernels.py --sweep time           # or width, density, rate
    python benchmarks/kernels.py --plot docs/kernels.png kernels-*.json

All implementations run interleaved in one process, round by round, so that a busy machine disturbs
them alike; a ratio is the median of the ratios within a round, its spread the quartiles. CPU time
on one thread is the time of an idle core; for two threads, whose waiting counts as CPU time, it is
wall time, with torch's own threads awake. JAX takes as many threads as it likes. Peak memory is
that of a fresh process, without what it held before the step. Implementations whose package is
missing are left out (`pip install jax`, `pip install norse --no-deps`). Results are also written as
JSON, from which the plot is made.
"""

import argparse
import json
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peers import CASES, PEERS, Case, Step
from peers_plot import plot

REFERENCE = "snnTorch RLeaky"
SWEPT = ["srnn, events", "srnn, dense input", REFERENCE, "torch LSTM"]
SWEEPS: dict[str, tuple[Case, dict[str, list[Any]]]] = {
    "time": (CASES["SHD"], {"steps": [100, 250, 500, 1000, 2000]}),
    "width": (CASES["SHD"]._replace(steps=100), {"neurons": [64, 128, 256, 512, 1024]}),
    "density": (CASES["SHD"], {"density": [0.003, 0.01, 0.03, 0.1, 0.3]}),
    "rate": (CASES["SHD"], {"gain": [0.3, 1.0, 2.0, 4.0, 8.0, 16.0]}),
}
"""What is varied: the case to begin with, and the values of one of its attributes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--sweep", choices=SWEEPS)
    parser.add_argument("--out", type=Path, help="JSON file; by default named after the arguments")
    parser.add_argument("--plot", nargs="+", type=Path, metavar=("PNG", "JSON"))
    arguments = parser.parse_args()
    if arguments.rounds < 2:
        parser.error("--rounds must be 2 or more, since a spread is shown")
    if arguments.plot:
        plot(arguments.plot[0], [json.loads(path.read_text()) for path in arguments.plot[1:]])
        return
    torch.set_num_threads(arguments.threads)
    what = arguments.sweep or ("memory" if arguments.memory else "cases")
    if arguments.sweep:
        case, varied = SWEEPS[arguments.sweep]
        ((name, values),) = varied.items()
        cases = {f"{name} {value:g}": case._replace(**{name: value}) for value in values}
        peers = SWEPT
    else:
        cases = {name: CASES[name] for name in arguments.cases}
        peers = arguments.peers
    results = {}
    for name, case in cases.items():
        print(f"\n{name}: {case}", flush=True)
        results[name] = {"case": case._asdict()}
        if arguments.memory:
            results[name]["memory"] = report_memory(case, peers)
        else:
            results[name] |= report_times(case, peers, arguments.threads, arguments.rounds)
    out = arguments.out or Path(f"kernels-{what}-{arguments.threads}.json")
    out.write_text(json.dumps({"what": what, "threads": arguments.threads, "results": results}))


def report_times(case: Case, peers: list[str], threads: int, rounds: int) -> dict[str, Any]:
    """Time all implementations, interleaved; print and return milliseconds and ratios."""
    steps = dict(filter(lambda pair: pair[1] is not None, ((p, make(p, case)) for p in peers)))
    clock = time.process_time if threads == 1 else time.perf_counter
    rates = {name: float(step().mean()) for name, step in steps.items()}  # warms up, too
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(seconds(step, clock) * 1e3)
    ours = next((name for name in steps if name.startswith("srnn")), None)
    kind = "CPU" if threads == 1 else "wall"
    print(f"{'':22}  {kind + ' ms: median (quartiles)':>30}  x slower than ours (quartiles)")
    for name in steps:
        ratio = [a / b for a, b in zip(times[name], times[ours or name], strict=True)]
        print(f"{name:22}  {in_words(times[name]):>30}  {in_words(ratio):>24}", flush=True)
    for name in (name for name in steps if name.startswith("srnn")):
        if REFERENCE in steps:
            ratio = [a / b for a, b in zip(times[REFERENCE], times[name], strict=True)]
            print(f"{name}: {in_words(ratio)} times faster than {REFERENCE}")
        print(f"{name}: fires in {rates[name]:.1%} of all steps")
    return {"times": times, "rates": rates}


def seconds(step: Step, clock: Callable[[], float]) -> float:
    """Time one step by a clock."""
    began = clock()
    step()
    return clock() - began


def report_memory(case: Case, peers: list[str]) -> dict[str, float]:
    """Measure the peak memory of a step in MB, each in a fresh process."""
    peaks = {}
    context = multiprocessing.get_context("spawn")
    for name in peers:
        if make(name, case) is None:
            continue
        with context.Pool(1) as pool:
            peaks[name] = pool.apply(peak_memory, (name, case))
        print(f"{name:22}  {peaks[name]:7.0f} MB", flush=True)
    return peaks


def peak_memory(name: str, case: Case) -> float:
    """Run two steps; return by how many MB memory grew at its peak beyond what was there."""
    torch.set_num_threads(1)
    step = PEERS[name](case)
    small = PEERS[name](case._replace(steps=2))
    small()  # whatever is loaded at the first call
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # begin the peak anew
    step()
    step()
    return (status("VmHWM") - before) / 1024


def status(field: str) -> int:
    """Read a field of this process's status, in kB (Linux only)."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise OSError(f"/proc/self/status has no {field}: memory is measured on Linux only.")
    return int(found[1])


def make(name: str, case: Case) -> Step | None:
    """Make a step, or say that its package is missing."""
    try:
        return PEERS[name](case)
    except ImportError as error:
        print(f"{name:22}  left out: {error}")
        return None


def in_words(sample: list[float]) -> str:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(sample, n=4, method="inclusive")
    return f"{median:.3g} ({low:.3g} - {high:.3g})"


if __name__ == "__main__":
    main()
