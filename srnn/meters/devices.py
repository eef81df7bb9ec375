"""What the simulated memristors of a network do while it runs, for an estimate of what they draw.

    >>> import torch
    >>> from srnn.neurons.plasticity import DeviceProfile, MemristiveSTP
    >>> from srnn.stpn import STPN
    >>> net = STPN(20, [16], 4, plasticity=MemristiveSTP, dt=0.05)
    >>> with DeviceMeter(net) as devices:
    ...     _ = net(torch.rand(50, 8, 20))
    >>> energy = DeviceProfile().energy(devices.total())    # joules, of all 8 samples
    >>> energy.bias > energy.updates
    True

What a device does, and which of it anybody has measured, is in
:mod:`srnn.neurons.plasticity.device`. Nothing here is added to the energies of a profile: those are
of digital hardware.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, Self

from torch import nn

from srnn.neurons.plasticity import DeviceActivity, MemristiveSTP


class DeviceMeter:
    """A context manager that adds up what devices do.

    Args:
        module: any network.

    Attributes:
        layers: the activity of every :class:`MemristiveSTP`, by its name within the module.
        products: how often a device was read, summed over devices: products of a weight and an
            activity, zeros included.
    """

    def __init__(self, module: nn.Module) -> None:
        self._parts = {
            name: part for name, part in module.named_modules() if isinstance(part, MemristiveSTP)
        }
        self.layers = dict.fromkeys(self._parts, DeviceActivity())
        self.products = 0
        self._before: dict[str, Any] = {}

    def __enter__(self) -> Self:
        for name, part in self._parts.items():
            self._before[name] = part.__dict__.get("update")
            part.__dict__["update"] = self._looking_on(name, part, part.update)
        return self

    def __exit__(self, *error: Any) -> None:
        for name, before in self._before.items():
            if before is None:
                del self._parts[name].__dict__["update"]
            else:
                self._parts[name].__dict__["update"] = before
        self._before = {}

    def _looking_on(
        self, name: str, part: MemristiveSTP, update: Callable[..., Any]
    ) -> Callable[..., Any]:
        def looked_at(z: Any, h: Any, state: Any, params: Any) -> Any:
            done = part.activity(z, h, state, params)
            self.layers[name] = self.layers[name].plus(done)
            self.products += len(z) * part.synapses
            return update(z, h, state, params)

        return looked_at

    def total(self) -> DeviceActivity:
        """The activity of all devices."""
        return reduce(DeviceActivity.plus, self.layers.values(), DeviceActivity())

    @property
    def synapses(self) -> int:
        """How many devices there are."""
        return sum(part.synapses for part in self._parts.values())
