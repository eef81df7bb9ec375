"""What is used of torchrl, imported so that processes start as they did before.

torchrl makes "spawn" the way in which all processes of a program are started. A loader with workers
would then have to pickle its data set, whoever wrote that and whatever else the program does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import multiprocessing


@contextmanager
def _start_method_kept() -> Iterator[None]:
    before = multiprocessing.get_start_method(allow_none=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


with _start_method_kept():
    from torchrl.data import Binary, Categorical, Composite, Unbounded
    from torchrl.envs import EnvBase
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value.functional import generalized_advantage_estimate

__all__ = [
    "Binary",
    "Categorical",
    "ClipPPOLoss",
    "Composite",
    "EnvBase",
    "Unbounded",
    "generalized_advantage_estimate",
]
