"""Spiking layers, ours and snnTorch's: by step, by sequence, and within `Layer` and `Readout`.

Everything is counted from what goes into a layer and what its neurons send out, since a compiled
kernel shows nothing else. The recurrent weights of a step see the spikes of the step before:

    recurrence at t: products with S_{t-1},     S_{-1} the state that the sequence began with

so that the last step's spikes are the next sequence's. A reset mask puts S_{t-1} to 0.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from srnn.delay import Delay
from srnn.neurons import LI
from srnn.neurons.surrogate import Surrogate

from . import plastic
from .calls import Call, Kind, Methods
from .errors import UncountedError
from .events import Input, read
from .neurons import formula_of
from .synapses import class_of, features_of, is_synapse, synapse_terms
from .terms import Term, Terms, add, work

SILENT = (LI, nn.Identity)
"""What may stand in the place of neurons and never fires."""


# ------------------------------------------------------------------------------ what can be counted


def check_neuron(neuron: Any, name: str) -> None:
    """Refuse a neuron whose update or recurrence no formula fits."""
    if isinstance(neuron, nn.Identity):
        return
    formula_of(neuron, name)
    stp = getattr(neuron, "plasticity", None)
    if stp is not None and type(stp) not in plastic.FORMULAS:
        raise UncountedError(f"{name}: no meter knows what its plasticity costs.")
    recurrent = getattr(neuron, "recurrent", None)
    if recurrent is not None and not is_synapse(recurrent):
        raise UncountedError(
            f"{name}.recurrent: no meter knows the weights of {type(recurrent).__name__}."
        )


def _check_layer(layer: Any, name: str) -> None:
    plastic_inputs = getattr(layer, "synapses", None) is not None
    kind = type(layer.projection)
    if plastic_inputs and kind is not nn.Identity:
        raise UncountedError(
            f"{name}.projection: the plastic synapses of {name}.neuron cover its inputs, and no "
            f"meter counts a {kind.__name__} before them; put nn.Identity() in its place."
        )
    if not plastic_inputs and not is_synapse(layer.projection):
        raise UncountedError(f"{name}.projection: no meter knows the weights of {kind.__name__}.")
    check_neuron(layer.neuron, f"{name}.neuron")


# -------------------------------------------------------------------------------- neurons


def fires_ones(neuron: Any) -> bool:
    """Whether its spikes are 0 or 1 for certain, so that nobody has to look."""
    graded = getattr(neuron, "graded_spikes_factor", None)
    known = isinstance(getattr(neuron, "spike_grad", None), Surrogate)
    if not known or graded is None:
        return known
    graded = torch.as_tensor(graded)
    return bool(graded.item() == 1) if graded.numel() == 1 else bool((graded == 1).all())


def _previous_features(neuron: Any, spikes: Tensor, leading: int) -> int:
    """How many dimensions the neurons have, as their recurrent weights see them."""
    recurrent = getattr(neuron, "recurrent", None)
    if isinstance(recurrent, nn.Linear | nn.Conv1d | nn.Conv2d):
        return features_of(recurrent)
    return spikes.dim() - leading


def neuron_terms(neuron: Any, name: str, sent: Input) -> Terms:
    """Count the updates of neurons that sent these spikes."""
    axes = tuple(range(1, sent.events.dim()))
    spikes = (sent.whole + sent.reals).sum(axes)
    updates = sent.rows * sent.events[0].numel()
    return formula_of(neuron, name)(neuron, updates, spikes)


def _recurrence(neuron: Any, previous: Input) -> Terms:
    recurrent = getattr(neuron, "recurrent", None)
    return {} if recurrent is None else synapse_terms(recurrent, previous, "recurrence")


def sequence_terms(
    call: Call, neuron: Any, given: Any, spikes: Tensor, state: Any, reset: Any
) -> Terms:
    """Count neurons and their recurrence over a sequence of spikes [time, batch, ...]."""
    binary = fires_ones(neuron)
    features = _previous_features(neuron, spikes, 2)
    sent = call.read(spikes, features, binary=binary)
    terms = neuron_terms(neuron, call.name, sent)
    stp = getattr(neuron, "plasticity", None)
    if stp is not None:
        past = plastic.before(spikes, None if state is None else state.h, reset)
        return add(
            terms,
            plastic.plastic_terms(stp, given, spikes, past, real=False, timewise=call.timewise),
        )
    if getattr(neuron, "recurrent", None) is None:
        return terms
    if reset is None and not call.timewise:
        into = None if state is None else read(state.spikes[None].to(spikes), features)
        previous = sent.shift(read(spikes[-1:], features, binary=binary), into)
    else:
        first = torch.zeros_like(spikes[:1]) if state is None else state.spikes[None].to(spikes)
        shifted = torch.cat([first, spikes[:-1]])
        if reset is not None:
            anew = reset.bool().reshape(*reset.shape, *[1] * (spikes.dim() - 2))
            shifted = shifted.masked_fill(anew, 0)
        previous = read(shifted, features, timewise=call.timewise)
    return add(terms, _recurrence(neuron, previous))


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def _sent(call: Call) -> Tensor:
    return _first(call.output)


def _projected(call: Call) -> Terms:
    """Count the projection of a sequence, unless it is a part that is counted by itself."""
    name, projection = call.name or type(call.module).__name__, call.projection
    given, stp = call.arguments.get("projection"), getattr(call.module, "plasticity", None)
    if given is None or type(given) is nn.Identity:
        return {}
    if stp is not None and stp.inputs:
        raise UncountedError(
            f"{name}: its plastic synapses cover its inputs, and no meter counts a projection "
            "before them; call it without one."
        )
    if projection is None:
        return {}
    if not is_synapse(projection):
        raise UncountedError(
            f"{name}: the {type(projection).__name__} that it is given as its projection is no "
            "part of the network, and no meter sees it run; make it one."
        )
    return synapse_terms(projection, call.read(call.arguments["input_"], features_of(projection)))


def _count_neuron(call: Call) -> Terms:
    neuron, spikes = call.module, _first(call.output)
    if call.sequence:
        given = call.arguments
        state, reset = given.get("state"), given.get("reset")
        # Before the spikes are read, which are the next layer's input.
        terms = _projected(call)
        own = sequence_terms(call, neuron, given["input_"], spikes, state, reset)
        return add(terms, own)
    features = _previous_features(neuron, spikes, 1)
    sent = call.read(spikes, features, binary=fires_ones(neuron))
    previous = torch.zeros_like(spikes) if call.before is None else call.before
    stp = getattr(neuron, "plasticity", None)
    if stp is not None:
        x, h, past = call.arguments["input_"][None], spikes[None], previous[None]
        synapses = plastic.plastic_terms(stp, x, h, past, real=False, timewise=call.timewise)
        return add(neuron_terms(neuron, call.name, sent), synapses)
    return add(neuron_terms(neuron, call.name, sent), _recurrence(neuron, read(previous, features)))


def _last_spikes(neuron: Any, arguments: dict[str, Any]) -> Tensor | None:
    """The spikes that a step's recurrence is about to see: those given, or those kept."""
    spikes = arguments.get("spk")
    spikes = getattr(neuron, "spk", None) if spikes is None else spikes
    stp, shape = getattr(neuron, "plasticity", None), arguments["input_"].shape
    shape = shape if stp is None else (len(arguments["input_"]), stp.neurons)
    return spikes if spikes is not None and spikes.shape == shape else None


def _count_li(call: Call) -> Terms:
    membrane = call.output[0]
    blocks = len(membrane) if call.timewise else 1
    updates = membrane.numel() / max(blocks, 1)
    formula = formula_of(call.module, call.name)
    return add(_projected(call), formula(call.module, updates, torch.zeros(blocks)))


_SEQUENCE: Methods = {"forward_sequence": ("input_", "state")}
FEED_FORWARD = Kind(
    _count_neuron,
    _sent,
    lambda call: fires_ones(call.module),
    check_neuron,
    step={"forward": ("input_", "mem")},
    sequence=_SEQUENCE,
)
RECURRENT = replace(FEED_FORWARD, before=_last_spikes, step={"forward": ("input_", "spk", "mem")})
LEAKY_INTEGRATOR = Kind(_count_li, check=check_neuron, sequence=_SEQUENCE)


def stepped(*arguments: str, recurrent: bool = False) -> Kind:
    """The kind of one of snnTorch's own neurons, whose step takes these arguments."""
    kind = RECURRENT if recurrent else FEED_FORWARD
    return replace(kind, step={"forward": arguments}, sequence={})


# -------------------------------------------------------------------------------- delays


def delay_terms(call: Call, current: Tensor) -> dict[str, Term]:
    """A delay writes every current and reads it again later."""
    blocks = len(current) if call.timewise else 1
    return {"state": work(blocks, words=2 * current.numel() / max(blocks, 1))}


DELAY = Kind(
    lambda call: delay_terms(call, _first(call.output)),
    sequence={"forward": ("current",), "forward_sequence": ("current", "state")},
)


# -------------------------------------------------------------------------------- srnn.Layer

_BETWEEN = (Delay, nn.Identity)
"""What belongs to a layer between its projection and its neurons; all else is a part."""


def _count_layer(call: Call) -> Terms:
    layer, given = call.module, call.arguments
    # Before the spikes are read, which are the next layer's input.
    terms: Terms = {}
    if layer.synapses is None:
        features = features_of(layer.projection)
        terms = synapse_terms(layer.projection, call.read(given["inputs"], features))
    spikes, state = call.output[0], given.get("state")
    if hasattr(layer.between, "forward_sequence"):
        state = None if state is None else state[1]
        if class_of(layer.between, _BETWEEN) is Delay:
            terms = add(terms, delay_terms(call, spikes))
    own = sequence_terms(call, layer.neuron, given["inputs"], spikes, state, given.get("reset"))
    return add(terms, own)


def _between(layer: Any) -> list[tuple[str, nn.Module]]:
    counted = class_of(layer.between, _BETWEEN) is not None
    return [] if counted else [("between", layer.between)]


LAYER = Kind(
    _count_layer,
    _sent,
    lambda call: fires_ones(call.module.neuron),
    _check_layer,
    parts=_between,
    sequence={"forward": ("inputs", "state")},
)


# -------------------------------------------------------------------------------- srnn.Readout


def _reduction(
    readout: Any, steps: Tensor | int, blocks: int, rows: int, fired: Tensor | None
) -> dict[str, Term]:
    """What reducing the trace over time takes.

    softmax-sum: c - 1 additions for the sum of exponentials of c classes, c divisions, c additions
    to the running sum; mean: c additions; count: one for every output spike. Each reads and writes
    the running sum in every step, 2c words.

    Args:
        readout: the layer.
        steps: that count in each block.
        blocks: how many there are.
        rows: sequences.
        fired: output spikes in each block.
    """
    each, classes = steps * rows, readout.projection.out_features
    words = 2 * each * classes
    if readout.reduction == "softmax-sum":
        ac, mac = each * (2 * classes - 1), each * classes
        return {"reduction": work(blocks, ac=ac, mac=mac, words=words)}
    if readout.reduction == "mean":
        return {"reduction": work(blocks, ac=each * classes, words=words)}
    if readout.reduction == "count" and fired is not None:
        return {"reduction": work(blocks, ac=fired, words=words)}
    return {}


def _count_readout(call: Call) -> Terms:
    readout, given = call.module, call.arguments
    inputs, state = given["spikes"], given.get("state")
    terms: Terms = synapse_terms(readout.projection, call.read(inputs))
    fired = call.output[2]
    time, batch = inputs.shape[:2]
    start = 0 if state is None else state.steps
    early = min(max(readout.burn_in - start, 0), time)  # steps of the burn-in
    steps: Tensor | int = time - early
    blocks = 1
    if call.timewise:
        steps, blocks = (torch.arange(time) >= early).double(), time
    spikes = None
    if fired is not None:
        neurons = None if state is None else state.neurons
        reset = given.get("reset")
        own = sequence_terms(call, readout.neuron, inputs, fired, neurons, reset)
        terms = add(terms, own)
        # Every spike of the steps that count, not those of the burn-in.
        each = fired.detach().count_nonzero((1, 2))
        each[:early] = 0
        spikes = each if call.timewise else each.sum()[None]
    elif isinstance(readout.neuron, LI):
        updates = time * batch * readout.neuron.neurons / max(blocks, 1)
        formula = formula_of(readout.neuron, call.name)
        terms = add(terms, formula(readout.neuron, updates, torch.zeros(blocks)))
    return add(terms, _reduction(readout, steps, blocks, batch, spikes))


READOUT = Kind(
    _count_readout,
    lambda call: call.output[2],
    lambda call: fires_ones(call.module.neuron),
    _check_layer,
    sequence={"forward": ("spikes", "state")},
)
