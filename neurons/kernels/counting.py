"""What each column of an input holds, dense or as bits, counted by the compiled library."""

import torch
from torch import Tensor

from .library import library_at


def count_ones(x: Tensor, *, level: str | None = None) -> tuple[Tensor, bool]:
    """Count the ones of each column of a matrix, in one pass over it.

    Args:
        x: float32 or float64 [rows, columns] on the CPU, contiguous, of less than 2^31 rows.
        level: as in :func:`.cpu_backend.forward`.

    Returns:
        The counts, float64 [columns]; and whether x holds nothing but 0 and 1: without that they
        mean nothing.

    Raises:
        RuntimeError: where the library is missing.
    """
    library, index = library_at(level)
    ones = torch.zeros(x.shape[1], dtype=torch.float64)
    binary = library.srnn_count(
        *(x.data_ptr(), int(x.dtype == torch.float64), *x.shape, ones.data_ptr(), index)
    )
    return ones, bool(binary)


def count_bits(words: Tensor, *, level: str | None = None) -> Tensor:
    """Count the ones of each bit.

    Args:
        words: int64 [rows, columns] on the CPU, contiguous.
        level: as in :func:`.cpu_backend.forward`.

    Returns:
        The counts, float64 [64 columns]; number 64 w + j is that of bit j of word w.

    Raises:
        RuntimeError: where the library is missing.
    """
    library, index = library_at(level)
    ones = torch.empty(64 * words.shape[1], dtype=torch.float64)
    library.srnn_count_bits(words.data_ptr(), *words.shape, ones.data_ptr(), index)
    return ones


def sort(x: Tensor, nonzero: Tensor | None = None, *, level: str | None = None) -> Tensor:
    """Sort the numbers of each column of a matrix.

    Args:
        x: float32 or float64 [rows, columns] on the CPU, contiguous.
        nonzero: which of them are not 0, as the words of :class:`.problem.Bits`, contiguous; the
            others are not read. None to look at all.
        level: as in :func:`.cpu_backend.forward`.

    Returns:
        float64 [3, columns]: the sum of abs(k) over the whole numbers k, how many of them are not
        0, and how many other numbers there are, infinity and NaN among them.

    Raises:
        RuntimeError: where the library is missing.
    """
    library, index = library_at(level)
    sums = torch.empty(3, x.shape[1], dtype=torch.float64)
    words = None if nonzero is None else nonzero.data_ptr()
    library.srnn_sort(
        *(x.data_ptr(), int(x.dtype == torch.float64), words, *x.shape, sums.data_ptr(), index)
    )
    return sums
