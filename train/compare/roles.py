"""Which network is compared with which: at equal parameters, and at equal accuracy.

| name             | meaning                                                                     |
|------------------|-----------------------------------------------------------------------------|
| reference        | the spiking network at its own size, without any penalty beyond its recipe's |
| equal parameters | of each baseline the one whose number of parameters is closest, if it is    |
|                  | within a tenth of the reference's                                           |
| equal accuracy   | of each baseline the one with the fewest parameters whose mean accuracy on  |
|                  | validation is at least the reference's, both without the seed that settings |
|                  | were tuned with if there are others; the test set has no say in it; in      |
|                  | games, less by a point at most                                              |
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from srnn.meters import DENSE, EVENT_DRIVEN, FOLDED, Convention, EnergyProfile, Table

from ..report import SCORE_TITLES, in_tables
from .scoring import Scored

TOLERANCE = 0.1
"""How far a number of parameters may lie from the reference's to be called equal."""
EQUAL_PARAMETERS = "parameters"
EQUAL_ACCURACY = "accuracy"


@dataclass(frozen=True)
class Pair:
    """A baseline beside the reference.

    Attributes:
        model: kind of the baseline.
        equal: what is equal, "parameters" or "accuracy".
        baseline: the network; None if there is none of which that can be said.
        leading: name of the score by which networks are chosen.
    """

    model: str
    equal: str
    baseline: Scored | None
    leading: str

    def said(self) -> str:
        """What is equal, by its name on the data set: "parameters", "accuracy", "score"."""
        return self.leading if self.equal == EQUAL_ACCURACY else self.equal


def pairs(scored: list[Scored]) -> list[Pair]:
    """Find the baselines to compare with the reference, which is the first network."""
    reference, *others = scored
    found = []
    for model in dict.fromkeys(other.entry.model for other in others):
        kind = [o for o in others if o.entry.model == model]
        if model != "srnn":
            both = {EQUAL_PARAMETERS: _as_large, EQUAL_ACCURACY: _as_accurate}
            leading = reference.leading
            found += [
                Pair(model, equal, of(reference, kind), leading) for equal, of in both.items()
            ]
    return found


def compared(scored: list[Scored]) -> list[Scored]:
    """The reference, and each baseline that is compared with it, at equal parameters first."""
    chosen = {id(p.baseline): p.baseline for p in pairs(scored) if p.baseline is not None}
    return [scored[0], *chosen.values()]


def _as_large(reference: Scored, kind: list[Scored]) -> Scored | None:
    wanted = reference.entry.parameters()
    closest = min(kind, key=lambda other: abs(other.entry.parameters() - wanted))
    near = abs(closest.entry.parameters() - wanted) <= TOLERANCE * wanted
    return closest if near else None


def _as_accurate(reference: Scored, kind: list[Scored]) -> Scored | None:
    accurate = [other for other in kind if other.entry.as_good_as(reference.entry)]
    return min(accurate, key=lambda other: other.entry.parameters(), default=None)


def ratio_table(scored: list[Scored], profiles: list[EnergyProfile]) -> Table:
    """How many times the reference's estimated energy each baseline's is, a column for each.

    Ratios are those of the means over seeds; for the first profile the extremes stand beside them:
    the least of the one by the most of the other. The reference is event-driven throughout. A
    baseline is given event-driven, zeros in its input skipped, and dense; and where a profile has
    no memory, under the convention of the published ratios, both of them.
    """
    reference = scored[0]
    found = pairs(scored)
    beside = [pair.baseline for pair in found]

    def row(name: str, value: Callable[[Scored], float]) -> list[Any]:
        return [name, *(None if other is None else value(other) for other in beside)]

    def times(profile: EnergyProfile, theirs: Convention, ours: Convention) -> list[Any]:
        own = reference.nanojoules(profile, ours)[0]
        name = {FOLDED: "published convention"}.get(theirs, theirs.name)
        return row(
            f"{profile.name}, {name}, times",
            lambda other: other.nanojoules(profile, theirs)[0] / own,
        )

    def extremes(profile: EnergyProfile, theirs: Convention) -> list[list[Any]]:
        name = f"{profile.name}, {theirs.name}, times"
        return [
            row(
                f"{name}, least of all seeds",
                lambda o: ratio_range(reference, o, profile, theirs)[0],
            ),
            row(f"{name}, most", lambda o: ratio_range(reference, o, profile, theirs)[1]),
        ]

    leading = reference.leading
    right, size = reference.score(leading)[0], reference.entry.parameters()
    factor, _ = in_tables(leading)
    rows = [
        row(
            f"test {SCORE_TITLES[leading]}, points more",
            lambda o: factor * (o.score(leading)[0] - right),
        ),
        row("parameters, times", lambda other: other.entry.parameters() / size),
    ]
    for profile in profiles:
        for theirs in (EVENT_DRIVEN, DENSE):
            rows.append(times(profile, theirs, EVENT_DRIVEN))
            if profile is profiles[0] and len(reference.measurements) > 1:
                rows += extremes(profile, theirs)
        rows += [] if profile.memory else [times(profile, FOLDED, FOLDED)]
    return Table([f"than {reference.label}", *map(_title, found)], rows)


def ratio_range(
    reference: Scored, other: Scored, profile: EnergyProfile, theirs: Convention = EVENT_DRIVEN
) -> tuple[float, float]:
    """The least and the most that a network's estimate is of the reference's, over all seeds."""
    own = reference.each_nanojoules(profile, EVENT_DRIVEN)
    each = other.each_nanojoules(profile, theirs)
    return min(each) / max(own), max(each) / min(own)


def _title(pair: Pair) -> str:
    name = f"no {pair.model.upper()}" if pair.baseline is None else pair.baseline.label
    return f"{name}, equal {pair.said()}"
