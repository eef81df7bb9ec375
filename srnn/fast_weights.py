"""The recurrent network with fast weights of Ba et al., a non-spiking baseline with a short memory.

    a_t     = W h_{t-1} + C x_t + b
    h^0_t   = tanh(a_t)
    h^s+1_t = tanh(LN(a_t + A_t h^s_t)),  s = 0, ..., S - 1        h_t = h^S_t
    A_{t+1} = lambda A_t + eta h_t h_t^T

Fast weights attend to the recent past: A_t h = eta sum_k lambda^{k-1} h_{t-k} (h_{t-k} . h), the
past states weighted by how much they are like h.

| symbol  | meaning                   | shape          | start or value  | source                |
|---------|---------------------------|----------------|-----------------|-----------------------|
| x_t     | input of the layer        | [batch, m]     | -               | -                     |
| h_t     | hidden state              | [batch, n]     | 0               | Ba                    |
| A_t     | fast weights              | [batch, n, n]  | 0               | Ba                    |
| W, C, b | slow weights, bias        | [n, n + m + 1] | U(+- 1/sqrt(n)) | Rodriguez, as its RNN |
| LN      | layer norm, gain, shift   | 2 [n]          | 1, 0            | Ba                    |
| lambda  | decay of the fast weights | 0 to 1         | 0.9, fixed      | Rodriguez             |
| eta     | their learning rate       | 0 or more      | 0.5, fixed      | Rodriguez             |
| S       | inner steps               | 1 or more      | 1               | Rodriguez             |

A layer has n n + n m + 3 n parameters. Its fast weights follow one rule with two fixed numbers;
short-term plasticity (STPN) learns the decay and the rate of every synapse.

Sources: Ba, Hinton, Mnih, Leibo and Ionescu 2016 (NIPS); values as in the comparison of Rodriguez,
Guo and Moraitis 2022 (ICML).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .baselines import Baseline


class FastWeightsState(NamedTuple):
    """State between two steps.

    Attributes:
        hidden: h_t, [batch, units].
        fast: A_{t+1}, [batch, units, units].
    """

    hidden: Tensor
    fast: Tensor


class FastWeightsParams(NamedTuple):
    """What a step needs besides its input and state.

    Attributes:
        W: recurrent slow weights, [units, units].
        gain: of the layer norm, [units].
        shift: of the layer norm, [units].
        decay: lambda.
        rate: eta.
        inner_steps: S.
    """

    W: Tensor
    gain: Tensor
    shift: Tensor
    decay: float
    rate: float
    inner_steps: int


def fast_weights_step(
    current: Tensor, state: FastWeightsState, params: FastWeightsParams
) -> tuple[Tensor, FastWeightsState]:
    """Advance by one step.

    Args:
        current: C x_t + b, [batch, units].
        state: after the step before.
        params: of the layer.

    Returns:
        h_t, [batch, units], and the state after the step.
    """
    A = state.fast
    a = current + state.hidden @ params.W.T
    h = torch.tanh(a)
    for _ in range(params.inner_steps):
        recalled = (A @ h[:, :, None])[:, :, 0]
        h = torch.tanh(functional.layer_norm(a + recalled, h.shape[1:], params.gain, params.shift))
    A = params.decay * A + params.rate * h[:, :, None] * h[:, None, :]
    return h, FastWeightsState(h, A)


class FastWeightsLayer(nn.Module):
    """A layer of tanh units with fast recurrent weights, called as :class:`torch.nn.RNN` is.

    Args:
        inputs: number of input channels.
        units: number of units.
        decay: lambda, 0 to 1.
        rate: eta, at least 0.
        inner_steps: S, at least 1.

    Raises:
        ValueError: for a value outside its range.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        decay: float = 0.9,
        rate: float = 0.5,
        inner_steps: int = 1,
    ) -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise ValueError(f"The decay of fast weights lies between 0 and 1, got {decay}.")
        if rate < 0:
            raise ValueError(f"The rate of fast weights cannot be negative, got {rate}.")
        if inner_steps < 1:
            raise ValueError(f"Fast weights need one inner step or more, got {inner_steps}.")
        self.input_size = inputs
        self.hidden_size = units
        self.decay = decay
        self.rate = rate
        self.inner_steps = inner_steps
        self.projection = nn.Linear(inputs, units)
        self.recurrent = nn.Linear(units, units, bias=False)
        self.norm = nn.LayerNorm(units)
        bound = units**-0.5
        for parameter in (*self.projection.parameters(), self.recurrent.weight):
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a sequence, or over the next piece of it.

        Args:
            inputs: [time, batch, channels].
            state: where the piece before stopped; None, or zeros, at the beginning.

        Returns:
            h_t of every step, [time, batch, units], and the state: h_t and A_{t+1}, row by row, in
            one tensor [batch, units + units * units], as `torch.nn.RNN` has one.
        """
        n = self.hidden_size
        if state is None:
            state = inputs.new_zeros(inputs.shape[1], n + n * n)
        now = FastWeightsState(state[:, :n], state[:, n:].unflatten(1, (n, n)))
        params = FastWeightsParams(
            self.recurrent.weight,
            self.norm.weight,
            self.norm.bias,
            self.decay,
            self.rate,
            self.inner_steps,
        )
        outputs = []
        for current in self.projection(inputs).unbind(0):
            h, now = fast_weights_step(current, now, params)
            outputs.append(h)
        return torch.stack(outputs), torch.cat([now.hidden, now.fast.flatten(1)], 1)

    def extra_repr(self) -> str:
        """What is fixed."""
        return f"decay={self.decay}, rate={self.rate}, inner_steps={self.inner_steps}"


class FastWeights(Baseline):
    """Layers with fast weights, with the values of the comparison; see :class:`srnn.RNN`.

    Example:
        >>> from srnn import Readout
        >>> net = FastWeights(37, [20], 37, readout=Readout(20, 37, "last", neuron=nn.Identity()))
        >>> logits, _ = net(torch.rand(9, 8, 37))     # time, batch, channels
        >>> logits.shape, sum(parameter.numel() for parameter in net.parameters())
        (torch.Size([8, 37]), 1977)
    """

    kind: Any = FastWeightsLayer
    batch_dim = 0

    def _initialise(self) -> None:
        """Leave the weights as their modules draw them, as in the comparison."""
