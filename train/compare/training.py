"""What is trained for a comparison: each network for every seed, each run once.

A run is named after its settings. What is wanted twice, such as a trial that won, is trained once;
and a comparison that was killed finds what it had finished, goes on with what it had begun, and
trains the rest.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean

from ..build import build_data, build_network
from ..config import MAY_CHANGE, SPIKING, Experiment, kind_of_task
from ..console import BarsOnly, Console, duration
from ..errors import ConfigError, NotFiniteError, Stopped
from ..experiment import run, run_untested
from ..report import format_score
from ..run_folder import RunFolder
from ..sizing import learned_parameters, width_for
from .options import CompareOptions
from .tuning import Trial, tuned

_MARGIN_OF_GAMES = 1.0
"""Points of a game that make no difference: its few games of validation tell no finer."""


@dataclass(frozen=True)
class Entry:
    """A network of the comparison, trained once for every seed.

    Attributes:
        experiment: its settings, but for the seed.
        runs: the folder of each seed's run.
        tuned: whether the first seed is the one that its settings were chosen with.
    """

    experiment: Experiment
    runs: tuple[RunFolder, ...]
    tuned: bool = False

    @property
    def model(self) -> str:
        """Kind of network."""
        return self.experiment.model

    @property
    def label(self) -> str:
        """What to call it: model, widths, and what else tells it from its like."""
        sizes = "-".join(map(str, self.experiment.hidden))
        penalty = self.experiment.rate_penalty if self.model == "srnn" else 0
        name = f"{self.model.upper()} {sizes}"
        return f"{name}, penalty {penalty:g}" if penalty else name

    def validation(self) -> float:
        """Mean over the seeds of the validation accuracy."""
        return mean(folder.read_summary()["validation"] for folder in self.runs)

    def judged(self) -> float:
        """The same over the seeds that had no say in the settings, if there are any.

        With the seed of tuning the winner of several trials is better by luck, at the width that
        was tuned and at no other.
        """
        fresh = self.runs[1:] if self.tuned and len(self.runs) > 1 else self.runs
        return mean(folder.read_summary()["validation"] for folder in fresh)

    def as_good_as(self, other: "Entry") -> bool:
        """Whether it scores no less on validation; in games, less by a point at most."""
        games = kind_of_task(self.experiment.dataset) == "games"
        return self.judged() >= other.judged() - (_MARGIN_OF_GAMES if games else 0.0)

    def parameters(self) -> int:
        """Number of learned parameters."""
        return self.runs[0].read_summary()["parameters"]


@dataclass
class Trainer:
    """Trains the runs of a comparison into its folder.

    Attributes:
        folder: of the comparison.
        seeds: of every network.
        console: where to say what is trained.
        tuned: whether settings were chosen with the first of the seeds.
        leading: name of the score by which networks are chosen.
        failed: networks that did not stay finite with every seed, and why.
    """

    folder: Path
    seeds: Sequence[int]
    console: Console
    tuned: bool
    leading: str
    failed: list[str] = field(default_factory=list)

    def trial(self, experiment: Experiment) -> RunFolder:
        """Train and validate, without looking at the test set."""
        return self._settle(experiment, tested=False)

    def entry(self, experiment: Experiment) -> Entry:
        """Train, validate and test, for every seed."""
        runs = [self._settle(replace(experiment, seed=s), tested=True) for s in self.seeds]
        return Entry(experiment, tuple(runs), self.tuned)

    def entries(self, experiments: Iterable[Experiment]) -> Iterator[Entry]:
        """The same for each of several networks; one that fails is left out, and noted."""
        for experiment in experiments:
            try:
                yield self.entry(experiment)
            except NotFiniteError as error:
                what = f"{Entry(experiment, ()).label}: {error}"
                self.console.warn(f"left out, {what}")
                self.failed.append(what)

    def _settle(self, experiment: Experiment, *, tested: bool) -> RunFolder:
        """Bring a run to its end, from wherever it is."""
        name = run_name(experiment)
        folder = RunFolder(self.folder / experiment.dataset / name)
        if folder.finished() and (not tested or folder.read_summary()["test"] is not None):
            return folder
        group = f"{self.folder.name}/{network_name(experiment)}"
        single = replace(
            experiment,
            name=name,
            run_dir=str(self.folder),
            resume="auto",
            wandb_group=group,
        )
        action = run if tested else run_untested
        try:
            summary = action(single, folder if folder.resumable() else None, BarsOnly())
        except Stopped as stopped:
            place = str(stopped).split(";")[0]
            raise Stopped(f"{name} {place}; the same command goes on") from None
        what = f"lr {experiment.lr:g}, clip {experiment.clip_norm:g}, {experiment.readout}"
        scores = {"validation": summary["validation"]}
        if tested:
            scores["test"] = summary["test"][self.leading]
        said = "  ".join(f"{of} {format_score(self.leading, s)}" for of, s in scores.items())
        self.console.line(f"{name}  ({what})  {said}  {duration(summary['seconds'])}")
        return folder


def run_name(experiment: Experiment) -> str:
    """Name a run after its network and its seed."""
    return f"{network_name(experiment)}-seed{experiment.seed}"


def network_name(experiment: Experiment) -> str:
    """Name a network after model and sizes, and a digest of all settings but the seed."""
    ignored = MAY_CHANGE - {"epochs"} | {"seed", "seeds"}
    ignored = ignored | (SPIKING if experiment.model != "srnn" else set())
    settings = {name: v for name, v in asdict(experiment).items() if name not in ignored}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    sizes = "-".join(map(str, experiment.hidden))
    return f"{experiment.model}-{sizes}-{digest}"


@dataclass(frozen=True)
class Trained:
    """Everything that a comparison trained.

    Attributes:
        entries: the networks, the spiking one that all are compared with first.
        trials: what was tried, by model.
        missed: models of which no network was as accurate on validation as the spiking one.
        failed: networks that are left out, since they did not stay finite, and why.
    """

    entries: list[Entry]
    trials: dict[str, list[Trial]]
    missed: Sequence[str]
    failed: Sequence[str]


def train_all(
    options: CompareOptions, experiments: dict[str, Experiment], folder: Path, console: Console
) -> Trained:
    """Tune every model, and train it at all the sizes and penalties that are compared.

    Args:
        options: of the comparison.
        experiments: settings by model, of which the spiking network's size decides the others'.
        folder: of the comparison.
        console: where to say what is trained.
    """
    spiking = experiments["srnn"]
    info = build_data(spiking).info
    parameters = learned_parameters(build_network(spiking, info))
    layers = len(spiking.hidden)
    seeds = range(spiking.seed, spiking.seed + options.seeds)
    trainer = Trainer(folder, seeds, console, tuned=options.trials > 1, leading=info.score)
    chosen, trials = {}, {}
    for model, experiment in experiments.items():
        if model != "srnn":
            width = width_for(parameters, layers, experiment, info)
            experiment = replace(experiment, hidden=[width] * layers)
        console.line(f"tuning {model.upper()} {experiment.hidden}", style="bold")
        chosen[model], trials[model] = tuned(experiment, options.trials, trainer.trial)
    console.line("training at equal numbers of parameters", style="bold")
    entries = {"srnn": [trainer.entry(chosen["srnn"])]}  # without which there is no comparison
    for model in options.baselines:
        entries[model] = list(trainer.entries([chosen[model]]))
    reference = entries["srnn"][0]
    for model in options.baselines if options.match_accuracy else ():
        console.line(
            f"looking for the smallest {model.upper()} with a validation {info.score} of "
            f"{format_score(info.score, reference.judged())}",
            style="bold",
        )
        ladder = [replace(chosen[model], hidden=[width] * layers) for width in options.widths]
        for entry in trainer.entries(ladder):
            entries[model].append(entry)
            if entry.as_good_as(reference):
                break
    found = {m for m, some in entries.items() if any(e.as_good_as(reference) for e in some)}
    missed = [model for model in options.baselines if model not in found]
    console.line("training the points of the spiking network's front", style="bold")
    variants = [replace(chosen["srnn"], hidden=[width] * layers) for width in options.widths]
    variants += [replace(chosen["srnn"], rate_penalty=penalty) for penalty in options.penalties]
    entries["srnn"] += trainer.entries(variants)
    unique = {network_name(e.experiment): e for some in entries.values() for e in some}
    return Trained(list(unique.values()), trials, missed, trainer.failed)


def taken(paths: Sequence[str]) -> list[Entry]:
    """Take finished runs: those that differ in their seed alone are one network.

    Raises:
        ConfigError: if a folder holds no finished run, or one that was retrained; if one is given
            twice or again with the same seed, they are of different data, or none of them spikes.
    """
    groups: dict[str, list[RunFolder]] = {}
    first: Experiment | None = None
    settings: dict[str, Experiment] = {}
    seen: set[tuple[str, int]] = set()
    for folder in map(RunFolder, map(Path, paths)):
        if not folder.finished() or folder.read_summary()["test"] is None:
            raise ConfigError(
                f"--runs: there is no finished run in {folder.path}; give folders that srnn-train "
                "has made."
            )
        experiment = folder.read_config()
        if experiment.retrain:
            raise ConfigError(
                f"--runs: {folder.path} was retrained on its validation sequences too, and "
                "networks are compared as validation chose them: give runs without --retrain."
            )
        first = first or experiment
        if (experiment.dataset, experiment.data) != (first.dataset, first.data):
            raise ConfigError(
                f"--runs: {folder.path} was made on other data than {paths[0]}: networks are "
                "compared on the same test samples."
            )
        alike = network_name(experiment)
        if (alike, experiment.seed) in seen:
            raise ConfigError(
                f"--runs: {folder.path} is a second run of the same network with the seed "
                f"{experiment.seed}: it would be counted as another seed; leave it out."
            )
        seen.add((alike, experiment.seed))
        groups.setdefault(alike, []).append(folder)
        settings.setdefault(alike, experiment)
    entries = [Entry(settings[alike], tuple(runs)) for alike, runs in groups.items()]
    spiking = [entry for entry in entries if entry.model == "srnn"]
    if not spiking:
        raise ConfigError("--runs needs a spiking network to compare with: a run of --model srnn.")
    entries.sort(key=lambda entry: entry is not spiking[0])
    return entries
