"""Which kernel runs a layer, and why.

| kernel    | what it is                                            | runs                         |
|-----------|-------------------------------------------------------|------------------------------|
| reference | the loop over steps, differentiated by autograd       | everything                   |
| torch     | plain operations, gradient derived by hand            | our plain layers, any device |
| cpu       | compiled, uses that spikes are sparse                 | our plain layers on the CPU  |

The environment variable SRNN_KERNEL names one of them, or ``auto``, the default: the last of the
table that can run the layer. What a layer cannot have but on the reference kernel is told by
:func:`kernel_info`. That a faster kernel is missing where it could run, or that a named one cannot
run a layer, is logged once as a warning.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from ..reset import FEED_FORWARD_RESETS, RECURRENT_RESETS
from ..surrogate import SURROGATES, no_gradient
from . import library

KERNELS = ("reference", "torch", "cpu")

logger = logging.getLogger(__name__)
_said: set[str] = set()

_OURS = __name__.removesuffix(".kernels.choice") + "."
_METHODS = (
    "step",
    "_advance",
    "_emit",
    "_recurrent_current",
    "_with_crossings",
    "initial_state",
    "threshold_of",
    "_spike",
)
"""What the kernels compute in place of a layer's own; they cannot, where a subclass changes it."""


class KernelInfo(NamedTuple):
    """Which kernel runs a layer.

    Attributes:
        layer: its name in the network.
        kernel: one of :data:`KERNELS`.
        reason: why that one.
    """

    layer: str
    kernel: str
    reason: str

    def __str__(self) -> str:
        """One line, such as ``layer1: cpu (...)``."""
        return f"{self.layer}: {self.kernel} ({self.reason})"


def kernel_info(
    of: nn.Module | None = None, device: torch.device | None = None
) -> tuple[KernelInfo, ...]:
    """Say which kernel runs each layer of a network, and why.

    It takes the input to be [time, batch, neurons], with the dtype of the parameters.

    Args:
        of: a network or a single layer; None for what this installation has to offer.
        device: where it will run; None for where its parameters lie now.

    Returns:
        One entry for each layer of spiking neurons or leaky integrators; they print as a line each.

    Raises:
        ValueError: if SRNN_KERNEL names no kernel.
        RuntimeError: if it names one that is not installed.

    Example:
        >>> from srnn.neurons import LIF
        >>> layer = LIF(linear_features=8, graded_spikes_factor=0.5)
        >>> print(kernel_info(layer)[0])
        LIF: reference (graded_spikes_factor is the reference kernel's alone)
    """
    if of is None:
        return (KernelInfo("any layer", *best(device or torch.device("cpu"), None)),)
    found = []
    for name, module in of.named_modules():
        if not hasattr(module, "forward_sequence") or not hasattr(module, "tau_mem"):
            continue
        # Without the states of the step call, which a sequence neither reads nor changes.
        tensors = [t for t in module.state_dict().values() if t.is_floating_point()]
        where = device or (tensors[0].device if tensors else torch.device("cpu"))
        dtypes = {t.dtype for t in tensors} or {torch.get_default_dtype()}
        reason = unsupported(module) or _odd_types(dtypes)
        kernel = best(where, reason, announce=False)
        found.append(KernelInfo(name or type(module).__name__, *kernel))
    return tuple(found)


def choose(
    layer: nn.Module, shape: Sequence[int], device: torch.device, dtypes: Iterable[torch.dtype]
) -> str:
    """Choose the kernel that runs a layer.

    Args:
        layer: a layer of spiking neurons or leaky integrators.
        shape: that of its current, [time, batch, ...].
        device: where everything lies.
        dtypes: those of the input, the parameters and the state.

    Returns:
        One of :data:`KERNELS`.

    Raises:
        ValueError: if SRNN_KERNEL names no kernel.
        RuntimeError: if it names one that is not installed.
    """
    reason = unsupported(layer)
    if reason is None and len(shape) != 3:
        reason = "the input has more dimensions than [time, batch, neurons]"
    elif reason is None and transformed():
        reason = "a transform of torch.func is at work"
    elif reason is None and not shape[-1]:
        reason = "there are no neurons"
    elif reason is None:
        halves = (torch.float16, torch.bfloat16)
        autocast = torch.is_autocast_enabled(device.type)  # which makes these float32
        reason = _odd_types({torch.float32 if autocast and d in halves else d for d in dtypes})
    return best(device, reason)[0]


def best(device: torch.device, reason: str | None, *, announce: bool = True) -> tuple[str, str]:
    """Choose a kernel for a device.

    Args:
        device: where the layer lies.
        reason: why only the reference kernel can run the layer, or None if others can.
        announce: whether to log what a user would not expect.

    Returns:
        The kernel and why.
    """
    named = _named()
    if named not in ("auto", *KERNELS):
        raise ValueError(
            f"SRNN_KERNEL must be auto, {', '.join(KERNELS[:-1])} or {KERNELS[-1]}, got {named!r}."
        )
    missing = _missing()
    if named == "cpu" and missing:
        raise RuntimeError(f"SRNN_KERNEL=cpu, but {missing}.")
    if named == "reference":
        return "reference", "SRNN_KERNEL names it"
    if reason:
        if named != "auto" and announce:
            _say(f"SRNN_KERNEL={named} cannot run every layer: {reason}; 'reference' runs instead.")
        return "reference", reason
    if named == "torch":
        return "torch", "SRNN_KERNEL names it"
    if device.type != "cpu":
        if named == "cpu" and announce:
            _say(f"SRNN_KERNEL=cpu cannot run a layer on {device.type}: 'torch' runs instead.")
        return "torch", f"the layer lies on {device.type}, the compiled kernel runs on the CPU"
    if missing:
        if announce:
            _say(f"The slower kernel 'torch' runs, since {missing}.")
        return "torch", missing
    return "cpu", f"compiled, {_description()}" if named == "auto" else "SRNN_KERNEL names it"


def plain(module: nn.Module) -> bool:
    """Whether a module does W x + b and nothing else, so that a kernel may do it instead."""
    if type(module) is not nn.Linear or is_traceable_wrapper_subclass(module.weight):
        return False
    return untouched(module)


def untouched(module: nn.Module) -> bool:
    """Whether nothing hangs on a module's call: no hook, no ``forward`` of this instance alone."""
    return (
        not _replaced(module, "forward")
        and not module._forward_hooks
        and not module._forward_pre_hooks
        and not module._backward_hooks
        and not module._backward_pre_hooks
        and not _has_any_global_hook()
    )


def _replaced(module: nn.Module, method: str) -> bool:
    """Whether an instance has a method of its own, other than one that just looks on."""
    own = vars(module).get(method)
    return own is not None and not getattr(own, "looks_on", False)


def takes_projection(neuron: nn.Module) -> bool:
    """Whether a layer's ``forward_sequence`` is ours, so that it takes a projection too."""
    own = _replaced(neuron, "forward_sequence")
    method = getattr(type(neuron), "forward_sequence", None)
    return not own and method is not None and method.__module__.startswith(_OURS)


def unsupported(layer: Any) -> str | None:
    """Say what about a layer only the reference kernel can do, or None if it is plain."""
    # By name, since leaky integrators know the kernels and not the other way round.
    kind = type(layer)
    if not takes_projection(layer):
        return f"{kind.__name__} runs its sequences itself"
    if not hasattr(layer, "state_type"):
        ours = kind.__module__.startswith(_OURS)
        return None if ours else f"{kind.__name__} may have dynamics of its own"
    if getattr(layer, "plasticity", None) is not None:
        return "plastic synapses are the reference kernel's alone"
    own = _changed(kind) or next((name for name in _METHODS if _replaced(layer, name)), None)
    if own is not None:
        return f"{kind.__name__} has a {own} of its own"
    if layer.step.__name__ not in ("lif_step", "alif_step"):
        return f"the dynamics of {kind.__name__} have no other kernel"
    spike = layer.spike_grad
    if type(spike) not in (*SURROGATES.values(), no_gradient):
        return "its surrogate gradient is none of srnn's"
    if layer.resets is not FEED_FORWARD_RESETS and layer.resets is not RECURRENT_RESETS:
        return f"{kind.__name__} has resets of its own"
    recurrent = getattr(layer, "recurrent", None)
    if recurrent is not None and not plain(recurrent):
        linear = isinstance(recurrent, nn.Linear)
        what = "hooks or a changed call" if linear else f"the form {type(recurrent).__name__}"
        return f"its recurrence has {what}"
    options = {
        "inhibition": layer.inhibition,
        "reset_delay=False": not layer.reset_delay,
        "state_quant": layer.state_quant,
        "graded_spikes_factor": _grades(layer.graded_spikes_factor),
        "a learned adaptation_strength": getattr(layer, "adaptation_strength", None) is not None
        and layer.adaptation_strength.requires_grad,
    }
    for option, used in options.items():
        if used:
            return f"{option} is the reference kernel's alone"
    return None


def _grades(factor: Tensor) -> bool:
    """Whether spikes are multiplied by anything but a fixed 1."""
    if factor.requires_grad:
        return True
    if torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling():
        # An exported program knows no values while it is traced: it looks when it runs.
        torch._assert_async((factor == 1).all(), "An exported layer cannot grade its spikes.")
        return False
    return not _is_one(factor)


def _odd_types(dtypes: set[torch.dtype]) -> str | None:
    if len(dtypes) > 1:
        return "input, parameters and state have different dtypes"
    dtype = next(iter(dtypes))
    if dtype in (torch.float32, torch.float64):
        return None
    return f"the numbers are {str(dtype).removeprefix('torch.')}, not float32 or float64"


def _say(message: str) -> None:
    """Log a warning, once in a process; not from a program that is being traced."""
    if not torch.compiler.is_compiling() and message not in _said:
        _said.add(message)
        logger.warning(message)


# What a program that is being traced takes as it is at that time.


@torch.compiler.assume_constant_result
def _named() -> str:
    return os.environ.get("SRNN_KERNEL", "auto")


@torch.compiler.assume_constant_result
def _missing() -> str | None:
    """Why the compiled kernel cannot run, or None if it can."""
    return library.reason()


@torch.compiler.assume_constant_result
def _description() -> str:
    return library.description()


@torch.compiler.assume_constant_result
def _changed(kind: type) -> str | None:
    """The first of those methods that a class does not have from us, or None."""
    for name in _METHODS:
        home = next(base for base in kind.__mro__ if name in vars(base))
        if not home.__module__.startswith(_OURS):
            return name
    return None


@torch.compiler.assume_constant_result
def transformed() -> bool:
    """Whether a transform of ``torch.func`` runs, whose tensors hold no numbers of their own."""
    return torch._C._functorch.peek_interpreter_stack() is not None


@torch.compiler.assume_constant_result
def _is_one(factor: Tensor) -> bool:
    return bool((factor == 1).all())
