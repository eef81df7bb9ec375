"""A film of a game, with what goes on in the network that plays it: what srnn-watch makes.

Left is the screen; right, over the last steps, the spikes of each neuron, or the activity of units
without any, and below it the value V_t that the player expects.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.animation import PillowWriter
from numpy.typing import NDArray
from torch import Tensor

from srnn import SRNN
from srnn.datasets.games import GameSet

from .build import Network, build_data
from .config import kind_of_task
from .console import Console
from .errors import ConfigError
from .play_games import steps_of_games
from .plots import STYLE
from .rescore import restore
from .run_folder import RunFolder, naming

_SEEN = 150
"""Steps back that the raster shows."""
_A_SECOND = 15
"""Steps of a second: an action of Atari is held for four frames of 1/60 s."""


@dataclass(frozen=True)
class Watched:
    """A game, step by step.

    Attributes:
        seed: of the game.
        actions: what was done.
        scores: the score after every step.
        activity: spikes of every neuron of the first layer in all ticks of a step, or the activity
            of its units, [steps, neurons].
        values: V_t, [steps].
    """

    seed: int
    actions: list[int]
    scores: list[float]
    activity: NDArray[np.float32]
    values: list[float]


def watch_run(folder: RunFolder, game: int, steps: int, console: Console) -> Path:
    """Write a film of a test game that a run's network plays.

    Args:
        folder: of the run.
        game: number of the test game.
        steps: at most so many, from the first one on.
        console: where to speak.

    Returns:
        The path of the film.

    Raises:
        ConfigError: if the run plays no games, or has no such test game.
        DataError: if the game cannot be shown.
        OSError: when the disk is full or the folder cannot be written.
    """
    experiment = replace(folder.read_config(), threads=0, devices=1, num_nodes=1)
    if kind_of_task(experiment.dataset) != "games":
        raise ConfigError(f"{folder.path} is a run on {experiment.dataset}, which is no game.")
    splits = build_data(experiment)
    test = splits.test
    assert isinstance(test, GameSet)
    if not 0 <= game < len(test):
        raise ConfigError(f"--game-number must be 0 to {len(test) - 1}; got {game}.")
    network, origin = restore(folder, experiment, splits.info)
    console.line(f"{splits.info.title}, test game {game}, weights of {origin}")
    watched = _watch(network, test, test.seeds[game], steps)
    path = folder.plots / f"game{game}.gif"
    _film(watched, test, path)
    console.line(f"{len(watched.actions)} steps, score {watched.scores[-1]:g}: {path}")
    return path


@torch.no_grad()
def _watch(network: Network, games: GameSet, seed: int, steps: int) -> Watched:
    """Play the first steps of a game and keep what went on."""
    actions, scores, activity, values, score = [], [], [], [], 0.0
    for step in steps_of_games(network, games, [seed]):
        score += float(step.moved.rewards)
        actions.append(int(step.action))
        scores.append(score)
        activity.append(_activity(network, step.record.counts, step.record.state))
        values.append(float(step.outputs[0, -1]))
        if len(actions) == steps:
            break
    return Watched(seed, actions, scores, torch.stack(activity).float().numpy(), values)


def _activity(network: Network, counts: Sequence[Tensor], state: Sequence[object]) -> Tensor:
    """What the first layer did in a step, [neurons]."""
    if isinstance(network, SRNN):
        return counts[0][0]
    hidden: object = state[0]
    while not isinstance(hidden, Tensor):  # h stands first in the state of every layer
        assert isinstance(hidden, tuple)
        hidden = hidden[0]
    return hidden.flatten()[: network.layers[0].hidden_size]


def _film(watched: Watched, games: GameSet, path: Path) -> None:
    screens = games.screens(watched.seed, watched.actions)
    first = next(screens)  # before a film is begun, since it may be that nothing can be shown
    least = min(0.0, float(watched.activity.min()))
    most = max(1.0, float(watched.activity.max()))
    with plt.rc_context(STYLE | {"figure.constrained_layout.use": False}):
        figure = plt.figure(figsize=(7.2, 3.4), dpi=100)
        grid = figure.add_gridspec(
            *(1, 2), width_ratios=(1, 1.6), wspace=0.3, left=0.02, right=0.97, bottom=0.15
        )
        right = grid[1].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.4)
        screen, raster, value = map(figure.add_subplot, (grid[0], right[0], right[1]))
        shown = screen.imshow(np.zeros((210, 160, 3), np.uint8))
        screen.set_axis_off()
        drawn = raster.imshow(
            np.zeros((watched.activity.shape[1], _SEEN)),
            aspect="auto",
            cmap="Greys" if least == 0 else "coolwarm",
            vmin=least if least == 0 else -1,
            vmax=most if least == 0 else 1,
            interpolation="nearest",
            extent=(-_SEEN, 0, watched.activity.shape[1], 0),
        )
        raster.set_ylabel("neuron of layer1")
        (line,) = value.plot([], [], lw=1)
        low, high = min(watched.values), max(watched.values)
        value.set_xlim(-_SEEN, 0)
        value.set_ylim(low - 0.1, high + 0.1)
        value.set_ylabel("value")
        value.set_xlabel("steps back")
        title = figure.suptitle("")
        names = games.info.classes
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = PillowWriter(fps=_A_SECOND)
        with naming(path), writer.saving(figure, str(path), dpi=100):
            for now, picture in enumerate(chain([first], screens)):
                begin = max(0, now + 1 - _SEEN)
                shown.set_data(picture)
                shown.set_extent((0, picture.shape[1], picture.shape[0], 0))
                seen = np.zeros((watched.activity.shape[1], _SEEN))
                seen[:, _SEEN - (now + 1 - begin) :] = watched.activity[begin : now + 1].T
                drawn.set_data(seen)
                line.set_data(np.arange(begin - now, 1), watched.values[begin : now + 1])
                done, score = names[watched.actions[now]], watched.scores[now]
                title.set_text(f"{games.info.title}   score {score:g}   {done}")
                writer.grab_frame()
        plt.close(figure)
