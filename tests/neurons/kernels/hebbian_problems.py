"""Random problems of Hebbian synapses, and what the reference loop makes of them."""

import math

import torch

from srnn.neurons.kernels import hebbian_library
from srnn.neurons.kernels.hebbian_library import HebbianProblem
from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, PlasticState, run
from srnn.neurons.plasticity.hebbian import HebbianState
from srnn.neurons.plasticity.writing import Writing

VALUES = ("x", "h", "F", "W", "Lambda", "Gamma", "bias")


def make(
    steps=7,
    batch=3,
    neurons=6,
    inputs=5,
    *,
    normalisation="before",
    recurrent="old",
    clamp=math.inf,
    device=False,
    threshold=0.1,
    lambda_per="synapse",
    gamma_per="synapse",
    bias=True,
    carried=True,
    masks=True,
    dtype=torch.float64,
    seed=0,
):
    """Draw a problem in which F matters as much as W does; ``device`` bounds W + F instead of F."""
    torch.manual_seed(seed)
    synapses = (neurons, inputs + neurons)
    strength = 1.5 if normalisation == "input" else 0.3  # less arrives there

    def normal(*shape):
        return torch.randn(shape, dtype=dtype)

    return HebbianProblem(
        x=normal(steps, batch, inputs),
        h=normal(batch, neurons).tanh() * carried,
        F=normal(batch, *synapses) * 0.3 * carried,
        begin=torch.rand(steps, batch) < 0.2 if masks else None,
        W=normal(*synapses) / math.sqrt(neurons + inputs),
        Lambda=torch.rand(synapses if lambda_per == "synapse" else (), dtype=dtype),
        Gamma=normal(*(synapses if gamma_per == "synapse" else ())) * strength,
        bias=normal(neurons) * 0.3 if bias else None,
        normalisation=normalisation,
        recurrent=recurrent,
        low=-0.7 if device else -clamp,
        high=0.9 if device else clamp,
        of_sum=device,
        threshold=threshold if device else 0.0,
    )


def cotangents(problem, seed=1):
    """Draw gradients that arrive at the activity and at the final F."""
    torch.manual_seed(seed)
    steps, batch, _ = problem.x.shape
    like = problem.x
    return (
        torch.randn(steps, batch, problem.h.shape[1], dtype=like.dtype),
        torch.randn(problem.F.shape, dtype=like.dtype),
    )


def run_reference(problem, of_h, of_F):
    """Run the loop; return what comes out and the gradient of every value of the problem."""
    values = {n: getattr(problem, n) for n in VALUES}
    leaves = {n: v.detach().requires_grad_() for n, v in values.items() if v is not None}
    p = problem._replace(**leaves)
    options = {"normalisation": p.normalisation, "recurrent": p.recurrent}
    learned = {"W": p.W, "Gamma": p.Gamma, "bias": p.bias}
    if p.of_sum:
        stp = MemristiveSTP(*p.W.shape[:1], p.x.shape[2], **options)
        writing = Writing(p.low, p.high, p.threshold)
        params = stp.params()._replace(decay=p.Lambda, writing=writing, **learned)
    else:
        stp = HebbianSTP(*p.W.shape[:1], p.x.shape[2], clamp=p.high, **options)
        params = stp.params()._replace(Lambda=p.Lambda, **learned)
    stp.params = lambda: params
    before = PlasticState(p.h, (), HebbianState(p.F))
    initial = PlasticState(p.h.detach() * 0, (), HebbianState(p.F.detach() * 0))
    h, after = run(p.x, before, initial, p.begin, stp, lambda current, *_: (current.tanh(), ()))
    F = after.synapses.F
    found = torch.autograd.grad((h, F), tuple(leaves.values()), (of_h, of_F), allow_unused=True)
    gradients = zip(leaves, found, strict=True)
    return (h.detach(), F.detach()), {
        name: torch.zeros_like(leaves[name]) if gradient is None else gradient
        for name, gradient in gradients
    }


def run_library(problem, of_h, of_F, *, level=None):
    """The same by the compiled pass."""
    h, F, kept = hebbian_library.forward(problem, True, level=level)
    found = hebbian_library.backward(problem, h, kept, of_h, of_F, with_x=True, level=level)
    return (h, F), found


def check(problem, tolerance=1e-10, *, level=None):
    """Hold the compiled pass to the loop; return the activity."""
    given = cotangents(problem)
    values, gradients = run_library(problem, *given, level=level)
    expected, wanted = run_reference(problem, *given)
    assert gradients.keys() == wanted.keys()
    ours = dict(zip(("h", "final F"), values, strict=True))
    theirs = dict(zip(ours, expected, strict=True))
    ours |= {f"gradient of {name}": gradient for name, gradient in gradients.items()}
    theirs |= {f"gradient of {name}": gradient for name, gradient in wanted.items()}
    for name, value in theirs.items():
        scale = max(1.0, value.abs().max().item()) if value.numel() else 1.0
        torch.testing.assert_close(
            ours[name],
            value,
            rtol=tolerance,
            atol=tolerance * scale,
            msg=lambda text, name=name: f"{name}: {text}",
        )
    return values[0]
