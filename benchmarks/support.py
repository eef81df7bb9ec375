"""What compact support of the surrogate gradient saves: a training step against fast_sigmoid's.

    python benchmarks/support.py

The layers of benchmarks/kernels.py, from events, one thread, CPU time, interleaved in one process.
A surrogate changes nothing in the forward pass, and fast_sigmoid's support is everywhere: what it
costs is what triangle and boxcar cost where nothing is left out. A ratio is the median of those
within a round, its spread the quartiles. The support is the part of the neurons, over all steps and
sequences, for which the surrogate is not 0.
"""

import argparse
import time
from typing import Any

import torch
from kernels import in_words, seconds
from peers import CASES, Case, ours
from torch import Tensor

from srnn.neurons import surrogate
from srnn.neurons.surrogate import Surrogate

LAYERS: dict[str, tuple[dict[str, Any], float | None, list[Surrogate]]] = {
    "tau_mem, threshold 0.01": (
        {},
        None,
        [
            surrogate.triangle(),
            surrogate.boxcar(),
            surrogate.triangle(width=0.1),
            surrogate.triangle(width=0.05),
            surrogate.triangle(width=0.03),
        ],
    ),
    "beta=0.9, threshold 1": (
        {"beta": 0.9, "threshold": 1.0},
        1.0,
        [surrogate.triangle(), surrogate.boxcar(), surrogate.triangle(width=0.3)],
    ),
}
"""Options of the neuron, the gain of its weights if not the case's, and the surrogates."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.cases:
        for layer, (options, gain, surrogates) in LAYERS.items():
            case = CASES[name] if gain is None else CASES[name]._replace(gain=gain)
            print(f"\n{name}, {layer}: {case}", flush=True)
            compare(case, options, surrogates, arguments.rounds)


def compare(case: Case, options: dict[str, Any], surrogates: list[Surrogate], rounds: int) -> None:
    """Time a layer with each surrogate, interleaved; print milliseconds, support and ratio."""
    kinds = [surrogate.fast_sigmoid(), *surrogates]
    steps = [ours(case, events=True, spike_grad=kind, **options) for kind in kinds]
    distances = distances_of(case, options)
    print(f"fires in {(distances > 0).double().mean():.1%} of all steps")
    for step in steps:
        step()  # warms up
    times: list[list[float]] = [[] for _ in kinds]
    for _ in range(rounds):
        for step, found in zip(steps, times, strict=True):
            found.append(seconds(step, time.process_time) * 1e3)
    for kind, found in zip(kinds, times, strict=True):
        support = (kind.derivative(distances) != 0).double().mean()
        ratio = [a / b for a, b in zip(times[0], found, strict=True)]
        print(
            f"{kind!s:40} support {support:6.1%}  CPU ms {in_words(found):>22}  "
            f"times faster {in_words(ratio)}",
            flush=True,
        )


def distances_of(case: Case, options: dict[str, Any]) -> Tensor:
    """Membrane minus threshold of every step, for a sixteenth of the sequences."""
    seen: list[Tensor] = []

    def spike(v: Tensor) -> Tensor:
        seen.append(v.detach())
        return surrogate.fast_sigmoid()(v)

    ours(case._replace(batch=case.batch // 16), spike_grad=spike, **options)()
    return torch.stack(seen)


if __name__ == "__main__":
    main()
