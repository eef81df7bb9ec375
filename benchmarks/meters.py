"""What a SynOpMeter costs beside a forward pass of the compiled kernel, on one thread.

    python benchmarks/meters.py

Medians of CPU time, in turns in one process; a network of one recurrent ALIF layer and a readout,
batches of 64, dense inputs of spikes, or of their counts. A meter goes by what the kernel found in
its input, where the kernel looked; else it reads the input once more.
"""

import statistics
import time

import torch
from torch import Tensor

from srnn import SRNN
from srnn.meters import SynOpMeter

SHAPES = {
    "SHD": (250, 700, 128, 0.02, False),
    "SHD, counts": (250, 700, 128, 0.02, True),
    "shd-synth": (100, 140, 128, 0.06, False),
    "S-MNIST": (784, 1, 128, 1.0, False),
    "width 512": (100, 700, 512, 0.02, False),
}
"""Steps, channels, neurons, events a step, and whether a step may have several, as Poisson's."""


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| shape | forward, ms | metered, ms | more |")
    print("|---|---|---|---|")
    for name, (steps, channels, neurons, mean, counts) in SHAPES.items():
        net = SRNN(channels, [neurons], 20)
        shape = (steps, 64, channels)
        x = torch.poisson(torch.full(shape, mean)) if counts else (torch.rand(shape) < mean).float()
        seconds(net, x)
        plain, metered = [], []
        for _ in range(15):
            plain.append(seconds(net, x))
            with SynOpMeter(net):
                metered.append(seconds(net, x))
        a, b = (1e3 * statistics.median(values) for values in (plain, metered))
        print(f"| {name} | {a:.1f} | {b:.1f} | {100 * (b / a - 1):.0f} % |")


def seconds(net: SRNN, x: Tensor) -> float:
    began = time.process_time()
    net(x)
    return time.process_time() - began


if __name__ == "__main__":
    main()
