"""report.md of a comparison: what was compared, how fairly, and what came out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from srnn.datasets import Info
from srnn.meters import (
    DEFAULT_PROFILE,
    DENSE,
    ESTIMATE,
    EVENT_DRIVEN,
    FOLDED,
    EnergyProfile,
    Table,
    layer_table,
)

from ..report import SCORE_TITLES, about_scores, in_tables
from ..run_folder import commit, write_atomically
from .options import CompareOptions
from .roles import EQUAL_ACCURACY, TOLERANCE, compared, pairs, ratio_range
from .scoring import Scored
from .training import Entry, Trained
from .tuning import CLIP_NORMS, LR_FACTOR, READOUTS

DEVICE_ESTIMATE = (
    "The energy of simulated memristors is an estimate for them alone, not for the rest of the "
    "network. Only the power of a device at rest was measured; the lowest and highest figures are "
    "those at the ends of the bands of all other parameters. Converters are not in it, nor are "
    "periphery, parasitics and interconnect (docs/memristor.md)."
)


def conventions(profiles: list[EnergyProfile], per: str) -> list[str]:
    """Say what the numbers mean, one sentence or two each."""
    costs = "; ".join(f"{p.name}: {p.costs}" for p in profiles)
    return [
        ESTIMATE,
        "All networks were measured in evaluation on all test samples, one after the other the "
        f"same ones. Spikes, ACs, MACs and energies are means a {per}, then over seeds; ± is the "
        "sample standard deviation over seeds.",
        f"Event-driven, the convention of every column that does not say otherwise: "
        f"{EVENT_DRIVEN.about}. A product is an AC if its own input is a whole number, and a MAC "
        f"otherwise; the hidden state of a baseline makes MACs.",
        f"Dense: {DENSE.about}.",
        f"Published convention: {FOLDED.about}.",
        "Without the input layer: less the products of the first layer with what the network is "
        "given; its recurrence, its biases and its neurons stay.",
        f"Energies in pJ ({costs}).",
        "Parameters are those that are learned, both biases of a recurrent layer included.",
        "Every convention, and what the ratios do not say, is in docs/energy.md.",
    ]


def fairness(trained: Trained, epochs: int, options: CompareOptions) -> list[str]:
    """Say what each model was given."""
    (trials,) = {len(tried) for tried in trained.trials.values()}
    ladder = f"widths of {', '.join(map(str, options.widths))}" if options.widths else "no others"
    clips = ", ".join(f"{clip:g}" for clip in CLIP_NORMS)
    sentences = [
        f"Every model had {trials} trials of {epochs} epochs on the same data: its own settings, "
        "which are those of its recipe but for what was typed, and others with the learning rate "
        f"spread evenly, on a logarithmic scale, within a factor of {LR_FACTOR:g} of its own, the "
        f"gradient clipped at {clips}, and the readout {', '.join(READOUTS)} "
        "(stream where every step has a label). The factors drawn were the same for all models. "
        "Validation chose; the test set was not read.",
        f"The winner was trained with {options.seeds} seed(s) for {epochs} epochs at every size. "
        "Its settings were not tuned again at other widths.",
        "Equal parameters: as many hidden layers as the spiking network, of the width whose "
        f"number of parameters is closest, within {100 * TOLERANCE:.0f} %. Equal accuracy: the "
        "smallest network trained whose mean accuracy on validation is at least that of the "
        f"spiking network; besides the width of equal parameters, {ladder} were climbed. A finer "
        "ladder finds a smaller one.",
    ]
    if trials > 1:
        sentences.append(
            "That mean leaves out the seed that the settings were tuned with: the winner of "
            "several trials is better there by luck, and only at the width that was tuned."
            if options.seeds > 1
            else "There is only the seed that the settings were tuned with. The winner of several "
            "trials is better there by luck, and only at the width that was tuned: the accuracy "
            "that the ladder must reach is too high rather than too low, which favours the spiking "
            "network."
        )
    if unclimbed := _unclimbed(trained, options):
        sentences.append(
            f"The ladder ends at the first width that is as accurate; not trained: {unclimbed}. "
            "They have more parameters, so that none of them is the smallest. But the fronts of "
            "the baselines end there, and do not say how accurate wider ones would be; that of "
            "the spiking network has all its widths and penalties."
        )
    if trained.missed:
        missed = ", ".join(model.upper() for model in trained.missed)
        sentences.append(f"None was as accurate on validation as the spiking network: {missed}.")
    if trained.failed:
        sentences.append(f"Left out, with a seed that failed: {' '.join(trained.failed)}")
    return sentences


def _unclimbed(trained: Trained, options: CompareOptions) -> str:
    """The widths of the ladder that were not trained, by model; empty if none was left."""
    reference = trained.entries[0]
    left = []
    for model in options.baselines if options.match_accuracy else ():
        kind = {e.experiment.hidden[0]: e for e in trained.entries if e.model == model}
        accurate = [width for width, entry in kind.items() if entry.as_good_as(reference)]
        stop = min(accurate, default=max(options.widths, default=0))
        widths = [str(width) for width in options.widths if width > stop and width not in kind]
        left += [f"{model.upper()} {', '.join(widths)}"] if widths else []
    return "; ".join(left)


def trained_before(entries: Sequence[Entry]) -> list[str]:
    """Say where networks come from that were not trained for the comparison."""
    notes = ["The networks were trained before, each as its own folder says."]
    budgets = {f"{e.experiment.epochs} epochs ({e.label})": e.experiment.epochs for e in entries}
    if len(set(budgets.values())) > 1:
        notes.append(f"Their budgets are not equal: {', '.join(budgets)}.")
    return notes


def write_report(
    folder: Path,
    info: Info,
    scored: list[Scored],
    profiles: list[EnergyProfile],
    tables: Mapping[str, Table],
    figures: Mapping[str, str],
    notes: list[str],
) -> Path:
    """Write the report.

    Args:
        folder: of the comparison.
        info: the data.
        scored: the networks, the reference first.
        profiles: the energies that were estimated.
        tables: by title.
        figures: path within the folder by title.
        notes: how the networks came to be.

    Returns:
        The report's path.
    """
    sentence = headline(scored)
    layer_tables = [
        f"### {one.label}\n\n{layer_table(one.measurements[0], per=one.per).markdown()}"
        for one in compared(scored)
    ]
    runs = [
        f"- {one.label}: " + ", ".join(f"`{run.path}`" for run in one.entry.runs) for one in scored
    ]
    parts = [
        f"# Comparison on {info.title}",
        *about_scores(info.caveat),
        sentence,
        f"Data: {info.encoding}. Split: {info.split}. Commit: {commit()}.",
        *(f"## {title}\n\n{table.markdown()}" for title, table in tables.items()),
        *(f"## {title}\n\n![{title}]({path})" for title, path in figures.items()),
        f"## Layers\n\nOf the first seed, {DEFAULT_PROFILE.name}.",
        *layer_tables,
        "## How the networks came to be",
        *notes,
        "## Conventions",
        *(f"- {sentence}" for sentence in conventions(profiles, scored[0].per)),
        "## Runs",
        "\n".join(runs),
        f"Data source: {info.source}. Licence: {info.licence}. Please cite: {info.citation}.",
    ]
    report = folder / "report.md"
    write_atomically(report, "\n\n".join(parts) + "\n")
    return report


def headline(scored: list[Scored]) -> str:
    """Sum the comparison up in a few sentences, with estimates called so."""
    reference = scored[0]
    own = reference.nanojoules(DEFAULT_PROFILE)[0]
    said = [
        f"{reference.label}: {_right(reference)} test {SCORE_TITLES[reference.leading]}, an "
        f"estimated {own:,.0f} nJ a {reference.per} ({DEFAULT_PROFILE.name})."
    ]
    for pair in pairs(scored):
        if pair.baseline is None:
            if pair.equal == EQUAL_ACCURACY:
                said.append(f"No {pair.model.upper()} here is as accurate on validation.")
            continue
        times = pair.baseline.nanojoules(DEFAULT_PROFILE)[0] / own
        low, high = ratio_range(reference, pair.baseline, DEFAULT_PROFILE)
        several = len(reference.measurements) > 1
        seeds = f", {low:.3g} to {high:.3g} over seeds," if several else ""
        dense = pair.baseline.nanojoules(DEFAULT_PROFILE, DENSE)[0] / own
        said.append(
            f"At equal {pair.said()}, {pair.baseline.label}: {_right(pair.baseline)}, "
            f"{times:.3g} times that estimate{seeds} ({dense:.3g} counted dense)."
        )
    return " ".join(said)


def _right(one: Scored) -> str:
    """The leading score with its spread: 93.4 ± 1.7 %, or 20.3."""
    factor, unit = in_tables(one.leading)
    middle, spread = one.score(one.leading)
    beside = "" if spread is None else f" ± {factor * spread:.1f}"
    return f"{factor * middle:.1f}{beside}{unit.replace(',', '')}"
