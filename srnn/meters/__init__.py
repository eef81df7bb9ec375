"""Meters: what a network computes, what that would cost, and how much it spikes.

    >>> import torch
    >>> from srnn import SRNN
    >>> from srnn.meters import PROFILES, energy, measure, table
    >>> net = SRNN(20, [32], 4)
    >>> measurement = measure(net, [torch.rand(50, 8, 20).round()])     # [time, batch, channels]
    >>> total = measurement.per_sample()                                # Ops, as floats
    >>> total.ac > 0 and total.mac > 0 and total.dense > total.ac
    True
    >>> estimate = energy(measurement, PROFILES["45nm-fp32-sram"])      # pJ a sample
    >>> print(table({"SRNN": measurement}).markdown())  # doctest: +SKIP

**Measuring**

- ``measure(network, batches, *, step=None, timewise=False) -> Measurement``: runs the batches in
  evaluation, without gradients, every batch from the initial state.
- ``SynOpMeter(module, *, timewise=False)``: a context manager around calls of the module, ``with
  SynOpMeter(net) as meter: net(x)``; then ``meter.total()``, ``meter.per_sample()``,
  ``meter.layers``, ``meter.over_time()``. ``SpikeMeter(module)`` likewise: ``meter.layers``.
- ``Measurement``: ``layers`` (name -> ``LayerOps``: ``kind``, ``terms``, ``total(convention)``),
  ``spikes`` (name -> ``LayerSpikes``: ``per_sample``, ``per_neuron``, ``rate``,
  ``active_fraction``, ``sparsity``), ``samples``, ``steps``, ``spiking``, ``footprint``,
  ``spikes_per_sample``, ``rate``, ``total(convention)``, ``per_sample(convention)``,
  ``over_time(convention)``.
- ``Ops``: ``ac``, ``mac``, ``dense``, ``words``.
- ``Footprint.of(module)``: ``parameters``, ``nonzero``, ``states``, ``bytes``.

**Estimating**

- ``Convention``: which terms count, and whether zeros in the input are skipped: ``EVENT_DRIVEN``
  (the default), ``DENSE``, and ``FOLDED``, that of the published ratios; ``CONVENTIONS`` by name.
- ``EnergyProfile``, ``PROFILES`` (by name), ``DEFAULT_PROFILE``, ``EnergyProfile.from_yaml(path)``;
  ``profile.sized(footprint)``: with the memory that a network needs, where that is to count.
- ``energy(measurement, profile, convention=EVENT_DRIVEN) -> Energy``: ``layers`` (name -> pJ a
  sample), ``total``, ``over_time`` (pJ of every step, or None); ``ESTIMATE`` says what it leaves
  out.
- ``table(measurements, profiles=..., ...) -> Table``: a row for every network;
  ``layer_table(measurement, profiles=...) -> Table``: a row for every layer. ``Table``:
  ``columns``, ``rows``, ``markdown()``, ``csv()``, ``rich()``; ``wandb.Table(columns=t.columns,
  data=t.rows)``.

- ``device_proxy(network, batches) -> float``: the measure of the STPN paper, in its own unit.
- ``DeviceMeter(module)``: a context manager; what simulated memristors do, for a ``DeviceProfile``.

**Measuring joules** (``--measure-energy``)

- ``joule_meter(device="cpu") -> JouleMeter``: RAPL, or NVML for ``"cuda:0"``; ``NoJoulesError``
  says why there is none. ``with meter: ...``, then ``meter.joules``; ``meter.source`` for reports.

**Teaching**: ``register(module_class, count)`` for a module of your own. A module or operation
that no meter knows is an error, ``UncountedError``, that names it. Conventions: docs/energy.md.
"""

from .calls import Call
from .devices import DeviceMeter
from .energy import (
    DEFAULT_PROFILE,
    ESTIMATE,
    MEMORY_LEVELS,
    PROFILES,
    Energy,
    EnergyProfile,
    energy,
)
from .errors import UncountedError
from .footprint import Footprint
from .joules import JouleMeter, NoJoulesError, joule_meter
from .layers import register
from .measure import Measurement, measure
from .meters import LayerOps, LayerSpikes, SpikeMeter, SynOpMeter, Tally
from .proxy import device_proxy
from .table import Table, layer_table, table
from .terms import CONVENTIONS, DENSE, EVENT_DRIVEN, FOLDED, Convention, Ops, Term, products, work

__all__ = [
    "CONVENTIONS",
    "DEFAULT_PROFILE",
    "DENSE",
    "ESTIMATE",
    "EVENT_DRIVEN",
    "FOLDED",
    "MEMORY_LEVELS",
    "PROFILES",
    "Call",
    "Convention",
    "DeviceMeter",
    "Energy",
    "EnergyProfile",
    "Footprint",
    "JouleMeter",
    "LayerOps",
    "LayerSpikes",
    "Measurement",
    "NoJoulesError",
    "Ops",
    "SpikeMeter",
    "SynOpMeter",
    "Table",
    "Tally",
    "Term",
    "UncountedError",
    "device_proxy",
    "energy",
    "joule_meter",
    "layer_table",
    "measure",
    "products",
    "register",
    "table",
    "work",
]
