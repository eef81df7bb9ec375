"""What a SynOpMeter costs beside a forward pass of the compiled kernel, on one thread.

    python benchmarks/meters.py

Medians of CPU time, in turns in one process; a network of one recurrent ALIF layer and a readout,
batches of 64, dense inputs of spikes. A meter reads its input once more than the kernel does.
"""

import statistics
import time

import torch
from torch import Tensor

from srnn import SRNN
from srnn.meters import SynOpMeter

SHAPES = {
    "SHD": (250, 700, 128, 0.02),
    "shd-synth": (100, 140, 128, 0.06),
    "S-MNIST": (784, 1, 128, 1.0),
    "width 512": (100, 700, 512, 0.02),
}
"""Steps, channels, neurons, and share of ones."""


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| shape | forward, ms | metered, ms | more |")
    print("|---|---|---|---|")
    for name, (steps, channels, neurons, share) in SHAPES.items():
        net = SRNN(channels, [neurons], 20)
        x = (torch.rand(steps, 64, channels) < share).float()
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
