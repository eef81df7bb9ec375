"""What it brings srnn-train to keep the memory that it frees: CPU time of a step, and peak memory.

    python benchmarks/allocator.py --dataset shd-synth --epochs 3
    python benchmarks/allocator.py --dataset smnist --model lstm --steps 20

Any flag of srnn-train may follow, for a task of labels. Fresh processes of one thread take turns,
with the C library as it is and told to keep what it frees; of each, the steps after the fifth
count.
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

WARM_UP = 5


def trained(steps: int, keep: bool, flags: list[str]) -> dict[str, float]:
    """Train in this process for some steps: their median times in ms, and its peak memory in MB."""
    import srnn.train.main as commands
    from srnn.train.module import SequenceClassifier

    if not keep:
        commands.keep_freed_memory = lambda: False
    training_step = SequenceClassifier.training_step
    seen: list[tuple[float, float]] = []

    def timed(self: SequenceClassifier, batch: Any, index: int) -> None:
        system = resource.getrusage(resource.RUSAGE_SELF).ru_stime
        seen.append((time.process_time(), system))
        if len(seen) > steps + WARM_UP:
            raise KeyboardInterrupt
        training_step(self, batch, index)

    SequenceClassifier.training_step = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        commands.train([*flags, "--threads", "1", "--run-dir", folder])
    counted = seen[WARM_UP:]
    pairs = list(itertools.pairwise(counted))
    return {
        "step": 1e3 * statistics.median(after[0] - before[0] for before, after in pairs),
        "system": 1e3 * statistics.median(after[1] - before[1] for before, after in pairs),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--steps", type=int, default=30, help="steps that count, of each process")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind")
    parser.add_argument("--child", choices=("usual", "kept"), help=argparse.SUPPRESS)
    given, flags = parser.parse_known_args()
    if given.child:
        found = trained(given.steps, given.child == "kept", flags)
        print(json.dumps(found))
        return
    results: dict[str, list[dict[str, float]]] = {"usual": [], "kept": []}
    for _ in range(given.rounds):
        for kind, found_so_far in results.items():
            command = [sys.executable, __file__, "--child", kind, "--steps", str(given.steps)]
            done = subprocess.run([*command, *flags], capture_output=True, text=True, check=True)
            found_so_far.append(json.loads(done.stdout.strip().splitlines()[-1]))
    print("| memory | step, ms | of it in the system, ms | peak, MB |\n|---|---|---|---|")
    for kind, found_so_far in results.items():
        step, system, peak = (
            statistics.median(each[name] for each in found_so_far)
            for name in ("step", "system", "peak")
        )
        print(f"| {kind} | {step:.1f} | {system:.1f} | {peak:.0f} |")
    ratios = [usual["step"] / kept["step"] for usual, kept in zip(*results.values(), strict=True)]
    print(f"faster: {statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
