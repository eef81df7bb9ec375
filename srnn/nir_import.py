"""Networks in through NIR: our own back bit for bit, others' as an equivalent SRNN.

A graph that :func:`srnn.to_nir` wrote carries the whole network in its metadata
(:mod:`srnn.nir_metadata`), from which it is rebuilt. The nodes must still say the same: a graph
that something else has changed since is refused, as one of the two would be ignored without a word.

Any other graph is read by :mod:`srnn.nir_foreign`.
"""

from pathlib import Path
from typing import Any

import nir
import numpy as np
from torch import nn

from . import nir_metadata
from .nir_export import to_nir
from .nir_foreign import read_chain

# What was written is read as it was. But these are computed from decays, and near a decay of 1 the
# last bit of another machine's exponential shows.
_COMPUTED = ("tau", "r")
_CLOSE = 1e-3


def from_nir(graph: nir.NIRGraph | str | Path, *, dt: float = 1e-4) -> nn.Module:
    """Read a network from a NIR graph.

    Args:
        graph: a graph, or the path of a file.
        dt: length of one step in seconds that a foreign graph is read with; ours bring their own.

    Returns:
        The network that :func:`srnn.to_nir` wrote; for a foreign graph, an :class:`srnn.SRNN`.

    Raises:
        ValueError: for a file that holds no graph, for metadata of another version, for one of our
            graphs that was changed, and for a foreign graph that is not a chain of projections and
            leaky neurons; the message names the node.

    Example:
        >>> from srnn import SRNN, to_nir
        >>> network = SRNN(3, [4], 2)
        >>> twin = from_nir(to_nir(network, strict=False))
        >>> twin.layers[0].neuron.tau_adapt.tau.equal(network.layers[0].neuron.tau_adapt.tau)
        True
    """
    if not 0 < dt < float("inf"):
        raise ValueError(f"The time step dt must be positive, got {dt}.")
    if not isinstance(graph, nir.NIRGraph):
        graph = _read(graph)
    metadata = (graph.metadata or {}).get("srnn")
    if metadata is None:
        return read_chain(graph, dt)
    if not isinstance(metadata, dict):
        raise ValueError("The metadata of srnn in this graph are damaged: they are no dictionary.")
    network, dt = nir_metadata.read(metadata)
    changed = _difference(to_nir(network, strict=False, dt=dt), graph)
    if changed:
        raise ValueError(
            f"{changed} is not what srnn wrote, so the graph and its metadata disagree: delete "
            "metadata['srnn'] to read the graph as it stands."
        )
    return network


def _read(path: str | Path) -> nir.NIRGraph:
    """Read a file, and nothing but a graph."""
    try:
        graph = nir.read(path)
    except FileNotFoundError:
        raise
    # nir checks with assertions, and h5py reports what is no HDF5 file as an OSError.
    except (OSError, KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise ValueError(f"{path} holds no NIR graph that nir can read: {error}") from error
    if not isinstance(graph, nir.NIRGraph):
        raise ValueError(f"{path} holds a single {type(graph).__name__}, not a NIR graph.")
    return graph


def _difference(ours: nir.NIRGraph, given: nir.NIRGraph) -> str | None:
    """Name the first node, or edge, in which two graphs differ; None if they agree."""
    for name in sorted(ours.nodes.keys() | given.nodes.keys()):
        if not _same(ours.nodes.get(name), given.nodes.get(name)):
            return f"Node {name!r}"
    for edge in sorted(set(ours.edges) ^ {(str(a), str(b)) for a, b in given.edges}):
        return f"Edge {edge[0]!r} -> {edge[1]!r}"
    return None


def _same(ours: Any, given: Any) -> bool:
    """Whether two nodes compute the same."""
    if type(ours) is not type(given):
        return False
    fields = {k: v for k, v in vars(ours).items() if isinstance(v, np.ndarray)}
    return all(
        np.shape(getattr(given, key)) == value.shape
        and np.asarray(getattr(given, key)).dtype.kind in "biufc"
        and np.allclose(
            getattr(given, key),
            value,
            rtol=_CLOSE if key in _COMPUTED else 0,
            atol=0,
            equal_nan=True,
        )
        for key, value in fields.items()
    )
