"""Trained weights: out of a checkpoint and into a network that they fit."""

from pathlib import Path

from torch import Tensor

from .build import Network
from .checkpoints import read_checkpoint
from .errors import ConfigError
from .run_folder import CONFIG


def check_fits(network: Network, checkpoint: Path) -> tuple[dict[str, Tensor], int]:
    """Read the weights of a checkpoint and compare their shapes with a network's.

    Returns:
        The weights, as the network's ``state_dict``, and the epoch that they are from.

    Raises:
        ConfigError: if there is no checkpoint, or it is one of another network.
    """
    content = read_checkpoint(checkpoint)
    weights = {
        name.removeprefix("network."): value
        for name, value in content["state_dict"].items()
        if name.startswith("network.")
    }
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ConfigError(
                f"The checkpoint {checkpoint} does not fit the network of its {CONFIG}: {name} has "
                f"the shape {found.get(name)} there and {expected.get(name)} here."
            )
    return weights, content["epoch"] + 1


def load_weights(network: Network, checkpoint: Path) -> int:
    """Put the weights of a checkpoint into a network, and return the epoch that they are from.

    Raises:
        ConfigError: if there is no checkpoint, or it is one of another network.
    """
    weights, epoch = check_fits(network, checkpoint)
    network.load_state_dict(weights)
    return epoch
