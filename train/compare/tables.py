"""The tables of a comparison, one object each for terminal, Markdown, CSV and Weights & Biases."""

from functools import reduce

from srnn.meters import (
    DEFAULT_PROFILE,
    DENSE,
    EVENT_DRIVEN,
    EnergyProfile,
    Measurement,
    Table,
)
from srnn.meters.terms import PRODUCTS
from srnn.neurons.plasticity import DeviceActivity, DeviceProfile

from ..console import percent
from ..report import SCORE_TITLES, in_tables
from .scoring import Scored
from .tuning import Trial


def network_table(scored: list[Scored]) -> Table:
    """A row for every network: what it got right, its size, what it did and what that costs."""
    names = [n for n in SCORE_TITLES if n in scored[0].summaries[0]["test"] and n != "loss"]
    columns = ["network", "seeds"]
    for name in names:
        title = f"test {SCORE_TITLES[name]}{in_tables(name)[1]}"
        columns += [title, "±" if len(names) == 1 else f"± {name}"]
    leading = scored[0].leading
    columns += [f"validation {SCORE_TITLES[leading]}{in_tables(leading)[1]}"]
    columns += ["parameters", "states", "spikes", "rates"]
    columns += ["ACs", "MACs", "dense operations"]
    columns += [f"nJ {DEFAULT_PROFILE.name}", "± nJ"]
    measured = any(one.joules for one in scored)
    columns += ["mJ measured"] if measured else []
    rows = []
    for one in scored:
        row: list[object] = [one.label, len(one.summaries)]
        for name in names:
            middle, spread = one.score(name)
            factor, _ = in_tables(name)
            row += [factor * middle, None if spread is None else factor * spread]
        rates = ", ".join(f"{layer} {percent(rate)}" for layer, rate in one.rates().items())
        row += [in_tables(leading)[0] * one.validation(), one.entry.parameters()]
        row += [one.measurements[0].footprint.states, one.spikes(), rates or None]
        ops = one.ops()
        row += [ops.ac, ops.mac, ops.dense]
        row += one.nanojoules(DEFAULT_PROFILE)
        if measured:
            row.append(1e3 * sum(one.joules) / len(one.joules) if one.joules else None)
        rows.append(row)
    return Table(columns, rows)


def energy_table(scored: list[Scored], profiles: list[EnergyProfile]) -> Table:
    """A row for every network: its estimated energy under each profile, in nJ."""
    columns = ["network"]
    for profile in profiles:
        columns += [profile.name, f"{profile.name}, dense"]
    rows: list[list[object]] = []
    for one in scored:
        both = [one.nanojoules(p, c)[0] for p in profiles for c in (EVENT_DRIVEN, DENSE)]
        rows.append([one.label, *both])
    return Table(columns, rows)


def inner_table(scored: list[Scored]) -> Table:
    """A row for every network: what it does and what that costs, without the input layer.

    Ratios are those to the first network, which is event-driven throughout.
    """
    columns = ["network", "ACs", "MACs", "dense operations", f"nJ {DEFAULT_PROFILE.name}"]
    columns += ["times", "dense, times"]
    inner = [one.without_input() for one in scored]
    own = inner[0].nanojoules(DEFAULT_PROFILE)[0]
    rows: list[list[object]] = []
    for one in inner:
        ops = one.ops()
        events, dense = (one.nanojoules(DEFAULT_PROFILE, c)[0] for c in (EVENT_DRIVEN, DENSE))
        rows.append([one.label, ops.ac, ops.mac, ops.dense, events, events / own, dense / own])
    return Table(columns, rows)


def device_table(scored: list[Scored]) -> Table:
    """A row for every network of simulated memristors: what they draw in a sample, or a game."""
    columns = ["network", "devices", "share of products %", "mJ bias", "mJ updates", "mJ reads"]
    columns += ["mJ", "mJ lowest", "mJ highest", "mJ converters"]
    profile = DeviceProfile()
    rows: list[list[object]] = []
    for one in scored:
        if not one.devices:
            continue
        samples = sum(m.samples for m in one.measurements)
        total = reduce(DeviceActivity.plus, (meter.total() for meter in one.devices))
        activity = DeviceActivity(*(count / samples for count in total))
        low, high = profile.extremes(activity)
        energy = profile.energy(activity)
        products = sum(meter.products for meter in one.devices)
        dense = sum(_products(m) for m in one.measurements)
        joules = (*energy[:3], energy.total, low.total, high.total, energy.converters)
        rows.append(
            [
                *(one.label, one.devices[0].synapses, 100 * products / dense),
                *(1e3 * each for each in joules),
            ]
        )
    return Table(columns, rows)


def _products(measurement: Measurement) -> int:
    """Products of a weight and an input on all samples, zeros included."""
    terms = [layer.terms for layer in measurement.layers.values()]
    return sum(int(each[name].dense.sum()) for each in terms for name in PRODUCTS if name in each)


def trial_table(trials: dict[str, list[Trial]], leading: str) -> Table:
    """A row for every setting that was tried, with the score by which one was chosen."""
    columns = ["model", "hidden", "trial", "lr", "clip_norm", "readout", "epochs"]
    factor, unit = in_tables(leading)
    columns += [f"validation {SCORE_TITLES[leading]}{unit}", "seconds", "run"]
    rows = []
    for model, tried in trials.items():
        for number, trial in enumerate(tried, start=1):
            settings = trial.experiment
            right = None if trial.validation is None else factor * trial.validation
            run = "numbers stopped being finite" if trial.folder is None else trial.folder.path.name
            rows.append(
                [
                    *(model.upper(), "-".join(map(str, settings.hidden)), number, settings.lr),
                    *(settings.clip_norm, settings.readout, settings.epochs),
                    *(right, trial.seconds, run),
                ]
            )
    return Table(columns, rows)
