"""The two ways to wire a spiking layer: without and with recurrent connections.

Each carries the call form of the snnTorch class that it stands for. Recurrent connections may be
plastic: a plugin then holds them in the place of snnTorch's, and its state is kept, reset and
detached as the neurons' own.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ._given import Expected, whole
from ._layer import SpikingLayer
from .plasticity.plugin import Plasticity, refuse_connections
from .plasticity.sequence import PlasticState, plastic_step
from .reset import FEED_FORWARD_RESETS, RECURRENT_RESETS


class FeedForward(SpikingLayer):
    """Wiring of :class:`snntorch.Leaky`: called with ``(input_, mem)``."""

    resets = FEED_FORWARD_RESETS

    def _set_up(
        self,
        *,
        linear_features: int | None = None,
        conv2d_channels: int | None = None,
        **keywords: Any,
    ) -> None:
        whole(1, linear_features=linear_features, conv2d_channels=conv2d_channels)
        # Before nn.Module's own start: plain numbers are safe to set by way of the instance's
        # dictionary.
        self.__dict__.update(linear_features=linear_features, conv2d_channels=conv2d_channels)
        super()._set_up(**keywords)

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Advance by one step, in snnTorch's form.

        Args:
            input_: current, [batch, neurons].
            mem: membrane of the step before, [batch, neurons]; None for the one that the layer
                kept.

        Returns:
            ``(spikes, membrane)``, or the spikes alone with ``init_hidden=True, output=False``.

        Raises:
            TypeError: if ``mem`` is given although ``init_hidden=True``.
        """
        self._refuse_states(mem)
        return self._returned(*self._step_call(input_, None, mem))


class Recurrent(SpikingLayer):
    """Wiring of :class:`snntorch.RLeaky`: called with ``(input_, spk, mem)``."""

    resets = RECURRENT_RESETS
    spk: Tensor
    V: Tensor
    recurrent: nn.Module

    plasticity: Plasticity | None

    def _set_up(
        self,
        *,
        plasticity: Plasticity | Callable[..., Plasticity] | None = None,
        plastic_inputs: int = 0,
        **keywords: Any,
    ) -> None:
        sizes = {name: keywords.get(name) for name in ("linear_features", "conv2d_channels")}
        whole(1, **sizes)
        stp = _plugin(plasticity, plastic_inputs, keywords)
        super()._set_up(**keywords)
        self.plasticity = stp
        if stp is not None:
            del self.recurrent
            for name in self._synapse_states():
                self.register_buffer(name, self.mem.new_zeros(0), persistent=False)
        if "V" in self._buffers:
            # snnTorch's fixed weights are a plain attribute here, which no conversion reaches.
            del self.recurrent.V
            self.recurrent.register_buffer("V", self.V, persistent=False)

    def _synapse_states(self) -> list[str]:
        stp = getattr(self, "plasticity", None)  # not there yet while snnTorch sets the layer up
        return [] if stp is None else [f"synapse_{name}" for name in stp.state_type._fields]

    def _hidden_states(self) -> list[str]:
        return [*super()._hidden_states(), *self._synapse_states()]

    def _hidden_start(self, like: Tensor) -> dict[str, Tensor]:
        initial = self.initial_state(like)
        start = {name: getattr(initial, name) for name in super()._hidden_states()}
        if names := self._synapse_states():
            assert self.plasticity is not None
            synapses = self.plasticity.initial_state(len(like), initial.membrane)
            start |= dict(zip(names, synapses, strict=True))
        return start

    def _like_neurons(self, input_: Tensor) -> Tensor:
        if self.plasticity is None:
            return input_
        return input_.new_empty(len(input_), self.plasticity.neurons)

    def _advance_hidden(
        self, input_: Tensor, spikes: Tensor, state: Any, params: Any, hidden: dict[str, Tensor]
    ) -> tuple[Tensor, Any, dict[str, Tensor]]:
        stp = self.plasticity
        if stp is None:
            return super()._advance_hidden(input_, spikes, state, params, hidden)
        names = self._synapse_states()
        synapses = stp.state_type(*(hidden[name] for name in names))

        def advance(current: Tensor, spikes: Tensor, state: Any) -> tuple[Tensor, Any]:
            return self._advance(current, spikes, state, params)

        before = PlasticState(spikes, state, synapses)
        spikes, after = plastic_step(input_, before, stp, stp.params(), advance)
        own = {name: getattr(after.neurons, name) for name in hidden if name not in names}
        return spikes, after.neurons, own | dict(zip(names, after.synapses, strict=True))

    def _expects(self) -> Expected:
        stp = self.plasticity
        if stp is None:
            return super()._expects()
        if stp.inputs:
            return Expected("an input", (stp.inputs,), exact=True)
        return Expected("a current", (stp.neurons,), exact=True)

    def _share_fixed_weights(self) -> None:
        if "V" in self._buffers:
            self.recurrent.V = self.V

    def _apply(self, *args: Any, **keywords: Any) -> Any:
        super()._apply(*args, **keywords)
        self._share_fixed_weights()
        return self

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._share_fixed_weights()

    def _recurrent_current(self, spikes: Tensor) -> Tensor | None:
        # What plastic synapses deliver is part of the input already.
        return None if self.plasticity is not None else self.recurrent(spikes)

    def forward(
        self, input_: Tensor, spk: Tensor | None = None, mem: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Advance by one step, in snnTorch's form.

        Args:
            input_: current, [batch, neurons], before the recurrent part; the activity of the
                inputs, [batch, channels], where plastic synapses cover them.
            spk: spikes of the step before, [batch, neurons]; None for those that the layer kept.
            mem: membrane of the step before, [batch, neurons]; None for the one that the layer
                kept.

        Returns:
            ``(spikes, membrane)``, or the spikes alone with ``init_hidden=True, output=False``.

        Raises:
            TypeError: if a state is given although ``init_hidden=True``.
        """
        self._refuse_states(spk, mem)
        spk, mem = self._step_call(input_, self.spk if spk is None else spk, mem)
        self._keep("spk", spk)
        return self._returned(spk, mem)


def _plugin(given: Any, inputs: int, keywords: dict[str, Any]) -> Plasticity | None:
    """Make the plugin of what a user gave, and see to it that it fits the layer.

    Args:
        given: a plugin, or what makes one of the numbers of neurons and inputs, or None.
        inputs: number of input lines to cover.
        keywords: those of the layer; a plugin that is given whole says how many neurons there are.
    """
    if given is None:
        if inputs:
            raise ValueError("plastic_inputs counts inputs of a plasticity: give one, or neither.")
        return None
    refuse_connections(keywords)
    made = isinstance(given, Plasticity)
    if not made and not callable(given):
        raise TypeError(f"plasticity must be a plugin or a class of them, got {given!r}.")
    neurons = keywords.setdefault("linear_features", given.neurons if made else None)
    if neurons is None:
        raise TypeError("Plastic synapses are made for a number of neurons: give linear_features.")
    stp: Plasticity = given if made else given(neurons, inputs)
    if stp.neurons != neurons or (inputs and stp.inputs != inputs):
        raise ValueError(
            f"The plasticity is made for {stp.neurons} neurons and {stp.inputs} inputs, the layer "
            f"for {neurons} and {inputs}."
        )
    return stp
