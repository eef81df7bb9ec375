"""Tasks for spiking recurrent networks: real data, and generated memory tasks, as spike tensors.

    >>> from srnn.datasets import SequenceLoader, load
    >>> splits = load("recall", train=256)
    >>> inputs, targets = next(iter(SequenceLoader(splits.train, batch_size=32)))
    >>> inputs.shape, targets.shape
    (torch.Size([120, 32, 30]), torch.Size([32]))

Everything is time first: inputs are [time, batch, channels]. A dataset says in its `Info` what it
is and how it is split; its test set is read when `Splits.test` is asked for and not before.
"""

import difflib
import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from srnn.datasets import (
    art,
    atari,
    ecg,
    gym_games,
    heidelberg,
    maze_episodes,
    mnist,
    recall,
    shd_synth,
    tonic_events,
)
from srnn.datasets._base import IGNORE, DataError, EpisodeInfo, Info, SequenceDataset, Splits
from srnn.datasets.event_sequences import EventOptions
from srnn.datasets.files import data_root
from srnn.datasets.loader import SequenceLoader
from srnn.datasets.packed import PackedSpikes

__all__ = [
    "DATASETS",
    "IGNORE",
    "DataError",
    "EpisodeInfo",
    "EventOptions",
    "Info",
    "PackedSpikes",
    "SequenceDataset",
    "SequenceLoader",
    "Splits",
    "data_root",
    "load",
]

DATASETS: dict[str, Callable[..., Splits]] = {
    "smnist": mnist.smnist,
    "psmnist": mnist.psmnist,
    "ecg": ecg.ecg,
    "recall": recall.recall,
    "art": art.art,
    "maze": maze_episodes.maze,
    "pong": atari.pong,
    "shd": heidelberg.shd,
    "ssc": heidelberg.ssc,
    "shd-synth": shd_synth.shd_synth,
}
"""Every dataset by name: a function whose keywords are the dataset's options.

One that reads files takes the data root as its first argument, `root`. One that is made of events
takes an `EventOptions` as `events`, whose fields count as its own options.
"""


FAMILIES: dict[str, Callable[..., Splits]] = {
    "tonic": tonic_events.tonic_events,
    "atari": atari.atari,
    "gym": gym_games.gym,
}
"""Data sets of others by the name that stands before a colon: ``tonic:NMNIST``, ``atari:breakout``,
``gym:CartPole-v1``. Their first argument is what stands after it."""


def load(name: str, root: str | Path | None = None, **options: Any) -> Splits:
    """Load a dataset by name.

    Args:
        name: One of `DATASETS`, or one of `FAMILIES` with a name: ``tonic:NMNIST``.
        root: Folder of the data files; see `data_root` for the default. Generated tasks need none.
        **options: The dataset's own options: the keywords of ``DATASETS[name]``.

    Raises:
        DataError: The name, an option or a value is unknown, or a file is missing or damaged.
    """
    family, colon, member = name.partition(":")
    build: Callable[..., Splits]
    if colon and family in FAMILIES:
        build = partial(FAMILIES[family], member)
    elif name in DATASETS:
        build = DATASETS[name]
    else:
        nearest = difflib.get_close_matches(name, DATASETS, n=1, cutoff=0.0)[0]
        known = ", ".join(sorted(DATASETS))
        raise DataError(
            f"There is no dataset {name!r}: did you mean {nearest!r}? Known are {known}; "
            "tonic:NAME for those of tonic, atari:NAME for games, and gym:NAME for environments of "
            "gymnasium."
        )
    own = set(inspect.signature(build).parameters)
    shared = {field.name for field in fields(EventOptions)} if "events" in own else set()
    known_options = sorted((own | shared) - {"root", "events"})
    for option in options:
        if option not in known_options:
            raise DataError(
                f"The dataset {name!r} has no option {option!r}; it has {', '.join(known_options)}."
            )
    arguments = {key: value for key, value in options.items() if key in own}
    if shared:
        of_events = {key: value for key, value in options.items() if key in shared}
        arguments["events"] = EventOptions(**of_events)
    if "root" in own:
        return build(data_root(root), **arguments)
    return build(**arguments)
