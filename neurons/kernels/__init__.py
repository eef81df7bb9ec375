"""The time loop of a layer, once for each backend; the others are tested against ``reference``."""

from .choice import KERNELS, KernelInfo, kernel_info
from .events import EventBatch
from .problem import Events

__all__ = ["KERNELS", "EventBatch", "Events", "KernelInfo", "kernel_info"]
