"""srnn: spiking recurrent networks with learned time constants, on top of snnTorch.

    >>> from srnn import SRNN
    >>> from srnn.neurons import RALIF

Names are loaded when they are first used, so that ``import srnn`` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srnn.neurons.kernels import kernel_info

    from .delay import Delay
    from .network import SRNN, Layer, Record
    from .nir_export import to_nir
    from .nir_import import from_nir
    from .readout import Readout
    from .states import reset
    from .stpn import STPN

__version__ = "0.1.0"
__all__ = [
    "SRNN",
    "STPN",
    "Delay",
    "Layer",
    "Readout",
    "Record",
    "detach",
    "from_nir",
    "kernel_info",
    "reset",
    "to_nir",
]

_HOME = {
    "SRNN": "network",
    "STPN": "stpn",
    "Delay": "delay",
    "Layer": "network",
    "Record": "network",
    "detach": "states",
    "Readout": "readout",
    "from_nir": "nir_import",
    "kernel_info": "neurons.kernels",
    "reset": "states",
    "to_nir": "nir_export",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'srnn' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
