"""Synapses with a state of their own, for any recurrent neuron."""

from .device import DeviceActivity, DeviceEnergy, DeviceProfile
from .hebbian import HebbianParams, HebbianState, HebbianSTP, hebbian_transmit, hebbian_update
from .memristive import (
    MemristiveParams,
    MemristiveSTP,
    memristive_transmit,
    memristive_update,
)
from .plugin import ActivityError, Plasticity
from .proxy import conductance_proxy
from .rleaky import PlasticRLeaky
from .sequence import PlasticState, plastic_step, restart, run
from .tanh import check_tanh, run_tanh
from .tsodyks_markram import (
    TsodyksMarkramParams,
    TsodyksMarkramState,
    TsodyksMarkramSTP,
    tsodyks_markram_transmit,
    tsodyks_markram_update,
)

__all__ = [
    "ActivityError",
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
    "check_tanh",
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
