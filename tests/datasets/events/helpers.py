"""What the tests of events share."""

import numpy as np

from srnn.datasets import Info
from srnn.datasets.binning import Binning

INFO = Info("spoken", "", 700, 100, ("a", "b"), False, *("text",) * 5)
BINNING = Binning(14_000, 100, (700, 1, 1), 1)
ARRAYS = ["channels", "per_step", "offsets"]
OPTIONS = {"shift": 20, "stretch": 0.1, "jitter_ms": 10, "drop": 0.1, "augment_seed": 3}


def everything(lists):
    return lists.take(range(len(lists)))


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def only_folder(cache):
    """The one cache that is there, with nothing unfinished beside it."""
    (folder,) = cache.iterdir()
    assert {path.name for path in folder.iterdir()} == {*ARRAYS, "manifest.json"}
    return folder


def batches(loader, epochs=1):
    return [
        (inputs.to_sparse().indices().tolist(), targets.tolist())
        for _ in range(epochs)
        for inputs, targets in loader
    ]
