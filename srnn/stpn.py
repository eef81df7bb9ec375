"""The short-term plasticity network (STPN): tanh units whose every synapse has Hebbian plasticity.

    z_t = [x_t ; h_{t-1}]
    h_t = tanh(I_t)                                     I_t and what the synapses learn:
                                                        srnn.neurons.plasticity.hebbian
    h_0 = 0, F_0 = 0                                    for each sequence, or episode

The units do not spike: h is what they send, and what is read out. A layer of H units on I inputs
has 3 H (I + H) + H parameters, W, Lambda, Gamma and b; its state is as large as its weights, for
each sequence of a batch.

| symbol | shape         | start | meaning                          |
|--------|---------------|-------|----------------------------------|
| x      | [batch, I]    | -     | input of the layer               |
| h      | [batch, H]    | 0     | activity, between -1 and 1       |
| F      | [batch, H, N] | 0     | short-term efficacies, N = I + H |

Source: Rodriguez, Guo and Moraitis 2022 (ICML), "Short-Term Plasticity Neurons Learning to Learn
and Forget".
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from srnn.neurons.kernels.reference import check_reset
from srnn.neurons.plasticity import HebbianSTP, PlasticState, run

from .network import Record
from .readout import Readout


def _tanh(current: Tensor, h: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
    """One step of the units, which have no state of their own but h."""
    return torch.tanh(current), state


class STPNLayer(nn.Module):
    """Layer of short-term plasticity units.

    Args:
        inputs: number of inputs.
        units: number of units.
        **synapses: keywords of :class:`srnn.neurons.plasticity.HebbianSTP`.

    Raises:
        ValueError: for sizes below one, or as in :class:`srnn.neurons.plasticity.HebbianSTP`.
    """

    def __init__(self, inputs: int, units: int, **synapses: Any) -> None:
        super().__init__()
        self.plasticity = HebbianSTP(units, inputs, **synapses)

    def initial_state(self, batch: int, like: Tensor) -> PlasticState:
        """The state before the first step: zeros."""
        h = like.new_zeros(batch, self.plasticity.neurons)
        return PlasticState(h, (), self.plasticity.initial_state(batch, like))

    def forward(
        self, inputs: Tensor, state: PlasticState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, PlasticState]:
        """Run over a sequence, or the next piece of one.

        Args:
            inputs: [time, batch, inputs].
            state: where to start from; None for the initial state.
            reset: mask [time, batch] of steps before which the state is put to its initial value.

        Returns:
            The activity of every step [time, batch, units], and the final state.

        Raises:
            ValueError: if a shape does not fit.
        """
        if inputs.dim() != 3 or inputs.shape[-1] != self.plasticity.inputs:
            raise ValueError(
                f"The layer expects inputs of shape [time, batch, {self.plasticity.inputs}], "
                f"got {list(inputs.shape)}."
            )
        check_reset(reset, inputs.shape)
        initial = self.initial_state(inputs.shape[1], inputs)
        before = initial if state is None else state
        return run(inputs, before, initial, reset, self.plasticity, _tanh)


class STPN(nn.Module):
    """Short-term plasticity network; called as :class:`srnn.SRNN` is.

    What its record holds of spikes is empty.

    Args:
        inputs: number of input channels.
        hidden: number of units of each hidden layer.
        classes: number of classes.
        readout: a :class:`Readout` without spiking neurons, or the name of a reduction for one
            without any neurons.
        **synapses: keywords of :class:`srnn.neurons.plasticity.HebbianSTP`: ``normalisation``,
            ``recurrent``, ``clamp``, ...

    Raises:
        ValueError: for sizes below one, a readout that counts spikes, or options that the synapses
            refuse.

    Example:
        >>> net = STPN(37, [11], 37)
        >>> sum(p.numel() for p in net.parameters())
        2039
        >>> logits, record = net(torch.rand(9, 8, 37))     # time, batch, channels
        >>> logits.shape
        torch.Size([8, 37])
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        *,
        readout: str | Readout = "last",
        **synapses: Any,
    ) -> None:
        super().__init__()
        if not hidden or min(inputs, classes, *hidden) < 1:
            raise ValueError(
                "A network needs at least one channel, one unit in each of one or more hidden "
                f"layers and one class; got {inputs}, {list(hidden)} and {classes}."
            )
        self.layers: Any = nn.ModuleList(
            STPNLayer(below, width, **synapses) for below, width in pairwise([inputs, *hidden])
        )
        self.readout = (
            readout
            if isinstance(readout, Readout)
            else Readout(hidden[-1], classes, readout, neuron=nn.Identity())
        )
        if self.readout.spikes:
            raise ValueError(
                "STPN is a non-spiking network: give it a readout without spiking neurons."
            )

    def forward(
        self,
        inputs: Tensor,
        state: tuple[Any, ...] | None = None,
        *,
        reset: Tensor | None = None,
        keep_membranes: bool = False,
    ) -> tuple[Tensor, Record]:
        """Run over a batch of sequences, or over the next piece of it.

        Args:
            inputs: [time, batch, channels].
            state: ``record.state`` of the piece before; None at the beginning.
            reset: mask [time, batch] of steps that begin a new episode (readout ``"stream"`` only).
            keep_membranes: whether the record holds the activity of each layer, [time, batch,
                units], where that of a spiking network has its membranes.

        Returns:
            The logits, [batch, classes], or [time, batch, classes] for the readout ``"stream"``;
            and the record, without spikes.

        Raises:
            ValueError: if a shape does not fit.
        """
        signal = inputs.to(self.readout.projection.weight.dtype)
        states: list[Any] = []
        hidden = []
        for i, layer in enumerate(self.layers):
            signal, after = layer(signal, None if state is None else state[i], reset=reset)
            hidden.append(signal)
            states.append(after)
        before = None if state is None else state[-1]
        logits, after, _ = self.readout(signal, before, reset=reset)
        return logits, Record(
            counts=(),
            steps=len(inputs),
            state=(*states, after),
            membranes=tuple(hidden) if keep_membranes else None,
        )

    def named_layers(self) -> list[tuple[str, Any]]:
        """Hidden layers and readout, by name."""
        hidden = [(f"layer{i}", layer) for i, layer in enumerate(self.layers, start=1)]
        return [*hidden, ("readout", self.readout)]

    def layer_names(self) -> list[str]:
        """Names of the layers that spike: none."""
        return []

    def time_constants(self) -> dict[str, Tensor]:
        """Time constants by name, of which there are some only where the readout leaks."""
        tau = getattr(self.readout.neuron, "tau_mem", None)
        return {} if tau is None else {"readout.tau_mem": tau.tau.detach().clone().flatten()}
