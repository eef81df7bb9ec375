"""Random problems for the kernels, and their solution by the reference and by autograd."""

import torch

from srnn.neurons import lif, surrogate
from srnn.neurons.alif import ALIFParams, ALIFState, alif_step
from srnn.neurons.kernels.problem import Problem, Rules
from srnn.neurons.reset import FEED_FORWARD_RESETS, RECURRENT_RESETS

RESETS = {**FEED_FORWARD_RESETS, "zero-after": RECURRENT_RESETS["zero"]}
WEIGHTS = ("projection", "projection_bias", "recurrent", "recurrent_bias")
PARAMETERS = ("alpha", "input_gain", "threshold", "rho")
STATE = ("spikes", "crossed", "membrane", "adaptation")
DIFFERENTIABLE = ("current", "inputs", *WEIGHTS, *PARAMETERS, *STATE)


def random_problem(
    steps=12,
    batch=3,
    neurons=5,
    channels=4,
    *,
    source="inputs",
    recurrent=True,
    adaptive=True,
    bias=True,
    carried=True,
    begin=False,
    density=0.5,
    drive=1.0,
    surrogate_gradient=None,
    reset="subtract",
    detach_reset=False,
    dtype=torch.float64,
    seed=0,
):
    """A problem whose tensors require gradients; ``source`` names what makes the current."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape, scale=1.0):
        drawn = torch.randn(*shape, generator=g, dtype=torch.float64) * scale
        return drawn.to(dtype).requires_grad_()

    def uniform(low, high, *shape):
        drawn = low + (high - low) * torch.rand(*shape, generator=g, dtype=torch.float64)
        return drawn.to(dtype).requires_grad_()

    dense = uniform(0, 1, steps, batch, channels).detach()
    dense = torch.where(dense < density, torch.ones_like(dense), torch.zeros_like(dense))
    state = (batch, neurons)
    spiked = uniform(0, 1, *state).detach().round().requires_grad_()
    empty = torch.zeros(state, dtype=dtype)
    spike = surrogate_gradient or surrogate.multi_gaussian()
    return Problem(
        current=normal(steps, *state, scale=drive) if source == "current" else None,
        inputs=dense.requires_grad_() if source == "inputs" else None,
        events=events_of(dense) if source == "events" else None,
        steps=steps,
        projection=None if source == "current" else normal(neurons, channels, scale=drive),
        projection_bias=normal(neurons) if bias and source != "current" else None,
        recurrent=normal(neurons, neurons, scale=neurons**-0.5) if recurrent else None,
        recurrent_bias=normal(neurons, scale=0.1) if recurrent and bias else None,
        alpha=uniform(0.3, 0.99, neurons),
        input_gain=uniform(0.1, 1, neurons),
        threshold=uniform(0.1, 0.4, neurons),
        rho=uniform(0.5, 0.99, neurons) if adaptive else None,
        adaptation_strength=uniform(0.2, 1.8, neurons).detach() if adaptive else None,
        spikes=normal(*state) if carried else empty,
        crossed=spiked if carried else empty.clone(),
        membrane=normal(*state, scale=0.3) if carried else empty.clone(),
        adaptation=(uniform(0, 1, *state) if carried else empty.clone()) if adaptive else None,
        begin=uniform(0, 1, steps, batch).detach() < 0.15 if begin else None,
        rules=Rules(
            surrogate=type(spike).__name__,
            constants=tuple(vars(spike).values()),
            reset=reset,
            detach_reset=detach_reset,
            initial_adaptation=0.25,
        ),
    )


def events_of(dense):
    """The events of a dense input, gathered by a loop."""
    from srnn.neurons.kernels.problem import Events

    rows = [row.nonzero().flatten() for row in dense.detach().flatten(0, 1)]
    offsets = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    channels = torch.cat(rows) if rows else torch.zeros(0)
    return Events(offsets, channels.to(torch.int32))


def dense_of(problem):
    """The dense input of a problem of events."""
    offsets, channels, _ = problem.events
    steps, batch = problem.steps, len(problem.membrane)
    width = problem.projection.shape[1]
    dense = torch.zeros(steps * batch, width, dtype=problem.alpha.dtype)
    for row in range(steps * batch):
        dense[row, channels[offsets[row] : offsets[row + 1]].long()] = 1
    return dense.view(steps, batch, width)


def solve_by_steps(problem):
    """Run the project's own step functions: spikes, membranes, and the last adaptation or None."""
    p, rules = problem, problem.rules
    kinds = surrogate.SURROGATES | {"no_gradient": surrogate.no_gradient}
    params = lif.LIFParams(
        alpha=p.alpha,
        input_gain=p.input_gain,
        threshold=p.threshold,
        spike=kinds[rules.surrogate](*rules.constants),
        reset=RESETS[rules.reset],
        detach_reset=rules.detach_reset,
    )
    x = p.current
    if x is None:
        inputs = dense_of(p) if p.inputs is None else p.inputs
        x = torch.nn.functional.linear(inputs, p.projection, p.projection_bias)
    s, c, u, b = p.spikes, p.crossed, p.membrane, p.adaptation
    spikes, membranes = [], []
    for t in range(p.steps):
        if p.begin is not None:
            anew = p.begin[t][:, None]
            s, c, u = (torch.where(anew, 0.0, part) for part in (s, c, u))
            b = None if b is None else torch.where(anew, rules.initial_adaptation, b)
        current = x[t]
        if p.recurrent is not None:
            current = current + torch.nn.functional.linear(s, p.recurrent, p.recurrent_bias)
        if b is None:
            s, (_, u) = lif.lif_step(current, lif.LIFState(c, u), params)
        else:
            adaptive = ALIFParams(params, p.rho, p.adaptation_strength)
            s, (_, u, b) = alif_step(current, ALIFState(c, u, b), adaptive)
        c = s
        spikes.append(s)
        membranes.append(u)
    return torch.stack(spikes), torch.stack(membranes), b


def loss_of(spikes, membranes, adaptation, seed=5):
    """A sum that weighs every spike, every membrane and the last state at random."""
    g = torch.Generator().manual_seed(seed)
    parts = [spikes, membranes, membranes[-1], *(() if adaptation is None else (adaptation,))]
    weights = [torch.randn(part.shape, generator=g, dtype=part.dtype) for part in parts]
    return sum((w * part).sum() for w, part in zip(weights, parts, strict=True))


def gradients_of(problem, loss):
    """Gradients of a loss with respect to all of a problem that requires one, by name."""
    given = {name: getattr(problem, name) for name in DIFFERENTIABLE}
    wanted = {n: v for n, v in given.items() if v is not None and v.requires_grad}
    found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    zeros = [torch.zeros_like(v) for v in wanted.values()]
    return {
        name: zero if grad is None else grad
        for name, grad, zero in zip(wanted, found, zeros, strict=True)
    }
