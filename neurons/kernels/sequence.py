"""From a layer and its input to a kernel's problem, and from its solution back."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from ..plasticity.sequence import PlasticState, run
from ..reset import RECURRENT_RESETS
from . import reference
from .choice import choose, plain
from .events import EventBatch, note, noted
from .operation import solve
from .problem import Events, Problem, Rules

Signal = Tensor | EventBatch
"""What comes from the layer below: [time, batch, channels]."""


def shape_after(signal: Signal, projection: nn.Module | None) -> tuple[int, ...]:
    """Tell the shape of the current that a signal makes, before it is made.

    Raises:
        ValueError: if the projection expects another number of channels.
    """
    shape = tuple(signal.shape)
    if not isinstance(projection, nn.Linear) or not shape:
        return shape
    lazy = isinstance(projection, LazyModuleMixin)  # which takes what it is first given
    if shape[-1] != projection.in_features and not lazy:
        raise ValueError(
            f"The projection expects an input of shape [time, batch, {projection.in_features}], "
            f"got {list(shape)}."
        )
    return (*shape[:-1], projection.out_features)


def current_of(
    signal: Signal, projection: nn.Module | None, dtype: torch.dtype | None = None
) -> Tensor:
    """Compute the current of every step, [time, batch, neurons].

    Events become numbers of the dtype of the projection; without weights there, of ``dtype``.
    """
    if isinstance(signal, EventBatch):
        weight = None if projection is None else next(projection.parameters(), None)
        signal = signal.dense(
            dtype or torch.get_default_dtype() if weight is None else weight.dtype
        )
    return signal if projection is None else projection(signal)


def run_layer(
    layer: Any,
    signal: Signal,
    projection: nn.Module | None,
    state: Any,
    reset: Tensor | None,
    with_membrane: bool,
) -> tuple[Tensor, Any, Tensor | None]:
    """Run a spiking layer over a sequence by the kernel that suits it.

    Args:
        layer: a :class:`srnn.neurons._layer.SpikingLayer`.
        signal: its current, or what its projection is given.
        projection: a module that makes the current, or None.
        state: where to start from, as the layer's own tuple; None for its initial state.
        reset: mask [time, batch] of steps that begin a new episode, or None.
        with_membrane: whether the membrane of every step is wanted.

    Returns:
        The spikes [time, batch, neurons], the final state, and the membrane likewise or None.
    """
    if getattr(layer, "plasticity", None) is not None:
        return _run_plastic(layer, signal, projection, state, reset, with_membrane)
    signal, projection = _hidden_call(signal, projection)
    shape = shape_after(signal, projection)
    params = layer.params()
    kernel = "reference"
    values = _per_neuron(params, shape[-1])
    if state is not None:
        reference.check_state(state, layer.initial_state(layer.threshold.new_empty(shape[1:])))
    if values is not None:
        tensors = [*values.values(), *_tensors(signal, projection), *(state or ())]
        device = values["alpha"].device
        kernel = choose(layer, shape, device, [t.dtype for t in tensors if t is not None])
    if values is None or kernel == "reference":
        current = current_of(signal, projection, layer.threshold.dtype)
        initial = layer.initial_state(current.new_empty(current.shape[1:]))
        spikes = initial.spikes if state is None else state.spikes
        before = initial if state is None else layer._with_crossings(state, params)

        def advance(x: Tensor, spikes: Tensor, state: Any) -> tuple[Tensor, Any]:
            return layer._advance(x, spikes, state, params)

        found = reference.run(advance, current, spikes, before, initial, reset, with_membrane)
        outputs, membranes, after = found
        return outputs, after, membranes

    if state is None:
        before = state = layer.initial_state(values["alpha"].new_empty(shape[1:]))
    else:
        before = layer._with_crossings(state, params)
    anew_twice = layer.resets is RECURRENT_RESETS and layer.reset_mechanism == "zero"
    recurrent = getattr(layer, "recurrent", None)
    spike = layer.spike_grad
    problem = Problem(
        **_source(signal, projection, kernel, values["alpha"].dtype),
        steps=shape[0],
        recurrent=None if recurrent is None else recurrent.weight,
        recurrent_bias=None if recurrent is None else recurrent.bias,
        **values,
        spikes=state.spikes,
        crossed=before.spikes,
        membrane=before.membrane,
        adaptation=getattr(before, "adaptation", None),
        begin=None if reset is None else reset.bool(),
        rules=Rules(
            surrogate=type(spike).__name__,
            constants=tuple(float(getattr(spike, c)) for c in type(spike).__dataclass_fields__),
            reset="zero-after" if anew_twice else layer.reset_mechanism,
            detach_reset=bool(layer.detach_reset),
            initial_adaptation=float(getattr(layer, "initial_adaptation", 0.0)),
        ),
    )
    solution = solve(problem, kernel, trace=with_membrane)
    note(solution.spikes, solution.counts, solution.fired)
    after = before._replace(
        # A copy: a view would hold on to the spikes of the whole sequence.
        spikes=solution.spikes[-1].clone() if shape[0] else state.spikes,
        membrane=solution.membrane,
    )
    if solution.adaptation is not None:
        after = after._replace(adaptation=solution.adaptation)
    return solution.spikes, after, solution.trace


def _run_plastic(
    layer: Any,
    signal: Signal,
    projection: nn.Module | None,
    state: PlasticState | None,
    reset: Tensor | None,
    with_membrane: bool,
) -> tuple[Tensor, PlasticState, Tensor | None]:
    """Run a layer whose recurrent synapses have a state; as :func:`run_layer`."""
    stp, params = layer.plasticity, layer.params()
    given = current_of(signal, projection, stp.W.dtype)
    like = given.new_empty(given.shape[1], stp.neurons)
    neurons = layer.initial_state(like)
    synapses = stp.initial_state(len(like), neurons.membrane)
    before = initial = PlasticState(neurons.spikes, neurons, synapses)
    if state is not None:
        reference.check_state(state, initial)
        before = state._replace(neurons=layer._with_crossings(state.neurons, params))
    membranes = []

    def advance(current: Tensor, spikes: Tensor, neurons: Any) -> tuple[Tensor, Any]:
        spikes, neurons = layer._advance(current, spikes, neurons, params)
        if with_membrane:
            membranes.append(neurons.membrane)
        return spikes, neurons

    outputs, after = run(given, before, initial, reset, stp, advance)
    if not with_membrane:
        return outputs, after, None
    return outputs, after, torch.stack(membranes) if membranes else torch.zeros_like(outputs)


def run_integrator(
    layer: Any,
    signal: Signal,
    projection: nn.Module | None,
    alpha: Tensor,
    state: Any,
    reset: Tensor | None,
) -> tuple[Tensor, Tensor] | Tensor:
    """Run leaky integrators, which are neurons that never reach their threshold.

    Args:
        layer: the layer, :class:`srnn.neurons.LI`.
        signal: as in :func:`run_layer`.
        projection: likewise.
        alpha: decay over one step.
        state: where to start from, as the layer's own tuple; None for its initial state.
        reset: mask [time, batch] of steps before which the membrane is put to zero.

    Returns:
        The membrane [time, batch, neurons] and the final one, [batch, neurons]; or the current
        alone, where only the reference can go on from it.
    """
    signal, projection = _hidden_call(signal, projection)
    shape = shape_after(signal, projection)
    if state is not None:
        reference.check_state(state, layer.initial_state(alpha.new_empty(shape[1:])))
    membrane = None if state is None else state.membrane
    tensors = [alpha, membrane, *_tensors(signal, projection)]
    kernel = choose(layer, shape, alpha.device, [t.dtype for t in tensors if t is not None])
    if kernel == "reference" or not shape[0]:
        return current_of(signal, projection, alpha.dtype)
    alpha = alpha.expand(shape[-1])
    zeros = alpha.new_zeros(shape[1:])
    problem = Problem(
        **_source(signal, projection, kernel, alpha.dtype),
        steps=shape[0],
        recurrent=None,
        recurrent_bias=None,
        alpha=alpha,
        input_gain=1 - alpha,
        threshold=torch.full_like(alpha, math.inf),
        rho=None,
        adaptation_strength=None,
        spikes=zeros,
        crossed=zeros,
        membrane=zeros if membrane is None else membrane,
        adaptation=None,
        begin=None if reset is None else reset.bool(),
        rules=Rules("no_gradient", (), "none", False),
    )
    solution = solve(problem, kernel, trace=True)
    assert solution.trace is not None
    return solution.trace, solution.membrane


def _hidden_call(signal: Signal, projection: nn.Module | None) -> tuple[Signal, nn.Module | None]:
    """Call a projection that a kernel cannot do, since more than W x + b happens there."""
    if projection is None or plain(projection):
        return signal, projection
    return current_of(signal, projection), None


def _tensors(signal: Signal, projection: Any) -> list[Tensor | None]:
    """Those whose dtype must be that of the layer; a projection is plain here."""
    dense = [] if isinstance(signal, EventBatch) else [signal]
    return [*dense, *(() if projection is None else (projection.weight, projection.bias))]


def _source(signal: Signal, projection: Any, kernel: str, dtype: torch.dtype) -> dict[str, Any]:
    """The part of a problem that says where the current comes from, in the dtype of the layer."""
    source: dict[str, Any] = dict.fromkeys(
        ("current", "inputs", "events", "projection", "projection_bias")
    )
    if projection is None:
        return source | {"current": current_of(signal, None, dtype)}
    source |= {"projection": projection.weight, "projection_bias": projection.bias}
    if isinstance(signal, EventBatch):
        events = signal.events if kernel == "cpu" else signal.lists()
        if isinstance(events, Events) and events.values is not None:
            events = events._replace(values=events.values.to(dtype))
        return source | {"events": events}
    known = noted(signal)
    return source | {"inputs": signal, "events": None if known is None else known.fired}


def _per_neuron(params: Any, neurons: int) -> dict[str, Any] | None:
    """The parameters as one number for each neuron; None if they have another shape."""
    lif = getattr(params, "lif", params)
    alpha = lif.alpha
    gain = lif.input_gain if isinstance(lif.input_gain, Tensor) else torch.ones_like(alpha)
    values: dict[str, Any] = {"alpha": alpha, "input_gain": gain, "threshold": lif.threshold}
    for name in ("rho", "adaptation_strength"):
        values[name] = getattr(params, name, None)
    for name, value in values.items():
        if value is None:
            continue
        if value.numel() not in (1, neurons) or (value.dim() and value.shape[-1] != value.numel()):
            return None
        if value.shape != (neurons,):
            values[name] = value.reshape(-1).expand(neurons)
    return values
