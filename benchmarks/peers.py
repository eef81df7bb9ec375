"""One training step of a recurrent layer, by us and by others: what benchmarks/kernels.py times.

A step is the layer with its projection over one sequence, forward and backward, with a fixed random
gradient for its output and gradients for all of its weights; no readout, no loss, no optimiser. The
peers are not like for like: snnTorch's RLeaky has one state and no adaptation, torch's cells do not
spike, the dense floor is nothing but the matrix products of the layer. What each has, ours has too.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import snntorch
import torch
from torch import Tensor, nn

from srnn import Layer
from srnn.neurons import RALIF
from srnn.neurons.kernels import EventBatch


class Case(NamedTuple):
    """Shape of a layer and its input.

    Attributes:
        batch: sequences in a batch.
        steps: time steps.
        channels: channels of the input.
        neurons: neurons of the layer.
        density: share of the input that is one; 0 for an input of real numbers.
        gain: multiplies the initial weights, and so sets the firing rate.
    """

    batch: int
    steps: int
    channels: int
    neurons: int
    density: float
    gain: float = 1.0

    def inputs(self) -> Tensor:
        """Draw the input, [time, batch, channels]; the same in every process."""
        generator = torch.Generator().manual_seed(1)
        drawn = torch.rand(self.steps, self.batch, self.channels, generator=generator)
        return (drawn < self.density).float() if self.density else drawn

    def gradient(self) -> Tensor:
        """Draw the gradient of the output, [time, batch, neurons]."""
        generator = torch.Generator().manual_seed(2)
        return torch.randn(self.steps, self.batch, self.neurons, generator=generator)


CASES = {
    "SHD": Case(64, 250, 700, 128, 0.03, gain=3.9),
    "S-MNIST": Case(128, 784, 1, 128, 0.0, gain=5.4),
    "WIDE": Case(128, 100, 700, 512, 0.03, gain=2.35),
}
"""The shapes: two of published networks, and a wide layer."""

Step = Callable[[], Tensor]
"""One training step; returns the output of the layer."""


def step_of(layer: nn.Module, inputs: Tensor | EventBatch, gradient: Tensor) -> Step:
    """The step of a layer that runs a whole sequence in one call."""

    def step() -> Tensor:
        layer.zero_grad(set_to_none=True)
        out = layer(inputs)[0]
        out.backward(gradient)
        return out.detach()

    return step


def ours(case: Case, events: bool = False, **options: Any) -> Step:
    """A layer of RALIF with its projection, from a dense input or from events.

    Args:
        case: the shapes.
        events: whether the input comes as events.
        options: of the neuron.
    """
    torch.manual_seed(0)
    neuron = RALIF(linear_features=case.neurons, **options)
    layer = Layer(nn.Linear(case.channels, case.neurons), neuron)
    with torch.no_grad():
        nn.init.xavier_uniform_(layer.projection.weight, gain=case.gain)
        nn.init.zeros_(layer.projection.bias)
        nn.init.orthogonal_(layer.neuron.recurrent.weight)
        layer.neuron.recurrent.weight *= case.gain
    inputs: Tensor | EventBatch = EventBatch.of(case.inputs()) if events else case.inputs()
    return step_of(layer, inputs, case.gradient())


def snntorch_loop(case: Case) -> Step:
    """The usual loop of a snnTorch user."""
    torch.manual_seed(0)
    projection = nn.Linear(case.channels, case.neurons)
    neuron = snntorch.RLeaky(beta=0.95, linear_features=case.neurons)
    both = nn.ModuleList([projection, neuron])
    inputs, gradient = case.inputs(), case.gradient()

    def step() -> Tensor:
        both.zero_grad(set_to_none=True)
        spikes, membrane = neuron.reset_mem()
        outputs = []
        for x in inputs:
            spikes, membrane = neuron(projection(x), spikes, membrane)
            outputs.append(spikes)
        out = torch.stack(outputs)
        out.backward(gradient)
        return out.detach()

    return step


def torch_cell(case: Case, kind: type[nn.RNNBase]) -> Step:
    """torch.nn.RNN, GRU or LSTM."""
    torch.manual_seed(0)
    layer = kind(case.channels, case.neurons)
    return step_of(layer, case.inputs(), case.gradient())


def dense_floor(case: Case) -> Step:
    """The matrix products that a dense implementation cannot do without, by torch.mm."""
    torch.manual_seed(0)
    W_in = torch.randn(case.neurons, case.channels) / math.sqrt(case.channels)
    W_rec = torch.randn(case.neurons, case.neurons) / math.sqrt(case.neurons)
    inputs = case.inputs().flatten(0, 1)
    S, g = case.gradient(), case.gradient()

    def step() -> Tensor:
        current = inputs @ W_in.T
        for spikes in S:
            spikes @ W_rec.T
        for gradient in g:
            gradient @ W_rec
        g.flatten(0, 1).T @ S.flatten(0, 1)
        g.flatten(0, 1).T @ inputs
        return current

    return step


def jax_scan(case: Case) -> Step:
    """The ALIF layer by jax.jit(jax.value_and_grad(jax.lax.scan)).

    Raises:
        ImportError: if jax is not installed.
    """
    import jax
    import jax.numpy as jnp

    alpha, rho, b_0, beta = math.exp(-1 / 20), math.exp(-1 / 150), 0.01, 1.8

    @jax.custom_jvp
    def spike(v):
        return (v > 0).astype(v.dtype)

    spike.defjvps(lambda dv, ans, v: dv / (1 + 25 * jnp.abs(v)) ** 2)

    def run(weights, inputs, gradient):
        W_in, W_rec, bias = weights
        current = inputs @ W_in + bias

        def advance(state, x):
            S, u, b = state
            b = rho * b + (1 - rho) * S
            B = b_0 + beta * b
            u = alpha * u + (1 - alpha) * (x + S @ W_rec) - B * S
            S = spike(u - B)
            return (S, u, b), S

        zeros = jnp.zeros((case.batch, case.neurons))
        spikes = jax.lax.scan(advance, (zeros, zeros, zeros), current)[1]
        return (spikes * gradient).sum()

    generator = torch.Generator().manual_seed(0)
    shapes = (case.channels, case.neurons), (case.neurons, case.neurons), (case.neurons,)
    weights = [
        jnp.asarray((torch.randn(s, generator=generator) / math.sqrt(s[0])).numpy()) for s in shapes
    ]
    inputs, gradient = jnp.asarray(case.inputs().numpy()), jnp.asarray(case.gradient().numpy())
    compiled = jax.jit(jax.value_and_grad(run))

    def step() -> Tensor:
        value, grads = compiled(weights, inputs, gradient)
        jax.block_until_ready(grads)
        return torch.tensor(float(value))

    return step


def norse_lsnn(case: Case) -> Step:
    """norse's recurrent adaptive layer: synaptic current and adaptation.

    Raises:
        ImportError: if norse is not installed.
    """
    from norse.torch import LSNNRecurrent

    torch.manual_seed(0)
    layer = LSNNRecurrent(case.channels, case.neurons)
    return step_of(layer, case.inputs(), case.gradient())


PEERS: dict[str, Callable[[Case], Step]] = {
    "srnn, events": lambda case: ours(case, events=True),
    "srnn, dense input": ours,
    "snnTorch RLeaky": snntorch_loop,
    "torch LSTM": lambda case: torch_cell(case, nn.LSTM),
    "torch GRU": lambda case: torch_cell(case, nn.GRU),
    "torch RNN": lambda case: torch_cell(case, nn.RNN),
    "dense products alone": dense_floor,
    "JAX lax.scan": jax_scan,
    "norse LSNN": norse_lsnn,
}
"""Makers of a step by name; those that need a missing package raise ImportError."""
