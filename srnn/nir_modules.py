"""Modules as plain data: class and options of each, from which an equal one is built.

What is not in the table at the end cannot be described: code, such as a surrogate that is a
function, and classes that this file does not know, since a subclass may compute anything.
"""

from collections.abc import Callable
from dataclasses import asdict, astuple
from typing import Any

from torch import Tensor, nn

from srnn.neurons import ALIF, LI, LIF, RALIF, RLIF, TimeConstant
from srnn.neurons.surrogate import SURROGATES, no_gradient

from .delay import Delay
from .network import SRNN, Layer
from .readout import Readout

NEURONS: dict[str, Any] = {kind.__name__: kind for kind in (LIF, RLIF, ALIF, RALIF)}
"""Spiking layers that can be written, by name. A subclass may compute something else: it is none of
them."""

_SURROGATES = SURROGATES | {"no_gradient": no_gradient}
_OPTIONS = (
    "linear_features",
    "init_hidden",
    "inhibition",
    "output",
    "surrogate_disable",
    "reset_mechanism",
    "reset_delay",
    "detach_reset",
)
# A module inside a neuron that is none of these does something that would be lost.
_PARTS = {"recurrent", "tau_mem", "tau_adapt"}


# ------------------------------------------------------------------------------ network to data


def describe(module: nn.Module, name: str = "") -> dict[str, Any]:
    """Say in plain data what a module is made of.

    Args:
        module: one of a kind that this file knows.
        name: what to call it in messages.

    Returns:
        Its class and options, and its parts likewise; no tensors.

    Raises:
        ValueError: if it, or a part of it, cannot be described.
    """
    kind = type(module).__name__
    if type(module) not in _KINDS:
        known = ", ".join(k.__name__ for k in _KINDS)
        raise ValueError(
            f"{name or 'The network'}: to_nir does not know {kind}; it writes {known}."
        )
    options, _ = _KINDS[type(module)]
    return {"class": kind, **options(module, name)}


def _parts(*names: str) -> Callable[[Any, str], dict[str, Any]]:
    """Describe the parts of a module that have these names."""

    def parts(module: nn.Module, name: str) -> dict[str, Any]:
        return {part: describe(getattr(module, part), _join(name, part)) for part in names}

    return parts


def _join(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part


def _describe_srnn(network: Any, name: str) -> dict[str, Any]:
    layers = [
        describe(layer, _join(name, f"layer{i}")) for i, layer in enumerate(network.layers, start=1)
    ]
    return {"layers": layers, "readout": describe(network.readout, _join(name, "readout"))}


def _describe_readout(readout: Any, name: str) -> dict[str, Any]:
    return {
        "reduction": readout.reduction,
        "burn_in": readout.burn_in,
        **_parts("projection", "neuron")(readout, name),
    }


def _describe_sequential(chain: Any, name: str) -> dict[str, Any]:
    return {"parts": {k: describe(part, _join(name, k)) for k, part in chain.named_children()}}


def _check_plain(module: nn.Module, name: str, parameter: str) -> None:
    """Refuse what torch.nn.utils computes from other parameters, as a pruned weight."""
    if parameter not in module._parameters:
        raise ValueError(
            f"{name or 'The network'}: to_nir does not know a {parameter} that is pruned or "
            "parametrised; make it plain by torch.nn.utils."
        )


def _describe_linear(linear: Any, name: str) -> dict[str, Any]:
    _check_plain(linear, name, "weight")
    return {
        "in_features": linear.in_features,
        "out_features": linear.out_features,
        "bias": linear.bias is not None,
    }


def _describe_time_constant(constant: Any, name: str) -> dict[str, Any]:
    _check_plain(constant, name, "theta")
    start = constant.initial
    values = ", ".join(map(repr, astuple(start)))  # in full, which its text is not
    return {
        "initial": f"{type(start).__name__}({values})",
        "size": list(constant.theta.shape),
        "bounds": list(constant.bounds),
        "parametrization": constant.parametrization,
        "dt": constant.dt,
    }


def _describe_neuron(neuron: Any, name: str) -> dict[str, Any]:
    surrogate = neuron.spike_grad
    foreign = sorted({n for n, _ in neuron.named_children()} - _PARTS)
    refusal = None
    if foreign:
        refusal = f"to_nir does not know its {foreign[0]!r}; export the layer without"
    elif _SURROGATES.get(type(surrogate).__name__) is not type(surrogate):
        refusal = (
            f"its surrogate {surrogate!r} is code, which a file does not hold; set spike_grad to "
            "one of srnn.neurons.surrogate"
        )
    elif neuron.state_quant:
        refusal = "its state_quant is code, which a file does not hold; set state_quant to False"
    elif isinstance(neuron, RLIF) and type(neuron.recurrent) is not nn.Linear:
        refusal = "to_nir writes recurrence from all neurons to all; make it with linear_features"
    elif neuron.conv2d_channels:
        refusal = "to_nir writes vectors of neurons, no images; make it with linear_features"
    if refusal:
        raise ValueError(f"{name or type(neuron).__name__}: {refusal}.")
    if isinstance(neuron, RLIF):
        _check_plain(neuron.recurrent, f"{name or type(neuron).__name__}.recurrent", "weight")
    keywords = {option: getattr(neuron, option) for option in _OPTIONS}
    keywords["learn_threshold"] = "threshold" in neuron._parameters
    if isinstance(neuron, RLIF):
        keywords["learn_recurrent"] = neuron.learn_recurrent
    else:
        keywords["learn_graded_spikes_factor"] = "graded_spikes_factor" in neuron._parameters
    if neuron.tau_mem is None:
        keywords["learn_beta"] = "beta" in neuron._parameters
    if isinstance(neuron, ALIF | RALIF):
        keywords["initial_adaptation"] = neuron.initial_adaptation
    taus = {
        k: describe(m, _join(name, k))
        for k, m in neuron.named_children()
        if isinstance(m, TimeConstant)
    }
    return {
        "keywords": keywords,
        "time_constants": taus,
        "surrogate": {"class": type(surrogate).__name__, **asdict(surrogate)},
    }


# ------------------------------------------------------------------------------ data to network


def build(description: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    """Make a module of its description.

    Args:
        description: what :func:`describe` returned.
        tensors: its state; the constructors are shown it where they check it.

    Returns:
        The module, with weights of its own: the state is yet to be loaded.
    """
    kinds = {kind.__name__: build for kind, (_, build) in _KINDS.items()}
    return kinds[description["class"]](description, tensors)


def _within(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    start = f"{part}."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def _part(description: dict[str, Any], tensors: dict[str, Tensor], name: str) -> Any:
    return build(description[name], _within(tensors, name))


def _build_srnn(description: dict[str, Any], tensors: dict[str, Tensor]) -> SRNN:
    layers = [
        build(layer, _within(tensors, f"layers.{i}"))
        for i, layer in enumerate(description["layers"])
    ]
    readout = _part(description, tensors, "readout")
    return assemble(layers, readout)


def assemble(layers: list[Layer], readout: Readout) -> SRNN:
    """Make a network of layers and a readout that exist already.

    Args:
        layers: the hidden layers.
        readout: the readout.

    Returns:
        A network around these very modules, their weights as they are.
    """
    # Past the constructor, which makes layers of its own and draws their weights.
    network = SRNN.__new__(SRNN)
    nn.Module.__init__(network)
    network.layers = nn.ModuleList(layers)
    network.readout = readout
    network.ticks = 1
    return network


def _build_readout(description: dict[str, Any], tensors: dict[str, Tensor]) -> Readout:
    projection = _part(description, tensors, "projection")
    readout = Readout(
        projection.in_features,
        projection.out_features,
        description["reduction"],
        neuron=_part(description, tensors, "neuron"),
        burn_in=description["burn_in"],
    )
    readout.projection = projection
    return readout


def _build_layer(description: dict[str, Any], tensors: dict[str, Tensor]) -> Layer:
    return Layer(
        _part(description, tensors, "projection"),
        _part(description, tensors, "neuron"),
        _part(description, tensors, "between"),
    )


def _build_sequential(description: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Sequential:
    chain = nn.Sequential()
    for name in description["parts"]:
        chain.add_module(name, _part(description["parts"], tensors, name))
    return chain


def _build_neuron(description: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    kind = NEURONS[description["class"]]
    keywords = dict(description["keywords"])
    surrogate = dict(description["surrogate"])
    keywords["spike_grad"] = _SURROGATES[surrogate.pop("class")](**surrogate)
    for name in description["time_constants"]:
        keywords[name] = _part(description["time_constants"], tensors, name)
    if issubclass(kind, RLIF):
        _check_size(tensors, "recurrent.weight", 2 * [keywords["linear_features"]])
    # The constructor sees their shapes, and whether they are legal.
    keywords["threshold"] = tensors["threshold"].clone()
    if "beta" in tensors:
        keywords["beta"] = tensors["beta"].clone()
    if "adaptation_strength" in tensors:
        keywords["adaptation_strength"] = float(tensors["adaptation_strength"])
    return kind(**keywords)


def _check_size(tensors: dict[str, Tensor], name: str, described: list[int]) -> None:
    """Sizes stand twice in a file: they must agree before memory is taken for them."""
    shape = list(tensors[name].shape)
    if shape != described:
        raise ValueError(f"{name} has the shape {shape} and is described as {described}")


def _build_linear(description: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Linear:
    rows, columns = description["out_features"], description["in_features"]
    _check_size(tensors, "weight", [rows, columns])
    return nn.Linear(columns, rows, bias=description["bias"])


def _build_delay(description: dict[str, Any], tensors: dict[str, Tensor]) -> Delay:
    _check_size(tensors, "steps", [description["neurons"]])
    return Delay(description["neurons"], tensors["steps"])


def _build_time_constant(description: dict[str, Any], tensors: dict[str, Tensor]) -> TimeConstant:
    _check_size(tensors, "theta", description["size"])
    return TimeConstant(**{k: v for k, v in description.items() if k != "class"})


_KINDS: dict[type, tuple[Callable[..., dict[str, Any]], Callable[..., Any]]] = {
    SRNN: (_describe_srnn, _build_srnn),
    Readout: (_describe_readout, _build_readout),
    Layer: (_parts("projection", "between", "neuron"), _build_layer),
    nn.Sequential: (_describe_sequential, _build_sequential),
    nn.Linear: (_describe_linear, _build_linear),
    nn.Identity: (lambda module, name: {}, lambda description, tensors: nn.Identity()),
    Delay: (lambda delay, name: {"neurons": delay.neurons}, _build_delay),
    LI: (
        lambda li, name: {
            "neurons": li.neurons,
            "tau_mem": describe(li.tau_mem, _join(name, "tau_mem")),
        },
        lambda description, tensors: LI(
            description["neurons"], _part(description, tensors, "tau_mem")
        ),
    ),
    TimeConstant: (_describe_time_constant, _build_time_constant),
    **dict.fromkeys(NEURONS.values(), (_describe_neuron, _build_neuron)),
}
"""How each module that can be written is described, and built again from its description."""
