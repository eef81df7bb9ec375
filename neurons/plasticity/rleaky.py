"""snnTorch's recurrent neuron with plastic synapses (PlasticRLeaky).

    u_t = beta u_{t-1} + I_t - B S_{t-1}
    S_t = H(u_t - B)

I_t is what the plugin delivers, plus x_t where it does not cover the inputs.

Everything but the recurrent current is :class:`snntorch.RLeaky`'s; the project's own recurrent
neurons take a plugin without this wrapper.
"""

from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn

from .._given import begins
from .._registry import Registered, register
from .plugin import Plasticity, refuse_connections
from .sequence import PlasticState, plastic_step


class _Elsewhere(nn.Module):
    """Stands for the recurrent connections, whose current arrives with the input."""

    def forward(self, spikes: Tensor) -> Tensor:
        return torch.zeros_like(spikes)


class PlasticRLeaky(Registered, snn.RLeaky):
    """:class:`snntorch.RLeaky` whose recurrent connections are plastic.

    It is called as its counterpart is. The state of the synapses belongs to the layer, so a layer
    steps one stream at a time; it starts anew with ``reset_mem``, with ``snntorch.utils.reset``,
    and with a membrane of zeros given to the call, and it is detached where the membrane has been.

    Args:
        plasticity: the plugin. If it covers inputs, the layer is called with their activity,
            [batch, inputs], else with a current, [batch, neurons].
        beta: decay of the membrane.
        **rleaky: keywords of :class:`snntorch.RLeaky`, but for those of the connections.

    Raises:
        TypeError: for a keyword of the connections that the plugin replaces.

    Example:
        >>> from srnn.neurons.plasticity import HebbianSTP
        >>> layer = PlasticRLeaky(HebbianSTP(5, inputs=3), beta=0.9)
        >>> spk, mem = layer.reset_mem()
        >>> spk, mem = layer(torch.ones(2, 3), spk, mem)
        >>> spk.shape
        torch.Size([2, 5])
    """

    spk: Tensor
    mem: Tensor

    def __init__(self, plasticity: Plasticity, beta: float | Tensor, **rleaky: Any) -> None:
        refuse_connections(rleaky, "linear_features")
        super().__init__(beta, linear_features=plasticity.neurons, **rleaky)
        register(self)
        self.recurrent = _Elsewhere()
        self.plasticity = plasticity
        self._gradient_kept: bool = False
        for name in self._fields:
            self.register_buffer(f"synapse_{name}", torch.zeros(0), persistent=False)

    @property
    def _fields(self) -> tuple[str, ...]:
        return self.plasticity.state_type._fields

    @property
    def synapses(self) -> Any:
        """State of the synapses, a NamedTuple; empty tensors before the first step."""
        return self.plasticity.state_type(*(getattr(self, f"synapse_{f}") for f in self._fields))

    @synapses.setter
    def synapses(self, state: Any) -> None:
        for name, value in zip(self._fields, state, strict=True):
            setattr(self, f"synapse_{name}", value)

    def reset_mem(self) -> tuple[Tensor, Tensor]:
        """Forget everything: the spikes, the membrane and the state of the synapses."""
        self.synapses = (torch.zeros(0, device=self.mem.device),) * len(self._fields)
        return super().reset_mem()

    def forward(
        self, input_: Tensor, spk: Tensor | None = None, mem: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Advance by one step, in snnTorch's form; see the class."""
        before = self.spk if spk is None else spk
        membrane = self.mem if mem is None else mem
        shape = (len(input_), self.plasticity.neurons)
        if before.shape != shape:
            before = input_.new_zeros(shape)
        state = self.synapses
        anew = mem is not None and mem is not self.mem and begins(mem, self.mem)
        if anew or len(state[0]) != len(input_):
            state = self.plasticity.initial_state(len(input_), input_)
        elif self._gradient_kept and not membrane.requires_grad:
            state = type(state)(*(part.detach() for part in state))

        def advance(current: Tensor, spikes: Tensor, _: Any) -> tuple[Tensor, Any]:
            returned = snn.RLeaky.forward(self, current, spk, mem)
            return self.spk, returned

        _, after = plastic_step(
            input_,
            PlasticState(before, (), state),
            self.plasticity,
            self.plasticity.params(),
            advance,
        )
        self.synapses = after.synapses
        self._gradient_kept = self.mem.requires_grad
        return after.neurons
