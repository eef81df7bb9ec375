"""Hebbian short-term plasticity (HebbianSTP): every synapse remembers what fired together lately.

Beside its long-term efficacy W a synapse has a short-term one, F, which grows with the coincidence
of presynaptic and postsynaptic activity and decays from step to step, each synapse at its own
learned rate:

    G_t     = W + F_t
    n_t     = ||G_t||_2 per neuron, over all its lines, + 1e-16
    I_t     = g_t z_t + b                               g: see the table of normalisations
    F_{t+1} = Lambda (*) F + Gamma (*) (h_t p_t^T)      (*) is element-wise; F: likewise

| normalisation | g     | F that decays | afterwards                              | published use |
|---------------|-------|---------------|-----------------------------------------|---------------|
| ``"before"``  | G / n | F_t / n_t     | -                                       | ART, Pong     |
| ``"after"``   | G / n | F_t           | F_{t+1} is divided by ||W + F_{t+1}||_2 | maze          |
| ``"none"``    | G     | F_t           | -                                       | -             |

The bias is not normalised. A ``clamp`` c bounds F element-wise to [-c, c] right after it has
learned, in ``"after"`` before the division. The presynaptic term p_t is [x_t ; h_{t-1}], what was
transmitted (``recurrent="old"``), or [x_t ; h_t] (``recurrent="new"``, of the published ART
script).

| symbol | argument       | unit | default               | range   | source         |
|--------|----------------|------|-----------------------|---------|----------------|
| W, b   | -              | -    | U(-1/√H, 1/√H)        | real    | Rodriguez 2022 |
| Lambda | ``lambda_per`` | 1    | U(0, 1)               | real    | Rodriguez 2022 |
| Gamma  | ``gamma_per``  | -    | U(-0.001, 0.001) / √H | real    | Rodriguez 2022 |
| F      | -              | -    | 0                     | [-c, c] | Rodriguez 2022 |
| c      | ``clamp``      | -    | infinity              | > 0     | Rodriguez 2022 |

Lambda and Gamma are unconstrained, as published: an optimiser may take them below 0 or beyond 1.
With a normalisation the efficacies stay bounded all the same; without one they grow where Lambda
exceeds 1.

Source: Rodriguez, Guo and Moraitis 2022 (ICML), "Short-Term Plasticity Neurons Learning to Learn
and Forget", as in their code.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .plugin import Plasticity, deliver, one_of

NORMALISATIONS = ("before", "after", "none")
RECURRENT_TERMS = ("old", "new")
_EPSILON = 1e-16  # what the published code adds to a norm


class HebbianState(NamedTuple):
    """State of Hebbian synapses.

    Attributes:
        F: the short-term efficacies, [batch, neurons, lines].
    """

    F: Tensor


class HebbianParams(NamedTuple):
    """Parameters of one step.

    Attributes:
        W: long-term efficacies, [neurons, lines].
        Lambda: what F keeps over one step; one value, or [neurons, lines].
        Gamma: what a coincidence adds to F; one value, or [neurons, lines].
        bias: [neurons], or None.
        normalisation: one of :data:`NORMALISATIONS`.
        recurrent: ``"old"`` or ``"new"``, the neurons' activity that counts as presynaptic.
        clamp: bound of F; infinity for none.
    """

    W: Tensor
    Lambda: Tensor
    Gamma: Tensor
    bias: Tensor | None
    normalisation: str = "before"
    recurrent: str = "old"
    clamp: float = math.inf


def coincidence(z: Tensor, h: Tensor, recurrent: str) -> Tensor:
    """Return h p^T, the product of what neurons answered and what their synapses received.

    Args:
        z: what was transmitted, [batch, lines]; its last columns are the neurons' old activity.
        h: what the neurons answered, [batch, neurons].
        recurrent: ``"old"`` for p = z, ``"new"`` for h in place of those columns.

    Returns:
        The products, [batch, neurons, lines].
    """
    if recurrent == "new":
        z = torch.cat([z[:, : z.shape[1] - h.shape[1]], h], dim=-1)
    return h[:, :, None] * z[:, None, :]


def _norm(G: Tensor) -> Tensor:
    """The norm of each neuron's efficacies, [batch, neurons, 1]."""
    return torch.linalg.vector_norm(G, dim=-1, keepdim=True) + _EPSILON


def hebbian_efficacy(state: HebbianState, params: HebbianParams) -> tuple[Tensor, Tensor | float]:
    """Return g, [batch, neurons, lines], and the n that G was divided by, [batch, neurons, 1]."""
    G = params.W + state.F
    if params.normalisation == "none":
        return G, 1.0
    n = _norm(G)
    return G / n, n


def hebbian_transmit(
    z: Tensor, state: HebbianState, params: HebbianParams
) -> tuple[Tensor, HebbianState]:
    """Deliver presynaptic activity through Hebbian synapses.

    Args:
        z: presynaptic activity, [batch, lines].
        state: F.
        params: the parameters.

    Returns:
        The current [batch, neurons], and the F that is going to decay.
    """
    g, n = hebbian_efficacy(state, params)
    F = state.F / n if params.normalisation == "before" else state.F
    return deliver(g, z, params.bias), HebbianState(F)


def hebbian_update(
    z: Tensor, h: Tensor, state: HebbianState, params: HebbianParams
) -> HebbianState:
    """Let Hebbian synapses decay, and learn from one step.

    Args:
        z: what was transmitted, [batch, lines].
        h: what the neurons answered, [batch, neurons].
        state: the F that decays, as :func:`hebbian_transmit` has left it.
        params: the parameters.

    Returns:
        The state of the next step.
    """
    F = params.Lambda * state.F + params.Gamma * coincidence(z, h, params.recurrent)
    if params.clamp < math.inf:
        F = F.clamp(-params.clamp, params.clamp)
    if params.normalisation == "after":
        F = F / _norm(params.W + F)
    return HebbianState(F)


class HebbianSTP(Plasticity):
    """Synapses with Hebbian short-term plasticity.

    Args:
        neurons: number of neurons.
        inputs: number of input lines that the synapses cover besides.
        normalisation: ``"before"``, ``"after"`` or ``"none"``; see the table of this module.
        recurrent: whether the neurons' ``"old"`` or ``"new"`` activity counts as presynaptic.
        clamp: bound of F.
        lambda_per: one Lambda per ``"synapse"``, or one ``"scalar"`` for all.
        gamma_per: likewise for Gamma.
        bias: whether a learned bias is added to the current.

    Raises:
        ValueError: for an unknown option, a clamp that is not positive, or sizes as in
            :class:`Plasticity`.

    Example:
        >>> stp = HebbianSTP(11, inputs=37)
        >>> stp.synapses, sum(p.numel() for p in stp.parameters())
        (528, 1595)
    """

    state_type: Any = HebbianState

    def __init__(
        self,
        neurons: int,
        inputs: int = 0,
        *,
        normalisation: str = "before",
        recurrent: str = "old",
        clamp: float = math.inf,
        lambda_per: str = "synapse",
        gamma_per: str = "synapse",
        bias: bool = True,
    ) -> None:
        super().__init__(neurons, inputs, bias=bias)
        if not clamp > 0:
            raise ValueError(f"clamp must be positive, got {clamp}.")
        self.normalisation = one_of(NORMALISATIONS, normalisation=normalisation)
        self.recurrent = one_of(RECURRENT_TERMS, recurrent=recurrent)
        self.clamp = float(clamp)
        self.Lambda = nn.Parameter(torch.rand(self._shape_per(lambda_per=lambda_per)))
        self.Gamma = self._drawn(self._shape_per(gamma_per=gamma_per), scale=0.001)

    def params(self) -> HebbianParams:
        """The parameters of one step."""
        return HebbianParams(
            self.W,
            self.Lambda,
            self.Gamma,
            self.bias,
            self.normalisation,
            self.recurrent,
            self.clamp,
        )

    def initial_state(self, batch: int, like: Tensor) -> HebbianState:
        """The state before the first step: zeros."""
        return HebbianState(like.new_zeros(batch, self.neurons, self.lines))

    def transmit(
        self, z: Tensor, state: HebbianState, params: HebbianParams
    ) -> tuple[Tensor, HebbianState]:
        """Deliver presynaptic activity; see :func:`hebbian_transmit`."""
        return hebbian_transmit(z, state, params)

    def update(
        self, z: Tensor, h: Tensor, state: HebbianState, params: HebbianParams
    ) -> HebbianState:
        """Decay and learn; see :func:`hebbian_update`."""
        return hebbian_update(z, h, state, params)

    def efficacy(self, state: HebbianState, params: HebbianParams) -> Tensor:
        """g, the normalised efficacies, [batch, neurons, lines]."""
        return hebbian_efficacy(state, params)[0]

    def extra_repr(self) -> str:
        """The sizes, the normalisation and the recurrent term."""
        return f"{super().extra_repr()}, {self.normalisation!r}, {self.recurrent!r}"
