"""Any environment of gymnasium with numbered actions, as a game.

Observations are flattened as `gymnasium.spaces.flatten` does: boxes are taken as they are, numbers
become one-hot.

Needs gymnasium, which ``pip install "srnn[pong]"`` brings.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srnn.datasets._base import DataError, Splits
from srnn.datasets.games import GameInfo, Moved, game_splits, said_split


class GymWorld:
    """Environments of gymnasium side by side.

    Args:
        name: What gymnasium knows them by: ``"CartPole-v1"``.
        places: Number of environments.

    Raises:
        DataError: gymnasium cannot make them; later, if one shows numbers that are not finite.
    """

    def __init__(self, name: str, places: int) -> None:
        self._name = name
        self._environments = [_make(name) for _ in range(places)]
        self._space = self._environments[0].observation_space
        self._first_action = int(self._environments[0].action_space.start)
        self._seen: list[NDArray[Any]] = [np.empty(0)] * places
        self._over = [False] * places

    def begin(self, places: NDArray[np.bool_], seeds: NDArray[np.int64]) -> Tensor:
        """Begin games at some places."""
        for place, seed in zip(np.flatnonzero(places), seeds, strict=True):
            seen, _ = self._environments[place].reset(seed=int(seed))
            self._seen[place], self._over[place] = self._flat(seen), False
        return self._observations()

    def step(self, actions: NDArray[np.int64]) -> Moved:
        """Take an action at every place."""
        outcomes = []
        for place, environment in enumerate(self._environments):
            if self._over[place]:  # gymnasium forbids steps after the end
                outcomes.append((0.0, True, False))
                continue
            action = self._first_action + int(actions[place])
            seen, reward, terminated, truncated, _ = environment.step(action)
            self._seen[place], self._over[place] = self._flat(seen), bool(terminated or truncated)
            outcomes.append((float(reward), bool(terminated), bool(truncated and not terminated)))
        rewards, terminated, truncated = map(torch.tensor, zip(*outcomes, strict=True))
        return Moved(self._observations(), rewards, terminated, truncated)

    def _flat(self, seen: Any) -> NDArray[Any]:
        from gymnasium.spaces import flatten

        flat = np.asarray(flatten(self._space, seen), dtype=np.float32)
        if not np.isfinite(flat).all():
            channel = int(np.isfinite(flat).argmin())
            raise DataError(
                f"{self._name} gave an observation of which channel {channel} is {flat[channel]}: "
                "mend the environment, or wrap it in one that shows finite numbers alone."
            )
        return flat

    def _observations(self) -> Tensor:
        return torch.from_numpy(np.stack(self._seen))


def _make(name: str) -> Any:
    """Make one environment, and check that it can be learned here."""
    try:
        import gymnasium
    except ModuleNotFoundError:
        raise DataError('gymnasium is missing: pip install "srnn[pong]" brings it.') from None
    from gymnasium.spaces import Discrete

    try:
        # Its checker complains of steps after the end, which are of no account here.
        environment = gymnasium.make(name, disable_env_checker=True)
    except (gymnasium.error.Error, ModuleNotFoundError, ImportError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"gymnasium has no environment {name!r}: {reason}.") from None
    if not isinstance(environment.action_space, Discrete):
        raise DataError(
            f"{name} has the actions {environment.action_space}: only numbered ones, a Discrete "
            "space, can be learned here."
        )
    if not environment.observation_space.is_np_flattenable:
        raise DataError(
            f"{name} has observations {environment.observation_space}, which cannot be flattened."
        )
    return environment


def _screens(name: str, seed: int, actions: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """What the environment shows after each action of a game."""
    import gymnasium

    if "rgb_array" not in _make(name).metadata.get("render_modes", ()):
        raise DataError(f"{name} cannot be shown: it draws no pictures (render mode rgb_array).")
    try:
        environment: Any = gymnasium.make(name, disable_env_checker=True, render_mode="rgb_array")
        environment.reset(seed=seed)
        first = int(environment.action_space.start)
        for action in actions:
            environment.step(first + action)
            yield environment.render()
    except gymnasium.error.Error as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{name} cannot be shown: {reason}.") from None


def gym(
    name: str,
    *,
    steps: int = 64,
    train: int = 256,
    valid: int = 16,
    test: int = 100,
    task_seed: int = 0,
) -> Splits:
    """An environment of gymnasium.

    Args:
        name: What gymnasium knows it by: ``"CartPole-v1"``.
        steps: Steps of a stretch, within which one learns from what came of an action.
        train: Stretches that make an epoch.
        valid: Number of validation games.
        test: Number of test games.
        task_seed: Number of the range that seeds are from.

    Raises:
        DataError: gymnasium cannot make it, or an option has no meaning.
    """
    environment = _make(name)
    channels = _flat_size(environment.observation_space)
    info = GameInfo(
        name=f"gym:{name}",
        title=name,
        channels=channels,
        steps=steps,
        classes=tuple(f"action {n}" for n in range(environment.action_space.n)),
        streaming=True,
        split=said_split(steps, train, valid, test),
        encoding="observations as they are",
        licence="that of the environment",
        citation="Towers et al., Gymnasium: a standard interface for reinforcement learning "
        "environments, 2024; and the environment's authors",
        source="gymnasium",
        shape=(channels,),
    )
    environment.close()
    make, screens = partial(GymWorld, name), partial(_screens, name)
    sizes = {"train": train, "valid": valid, "test": test}
    return game_splits(info, make, screens, **sizes, task_seed=task_seed)


def _flat_size(space: Any) -> int:
    from gymnasium.spaces import flatdim

    return flatdim(space)
