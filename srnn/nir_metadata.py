"""A network as plain data, and back: what the metadata of a NIR graph hold.

A NIR file keeps strings, numbers and arrays, and must be safe to read from a stranger: nothing is
pickled, and nothing is imported by a name that stands in the file. So a network is written as

| key         | holds                                                                    |
|-------------|--------------------------------------------------------------------------|
| version     | number of this format; a file of another one is refused                  |
| dt          | length of a step in seconds that the graph was written with              |
| description | the modules and their options, as JSON                                   |
| state       | the arrays of ``state_dict``, by name                                    |

and read by rebuilding the modules, each from a short table of known classes.
"""

import json
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .nir_modules import build, describe

VERSION = 1


def write(network: nn.Module, dt: float) -> dict[str, Any]:
    """Turn a network into plain data.

    Args:
        network: of modules that this file knows.
        dt: length of a step in seconds.

    Returns:
        Strings, numbers, arrays, and a dictionary of arrays.

    Raises:
        ValueError: if a part of the network cannot be written; the message names it.
    """
    described = describe(network)
    names: dict[int, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        first = names.setdefault(id(parameter), name)
        if first != name:
            raise ValueError(
                f"{name}: it is the same parameter as {first}, and a NIR graph cannot share one "
                "between nodes: give each layer its own."
            )
    tensors = network.state_dict()
    items = tensors.items()
    description = {
        "network": described,
        "frozen": [n for n, p in network.named_parameters() if not p.requires_grad],
        # HDF5 compresses no scalars, and numpy has no bfloat16.
        "scalars": [name for name, tensor in items if tensor.dim() == 0],
        "bfloat16": [name for name, tensor in items if tensor.dtype == torch.bfloat16],
    }
    rebuilt = _rebuild(description, tensors).state_dict()
    if missing := rebuilt.keys() - tensors.keys():
        raise ValueError(
            f"{min(missing)}: the network lacks this part, without which from_nir cannot rebuild "
            "it; put it back (zeros will do for a bias)."
        )
    if unknown := tensors.keys() - rebuilt.keys():
        raise ValueError(
            f"{min(unknown)}: to_nir does not know this part of the network; take it out first."
        )
    return {
        "version": VERSION,
        "dt": dt,
        "description": json.dumps(description),
        "state": {
            name: array(tensor).reshape(tensor.shape or 1) for name, tensor in tensors.items()
        },
    }


def read(data: dict[str, Any]) -> tuple[nn.Module, float]:
    """Rebuild a network from what :func:`write` made of it.

    Args:
        data: the same, perhaps by way of a file.

    Returns:
        The network, on the CPU: same classes, options, parameters and buffers; and dt.

    Raises:
        ValueError: for another version, or for data that describe no network.
    """
    version = data.get("version")
    if not isinstance(version, int | np.integer) or version != VERSION:
        raise ValueError(
            f"The graph holds metadata of srnn in version {version}, and this srnn reads version "
            f"{VERSION}: read it with the srnn that wrote it, or delete metadata['srnn'] to read "
            "the bare graph."
        )
    try:
        description = json.loads(data["description"])
        tensors = {name: torch.from_numpy(np.array(a)) for name, a in data["state"].items()}
        for name in description["scalars"]:
            tensors[name] = tensors[name].reshape(())
        for name in description["bfloat16"]:
            tensors[name] = tensors[name].bfloat16()
        network = _rebuild(description, tensors)
        network.load_state_dict(tensors, assign=True)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name not in description["frozen"])
        return network, float(data["dt"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(
            f"The metadata of srnn in this graph are damaged ({error}): delete metadata['srnn'] to "
            "read the bare graph."
        ) from error


def array(tensor: Tensor) -> np.ndarray:
    """The values of a tensor; in float32 where numpy lacks the dtype."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy().copy()


def _rebuild(description: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    """Make the network, with weights that are not yet those of the state."""
    # Drawing them changes nobody's random numbers, and nobody is warned again of what the writer
    # chose.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: nn.Module = build(description["network"], tensors)
    floating = [tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()]
    return network.to(floating[0]) if floating else network
