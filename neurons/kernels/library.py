"""The compiled library: found, loaded through ctypes, and described.

It lies beside this file (sources in ``cpu/``) and has none of torch's own interfaces.
"""

import ctypes
import functools
from pathlib import Path

import torch

LEVELS = ("base", "avx2", "avx512")
"""Levels of instructions, from the one that every machine runs."""

_LIBRARY = Path(__file__).with_name("_cpu.so")

# The fields of call.h, in its order.
INTEGERS = (
    *("steps", "batch", "neurons", "channels", "padded", "rows", "block", "words", "threads"),
    *("surrogate", "reset", "detach_reset"),
)
PROBLEM = (
    *("projection", "projection_bias", "recurrent", "recurrent_bias", "alpha", "gain"),
    *("threshold", "rho", "strength", "spikes", "crossed", "membrane", "adaptation", "begin"),
)
_RESULTS = (
    *("out_spikes", "out_membrane", "out_adaptation", "out_trace", "out_counts"),
    *("bits", "kept", "checkpoints", "g_spikes", "g_membrane", "g_adaptation", "g_trace"),
    *("d_current", "d_inputs", "d_projection", "d_recurrent", "d_bias"),
    *("d_alpha", "d_gain", "d_threshold", "d_rho"),
    *("d_spikes", "d_crossed", "d_membrane", "d_adaptation"),
)


class Call(ctypes.Structure):
    """``struct Call`` of call.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in INTEGERS),
        ("constants", ctypes.c_double * 4),
        ("initial_adaptation", ctypes.c_double),
        *((n, ctypes.c_void_p) for n in ("current", "inputs", "offsets", "indices", "values")),
        ("input_bits", ctypes.c_void_p),
        ("weighted", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in (*PROBLEM, *_RESULTS)),
    )


class _Pool(ctypes.Structure):
    """``struct Pool`` of team.h."""

    _fields_ = tuple((n, ctypes.c_void_p) for n in ("parallel", "thread", "threads", "barrier"))


@functools.cache
def load(path: Path = _LIBRARY) -> tuple[ctypes.CDLL | None, str | None]:
    """Load the library; or say why that cannot be done."""
    if not path.exists():
        return None, (
            f"the compiled kernel is not installed: there is no {path.name} beside "
            "srnn.neurons.kernels (reinstall srnn with a C++ compiler on the machine)"
        )
    built = path.stat().st_mtime
    if any(source.stat().st_mtime > built for source in (path.parent / "cpu").glob("*.*")):
        return None, "the compiled kernel is older than its sources: install srnn again"
    try:
        library = ctypes.CDLL(str(path))
        if library.srnn_size() != ctypes.sizeof(Call) or not hasattr(library, "srnn_bits_fit"):
            return None, "the compiled kernel is of another version of srnn: reinstall srnn"
    except (OSError, AttributeError) as error:
        return None, f"the compiled kernel cannot be loaded: {error}"
    library.srnn_scan.restype = ctypes.c_int64
    library.srnn_scan.argtypes = (
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64)),
        ctypes.c_int,
    )
    library.srnn_count.restype = ctypes.c_int64
    library.srnn_count.argtypes = (
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64),
        *(ctypes.c_void_p, ctypes.c_int),
    )
    library.srnn_count_bits.restype = None
    library.srnn_count_bits.argtypes = (
        *(ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int),
    )
    library.srnn_sort.restype = None
    library.srnn_sort.argtypes = (
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64),
        *(ctypes.c_void_p, ctypes.c_int),
    )
    library.srnn_lists_fit.argtypes = (
        *(ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64),
    )
    library.srnn_bits_fit.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    pool = _pool()
    if pool is not None:
        library.srnn_use_pool(ctypes.byref(pool))
    return library, None


def _pool() -> _Pool | None:
    """The OpenMP functions that torch itself is linked to; None where they go by other names."""
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "GOMP_barrier")
    try:
        torch_library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        found = (ctypes.cast(getattr(torch_library, name), ctypes.c_void_p) for name in names)
        return _Pool(*found)
    except (OSError, AttributeError):
        return None


def reason() -> str | None:
    """Say why the compiled kernel cannot run on this machine; None if it can."""
    return load()[1]


def description() -> str:
    """Name the level of instructions and the number of threads that a call would use."""
    return f"{LEVELS[level_of(None)]}, {torch.get_num_threads()} threads"


def level_of(forced: str | None) -> int:
    """Number of a level; the highest that this machine has for None.

    Raises:
        RuntimeError: where the library is missing.
        ValueError: for a level that this machine lacks.
    """
    library, missing = load()
    if library is None:
        raise RuntimeError(f"Cannot run the kernel 'cpu': {missing}.")
    highest = library.srnn_level()
    if forced is None:
        return highest
    if forced not in LEVELS or LEVELS.index(forced) > highest:
        raise ValueError(
            f"This machine runs the levels {', '.join(LEVELS[: highest + 1])}, not {forced!r}."
        )
    return LEVELS.index(forced)


def library_at(forced: str | None) -> tuple[ctypes.CDLL, int]:
    """The compiled library, and the number of the level to ask it for.

    Args:
        forced: one of ``LEVELS``; None for the highest there is.

    Raises:
        RuntimeError: as in :func:`level_of`.
        ValueError: as in :func:`level_of`.
    """
    level = level_of(forced)
    library, _ = load()
    assert library is not None
    return library, level
