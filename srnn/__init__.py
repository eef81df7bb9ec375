"""srnn: spiking recurrent networks with learned time constants, on top of snnTorch.

    >>> from srnn import SRNN
    >>> from srnn.neurons import RALIF

Names are loaded when they are first used, so that ``import srnn`` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .network import SRNN, Layer, Record, detach
    from .readout import Readout

__version__ = "0.1.0"
__all__ = ["SRNN", "Layer", "Readout", "Record", "detach"]

_HOME = {
    "SRNN": "network",
    "Layer": "network",
    "Record": "network",
    "detach": "network",
    "Readout": "readout",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'srnn' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
