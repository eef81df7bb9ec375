"""The short-term plasticity network (STPN): tanh units whose every synapse is plastic.

    z_t = [x_t ; h_{t-1}]
    h_t = tanh(I_t)                                     I_t and what the synapses learn:
                                                        srnn.neurons.plasticity.hebbian
    h_0 = 0, F_0 = 0                                    for each sequence, or episode

The units do not spike: h is what they send, and what is read out. Other synapses, such as
`MemristiveSTP`, can take the place of the Hebbian ones. With those a layer of H units on I inputs
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

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from srnn.neurons.kernels.reference import check_reset
from srnn.neurons.plasticity import HebbianSTP, Plasticity, PlasticState, check_tanh, run_tanh

from .baselines import Baseline
from .encoder import Encoder
from .readout import Readout


class STPNLayer(nn.Module):
    """Layer of short-term plasticity units.

    Args:
        inputs: number of inputs.
        units: number of units.
        plasticity: class of the synapses.
        **synapses: its keywords.

    Raises:
        ValueError: for sizes below one, or options that the synapses refuse.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        plasticity: Callable[..., Plasticity] = HebbianSTP,
        **synapses: Any,
    ) -> None:
        super().__init__()
        self.input_size = inputs
        self.hidden_size = units
        self.plasticity = plasticity(units, inputs, **synapses)
        check_tanh(self.plasticity)

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
        before = self.initial_state(inputs.shape[1], inputs) if state is None else state
        return run_tanh(inputs, before, reset, self.plasticity)


class STPN(Baseline):
    """Short-term plasticity network; called as :class:`srnn.SRNN` is.

    What its record holds of spikes is empty.

    Args:
        inputs: number of input channels.
        hidden: number of units of each hidden layer.
        classes: number of classes.
        readout: a :class:`Readout` without spiking neurons, or the name of a reduction for one
            without any neurons.
        encoder: what stands before the layers.
        **synapses: ``plasticity``, the class of the synapses
            (:class:`srnn.neurons.plasticity.HebbianSTP`), and its keywords: ``normalisation``,
            ``recurrent``, ``clamp``, ...

    Raises:
        ValueError: for sizes below one, a readout that counts spikes, or options that the synapses
            refuse.

    Example:
        >>> import torch
        >>> net = STPN(37, [11], 37)
        >>> sum(p.numel() for p in net.parameters())
        2039
        >>> logits, record = net(torch.rand(9, 8, 37))     # time, batch, channels
        >>> logits.shape
        torch.Size([8, 37])
    """

    kind = STPNLayer
    batch_dim = 0

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        *,
        readout: str | Readout = "last",
        encoder: Encoder | None = None,
        **synapses: Any,
    ) -> None:
        layer = partial(STPNLayer, **synapses)
        super().__init__(inputs, hidden, classes, readout=readout, layer=layer, encoder=encoder)

    def _initialise(self) -> None:
        """Leave the parameters as their modules draw them, as published."""

    def _run(
        self, layer: Any, signal: Tensor, state: Any, reset: Tensor | None
    ) -> tuple[Tensor, Any]:
        """Run a layer over a sequence."""
        return layer(signal, state, reset=reset)
