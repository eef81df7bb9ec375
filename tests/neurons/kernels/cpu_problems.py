"""Random problems at the rates of a trained network, and the check of the compiled kernel on them.

Besides what ``problems.py`` draws: inputs with values other than 1, inputs given twice, neurons
without a threshold, and the rate of the neurons.
"""

import torch
import torch.nn.functional as F

from srnn.neurons import surrogate
from srnn.neurons.alif import ALIFParams, ALIFState, alif_step
from srnn.neurons.kernels import cpu_backend, reference
from srnn.neurons.kernels.events import EventBatch
from srnn.neurons.kernels.problem import Cotangents, Gradients, Problem, Rules
from srnn.neurons.kernels.torch_backend import surrogate_of
from srnn.neurons.lif import LIFParams

from .problems import RESETS

KINDS = {name: kind() for name, kind in surrogate.SURROGATES.items()} | {
    "no_gradient": surrogate.no_gradient()
}


def make(
    steps=37,
    batch=19,
    neurons=21,
    *,
    source="current",
    channels=30,
    density=0.1,
    recurrent=True,
    adaptive=True,
    bias=True,
    masks=True,
    carried=True,
    reset="subtract",
    detach=False,
    spike="multi_gaussian",
    infinite=False,
    drive=1.0,
    dtype=torch.float64,
    seed=0,
):
    """A random problem with the rates of a trained network."""
    torch.manual_seed(seed)

    def uniform(*shape, low=0.0, high=1.0):
        return torch.empty(shape, dtype=torch.float64).uniform_(low, high).to(dtype)

    state = (batch, neurons)
    current = drive * torch.randn(steps, *state, dtype=torch.float64).to(dtype)
    inputs = (uniform(steps, batch, channels) < density).to(dtype)
    if source == "values":
        inputs *= uniform(steps, batch, channels, low=0.5, high=2)
    # Fan-in scaled, so that the current is about one whatever the density.
    scale = 3 * drive / max(1.0, density * channels) ** 0.5
    projection = scale * torch.randn(neurons, channels, dtype=torch.float64).to(dtype)
    threshold = uniform(neurons, low=0.1, high=0.5)
    if infinite:
        threshold[::2] = torch.inf
    fresh = torch.zeros(state, dtype=dtype)
    return Problem(
        current=current if source == "current" else None,
        inputs=inputs if source in ("inputs", "values", "both") else None,
        events=EventBatch.of(inputs).events if source in ("events", "both") else None,
        steps=steps,
        projection=projection if source != "current" else None,
        projection_bias=uniform(neurons, low=-0.1) if bias and source != "current" else None,
        recurrent=uniform(neurons, neurons, low=-0.7, high=0.6) if recurrent else None,
        recurrent_bias=uniform(neurons, low=-0.1, high=0.2) if recurrent and bias else None,
        alpha=uniform(neurons, low=0.5, high=0.97),
        input_gain=uniform(neurons, low=0.2, high=1.0),
        threshold=threshold,
        rho=uniform(neurons, low=0.8, high=0.99) if adaptive else None,
        adaptation_strength=uniform(neurons, low=0.5, high=1.8) if adaptive else None,
        spikes=uniform(*state, low=-1, high=2) if carried else fresh,
        crossed=(uniform(*state) < 0.3).to(dtype) if carried else fresh,
        membrane=uniform(*state, low=-1, high=1) if carried else fresh,
        adaptation=(uniform(*state) if carried else fresh) if adaptive else None,
        begin=uniform(steps, batch) < 0.1 if masks else None,
        rules=Rules(
            spike,
            tuple(vars(KINDS[spike]).values()),
            reset,
            detach,
            0.25 if masks else 0.0,
        ),
    )


def leaves(problem):
    """Names of what takes a gradient."""
    return [n for n in Gradients._fields if getattr(problem, n) is not None]


def run_reference(problem, cotangents=None):
    """Spikes, membrane, adaptation, trace and, if asked for, gradients, by autograd."""
    p, wanted = problem, leaves(problem)
    if p.events is not None and p.inputs is None:
        rows = EventBatch(p.events, (p.steps, len(p.membrane), p.projection.shape[1]))
        p = p._replace(inputs=rows.dense(p.alpha.dtype))
    p = p._replace(**{n: getattr(p, n).clone().requires_grad_() for n in wanted})
    current = p.current
    if current is None:
        current = F.linear(p.inputs, p.projection, p.projection_bias)
    lif = LIFParams(
        p.alpha,
        p.input_gain,
        p.threshold,
        surrogate_of(p.rules),
        RESETS[p.rules.reset],
        p.rules.detach_reset,
    )
    zero = p.alpha.new_zeros(())
    adaptive = p.rho is not None
    params = ALIFParams(
        lif, p.rho if adaptive else zero, p.adaptation_strength if adaptive else zero
    )
    fresh = torch.zeros_like(p.membrane)
    initial = ALIFState(fresh, fresh, torch.full_like(fresh, p.rules.initial_adaptation))
    state = ALIFState(p.crossed, p.membrane, p.adaptation if adaptive else fresh)

    def advance(x, spikes, state):
        if p.recurrent is not None:
            x = x + F.linear(spikes, p.recurrent, p.recurrent_bias)
        return alif_step(x, state, params)

    spikes, trace, state = reference.run(advance, current, p.spikes, state, initial, p.begin, True)
    values = (spikes, state.membrane, state.adaptation if adaptive else None, trace)
    if cotangents is None:
        return values, None
    loss = sum((v * c).sum() for v, c in zip(values, cotangents, strict=True) if c is not None)
    found = torch.autograd.grad(
        loss, [getattr(p, n) for n in wanted], allow_unused=True, materialize_grads=True
    )
    return values, dict(zip(wanted, found, strict=True))


def random_cotangents(values, seed=1):
    torch.manual_seed(seed)
    return Cotangents(*(None if v is None else torch.randn_like(v) for v in values))


def run_cpu(problem, cotangents=None, level=None):
    """The same by the compiled kernel."""
    keep = cotangents is not None
    solution = cpu_backend.forward(problem, True, keep, level=level)
    values = (solution.spikes, solution.membrane, solution.adaptation, solution.trace)
    if not keep:
        return values, None
    found = cpu_backend.backward(problem, solution.kept, cotangents, leaves(problem), level=level)
    return values, {n: g for n, g in found._asdict().items() if g is not None}


def check(problem, tolerance=1e-10, level=None):
    """Values and every gradient meet the reference, relative to the largest entry.

    Once with a gradient of the trace, and once without it, as networks are trained, which takes
    another path.
    """
    cotangents = random_cotangents(run_reference(problem)[0])
    for given in (cotangents, cotangents._replace(trace=None)):
        spikes = compare(problem, given, tolerance, level)
    return spikes


def compare(problem, cotangents, tolerance, level):
    """The comparison for some cotangents; returns the spikes."""
    values, gradients = run_reference(problem, cotangents)
    ours, our_gradients = run_cpu(problem, cotangents, level)
    for name, value, own in zip(Cotangents._fields, values, ours, strict=True):
        assert (value is None) == (own is None), name
        if value is not None:
            torch.testing.assert_close(own, value.detach(), atol=tolerance, rtol=tolerance)
    assert set(our_gradients) == set(gradients)
    for name, gradient in gradients.items():
        own = our_gradients[name]
        assert own.shape == gradient.shape, name
        if gradient.numel():
            error = (own - gradient).abs().max() / gradient.abs().max().clamp_min(1.0)
            assert error < tolerance, f"{name}: {error:.2e}"
    return values[0]


def flat(values, gradients):
    return [*(v for v in values if v is not None), *gradients.values()]
