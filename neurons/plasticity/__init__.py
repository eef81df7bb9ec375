"""Synapses with a state of their own, for any recurrent neuron."""

from .device import DeviceActivity, DeviceEnergy, DeviceProfile
from .hebbian import HebbianParams, HebbianState, HebbianSTP, hebbian_transmit, hebbian_update
from .memristive import (
    MemristiveParams,
    MemristiveSTP,
    memristive_transmit,
    memristive_update,
)
from .plugin import Plasticity
from .proxy import conductance_proxy
from .rleaky import PlasticRLeaky
from .sequence import PlasticState, plastic_step, restart, run
from .tanh import run_tanh
from .tsodyks_markram import (
    TsodyksMarkramParams,
    TsodyksMarkramState,
    TsodyksMarkramSTP,
    tsodyks_markram_transmit,
    tsodyks_markram_update,
)

__all__ = [
    "DeviceActivity",
    "DeviceEnergy",
    "DeviceProfile",
    "HebbianParams",
    "HebbianSTP",
    "HebbianState",
    "MemristiveParams",
    "MemristiveSTP",
    "PlasticRLeaky",
    "PlasticState",
    "Plasticity",
    "TsodyksMarkramParams",
    "TsodyksMarkramSTP",
    "TsodyksMarkramState",
    "conductance_proxy",
    "hebbian_transmit",
    "hebbian_update",
    "memristive_transmit",
    "memristive_update",
    "plastic_step",
    "restart",
    "run",
    "run_tanh",
    "tsodyks_markram_transmit",
    "tsodyks_markram_update",
]
