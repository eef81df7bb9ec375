"""The command line of srnn-compare: its own flags, and those of srnn-train for every model."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from ..cli import LISTS, Parser, normalise, parse
from ..config import SPIKING, Experiment, flag
from ..errors import ConfigError

_DECIDED = {
    "model": "--baselines says what is compared with the spiking network",
    "resume": "the same command goes on where it was stopped",
    "match_params": "baselines are sized by the spiking network in any case",
    "retrain": "networks are compared as validation chose them",
    "devices": "the runs of a comparison take one device",
    "num_nodes": "the runs of a comparison take one device",
}
"""Flags of srnn-train that have no place here, and why."""

_OF_MEASURING = {
    *("run_dir", "name", "accelerator", "threads", "batch_size", "data_dir", "num_workers"),
    *("wandb", "wandb_project", "wandb_group"),
}
"""Those that say how runs are measured, and where the result goes; all others are of training."""


@dataclass
class CompareOptions:
    """Comparison."""

    baselines: list[Literal["rnn", "gru", "lstm"]] = field(
        default_factory=lambda: ["rnn", "gru", "lstm"]
    )
    """Non-spiking networks to compare the spiking one with: --baselines gru,lstm."""
    trials: int = 4
    """Settings that are tried for each model, on validation: the recipe's own, and others drawn
    around it."""
    seeds: int = 3
    """Runs of every network that is compared, with seeds --seed, --seed + 1, ..."""
    widths: list[int] = field(default_factory=lambda: [16, 24, 32, 48, 64, 96, 128, 192, 256])
    """Widths of the hidden layers: the ladder on which the smallest baseline is found that is as
    accurate as the spiking network, and points of the fronts."""
    penalties: list[float] = field(default_factory=lambda: [3.0, 10.0, 30.0])
    """Values of --rate-penalty with which the spiking network is trained too, as further points of
    its front."""
    match_accuracy: bool = True
    """Look for the smallest baselines that are as accurate as the spiking network."""
    profile: str | None = None
    """YAML file of an energy profile to add: name, ac and mac in pJ (see docs/energy.md)."""
    measure_energy: bool = False
    """Measure the joules that this machine takes for a sample, where it has a counter."""

    def __post_init__(self) -> None:
        for name in ("trials", "seeds"):
            self._require(name, getattr(self, name) > 0, "must be positive")
        self._require("widths", all(width > 0 for width in self.widths), "must be positive")
        positive = all(penalty > 0 for penalty in self.penalties)
        self._require("penalties", positive, "must be positive")
        self.baselines = list(dict.fromkeys(self.baselines))
        self.widths = sorted(set(self.widths))

    def _require(self, name: str, satisfied: bool, what: str) -> None:
        if not satisfied:
            raise ConfigError(f"{flag(name)} {what}; got {getattr(self, name)!r}.")


@dataclass(frozen=True)
class Request:
    """What a command line asks for.

    Attributes:
        options: of the comparison.
        experiments: settings by model, the spiking network's first, each from its own recipes; with
            runs, those of ``srnn`` alone, of which only how to run counts.
        runs: folders of finished runs to take in place of training.
    """

    options: CompareOptions
    experiments: dict[str, Experiment]
    runs: list[str]


def parse_compare(arguments: Sequence[str]) -> Request:
    """Read a command line.

    Raises:
        ConfigError: for a wrong flag or value.
        SystemExit: after ``--help``.
    """
    runs, others = _take_runs(arguments)
    names = {option.name: option.type for option in fields(CompareOptions)}
    lists = LISTS | dict.fromkeys(("baselines", "widths", "penalties"), r"[^-].*")
    normal = normalise(others, {n for n, kind in names.items() if kind is bool}, lists)
    own = [a for a in normal if _name(a) in names]
    shared = [a for a in normal if _name(a) not in names]
    if {"-h", "--help"} & set(normal):
        _parser().parse_args(["--help"])
        sys.exit(0)
    for argument in shared:
        if reason := _DECIDED.get(_name(argument)):
            raise ConfigError(f"{flag(_name(argument))} has no place in srnn-compare: {reason}.")
    settings = _parser().parse_args(own).as_dict()
    options = CompareOptions(**{name: settings[name] for name in names})
    if runs:
        trained = [a for a in own if _name(a) not in ("profile", "measure_energy")]
        trained += [a for a in shared if _name(a) not in _OF_MEASURING]
        if trained:
            raise ConfigError(
                f"{flag(_name(trained[0]))} is for networks that are yet to be trained, and --runs "
                "names those that are: leave one of them out."
            )
    experiments = {"srnn": parse(shared)[0]}
    dense = [argument for argument in shared if _name(argument) not in SPIKING]
    for model in [] if runs else options.baselines:
        experiments[model] = parse([*dense, f"--model={model}"])[0]
    if any(e.readout == "count" for e in experiments.values() if e.model != "srnn"):
        raise ConfigError(
            "--readout count counts spikes, which the baselines have none of: choose a readout "
            "that all models can have."
        )
    # The budget is equal: epochs, data and batches are those of the spiking network.
    spiking = experiments["srnn"]
    equal = {name: getattr(spiking, name) for name in ("epochs", "batch_size", "data", "hidden")}
    return Request(options, {m: replace(e, **equal) for m, e in experiments.items()}, runs)


def _parser() -> Parser:
    parser = Parser(
        prog="srnn-compare",
        usage="srnn-compare [--dataset NAME] [--runs FOLDER ...] [flags]",
        description="Train a spiking recurrent network and non-spiking ones of the same size and "
        "of the same accuracy, with the same budget for tuning, and compare what they compute.",
        epilog="--runs FOLDER ... compares finished runs in place of training. The flags of "
        "srnn-train (--dataset, --data.*, --epochs, --hidden, --seed, --name, --run-dir, --wandb, "
        "...) hold for all models, and those of spiking networks for the spiking one.",
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_class_arguments(CompareOptions)
    return parser


def _name(argument: str) -> str:
    return argument.removeprefix("--").partition("=")[0]


def _take_runs(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take ``--runs A B C`` out of a command line."""
    runs: list[str] = []
    others: list[str] = []
    taking = False
    for argument in arguments:
        if argument.startswith("-"):
            name, _, value = argument.partition("=")
            taking = name == "--runs"
            if taking:
                runs += [value] if value else []
                continue
        (runs if taking else others).append(argument)
    if "--runs" in [argument.partition("=")[0] for argument in arguments] and not runs:
        raise ConfigError("--runs needs the folders of finished runs: --runs A B C.")
    return runs, others
