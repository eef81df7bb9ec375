"""Measuring a network over batches: operations, spikes and footprint in one pass."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from srnn.states import reset

from .calls import Call, Kind
from .footprint import Footprint
from .guard import Frame
from .layers import kind_of
from .meters import LayerSpikes, SpikeMeter, SynOpMeter, Tally, refuse_batch_first
from .watch import Watch

Step = Callable[[Any, Tensor], Any]
_INPUT = "synapses"
"""The term of products with what a layer is given."""


@dataclass
class Measurement(Tally):
    """What a network did over some batches.

    Attributes:
        spikes: of every layer that can fire, by name.
        steps: number of time steps of a sequence, on average.
        footprint: what the network keeps.
    """

    spikes: dict[str, LayerSpikes]
    steps: float
    footprint: Footprint

    @property
    def spikes_per_sample(self) -> float:
        """Spikes of all layers a sample."""
        return sum(layer.per_sample for layer in self.spikes.values())

    @property
    def rate(self) -> float:
        """Mean firing rate of all neurons; 0 for a network without any."""
        sent = sum(layer.sent for layer in self.spikes.values())
        return sum(layer.spikes for layer in self.spikes.values()) / max(sent, 1)

    def share(self, per: str) -> float:
        """The part of a sample that is told: all of it, or, per "step", the mean of its steps."""
        return 1 / self.steps if per == "step" else 1.0

    def without_input(self) -> Self:
        """The same, less the products with what the network is given.

        Those are products of the first layer that multiplies its inputs; its recurrence, its biases
        and its neurons stay.

        Raises:
            ValueError: if no layer multiplies its inputs.
        """
        for name, layer in self.layers.items():
            if _INPUT in layer.terms:
                rest = {term: count for term, count in layer.terms.items() if term != _INPUT}
                layers = self.layers | {name: replace(layer, terms=rest)}
                if not rest:
                    del layers[name]
                return replace(self, layers=layers)
        raise ValueError("There is no input layer: none multiplies its inputs by weights.")


def measure(
    network: nn.Module,
    batches: Iterable[Any],
    *,
    step: Step | None = None,
    timewise: bool = False,
) -> Measurement:
    """Run a network over batches and count what it does.

    It runs in evaluation mode and without gradients; every batch starts from the initial state,
    which is also what the network is left in, in the mode that it had.

    Args:
        network: any network of layers that the meters know.
        batches: inputs [time, batch, ...], or pairs or other tuples that begin with them; they are
            moved to the device of the network.
        step: runs a network that is stepped by hand, ``step(network, inputs)``; by default
            ``network(inputs)``. It counts as part of the network: its own arithmetic is refused.
        timewise: whether to keep time steps apart.

    Returns:
        The counts.

    Raises:
        UncountedError: if a part of the network cannot be counted.
        ValueError: if there is no batch, or one has fewer than two dimensions; if a layer has
            ``batch_first``; if time steps are
            to be kept apart in a layer that does not run once for each.
    """
    refuse_batch_first(network.modules())
    synops, spikes = SynOpMeter(network, timewise=timewise), SpikeMeter(network)
    modes = [(part, part.training) for part in network.modules()]
    device = next((p.device for p in network.parameters()), None)
    steps = 0

    def see(kind: Kind, call: Call) -> None:
        synops.see(kind, call)
        spikes.see(kind, call)

    watch = Watch(network, kind_of, see, timewise=timewise)
    network.eval()
    try:
        with torch.no_grad(), watch:
            for batch in batches:
                inputs = (batch if isinstance(batch, Tensor) else batch[0]).to(device)
                if inputs.dim() < 2:
                    raise ValueError(
                        "measure needs inputs of shape [time, batch, ...], got "
                        f"{list(inputs.shape)}."
                    )
                reset(network)
                if step is None:
                    network(inputs)
                else:
                    with watch.running_as(Frame("step", "what you gave", False)):
                        step(network, inputs)
                if timewise:
                    synops.check_time(len(inputs))
                for meter in (synops, spikes):
                    meter.begin()
                synops.samples += inputs.shape[1]
                steps += inputs.shape[0] * inputs.shape[1]
    finally:
        reset(network)
        for part, training in modes:
            part.training = training
    if not synops.samples:
        raise ValueError("measure needs at least one batch with at least one sample.")
    neurons = {name: layer.neurons.numel() for name, layer in spikes.layers.items()}
    return Measurement(
        layers=synops.layers,
        samples=synops.samples,
        spiking=synops.spiking,
        timewise=timewise,
        spikes=spikes.layers,
        steps=steps / synops.samples,
        footprint=Footprint.of(network, neurons),
    )
