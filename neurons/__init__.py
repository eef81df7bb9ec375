"""Spiking neurons with learned, bounded time constants that drop into snnTorch models."""

from . import surrogate
from .alif import ALIF, RALIF, ALIFParams, ALIFState, alif_step
from .distributions import Distribution, constant, loguniform, normal, uniform
from .li import LI, LIState, li_step
from .lif import LIF, RLIF, LIFParams, LIFState, lif_step
from .time_constant import TimeConstant

__all__ = [
    "ALIF",
    "LI",
    "LIF",
    "RALIF",
    "RLIF",
    "ALIFParams",
    "ALIFState",
    "Distribution",
    "LIFParams",
    "LIFState",
    "LIState",
    "TimeConstant",
    "alif_step",
    "constant",
    "li_step",
    "lif_step",
    "loguniform",
    "normal",
    "surrogate",
    "uniform",
]
