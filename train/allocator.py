"""Keep freed memory for the next batch.

glibc gives large blocks back to the system when they are freed, and asks for them again in the next
batch. The system then hands them out page by page, at the first touch, and clears every page, which
can take half of a training step (docs/performance.md). A training needs the same blocks in every
batch, and keeps them.
"""

import ctypes
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD = -1
_TOP_PAD = -2
_MMAP_MAX = -4

_KEPT = 2**31 - 1
"""Bytes free at the end of the heap up to which it is not shortened: as many as can be said."""
_STEP = 64 * 2**20
"""Bytes by which the heap grows more than it has to."""


def keep_freed_memory() -> bool:
    """Have this process keep what it frees, up to 2 GiB at the end of its heap.

    For a program, not for a library: it holds for all that the process allocates, until it ends.

    Returns:
        Whether it does: only glibc, the C library of most Linux systems, can be told so.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _STEP), (_MMAP_MAX, 0))
    return all([mallopt(which, value) == 1 for which, value in settings])
