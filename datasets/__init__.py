"""Tasks for spiking recurrent networks: real data, and a generated memory task, as spike tensors.

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
from pathlib import Path
from typing import Any

from srnn.datasets import ecg, mnist, recall
from srnn.datasets._base import IGNORE, DataError, Info, SequenceDataset, Splits
from srnn.datasets.files import data_root
from srnn.datasets.loader import SequenceLoader

__all__ = [
    "DATASETS",
    "IGNORE",
    "DataError",
    "Info",
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
}
"""Every dataset by name: a function whose keywords are the dataset's options.

One that reads files takes the data root as its first argument, `root`.
"""


def load(name: str, root: str | Path | None = None, **options: Any) -> Splits:
    """Load a dataset by name.

    Args:
        name: One of `DATASETS`.
        root: Folder of the data files; see `data_root` for the default. Generated tasks need none.
        **options: The dataset's own options: the keywords of ``DATASETS[name]``.

    Raises:
        DataError: The name, an option or a value is unknown, or a file is missing or damaged.
    """
    if name not in DATASETS:
        nearest = difflib.get_close_matches(name, DATASETS, n=1, cutoff=0.0)[0]
        known = ", ".join(sorted(DATASETS))
        raise DataError(
            f"There is no dataset {name!r}: did you mean {nearest!r}? Known are {known}."
        )
    build = DATASETS[name]
    parameters = set(inspect.signature(build).parameters)
    known_options = sorted(parameters - {"root"})
    for option in options:
        if option not in known_options:
            raise DataError(
                f"The dataset {name!r} has no option {option!r}; it has {', '.join(known_options)}."
            )
    if "root" in parameters:
        return build(data_root(root), **options)
    return build(**options)
