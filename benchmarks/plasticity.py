"""Layers of short-term plasticity units: what a training step costs, compiled and as a plain loop.

    python benchmarks/plasticity.py                     # CPU time of one thread
    python benchmarks/plasticity.py --threads 2         # wall time of two threads
    python benchmarks/plasticity.py --memory            # peak memory of a step

A step is a forward and a backward pass over a batch of sequences, from new states, with gradients
for all parameters and, at the size of Pong, where a network lies below, for the input. Both ways
run interleaved in one process, round by round; a ratio is the median of the ratios within a round,
its spread the quartiles. Peak memory is that of a fresh process, without what it held before.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from kernels import in_words, seconds, status

from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, Plasticity
from srnn.stpn import STPNLayer

WAYS = {"compiled": "auto", "plain loop": "reference"}
"""The kernel that is named to have each."""


class Case(NamedTuple):
    """A layer and what it is given."""

    units: int
    inputs: int
    batch: int
    steps: int
    below: bool = False
    plasticity: type[Plasticity] = HebbianSTP


CASES = {
    **{
        f"Pong, batch {batch}, {steps} steps": Case(64, 2592, batch, steps, below=True)
        for batch in (4, 16)
        for steps in (20, 50)
    },
    **{
        f"Pong, memristors, batch {batch}, 20 steps": Case(64, 2592, batch, 20, True, MemristiveSTP)
        for batch in (4, 16)
    },
    "retrieval, batch 128, 9 steps": Case(11, 37, 128, 9),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.cases:
        print(f"\n{name}", flush=True)
        if arguments.memory:
            report_memory(CASES[name])
        else:
            report_times(CASES[name], arguments.threads, arguments.rounds)


def make(case: Case, way: str) -> Callable[[], None]:
    """Make a training step."""
    torch.manual_seed(0)
    layer = STPNLayer(case.inputs, case.units, plasticity=case.plasticity)
    x = torch.rand(case.steps, case.batch, case.inputs, requires_grad=case.below)

    def step() -> None:
        os.environ["SRNN_KERNEL"] = WAYS[way]
        layer.zero_grad(set_to_none=True)
        x.grad = None
        h, _ = layer(x)
        h.square().mean().backward()

    return step


def report_times(case: Case, threads: int, rounds: int) -> None:
    """Time both ways, interleaved, and print milliseconds and their ratio."""
    steps = {way: make(case, way) for way in WAYS}
    clock = time.process_time if threads == 1 else time.perf_counter
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds + 1):
        for way, step in steps.items():
            took = seconds(step, clock) * 1e3
            if turn:  # the first warms up
                times[way].append(took)
    for way, sample in times.items():
        print(f"{way:12} {in_words(sample)} ms, {'CPU' if threads == 1 else 'wall'}")
    ours, theirs = times.values()
    print(
        f"{'ratio':12} {in_words([b / a for a, b in zip(ours, theirs, strict=True)])}", flush=True
    )


def report_memory(case: Case) -> None:
    """Print the peak memory of both ways, each in a fresh process, and their ratio."""
    context = multiprocessing.get_context("spawn")
    peaks = []
    for way in WAYS:
        with context.Pool(1) as pool:
            peaks.append(pool.apply(peak_memory, (case, way)))
        print(f"{way:12} {peaks[-1]:.1f} MB", flush=True)
    print(f"{'ratio':12} {peaks[1] / peaks[0]:.3g}")


def peak_memory(case: Case, way: str) -> float:
    """Run two steps; return by how many MB memory grew at its peak beyond what was there."""
    torch.set_num_threads(1)
    step = make(case, way)
    make(case._replace(batch=1, steps=2), way)()  # whatever is loaded at the first call
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # begin the peak anew
    step()
    step()
    return (status("VmHWM") - before) / 1024


if __name__ == "__main__":
    main()
