"""Random draws that are the same on every machine, and checks of the options that steer them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from srnn.datasets._base import DataError

Indices = npt.NDArray[np.int64]


def permutation(size: int, *seed: int) -> Indices:
    """Draw a permutation of 0..size-1 that depends on `size` and `seed` alone.

    It sorts the raw output of PCG64, the one stream that NumPy promises never to change; the orders
    that `Generator.permutation` or `torch.randperm` give are only those of the installed version.

    Args:
        size: Number of elements.
        *seed: Non-negative integers, best below 2**32, where no two tuples share a permutation.
    """
    # With its length in front, since SeedSequence takes (1,) and (1, 0) for the same.
    keys = np.random.PCG64(np.random.SeedSequence([len(seed), *seed])).random_raw(size)
    return np.argsort(keys, kind="stable").astype(np.int64)


def hold_out(size: int, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Cut 0..size-1 at random into a part to train on and one to validate on, both in rising order.

    Args:
        size: Number of elements.
        fraction: Share of the second part, between 0 and 1; it is rounded to whole elements.
        seed: Non-negative seed of the draw.

    Raises:
        DataError: The fraction leaves one of the parts empty.
    """
    check_number("validation", fraction, 0, 1)
    held_out = round(size * fraction)
    if not 0 < held_out < size:
        raise DataError(
            f"validation={fraction!r} of {size} training sequences leaves one part without any: "
            "choose a fraction between 0 and 1 that leaves both some."
        )
    order = permutation(size, seed)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def check_whole(option: str, value: Any, lowest: int) -> None:
    """Raise a `DataError` unless `value` is a whole number that is at least `lowest`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise DataError(f"{option} must be a whole number of at least {lowest}, not {value!r}.")


def check_number(option: str, value: Any, lowest: float, highest: float) -> None:
    """Raise a `DataError` unless `value` is a number from `lowest` to `highest`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{option} must be a number, not {value!r}.")
    if not lowest <= value <= highest:
        raise DataError(f"{option} must lie between {lowest} and {highest}, not at {value!r}.")
