"""Published networks, loaded into :class:`srnn.SRNN`.

The ECG network of Yin, Corradi and Bohté (ICONS 2020; published as ``model_0.853338_36_New.pth``):
36 recurrent units without adaptation, six adaptive output neurons without recurrence, and the class
of every time step read from the output membranes. The file holds weights and the adaptation's time
constants. What it leaves out is in the authors' code and stands here: b_0 = 0.01, tau_mem = 20
steps for all neurons, adaptation strength 1.8 for the output neurons, whose adaptation starts at
b_0.
"""

import struct
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from srnn.neurons import ALIF, RLIF, TimeConstant

from .network import SRNN
from .readout import Readout

_SHAPES = {
    "tau_adp_h": (36,),  # unused: the hidden units do not adapt
    "tau_adp_o": (6,),
    "i2h.weight": (36, 4),
    "i2h.bias": (36,),
    "h2h.weight": (36, 36),
    "h2h.bias": (36,),
    "h2o.weight": (6, 36),
    "h2o.bias": (6,),
}


UNREADABLE = (
    *(RuntimeError, EOFError, UnpicklingError, ValueError, LookupError, TypeError),
    *(AttributeError, struct.error),
)
"""What torch.load raises for a file that is no checkpoint, or one of something else."""


def _read(path: str | Path) -> dict[str, Tensor]:
    """Read the published state dict, and nothing else."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise ValueError(
            f"{path} is not the published ECG network: torch cannot read it."
        ) from error
    entries = weights.items() if isinstance(weights, dict) else ()
    found = {name: tuple(value.shape) for name, value in entries if isinstance(value, Tensor)}
    if found != _SHAPES:
        raise ValueError(f"{path} is not the published ECG network: its tensors are {found}.")
    return weights


def ecg_icons2020(path: str | Path) -> SRNN:
    """Load the published ECG network.

    Args:
        path: the published state dict, read with ``weights_only=True``.

    Returns:
        A network from [time, batch, 4] level-crossing events to [time, batch, 6] output membranes,
        whose argmax is the class of each step. From the zero state it scores 151402 of the 182031
        scored steps of the QTDB test set; the notebook's 85.4 % comes from a random initial state.

    Raises:
        ValueError: if the file holds something else.
    """
    weights = _read(path)

    def fixed(tau: Tensor) -> TimeConstant:
        constant = TimeConstant(1.0, len(tau), parametrization="raw", learn=False)
        constant.assign(tau)
        return constant

    output = ALIF(
        tau_mem=fixed(torch.full((6,), 20.0)),
        tau_adapt=fixed(weights["tau_adp_o"]),
        adaptation_strength=1.8,
        initial_adaptation="threshold",
        threshold=0.01,
        linear_features=6,
    )
    network = SRNN(
        4,
        [36],
        6,
        neuron=RLIF,
        readout=Readout(36, 6, "stream", neuron=output),
        tau_mem=fixed(torch.full((36,), 20.0)),
        threshold=0.01,
    )
    (hidden,) = network.layers
    linears = {
        "i2h": hidden.projection,
        "h2h": hidden.neuron.recurrent,
        "h2o": network.readout.projection,
    }
    with torch.no_grad():
        for name, linear in linears.items():
            linear.weight.copy_(weights[f"{name}.weight"])
            linear.bias.copy_(weights[f"{name}.bias"])
    return network
