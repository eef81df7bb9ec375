"""The two ways to wire a spiking layer: without and with recurrent connections.

Each carries the call form of the snnTorch class that it stands for.
"""

from typing import Any

from torch import Tensor, nn

from ._layer import SpikingLayer
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

    def _set_up(self, **keywords: Any) -> None:
        super()._set_up(**keywords)
        if "V" in self._buffers:
            # snnTorch's fixed weights are a plain attribute here, which no conversion reaches.
            del self.recurrent.V
            self.recurrent.register_buffer("V", self.V, persistent=False)

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

    def _recurrent_current(self, spikes: Tensor) -> Tensor:
        return self.recurrent(spikes)

    def forward(
        self, input_: Tensor, spk: Tensor | None = None, mem: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Advance by one step, in snnTorch's form.

        Args:
            input_: current, [batch, neurons], before the recurrent part.
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
