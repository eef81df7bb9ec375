"""snnTorch's tutorial networks on MNIST for one epoch, with its neurons and with ours instead.

    SRNN_DATA=/path/to/data python benchmarks/tutorials.py

784-1000-10, fully connected, in a hand-written loop (tutorial 5); a small convolutional
8C5-MP2-16C5-MP2-10, as nn.Sequential with hidden states (tutorial 6 with fewer channels, 10 steps);
and 784-200-10 with recurrent neurons. Every network of a shape starts from the same weights and
sees the same batches, in one process and in turns; the time is CPU time on one thread. Nothing was
tuned for our neurons. As in the tutorials, the class whose output neuron spikes most is the answer;
the accuracy by membranes is that of what the loss of two of the shapes looks at.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import snntorch as snn
import torch
from snntorch import functional as SF
from snntorch import surrogate
from torch import nn
from torch.nn import functional as F

import srnn
from srnn.datasets.idx import read_idx
from srnn.neurons import ALIF, LIF, RALIF, RLIF

CLASSES = {"snn.Leaky": snn.Leaky, "LIF": LIF, "ALIF": ALIF}
RECURRENT = {"snn.RLeaky": snn.RLeaky, "RLIF": RLIF, "RALIF": RALIF}


class FullyConnected(nn.Module):
    """784-hidden-10 as tutorial 5 writes it: explicit states, and the membrane is what learns."""

    learning_rate = 5e-4

    def __init__(self, neuron, steps=25, hidden=1000, beta=0.95):
        super().__init__()
        self.steps = steps
        self.fc1 = nn.Linear(784, hidden)
        self.fc2 = nn.Linear(hidden, 10)
        sizes = ({"linear_features": n} for n in (hidden, 10))
        recurrent = issubclass(neuron, snn.RLeaky)
        self.lif1, self.lif2 = (neuron(beta=beta, **(size if recurrent else {})) for size in sizes)

    def forward(self, images):
        x = images.flatten(1)
        state1, state2 = (as_tuple(lif.reset_mem()) for lif in (self.lif1, self.lif2))
        spikes, membranes = [], []
        for _ in range(self.steps):
            spk1, mem1 = self.lif1(self.fc1(x), *state1)
            spk2, mem2 = self.lif2(self.fc2(spk1), *state2)
            state1 = (spk1, mem1)[-len(state1) :]
            state2 = (spk2, mem2)[-len(state2) :]
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)

    def loss(self, images, labels):
        _, membranes = self(images)
        return sum(F.cross_entropy(mem, labels) for mem in membranes)


class Convolutional(nn.Module):
    """Two convolutions as in tutorial 6: nn.Sequential, hidden states, a loss on firing rates."""

    learning_rate = 5e-3

    def __init__(self, neuron, steps=10, channels=(8, 16), beta=0.5):
        super().__init__()
        self.steps = steps
        first, second = channels
        make = {"beta": beta, "spike_grad": surrogate.fast_sigmoid(25), "init_hidden": True}
        self.net = nn.Sequential(
            nn.Conv2d(1, first, 5),
            nn.MaxPool2d(2),
            neuron(**make),
            nn.Conv2d(first, second, 5),
            nn.MaxPool2d(2),
            neuron(**make),
            nn.Flatten(),
            nn.Linear(second * 16, 10),
            neuron(**make, output=True),
        )

    def forward(self, images):
        srnn.reset(self.net)
        outputs = [self.net(images[:, None]) for _ in range(self.steps)]
        return tuple(torch.stack(part) for part in zip(*outputs, strict=True))

    def loss(self, images, labels):
        return SF.ce_rate_loss()(self(images)[0], labels)


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def load(folder, part, number=None):
    """Images in [0, 1] and labels of MNIST, the first ``number`` of them."""
    images, labels = (
        read_idx(Path(folder) / "mnist" / f"{part}-{kind}.gz")
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    images = torch.from_numpy(images[:number].astype(np.float32) / 255)
    return images, torch.from_numpy(labels[:number].astype(np.int64))


def compare(shape, classes, train, test, *, seed=0, batch=128, report=None, **options):
    """Train a network of each class side by side; both accuracies and CPU seconds by name."""
    networks, optimisers, seconds = {}, {}, dict.fromkeys(classes, 0.0)
    for name, neuron in classes.items():
        torch.manual_seed(seed)
        networks[name] = shape(neuron, **options)
        original = next(iter(networks.values()))
        networks[name].load_state_dict(original.state_dict(), strict=False)
        optimisers[name] = torch.optim.Adam(networks[name].parameters(), shape.learning_rate)
    images, labels = train
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    for number, chosen in enumerate(order.split(batch)):
        for name, network in networks.items():
            start = time.process_time()
            optimisers[name].zero_grad()
            loss = network.loss(images[chosen], labels[chosen])
            loss.backward()
            optimisers[name].step()
            seconds[name] += time.process_time() - start
            if report and number % 50 == 0:
                report(f"  batch {number:4d}  {name:10s}  loss {float(loss.detach()):.3f}")
    return {name: (*accuracy(network, *test), seconds[name]) for name, network in networks.items()}


@torch.no_grad()
def accuracy(network, images, labels, batch=500):
    """Fraction of images whose class spikes most, and whose class has the highest membranes."""
    hits = [0, 0]
    for x, y in zip(images.split(batch), labels.split(batch), strict=True):
        for i, trace in enumerate(network(x)):
            hits[i] += int((trace.sum(0).argmax(1) == y).sum())
    return [count / len(labels) for count in hits]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", default=os.environ.get("SRNN_DATA"))
    parser.add_argument("--shape", choices=("conv", "fc", "recurrent"), nargs="*")
    parser.add_argument("--samples", type=int, help="use only the first of the training images")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.data_dir is None:
        parser.error("say where MNIST is: --data-dir, or SRNN_DATA")
    torch.set_num_threads(1)
    train, test = load(given.data_dir, "train", given.samples), load(given.data_dir, "t10k")
    shapes = {
        "conv": ("8C5-MP2-16C5-MP2-10, 10 steps", Convolutional, CLASSES, {}),
        "fc": ("784-1000-10, 25 steps", FullyConnected, CLASSES, {}),
        "recurrent": (
            "784-200-10, recurrent, 25 steps",
            FullyConnected,
            RECURRENT,
            {"hidden": 200},
        ),
    }
    print(f"seed {given.seed}, {len(train[1])} training and {len(test[1])} test images", flush=True)
    for shape in given.shape or shapes:
        title, network, classes, options = shapes[shape]
        results = compare(
            network,
            classes,
            train,
            test,
            seed=given.seed,
            report=lambda line: print(line, flush=True),
            **options,
        )
        print(f"\n{title}\n\n| neuron | accuracy | by membranes | time |\n|---|---|---|---|")
        *_, original = next(iter(results.values()))
        for name, (spikes, membranes, seconds) in results.items():
            print(
                f"| {name} | {100 * spikes:.2f} % | {100 * membranes:.2f} % "
                f"| {seconds / original:.2f} |"
            )
        print(flush=True)


if __name__ == "__main__":
    main()
