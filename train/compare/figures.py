"""The plots of a comparison: accuracy against energy, energy by layer, energy over time."""

from pathlib import Path

import matplotlib.pyplot as plt

from srnn.meters import DENSE, EnergyProfile

from ..plots import STYLE, save
from ..report import SCORE_TITLES, in_tables
from .roles import compared
from .scoring import Scored


def fronts(scored: list[Scored], profile: EnergyProfile, title: str, path: Path) -> None:
    """Plot the test score against the estimated energy, a line for each model.

    Widths make the points; penalties on firing those of a further, dashed line. Hollow points are
    the same baselines counted dense.

    Args:
        scored: the networks.
        profile: what operations cost.
        title: what was learned.
        path: the PNG file.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 4.8))
        for i, model in enumerate(dict.fromkeys(one.entry.model for one in scored)):
            colour = f"C{i}"
            kind = [one for one in scored if one.entry.model == model]
            usual = kind[0].entry.experiment.rate_penalty
            widths = [o for o in kind if o.entry.experiment.rate_penalty == usual]
            _line(axis, widths, profile, colour, "o-", model.upper())
            penalties = [kind[0], *(o for o in kind if o not in widths)]
            if len(penalties) > 1:
                _line(axis, penalties, profile, colour, "s--", f"{model.upper()}, penalties")
            if model != "srnn":
                dense = [(o.nanojoules(profile, DENSE)[0], _height(o)[0]) for o in widths]
                axis.plot(*zip(*dense, strict=True), "o", color=colour, mfc="none", alpha=0.5, ms=5)
        axis.set_xscale("log")
        per, leading = scored[0].per, scored[0].leading
        axis.set_xlabel(f"estimated nJ a {per} ({profile.name}); hollow: counted dense")
        axis.set_ylabel(f"test {SCORE_TITLES[leading]}{in_tables(leading)[1]}")
        axis.legend(frameon=False)
        figure.suptitle(title, wrap=True)
        save(figure, path)


def _line(
    axis: plt.Axes, points: list[Scored], profile: EnergyProfile, colour: str, form: str, name: str
) -> None:
    ordered = sorted(points, key=lambda one: one.nanojoules(profile)[0])
    energies = [one.nanojoules(profile) for one in ordered]
    heights = [_height(one) for one in ordered]
    axis.errorbar(
        [middle for middle, _ in energies],
        [middle for middle, _ in heights],
        xerr=[spread or 0.0 for _, spread in energies],
        yerr=[spread for _, spread in heights],
        fmt=form,
        color=colour,
        ms=5,
        lw=1,
        label=name,
    )


def _height(one: Scored) -> tuple[float, float]:
    """The leading score and its spread, as they are drawn."""
    factor, _ = in_tables(one.leading)
    middle, spread = one.score(one.leading)
    return factor * middle, factor * (spread or 0.0)


def layers(scored: list[Scored], profile: EnergyProfile, path: Path) -> None:
    """Plot the energy of each layer of the networks that are compared."""
    shown = compared(scored)
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 1.2 + 0.45 * len(shown)))
        for row, one in enumerate(shown):
            begin = 0.0
            for i, (name, energy) in enumerate(one.layers(profile).items()):
                axis.barh(row, energy, left=begin, color=f"C{i}", height=0.6)
                axis.text(begin + energy / 2, row, name, ha="center", va="center", size=6)
                begin += energy
        axis.set_yticks(range(len(shown)), [one.label for one in shown])
        axis.invert_yaxis()
        axis.set_xlabel(f"estimated nJ a {scored[0].per} ({profile.name}), event-driven")
        save(figure, path)


def over_time(scored: list[Scored], profile: EnergyProfile, path: Path) -> None:
    """Plot the energy of every time step of the networks that are compared, where it is known."""
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 3.6))
        for one in compared(scored):
            if (steps := one.over_time(profile)) is not None:
                axis.plot(steps, lw=1, label=one.label)
        axis.set_yscale("log")
        axis.set_xlabel("time step")
        axis.set_ylabel("estimated nJ a step")
        axis.legend(frameon=False, ncols=2)
        save(figure, path)
