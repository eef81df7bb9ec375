"""The measure of the STPN paper over a network: what its synapses would draw as conductances.

    E_t = sum over layers, units i and lines j of |g_ij| z_j²       z = [x_t ; h_{t-1}]

| layer                   | g                                                              |
|-------------------------|----------------------------------------------------------------|
| RNN, GRU, LSTM          | the weights, those of all gates                                |
| STPN                    | the efficacies before they are updated, divided by their norms |
| fast weights            | the slow weights, and in each inner step A_t with z = h^s_t    |
| `Layer`, without a norm | projection and recurrent weights, or the efficacies            |

The unit is arbitrary, see :mod:`srnn.neurons.plasticity.proxy`: it is never an energy. Readouts,
biases, gates and the updates of synapses are left out, as they were.

Source: Rodriguez, Guo and Moraitis 2022 (ICML), as in their code.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from srnn.fast_weights import FastWeightsLayer
from srnn.network import Layer
from srnn.neurons.plasticity import conductance_proxy
from srnn.stpn import STPNLayer

from .errors import UncountedError


@torch.no_grad()
def device_proxy(network: Any, batches: Iterable[Any]) -> float:
    """Measure the hidden layers of a network, every batch from the initial state.

    Args:
        network: a network with ``layers``: :class:`srnn.SRNN` or a non-spiking one.
        batches: inputs [time, batch, channels], or tuples that begin with them.

    Returns:
        The measure of a step, on average over steps and samples, in its own unit.

    Raises:
        UncountedError: for a layer whose efficacies are not known.
        ValueError: if there is nothing to measure.
    """
    total, seen = 0.0, 0
    for batch in batches:
        signal = batch if isinstance(batch, Tensor) else batch[0]
        dtype = next(network.parameters()).dtype
        steps, samples = signal.shape[:2]
        signal = signal.to(dtype)
        for layer in network.layers:
            drawn, signal = _drawn(layer, signal)
            total += float(drawn.double().sum())
        seen += steps * samples
    if not seen:
        raise ValueError("device_proxy needs at least one step of one sample.")
    return total / seen


def _drawn(layer: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """The measure of every step and sample, [time, batch], and what the layer sends."""
    if isinstance(layer, nn.RNNBase):
        h, own = layer(x)[0], dict(layer.named_parameters())
        return _fixed(own["weight_ih_l0"], x) + _fixed(own["weight_hh_l0"], _past(h)), h
    if isinstance(layer, FastWeightsLayer):
        return _fast(layer, x)
    if isinstance(layer, STPNLayer):
        return _plastic(layer, layer.plasticity, x)
    plain = isinstance(layer, Layer) and type(layer.between) is nn.Identity
    stp = getattr(getattr(layer, "neuron", None), "plasticity", None)
    if plain and stp is not None:
        drawn, spikes = _plastic(layer, stp, x)
        covered = layer.synapses is not None
        return drawn if covered else drawn + _fixed(layer.projection.weight, x), spikes
    if plain and isinstance(layer.projection, nn.Linear):
        spikes = layer(x)[0]
        drawn, recurrent = _fixed(layer.projection.weight, x), getattr(layer.neuron, "recurrent", 0)
        if isinstance(recurrent, nn.Linear):
            return drawn + _fixed(recurrent.weight, _past(spikes)), spikes
        if not recurrent:
            return drawn, spikes
    raise UncountedError(f"The efficacies of {type(layer).__name__} are not known here.")


def _past(h: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(h[:1]), h[:-1]])


def _fixed(weight: Tensor, z: Tensor) -> Tensor:
    """The measure of weights [neurons, lines] for activities [time, batch, lines]."""
    return conductance_proxy(weight, z)


def _plastic(layer: Any, stp: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Step a layer, since its efficacies are what they are before each step."""
    params, state = stp.params(), None
    synapses, h = stp.initial_state(x.shape[1], x), x.new_zeros(x.shape[1], stp.neurons)
    drawn, sent = [], []
    for now in x:
        g = stp.efficacy(synapses, params)
        drawn.append(conductance_proxy(g, stp.presynaptic(now, h)))
        out, state = layer(now[None], state)
        synapses, h = state.synapses, state.h
        sent.append(out[0])
    return torch.stack(drawn), torch.stack(sent)


def _fast(layer: FastWeightsLayer, x: Tensor) -> tuple[Tensor, Tensor]:
    W, n, state = layer.recurrent.weight, layer.hidden_size, None
    h, A = x.new_zeros(x.shape[1], n), x.new_zeros(x.shape[1], n, n)
    drawn, sent = [], []
    for now in x:
        a = layer.projection(now) + layer.recurrent(h)
        draws = conductance_proxy(layer.projection.weight, now) + conductance_proxy(W, h)
        inner = a.tanh()
        for _ in range(layer.inner_steps):
            draws = draws + conductance_proxy(A, inner)
            inner = layer.norm(a + (A @ inner[..., None])[..., 0]).tanh()
        out, state = layer(now[None], state)
        h, A = state[:, :n], state[:, n:].unflatten(1, (n, n))
        drawn.append(draws)
        sent.append(out[0])
    return torch.stack(drawn), torch.stack(sent)
