"""The ``torch`` kernel: plain torch operations with a backward pass derived by hand.

It runs on every device and needs no compiler. With a bar for the gradient of the loss with respect
to a symbol of :mod:`srnn.neurons.kernels.problem`, and c for S as the reset and the adaptation see
it, the backward pass goes through the steps from the last to the first:

    v_t     = u_t - B_t
    u_t-bar = psi(v_t) S_t-bar + alpha k_{t+1}             and what comes from outside
    B_t-bar = -psi(v_t) S_t-bar - c_{t-1} u_t-bar          the second part: "subtract" alone
    I_t-bar = g k_t
    b_t-bar = beta B_t-bar + rho b_{t+1}-bar
    S_{t-1}-bar = W_rec^T I_t-bar + (1 - rho) b_t-bar + r_t   and what comes from outside

| reset      | k_t                   | r_t                              |
|------------|-----------------------|----------------------------------|
| subtract   | u_t-bar               | -B_t u_t-bar                     |
| none       | u_t-bar               | 0                                |
| zero       | u_t-bar               | -alpha u_{t-1} u_t-bar           |
| zero-after | (1 - c_{t-1}) u_t-bar | -(alpha u_{t-1} + g I_t) u_t-bar |

With "zero", (1 - c_{t-1}) also stands before alpha k_t on its way to u_{t-1}. A detached reset
drops r_t, and B_t-bar's second part from b_t but not from b_0.
"""

from collections.abc import Set
from itertools import repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..surrogate import SURROGATES, Surrogate, no_gradient
from .problem import Cotangents, Events, Gradients, Problem, Rules, Solution


def forward(problem: Problem, trace: bool, backward: bool) -> Solution:
    """Run one layer over one sequence; see :data:`srnn.neurons.kernels.problem.Backend`."""
    p = problem
    x = _current(p)
    adaptive, recurrent, reset = p.rho is not None, p.recurrent is not None, p.rules.reset
    spikes = torch.empty_like(x, memory_format=torch.contiguous_format)
    membranes = torch.empty_like(spikes) if trace or backward else x.new_empty(0)
    adaptations = torch.empty_like(spikes) if adaptive and backward else x.new_empty(0)
    currents = torch.empty_like(spikes) if recurrent and backward else x.new_empty(0)
    into_membrane = iter(membranes.unbind(0) if len(membranes) else repeat(None))
    s, c, u, b = p.spikes, p.crossed, p.membrane, p.adaptation
    B = p.threshold
    for t, (x_t, S) in enumerate(zip(x.unbind(0), spikes.unbind(0), strict=True)):
        if p.begin is not None:
            s, c, u, b = _before(p, t, s, c, u, b)
        if p.recurrent is not None:
            x_t = x_t + F.linear(s, p.recurrent, p.recurrent_bias)
            if backward:
                currents[t] = x_t
        if b is not None and p.rho is not None and p.adaptation_strength is not None:
            b = p.rho * b + (1 - p.rho) * c
            B = p.threshold + p.adaptation_strength * b
            if backward:
                adaptations[t] = b
        leaking = (1 - c) * u if reset == "zero" else u
        u = torch.add(p.alpha * leaking, p.input_gain * x_t, out=next(into_membrane))
        if reset == "subtract":
            u -= c * B
        elif reset == "zero-after":
            u -= c * u
        s = c = S.copy_(u > B)
    return Solution(
        spikes=spikes,
        membrane=u.clone(),
        adaptation=None if b is None else b.clone(),
        trace=membranes if trace else None,
        counts=spikes.sum(0),
        fired=None,
        kept=(membranes, adaptations, currents) if backward else (),
    )


def backward(
    problem: Problem, kept: tuple[Tensor, ...], cotangents: Cotangents, needed: Set[str]
) -> Gradients:
    """Differentiate it; see :data:`srnn.neurons.kernels.problem.Backend`."""
    p, rules = problem, problem.rules
    membranes, adaptations, currents = kept
    if p.recurrent is None:
        currents = _current(p)
    thresholds: Any = repeat(p.threshold)
    if p.adaptation_strength is not None:
        thresholds = p.threshold + p.adaptation_strength * adaptations
    distance = membranes - (thresholds if p.rho is not None else p.threshold)
    spikes = (distance > 0).to(distance.dtype)
    psi = surrogate_of(rules).derivative(distance)
    del distance

    zeros = torch.zeros_like(p.membrane)
    total = {
        name: torch.zeros_like(zeros)
        for name in ("alpha", "input_gain", "threshold", "rho")
        if name in needed
    }
    from_current = torch.empty_like(membranes)
    to_spikes = to_crossed = zeros
    to_membrane = zeros if cotangents.membrane is None else cotangents.membrane
    to_adaptation = zeros if cotangents.adaptation is None else cotangents.adaptation
    for t in reversed(range(p.steps)):
        B = thresholds[t] if p.rho is not None else p.threshold
        if t:
            c, u = spikes[t - 1], membranes[t - 1]
            b = adaptations[t - 1] if p.rho is not None else None
        else:
            c, u, b = p.crossed, p.membrane, p.adaptation
        if p.begin is not None:
            _, c, u, b = _before(p, t, c, c, u, b)

        S_bar = to_spikes + to_crossed
        if cotangents.spikes is not None:
            S_bar = S_bar + cotangents.spikes[t]
        v_bar = psi[t] * S_bar
        u_bar = v_bar + to_membrane
        if cotangents.trace is not None:
            u_bar = u_bar + cotangents.trace[t]
        B_bar = -v_bar
        leaking, k, to_crossed = u, u_bar, zeros
        if rules.reset == "subtract":
            whole = torch.addcmul(B_bar, c, u_bar, value=-1)
            _add(total, "threshold", whole)
            if not rules.detach_reset:
                B_bar, to_crossed = whole, -B * u_bar
        else:
            _add(total, "threshold", B_bar)
        if rules.reset == "zero":
            leaking = (1 - c) * u
            if not rules.detach_reset:
                to_crossed = -p.alpha * u * u_bar
        elif rules.reset == "zero-after":
            k = (1 - c) * u_bar
            if not rules.detach_reset:
                to_crossed = -(p.alpha * u + p.input_gain * currents[t]) * u_bar
        I_bar = torch.mul(p.input_gain, k, out=from_current[t])
        _add(total, "alpha", leaking, k)
        _add(total, "input_gain", currents[t], k)
        to_membrane = p.alpha * k
        if rules.reset == "zero":
            to_membrane = (1 - c) * to_membrane
        if b is not None and p.rho is not None and p.adaptation_strength is not None:
            b_bar = to_adaptation + p.adaptation_strength * B_bar
            _add(total, "rho", b - c, b_bar)
            to_crossed = to_crossed + (1 - p.rho) * b_bar
            to_adaptation = p.rho * b_bar
        if p.recurrent is not None:
            to_spikes = I_bar @ p.recurrent
        if p.begin is not None:
            anew = p.begin[t][:, None]
            to_spikes, to_crossed, to_membrane, to_adaptation = (
                gradient.masked_fill(anew, 0)
                for gradient in (to_spikes, to_crossed, to_membrane, to_adaptation)
            )
    found = {name: of.sum(0) for name, of in total.items()}
    found |= {
        "spikes": to_spikes,
        "crossed": to_crossed,
        "membrane": to_membrane,
        "adaptation": to_adaptation,
    }
    found |= _of_currents(p, spikes, from_current, needed)
    return Gradients(**{name: of for name, of in found.items() if name in needed})


def surrogate_of(rules: Rules) -> Surrogate:
    """The surrogate that the rules name."""
    kind: Any = (SURROGATES | {"no_gradient": no_gradient})[rules.surrogate]
    return kind(*rules.constants)


def _current(p: Problem) -> Tensor:
    """What the layer below sends, as a current [time, batch, neurons]."""
    if p.current is not None:
        return p.current
    assert p.projection is not None
    if p.inputs is not None:
        return F.linear(p.inputs, p.projection, p.projection_bias)
    assert isinstance(p.events, Events)
    current = _gathered(p.projection.t(), p.events)
    if p.projection_bias is not None:
        current += p.projection_bias
    return current.view(p.steps, *p.membrane.shape)


def _gathered(weight: Tensor, events: Events) -> Tensor:
    """Sum the rows of ``weight`` that the entries of each row of ``events`` name."""
    return F.embedding_bag(
        events.channels.long(),
        weight.contiguous(),
        events.offsets,
        mode="sum",
        per_sample_weights=events.values,
        include_last_offset=True,
    )


def _transposed(events: Events, channels: int) -> Events:
    """The same entries by rows of one channel each."""
    rows = torch.arange(len(events.offsets) - 1, device=events.offsets.device)
    rows = rows.repeat_interleave(events.offsets.diff())
    order = events.channels.argsort(stable=True)
    entries = events.channels.long().bincount(minlength=channels)
    return Events(
        offsets=F.pad(entries.cumsum(0), (1, 0)),
        channels=rows[order],
        values=None if events.values is None else events.values[order],
    )


def _before(
    p: Problem, t: int, s: Tensor, c: Tensor, u: Tensor, b: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The state before step t, put to its start where a new episode begins."""
    assert p.begin is not None
    anew = p.begin[t][:, None]
    s, c, u = (part.masked_fill(anew, 0) for part in (s, c, u))
    return s, c, u, None if b is None else b.masked_fill(anew, p.rules.initial_adaptation)


def _add(total: dict[str, Tensor], name: str, value: Tensor, by: Tensor | float = 1.0) -> None:
    """Add a step's part of a gradient, if that gradient is wanted."""
    if name in total:
        total[name] += value * by


def _of_currents(
    p: Problem, spikes: Tensor, from_current: Tensor, needed: Set[str]
) -> dict[str, Tensor]:
    """Gradients of what adds up to the current, given the current's own of every step."""
    found: dict[str, Tensor] = {}
    flat = from_current.flatten(0, 1)
    if "current" in needed:
        found["current"] = from_current
    for name in {"projection_bias", "recurrent_bias"} & needed:
        found[name] = flat.sum(0)
    if "recurrent" in needed:
        before = torch.cat([p.spikes[None], spikes])[: p.steps]
        if p.begin is not None:
            before.masked_fill_(p.begin[..., None], 0)
        found["recurrent"] = flat.t() @ before.flatten(0, 1)
    if p.projection is not None and "inputs" in needed:
        found["inputs"] = from_current @ p.projection
    if p.projection is not None and "projection" in needed:
        if p.inputs is not None:
            found["projection"] = flat.t() @ p.inputs.flatten(0, 1)
        else:
            assert isinstance(p.events, Events)
            transposed = _transposed(p.events, p.projection.shape[1])
            found["projection"] = _gathered(flat, transposed).t()
    return found
