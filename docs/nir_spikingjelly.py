"""The same spikes in srnn, SpikingJelly and snnTorch, by way of NIR files; see docs/nir.md.

    python docs/nir_spikingjelly.py write FOLDER           where srnn is installed
    python docs/nir_spikingjelly.py spikingjelly FOLDER    where SpikingJelly is, without srnn
    python docs/nir_spikingjelly.py snntorch FOLDER        where snnTorch and nirtorch are

``write`` leaves pairs of files: NAME.nir, a network, and NAME.npz with its ``inputs`` [time, batch,
channels] and the ``spikes`` [time, batch, neurons] of its last layer. The others read the network,
run it on the inputs and count the spikes that differ. Their exit status is 1 if any do.
"""

import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import nir
import numpy as np
import torch
from torch import nn

CHANNELS, STEPS, BATCH, WIDTH = 40, 200, 16, 64
DECAYS = {"beta": {"beta": 0.9, "threshold": 1.0}, "tau": {"tau_mem": 10.0, "threshold": 0.1}}


def write(folder: Path) -> None:
    """Write networks of one to three layers, with and without recurrence, in either precision."""
    from srnn import SRNN, to_nir
    from srnn.neurons import LIF, RLIF

    at_once = {"reset_mechanism": "zero", "reset_delay": False}
    folder.mkdir(parents=True, exist_ok=True)
    kinds = (LIF, RLIF)
    for kind, depth, decay, precision in product(kinds, (1, 2, 3), DECAYS, ("float32", "float64")):
        torch.manual_seed(depth)
        network = SRNN(
            CHANNELS, [WIDTH] * depth, 2, neuron=kind, input_gain=2.0, **DECAYS[decay], **at_once
        )
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):  # zero at the start of training, and not after it
                nn.init.normal_(parameter, std=0.1)
        network.to(getattr(torch, precision))
        inputs = (torch.rand(STEPS, BATCH, CHANNELS) < 0.1).to(getattr(torch, precision))
        with torch.no_grad():
            _, record = network(inputs, keep_spikes=True)
        path = folder / f"{kind.__name__}-{depth}-{decay}-{precision}"
        # The layers alone: SpikingJelly has no leaky integrators.
        nir.write(path.with_suffix(".nir"), to_nir(nn.Sequential(*network.layers)))
        np.savez(path.with_suffix(".npz"), inputs=inputs, spikes=record.spikes[-1])


def by_spikingjelly(path: Path, dtype: torch.dtype) -> Callable:
    """Read a network with SpikingJelly: a function of input and state."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(path, dtype=dtype)


def by_snntorch(path: Path, dtype: torch.dtype) -> Callable:
    """Read a network with snnTorch, which computes in float32."""
    from snntorch.import_nir import import_from_nir

    return import_from_nir(nir.read(path))


def compare(reader: Callable, path: Path) -> bool:
    """Run one network, print how many spikes differ, and say whether none does."""
    dtype = torch.float64 if "float64" in path.stem and reader is by_spikingjelly else torch.float32
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs, expected = (torch.from_numpy(arrays[key]).to(dtype) for key in ("inputs", "spikes"))
    try:
        network, outputs, state = reader(path, dtype), [], None
        with torch.no_grad():
            for x in inputs:
                spikes, state = network(x, state)
                outputs.append(spikes)
    except (AttributeError, ValueError, NotImplementedError) as error:
        print(f"{path.stem:24} not read: {type(error).__name__}: {error}")
        return False
    differing = int((torch.stack(outputs) != expected).sum())
    print(f"{path.stem:24} {int(expected.sum()):6} spikes, {differing} differ")
    return differing == 0


def main(action: str, folder: str) -> int:
    """Do what the command line says."""
    if action == "write":
        write(Path(folder))
        return 0
    reader = {"spikingjelly": by_spikingjelly, "snntorch": by_snntorch}[action]
    return int(not all([compare(reader, path) for path in sorted(Path(folder).glob("*.nir"))]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
