"""srnn-compare from its settings to its report: the order of events.

<run-dir>/<dataset>/compare-NAME/
    <dataset>/          the folder of every run, named after its settings
    report.md           the comparison, for reading
    table.csv           a row for every network
    ratios.csv          every baseline beside the spiking network
    energy.csv          the estimated energy of every network under every profile
    without_input.csv   a row for every network, less the products with what it is given
    devices.csv         what simulated memristors draw, where a network has them
    trials.csv          what was tried to tune them
    plots/              accuracy against energy, energy by layer, energy over time
"""

from dataclasses import replace
from pathlib import Path

from srnn.meters import DEFAULT_PROFILE, PROFILES, EnergyProfile, NoJoulesError, joule_meter

from ..build import build_data
from ..config import Experiment, kind_of_task
from ..console import Console
from ..device import training_device
from ..errors import ConfigError
from ..run_folder import write_atomically
from ..threads import choose_threads
from . import figures, wandb_table
from .options import Request
from .report import DEVICE_ESTIMATE, fairness, headline, trained_before, write_report
from .roles import compared, ratio_table
from .scoring import score
from .tables import device_table, energy_table, inner_table, network_table, trial_table
from .training import Entry, Trained, taken, train_all


def compare(request: Request, console: Console) -> Path:
    """Train or take networks, measure them on the same test samples, and write the report.

    Args:
        request: what the command line asks for.
        console: where to speak.

    Returns:
        The path of the report.

    Raises:
        ConfigError: for settings that do not fit.
        DataError: for data that are missing or damaged.
        Stopped: when the user stopped a training; the same command goes on.
        NotFiniteError: when the numbers of a network stopped being finite.
        OSError: when the disk is full or a folder cannot be written.
    """
    profiles = _profiles(request.options.profile)
    settings = request.experiments["srnn"]
    entries: list[Entry] = []
    trained = None
    if request.runs:
        entries = taken(request.runs)
        theirs = entries[0].experiment
        settings = replace(settings, dataset=theirs.dataset, data=theirs.data)
    if kind_of_task(settings.dataset) == "games" and request.options.measure_energy:
        raise ConfigError(
            "--measure-energy times a network on sequences that are all at hand, and games are "
            "played step by step: leave it out."
        )
    name = "compare" if settings.name is None else f"compare-{settings.name}"
    folder = Path(settings.run_dir) / settings.dataset / name
    if not request.runs:
        trained = train_all(request.options, request.experiments, folder, console)
        entries = trained.entries
    return _report(request, settings, entries, trained, profiles, folder, console)


def _report(
    request: Request,
    settings: Experiment,
    entries: list[Entry],
    trained: Trained | None,
    profiles: list[EnergyProfile],
    folder: Path,
    console: Console,
) -> Path:
    splits = build_data(settings)
    choose_threads(settings, splits.info.channels)
    device = training_device(settings.accelerator)
    meter = None
    notes = trained_before(entries)
    if trained is not None:
        notes = fairness(trained, settings.epochs, request.options)
    if request.options.measure_energy:
        try:
            meter = joule_meter(str(device))
            notes.append(f"Joules were measured, for all models alike: {meter.source}.")
        except NoJoulesError as reason:
            console.warn(str(reason))
            notes.append(str(reason))
    scored = score(entries, splits, settings.batch_size, device, meter, console.line)
    tables = {
        "Networks": network_table(scored),
        "Ratios to the spiking network": ratio_table(scored, profiles),
        f"Estimated energy of a {scored[0].per}, nJ": energy_table(scored, profiles),
        "Without the input layer": inner_table(scored),
    }
    names = ("table.csv", "ratios.csv", "energy.csv", "without_input.csv")
    files = dict(zip(names, tables.values(), strict=True))
    if any(one.devices for one in scored):
        whole = "game" if scored[0].per == "step" else "sample"
        title = f"Estimated energy of simulated memristors, a {whole}"
        tables[title] = files["devices.csv"] = device_table(scored)
        notes.append(DEVICE_ESTIMATE)
    if trained is not None:
        tables["Trials"] = files["trials.csv"] = trial_table(trained.trials, splits.info.score)
    for name, table in files.items():
        write_atomically(folder / name, table.csv())
    plots = {
        "Accuracy against energy": "plots/fronts.png",
        "Energy by layer": "plots/layers.png",
    }
    figures.fronts(scored, DEFAULT_PROFILE, splits.info.title, folder / "plots/fronts.png")
    figures.layers(scored, DEFAULT_PROFILE, folder / "plots/layers.png")
    shown = compared(scored)
    untimed = [one for one in shown if one.over_time(DEFAULT_PROFILE) is None]
    if len(untimed) < len(shown):
        plots["Energy over the sequence"] = "plots/over_time.png"
        figures.over_time(scored, DEFAULT_PROFILE, folder / "plots/over_time.png")
        if untimed:
            left = ", ".join(one.label for one in untimed)
            notes.append(f"Not over the sequence, whose steps they do not take one by one: {left}.")
    report = write_report(folder, splits.info, scored, profiles, tables, plots, notes)
    wandb_table.log(settings, folder, tables, sorted((folder / "plots").glob("*.png")))
    console.line()
    console.line(headline(scored), style="bold")
    console.line(f"report  {report}")
    return report


def _profiles(path: str | None) -> list[EnergyProfile]:
    profiles = [DEFAULT_PROFILE, *(p for p in PROFILES.values() if p != DEFAULT_PROFILE)]
    if path is not None:
        try:
            mine = EnergyProfile.from_yaml(path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"--profile: {error}") from None
        if mine.name in PROFILES:
            raise ConfigError(
                f"--profile: {path} calls itself {mine.name}, which srnn has a profile of already: "
                "give it another name."
            )
        profiles.append(mine)
    return profiles
