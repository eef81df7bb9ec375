"""Non-spiking baselines: torch's recurrent layers in the place of spiking ones, and a readout.

    RNN     h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

    GRU     r_t = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
            z_t = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
            n_t = tanh(W_in x_t + b_in + r_t (W_hn h_{t-1} + b_hn))
            h_t = (1 - z_t) n_t + z_t h_{t-1}

    LSTM    i_t, f_t, o_t = sigmoid(W_i. x_t + b_i. + W_h. h_{t-1} + b_h.)
            g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
            c_t = f_t c_{t-1} + i_t g_t,   h_t = o_t tanh(c_t)

| symbol       | meaning                       | shape           | start                           |
|--------------|-------------------------------|-----------------|---------------------------------|
| x_t          | input of the layer            | [batch, m]      | -                               |
| h_t, c_t     | hidden state, cell state      | [batch, n]      | 0                               |
| W_ih         | input weights, gates stacked  | [gates n, m]    | Xavier's, gate by gate          |
| W_hh         | recurrent weights, likewise   | [gates n, n]    | orthogonal, gate by gate        |
| b_ih, b_hh   | biases                        | [gates n]       | 0; LSTM's forget gate b_if: 1   |

A layer of n units on m inputs has gates (m n + n n + 2 n) parameters; an RNN has one gate, a GRU
three and an LSTM four. Input, readout and loss are those of the spiking network, except that no
neurons stand in the readout: W_o h_t + b_o is what is reduced over time.

Sources: Elman 1990 (Cognitive Science 14); Cho et al. 2014 (EMNLP); Hochreiter and Schmidhuber 1997
(Neural Computation 9); bias of the forget gate: Jozefowicz, Zaremba and Sutskever 2015 (ICML).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .encoder import Encoder
from .network import Record
from .readout import Readout
from .states import select


class Baseline(nn.Module):
    """A non-spiking recurrent network; use one of its kinds, `RNN`, `GRU` or `LSTM`.

    It is called as :class:`srnn.SRNN` is. What its record holds of spikes is empty.

    Args:
        inputs: number of input channels.
        hidden: number of units of each hidden layer.
        classes: number of classes.
        readout: a :class:`Readout` without spiking neurons, or the name of a reduction for one
            without any neurons.
        layer: makes a layer from its numbers of inputs and units; by default torch's, of the kind.
        encoder: what stands before the layers; it is given the inputs of all steps.

    Raises:
        ValueError: for sizes below one, or a readout that counts spikes.

    Example:
        >>> net = LSTM(700, [128], 20)
        >>> logits, record = net(torch.rand(100, 8, 700))     # time, batch, channels
        >>> logits.shape, record.counts
        (torch.Size([8, 20]), ())
    """

    kind: type[nn.Module]
    """Class of the layers; an object has ``input_size`` and ``hidden_size``, as torch's have."""
    batch_dim = 1
    """Dimension of the batch in the layers' states; torch's have their number of layers first."""

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        *,
        readout: str | Readout = "mean",
        layer: Callable[[int, int], nn.Module] | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__()
        if not hidden or min(inputs, classes, *hidden) < 1:
            raise ValueError(
                "A network needs at least one channel, one unit in each of one or more hidden "
                f"layers and one class; got {inputs}, {list(hidden)} and {classes}."
            )
        make: Any = self.kind if layer is None else layer
        self.inputs = inputs
        self.encoder: Any = nn.Identity() if encoder is None else encoder
        first = inputs if encoder is None else encoder.hidden_size
        # A module for each layer, since torch's stacks have one width.
        self.layers: Any = nn.ModuleList(
            make(below, width) for below, width in pairwise([first, *hidden])
        )
        self.readout = (
            readout
            if isinstance(readout, Readout)
            else Readout(hidden[-1], classes, readout, neuron=nn.Identity())
        )
        if self.readout.spikes:
            raise ValueError(
                f"{type(self).__name__} is a non-spiking network: give it a readout without "
                "spiking neurons."
            )
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Draw the weights as the table of this module says."""
        for layer in self.layers:
            n = layer.hidden_size
            for weight in layer.weight_ih_l0.split(n):
                nn.init.xavier_uniform_(weight)
            for weight in layer.weight_hh_l0.split(n):
                nn.init.orthogonal_(weight)
            bias = nn.init.zeros_(layer.bias_ih_l0)
            nn.init.zeros_(layer.bias_hh_l0)
            if isinstance(layer, nn.LSTM):
                bias[n : 2 * n] = 1.0  # of the forget gate: a cell keeps what it has at first
        nn.init.xavier_uniform_(self.readout.projection.weight)

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
            keep_membranes: whether the record holds h_t of each layer, [time, batch, units], and
                what the encoder gives, where that of a spiking network has its membranes.

        Returns:
            The logits, [batch, classes], or [time, batch, classes] for the readout ``"stream"``;
            and the record, without spikes.

        Raises:
            ValueError: if the inputs have another shape.
        """
        if inputs.dim() != 3 or inputs.shape[-1] != self.inputs:
            raise ValueError(
                f"The network expects inputs of shape [time, batch, {self.inputs}], "
                f"got {list(inputs.shape)}."
            )
        signal = self.encoder(inputs.to(self.readout.projection.weight.dtype))
        hidden = [signal] if isinstance(self.encoder, Encoder) else []
        states = []
        for i, layer in enumerate(self.layers):
            signal, after = self._run(layer, signal, None if state is None else state[i], reset)
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

    def _run(
        self, layer: Any, signal: Tensor, state: Any, reset: Tensor | None
    ) -> tuple[Tensor, Any]:
        """Run a layer over a sequence, in the pieces between which some episode begins anew.

        A layer of torch's takes no mask.
        """
        bounds = {0, len(signal)}
        if reset is not None:
            bounds |= set(reset.any(1).nonzero().flatten().tolist())
        outputs = []
        for begin, end in pairwise(sorted(bounds)):
            if reset is not None and state is not None:
                goes_on = ~reset[begin][:, None]
                state = tuple(torch.where(goes_on, part, 0.0) for part in state)
            given: Any = state if isinstance(layer, nn.LSTM) or state is None else state[0]
            output, after = layer(signal[begin:end], given)
            outputs.append(output)
            state = after if isinstance(after, tuple) else (after,)
        assert state is not None
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs), state

    def select_state(self, state: tuple[Any, ...], places: Tensor) -> tuple[Any, ...]:
        """Take some of the sequences out of a :attr:`Record.state`: their places in the batch."""
        *layers, readout = state
        chosen = (select(part, places, self.batch_dim) for part in layers)
        return (*chosen, select(readout, places))

    def named_layers(self) -> list[tuple[str, Any]]:
        """Hidden layers and readout, by name."""
        hidden = [(f"layer{i}", layer) for i, layer in enumerate(self.layers, start=1)]
        first = [("encoder", self.encoder)] if isinstance(self.encoder, Encoder) else []
        return [*first, *hidden, ("readout", self.readout)]

    def layer_names(self) -> list[str]:
        """Names of the layers that spike: none."""
        return []

    def time_constants(self) -> dict[str, Tensor]:
        """Time constants by name, of which there are some only where the readout leaks."""
        tau = getattr(self.readout.neuron, "tau_mem", None)
        return {} if tau is None else {"readout.tau_mem": tau.tau.detach().clone().flatten()}


class RNN(Baseline):
    """Layers of tanh units; see :class:`Baseline`."""

    kind = nn.RNN


class GRU(Baseline):
    """Gated recurrent units; see :class:`Baseline`."""

    kind = nn.GRU


class LSTM(Baseline):
    """Long short-term memory; see :class:`Baseline`."""

    kind = nn.LSTM
