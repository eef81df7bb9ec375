"""Atari games, by the Arcade Learning Environment (ALE).

**Rules.** An action is held for four frames of 1/60 s. The larger of the last two frames is taken
pixel by pixel, made grey, and scaled down. A game begins with a frame of FIRE, where that is among
its actions, which some games wait for, and then waits until up to 29 frames are over, as many as
its seed says; it ends when it is over, or is broken off after half an hour (108,000 frames).

**Observations.** With y_t the frame after step t, in the part of the screen that is played on:

| observation  | channels | what they are                                                         |
|--------------|----------|-----------------------------------------------------------------------|
| `events`     | 2        | ON: y_t - y_{t-1} > c; OFF: y_{t-1} - y_t > c; each 0 or 1             |
| `difference` | 2        | (y_t - b) / 64 and (y_t - y_{t-1}) / 64                                |
| `frame`      | 1        | (y_t - b) / 64                                                         |

| symbol | meaning                      | unit       | value                                       |
|--------|------------------------------|------------|---------------------------------------------|
| y      | brightness of a pixel        | grey level | 0 to 255                                    |
| c      | smallest change that is seen | grey level | 8                                           |
| b      | brightness of the background | grey level | 87 in Pong, most of its screen; else 0      |

Events tell what moves and nothing of what stands still: where its own racket is, a player has to
remember. From a single frame it cannot see where a ball is going; with the difference it can.

In Pong, only the playfield is seen (rows 34 to 194 of 210), 54 x 40, but where the whole screen is
asked for; of every other game, the whole screen, 84 x 84.

**Actions.** What a player can do is one of

| actions   | in Pong           | what they are                                                    |
|-----------|-------------------|------------------------------------------------------------------|
| `few`     | 3: stay, up, down | none of which does the same as another; there for Pong alone     |
| `minimal` | 6                 | those that the game knows                                        |
| `full`    | 18                | all that the console's joystick and button can do                |

Needs ale-py, which ``pip install "srnn[pong]"`` brings, with the games in it.

Source: Bellemare et al. 2013 (JAIR 47); Machado et al. 2018 (JAIR 61) on sticky actions.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srnn.datasets._base import DataError, Splits
from srnn.datasets._draws import check_number
from srnn.datasets.games import GameInfo, Moved, game_splits, said_split

CHANGE = 8
"""Change of brightness, in grey levels, above which a pixel has an event."""
SCREEN = 210, 160
"""Height and width of the screen."""
SCALE = 64.0
"""Grey levels that make a graded observation of 1."""

Observation = Literal["events", "difference", "frame"]


class View(NamedTuple):
    """What is seen of a game, and what can be done in it.

    Attributes:
        size: height and width to which the screen is scaled.
        rows: rows of it that are seen.
    """

    size: tuple[int, int]
    rows: slice


PONG = View((70, 40), slice(11, 65))
"""The playfield of Pong, a third as high and a quarter as wide as on the screen: 54 x 40."""
PLAYFIELDS = {"pong": PONG}
"""Views of the part of the screen that is played on, by game."""
WHOLE = View((84, 84), slice(0, 84))
"""The whole screen, as is usual."""
BACKGROUNDS = {"pong": 87}
"""Brightness that counts as nothing, in grey levels, by game."""


class Actions(NamedTuple):
    """What can be done in a game.

    Attributes:
        names: what the actions are called.
        numbers: their places among all actions of the console, or among those that the game knows.
        full: which of the two it is.
    """

    names: tuple[str, ...]
    numbers: NDArray[np.int32]
    full: bool


FEW = {"pong": {"stay": 0, "up": 2, "down": 3}}
"""Of the actions that a game knows, by their places among them, those that suffice."""


def _chosen(option: str, given: str | None, game: str, there: Sequence[str]) -> str:
    """What is given of what there is for a game, or the first of it; refuse anything else."""
    if given is not None and given not in there:
        *others, last = there
        known = " or ".join([", ".join(others), last] if others else [last])
        raise DataError(f"{option} must be {known} for {game}, not {given!r}.")
    return given or there[0]


def actions_of(game: str, which: str) -> Actions:
    """The actions of a game: ``"few"``, where it has some, ``"minimal"`` or ``"full"``."""
    from ale_py import ALEInterface, LoggerMode, roms

    if which == "few":
        return Actions(tuple(FEW[game]), np.array([*FEW[game].values()], dtype=np.int32), False)
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    path = roms.get_rom_path(game)
    assert path is not None
    emulator.loadROM(path)
    full = which == "full"
    found = emulator.getLegalActionSet() if full else emulator.getMinimalActionSet()
    names = tuple(action.name.lower() for action in found)
    return Actions(names, np.arange(len(names), dtype=np.int32), full)


def events(pair: Tensor, background: int) -> Tensor:
    """ON and OFF events, [games, 2, height, width], of two frames after one another."""
    change = pair[:, 1].short() - pair[:, 0].short()
    return torch.stack([change > CHANGE, change < -CHANGE], 1).float()


def difference(pair: Tensor, background: int) -> Tensor:
    """The frame and its change, [games, 2, height, width]."""
    before, now = pair.float().unbind(1)
    return torch.stack([now - background, now - before], 1) / SCALE


def frame(pair: Tensor, background: int) -> Tensor:
    """The frame alone, [games, 1, height, width]."""
    return (pair[:, 1:].float() - background) / SCALE


OBSERVATIONS: dict[str, tuple[int, Callable[[Tensor, int], Tensor]]] = {
    "events": (2, events),
    "difference": (2, difference),
    "frame": (1, frame),
}
"""What there is to see: its channels, and how it is made of a pair of frames."""


class AtariWorld:
    """Games of Atari side by side.

    Args:
        game: Name, as ALE spells it: ``"pong"``.
        places: Number of games.
        view: What is seen of it.
        actions: What can be done in it.
        observation: One of `OBSERVATIONS`.
        sticky: Probability that an action is replaced by the one before.

    Raises:
        DataError: There is no such game, or ale-py is missing.
    """

    def __init__(
        self,
        game: str,
        places: int,
        *,
        view: View,
        actions: Actions,
        observation: str,
        sticky: float,
    ) -> None:
        self._emulator = _emulator(game, places, actions, sticky, size=view.size, frames=2)
        self._actions = actions.numbers
        self._rows = view.rows
        self._background = BACKGROUNDS.get(game, 0)
        self._encode = OBSERVATIONS[observation][1]

    def begin(self, places: NDArray[np.bool_], seeds: NDArray[np.int64]) -> Tensor:
        """Begin games at some places."""
        options = None if places.all() else {"reset_mask": places}
        screens, _ = self._emulator.reset(seed=seeds, options=options)
        screens = screens.copy()
        screens[places, 0] = screens[places, 1]  # there, ALE has black; nothing has moved yet
        return self._observe(screens)

    def step(self, actions: NDArray[np.int64]) -> Moved:
        """Take an action, a position in the list of actions, at every place."""
        screens, rewards, terminated, truncated, _ = self._emulator.step(self._actions[actions])
        return Moved(
            self._observe(screens),
            torch.from_numpy(rewards).float(),
            torch.from_numpy(terminated),
            torch.from_numpy(truncated),
        )

    def _observe(self, screens: NDArray[np.uint8]) -> Tensor:
        pair = torch.from_numpy(screens)[:, :, self._rows]
        return self._encode(pair, self._background).flatten(1)


def _emulator(
    game: str,
    places: int,
    actions: Actions,
    sticky: float,
    *,
    size: tuple[int, int],
    frames: int,
    colours: bool = False,
) -> Any:
    """Make the emulator: by the same seeds and actions, the same games, however they are seen."""
    from ale_py.vector_env import AtariVectorEnv

    height, width = size
    return AtariVectorEnv(
        game,
        places,
        num_threads=min(places, torch.get_num_threads()),
        autoreset_mode="NextStep",  # of which nothing is seen: a game that ended begins anew
        img_height=height,
        img_width=width,
        stack_num=frames,
        maxpool=True,
        grayscale=not colours,
        frameskip=4,
        noop_max=30,  # of which ALE draws one less at most
        use_fire_reset=True,
        max_num_frames_per_episode=108_000,
        reward_clipping=False,
        repeat_action_probability=sticky,
        full_action_space=actions.full,
    )


def _screens(
    game: str, actions: Actions, sticky: float, seed: int, taken: Sequence[int]
) -> Iterator[NDArray[np.uint8]]:
    """The whole screen, in colours, after each action of a game."""
    emulator = _emulator(game, 1, actions, sticky, size=SCREEN, frames=1, colours=True)
    emulator.reset(seed=np.array([seed]))
    for action in taken:
        screens, *_ = emulator.step(actions.numbers[[action]])
        yield screens.reshape(*SCREEN, 3)


def _check_game(game: str) -> None:
    """Check that ALE has a game of this name."""
    try:
        from ale_py import roms
    except ModuleNotFoundError:
        raise DataError('ale-py is missing: pip install "srnn[pong]" brings it.') from None

    known = roms.get_all_rom_ids()
    if game not in known:
        raise DataError(f"There is no Atari game {game!r}; there are {', '.join(sorted(known))}.")


def atari(
    game: str,
    *,
    observation: Observation = "events",
    screen: Literal["playfield", "whole"] | None = None,
    actions: Literal["few", "minimal", "full"] | None = None,
    sticky: float = 0.0,
    steps: int = 64,
    train: int = 2048,
    valid: int = 16,
    test: int = 100,
    task_seed: int = 0,
) -> Splits:
    """A game of Atari.

    Args:
        game: Its name, as ALE spells it: ``"breakout"``.
        observation: What is seen of it: ``"events"``, ``"difference"`` or ``"frame"``.
        screen: How much of it is seen: ``"playfield"``, there for Pong alone, or ``"whole"``; None
            for the first of them that there is.
        actions: What can be done in it: ``"few"``, ``"minimal"`` or ``"full"``; None for the first
            of them that there is.
        sticky: Probability that an action is replaced by the one before.
        steps: Steps of a stretch, within which one learns from what came of an action.
        train: Stretches that make an epoch.
        valid: Number of validation games.
        test: Number of test games.
        task_seed: Number of the range that seeds are from.

    Raises:
        DataError: There is no such game, ale-py is missing, or an option has no meaning.
    """
    if observation not in list(OBSERVATIONS):  # where one may look for a list too
        raise DataError(
            f"observation must be one of {', '.join(OBSERVATIONS)}, not {observation!r}."
        )
    check_number("sticky", sticky, 0, 1)
    if sticky == 1:
        raise DataError(f"sticky must be a probability below 1, not {sticky}.")
    _check_game(game)
    seen = _chosen("screen", screen, game, ["playfield"] * (game in PLAYFIELDS) + ["whole"])
    view = PLAYFIELDS[game] if seen == "playfield" else WHOLE
    done = _chosen("actions", actions, game, ["few"] * (game in FEW) + ["minimal", "full"])
    can_do = actions_of(game, done)
    height = len(range(*view.rows.indices(view.size[0])))
    shape = (OBSERVATIONS[observation][0], height, view.size[1])
    info = GameInfo(
        name="pong" if game == "pong" else f"atari:{game}",
        title=f"Atari {game.replace('_', ' ').title()}",
        channels=int(np.prod(shape)),
        steps=steps,
        classes=can_do.names,
        streaming=True,
        split=said_split(steps, train, valid, test),
        encoding=f"{observation} of {shape[1]} x {shape[2]} pixels, four frames a step"
        + (f", sticky actions {sticky:g}" if sticky else ""),
        licence="ALE: GPL-2.0; the games belong to their makers",
        citation="Bellemare, Naddaf, Veness and Bowling, The Arcade Learning Environment, Journal "
        "of Artificial Intelligence Research 47, 2013",
        source="ale-py",
        shape=shape,
        signs=True,
        points=game == "pong",
    )
    options: dict[str, Any] = {"actions": can_do, "observation": observation, "sticky": sticky}
    make = partial(AtariWorld, game, view=view, **options)
    screens = partial(_screens, game, can_do, sticky)
    sizes = {"train": train, "valid": valid, "test": test}
    return game_splits(info, make, screens, **sizes, task_seed=task_seed)


pong = partial(atari, "pong")
"""The game for which the recipe was tuned; its options are those of `atari`."""
pong.__doc__ = atari.__doc__
