"""Sizes by which networks of different kinds compare: the width that gives so many parameters."""

from dataclasses import replace
from pathlib import Path

from srnn.datasets import Info

from .build import Network, build_network
from .config import Experiment
from .errors import ConfigError
from .run_folder import RunFolder

_WIDEST = 2**14
"""Units of a layer beyond which a width is not looked for."""


def learned_parameters(network: Network) -> int:
    """Count the numbers that training changes; time constants that are fixed are none of them."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def matched(experiment: Experiment, info: Info) -> Experiment:
    """Give an experiment the size that ``--match-params`` asks for.

    Args:
        experiment: the settings.
        info: the data that the network is for.

    Returns:
        The same settings, with as many hidden layers as the other run and the width, equal in all
        of them, whose number of parameters is closest; unchanged without ``--match-params``.

    Raises:
        ConfigError: if there is no such run, it has not finished, or was made on other data.
    """
    if experiment.match_params is None:
        return experiment
    other = RunFolder(Path(experiment.match_params))
    if not other.finished():
        raise ConfigError(
            f"--match-params {other.path}: there is no finished run in this folder; give one that "
            "srnn-train has made, or a width by --hidden."
        )
    settings = other.read_config()
    if settings.dataset != experiment.dataset:
        raise ConfigError(
            f"--match-params {other.path}: this run was made on {settings.dataset}, not on "
            f"{experiment.dataset}."
        )
    wanted = other.read_summary()["parameters"]
    layers = len(settings.hidden)
    return replace(experiment, hidden=[width_for(wanted, layers, experiment, info)] * layers)


def width_for(parameters: int, layers: int, experiment: Experiment, info: Info) -> int:
    """Return the width at which a network's number of parameters is closest to one that is wanted.

    Args:
        parameters: the number wanted.
        layers: hidden layers, all equally wide.
        experiment: the settings of the network but for its size.
        info: the data that it is for.

    Raises:
        ConfigError: if no width that could be trained comes near.
    """

    def distance(width: int) -> int:
        sized = replace(experiment, hidden=[width] * layers)
        return learned_parameters(build_network(sized, info)) - parameters

    above = 1
    while distance(above) < 0:
        above *= 2
        if above > _WIDEST:
            raise ConfigError(
                f"No layers of up to {_WIDEST} units have {parameters:,} parameters: give --hidden."
            )
    below = above // 2
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (middle, above) if distance(middle) < 0 else (below, middle)
    return above if below == 0 or abs(distance(above)) < abs(distance(below)) else below
