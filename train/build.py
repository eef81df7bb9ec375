"""From an experiment to its parts: data and network."""

import inspect
import math
import re
from functools import partial
from typing import Any

import torch
from torch import nn

from srnn import SRNN, Readout
from srnn.baselines import GRU, LSTM, RNN, Baseline
from srnn.datasets import EpisodeInfo, Info, Splits, load
from srnn.datasets.games import GameInfo
from srnn.encoder import Encoder
from srnn.fast_weights import FastWeights
from srnn.neurons import ALIF, LI, LIF, RALIF, RLIF, TimeConstant, surrogate
from srnn.neurons.plasticity import HebbianSTP, MemristiveSTP, Plasticity, TsodyksMarkramSTP
from srnn.stpn import STPN

from .config import Experiment, flag
from .errors import ConfigError

Network = SRNN | Baseline
"""What an experiment trains."""

_BASELINES: dict[str, type[Baseline]] = {
    "rnn": RNN,
    "gru": GRU,
    "lstm": LSTM,
    "stpn": STPN,
    "m-stpn": STPN,
    "fast-weights": FastWeights,
}

_PLASTICITY: dict[str, type[Plasticity]] = {
    "hebbian": HebbianSTP,
    "tsodyks-markram": TsodyksMarkramSTP,
    "memristive": MemristiveSTP,
}

_STPN: dict[str, type[Plasticity]] = {"stpn": HebbianSTP, "m-stpn": MemristiveSTP}

# (family, recurrent) -> class
_NEURONS = {
    ("alif", True): RALIF,
    ("alif", False): ALIF,
    ("lif", True): RLIF,
    ("lif", False): LIF,
}


def build_data(experiment: Experiment) -> Splits:
    """Load the data set of an experiment; its test part stays unread.

    Raises:
        ConfigError: if an option of the data set is a flag of its own.
        DataError: if it is unknown, missing or damaged.
    """
    for option, own in {"name": "--dataset", "root": "--data-dir"}.items():
        if option in experiment.data:
            raise ConfigError(f"--data.{option} is no option of a data set: give {own} instead.")
    return load(experiment.dataset, experiment.data_dir, **experiment.data)


def build_network(experiment: Experiment, info: Info) -> Network:
    """Make the network of an experiment, with all that is random drawn from its seed.

    Raises:
        ConfigError: if the settings do not fit each other or the data.
    """
    if info.streaming != (experiment.readout == "stream"):
        kind = "a label at every step" if info.streaming else "one label a sequence"
        fitting = "stream" if info.streaming else "softmax-sum, mean, last or count"
        raise ConfigError(f"{info.name} has {kind}: it needs --readout {fitting}.")
    if isinstance(info, GameInfo) and experiment.parts > experiment.batch_size:
        raise ConfigError(
            f"--parts shares out the games that are played at once, and {experiment.parts} are "
            f"more than --batch-size {experiment.batch_size}."
        )
    if experiment.tbptt and isinstance(info, GameInfo):
        raise ConfigError(
            f"{info.name} is learned by stretches of --data.steps: leave --tbptt out."
        )
    if experiment.tbptt and isinstance(info, EpisodeInfo):
        raise ConfigError(
            f"{info.name} is learned by whole episodes, since what a step is worth shows only "
            "later: leave --tbptt out."
        )
    if experiment.burn_in and experiment.readout in ("last", "stream"):
        raise ConfigError(
            f"--readout {experiment.readout} sums nothing, which --burn-in {experiment.burn_in}, "
            "typed or of a recipe, could leave out: give --burn-in 0."
        )
    if experiment.burn_in >= info.steps:
        raise ConfigError(
            f"--burn-in {experiment.burn_in} leaves nothing of sequences of {info.steps} steps."
        )
    if experiment.encoder != "none" and experiment.model in ("srnn", "fast-weights"):
        raise ConfigError(
            "--encoder stands before an rnn, gru, lstm, stpn or m-stpn, and --model "
            f"{experiment.model} has none: leave it out."
        )
    make = _spiking if experiment.model == "srnn" else _baseline
    network = make(experiment, info)
    return network.double() if experiment.precision == "64-true" else network


def _baseline(experiment: Experiment, info: Info) -> Baseline:
    if experiment.readout == "count":
        raise ConfigError(
            f"--model {experiment.model} has no spikes to count: it needs --readout softmax-sum, "
            "mean or last."
        )
    own: dict[str, Any] = {}
    if experiment.model in _STPN:
        synapses = _STPN[experiment.model]
        own |= {"plasticity": synapses, **_synapses(synapses, experiment.synapses)}
    elif experiment.synapses:
        raise ConfigError(
            f"--model {experiment.model} has no plastic synapses: leave --synapses out."
        )
    torch.manual_seed(experiment.seed)
    readout = Readout(
        experiment.hidden[-1],
        info.outputs,
        experiment.readout,
        neuron=nn.Identity(),
        burn_in=experiment.burn_in,
    )
    kind = _BASELINES[experiment.model]
    if experiment.encoder != "none":
        own["encoder"] = _encoder(experiment, info)
    return kind(info.channels, experiment.hidden, info.outputs, readout=readout, **own)


def _encoder(experiment: Experiment, info: Info) -> Encoder:
    """What a network sees its inputs through."""
    shape = getattr(info, "shape", ()) or (info.channels,)
    try:
        return Encoder(shape, experiment.encoder)
    except ValueError as error:
        raise ConfigError(f"--encoder: {error}") from None


def _synapses(kind: type[Plasticity], options: dict[str, Any]) -> dict[str, Any]:
    """Check the options of plastic synapses by making some, and return them."""
    parameters = inspect.signature(kind).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "generator"]
    for name in options:
        if name not in known:
            raise ConfigError(
                f"--synapses.{name} is no option of {kind.__name__}, which has {', '.join(known)}."
            )
    try:
        kind(1, 1, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--synapses: {error}") from None
    return options


_WITHOUT = {"plastic_inputs": "--plastic-inputs false", "synapses": "no --synapses"}


def _plasticity(experiment: Experiment) -> dict[str, Any]:
    """The options of a spiking network that make its synapses plastic."""
    if experiment.plasticity == "none":
        for name in ("plastic_inputs", "synapses"):
            if getattr(experiment, name):
                raise ConfigError(
                    f"{flag(name)}, typed or of a recipe, means plastic synapses: give a "
                    f"--plasticity too, or {_WITHOUT[name]}."
                )
        return {}
    if experiment.feedforward:
        raise ConfigError(
            "--plasticity, typed or of a recipe, is one of the recurrent synapses: leave "
            "--feedforward out, or give --plasticity none."
        )
    kind = _PLASTICITY[experiment.plasticity]
    return {
        "plasticity": partial(kind, **_synapses(kind, experiment.synapses)),
        "plastic_inputs": experiment.plastic_inputs,
    }


def _spiking(experiment: Experiment, info: Info) -> SRNN:
    for name in ("tau_mem", "tau_adapt", "tau_readout"):
        try:
            TimeConstant(getattr(experiment, name), size=1, bounds=(1.0, 2000.0))
        except ValueError as error:
            raise ConfigError(f"{flag(name)}: {error}") from None
    plasticity = _plasticity(experiment)
    torch.manual_seed(experiment.seed)
    family = experiment.neuron
    options: dict[str, Any] = {
        "tau_mem": experiment.tau_mem,
        "threshold": experiment.threshold,
        "spike_grad": parse_surrogate(experiment.surrogate),
        "detach_reset": experiment.detach_reset,
    }
    if family == "alif":
        options |= {
            "tau_adapt": experiment.tau_adapt,
            "adaptation_strength": experiment.adaptation_strength,
        }
    try:
        outputs = info.outputs
        output = (
            _NEURONS[family, False](linear_features=outputs, **options)
            if experiment.readout == "count"
            else LI(outputs, tau_mem=experiment.tau_readout)
        )
        network = SRNN(
            info.channels,
            experiment.hidden,
            outputs,
            neuron=_NEURONS[family, not experiment.feedforward],
            readout=Readout(
                experiment.hidden[-1],
                outputs,
                experiment.readout,
                neuron=output,
                burn_in=experiment.burn_in * experiment.ticks,
            ),
            input_gain=experiment.input_gain,
            recurrent_gain=experiment.recurrent_gain,
            ticks=experiment.ticks,
            **plasticity,
            **options,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    for module in network.modules():
        if isinstance(module, TimeConstant) and not experiment.learn_tau:
            module.requires_grad_(False)
    return network


def parse_surrogate(text: str) -> surrogate.Surrogate:
    """Read a surrogate gradient, such as ``triangle`` or ``multi_gaussian(gamma=0.3, h=0.15)``.

    Raises:
        ConfigError: for an unknown name or constant.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", text)
    try:
        name, constants = match.groups() if match else (text, None)
        pairs = [pair.split("=") for pair in (constants or "").split(",") if pair.strip()]
        values = {key.strip(): float(value) for key, value in pairs}
        if not all(0 < value < math.inf for key, value in values.items() if key != "h"):
            raise ValueError
        return surrogate.SURROGATES[name](**values)
    except (KeyError, TypeError, ValueError):
        known = ", ".join(surrogate.SURROGATES)
        raise ConfigError(
            f"--surrogate {text!r} is unknown; choose from {known}, with named, positive "
            "constants in parentheses if wanted."
        ) from None
