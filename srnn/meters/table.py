"""One table for every place: terminal, Markdown, CSV, Weights & Biases.

    >>> t = Table(["network", "spikes"], [["SRNN", 1250.5], ["LSTM", None]])
    >>> print(t.markdown())
    | network | spikes |
    |---------|-------:|
    | SRNN    |  1,250 |
    | LSTM    |      - |

``wandb.Table(columns=t.columns, data=t.rows)`` takes it as it is.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .energy import DEFAULT_PROFILE, ESTIMATE, EnergyProfile, energy
from .measure import Measurement
from .terms import DENSE, EVENT_DRIVEN, Ops


@dataclass
class Table:
    """Columns and rows, with notes that belong below.

    Attributes:
        columns: their names, units included.
        rows: a value for every column: text, a number, or None where there is none.
        notes: sentences to stand below.
    """

    columns: list[str]
    rows: list[list[Any]]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The table in Markdown, with its notes below."""
        cells = [self.columns, *([_text(value) for value in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        numeric = [self._is_numeric(i) for i in range(len(self.columns))]

        def line(row: list[str]) -> str:
            filled = (
                cell.replace("|", "\\|").rjust(w) if right else cell.replace("|", "\\|").ljust(w)
                for cell, w, right in zip(row, widths, numeric, strict=True)
            )
            return f"| {' | '.join(filled)} |"

        rule = "|".join(
            "-" * (w + 1) + (":" if right else "-")
            for w, right in zip(widths, numeric, strict=True)
        )
        lines = [line(cells[0]), f"|{rule}|", *(line(row) for row in cells[1:])]
        notes = [text for note in self.notes for text in ("", note)]
        return "\n".join(lines + notes)

    def csv(self) -> str:
        """The table as CSV, numbers in full; without its notes."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return text.getvalue()

    def rich(self) -> Any:
        """The table for a terminal, a ``rich.table.Table``.

        Raises:
            ImportError: if rich is not installed.
        """
        try:
            from rich import box, table
        except ImportError as error:
            raise ImportError('Printing a table needs rich: pip install "srnn[train]".') from error
        shown = table.Table(box=box.SIMPLE, caption="\n".join(self.notes) or None)
        for i, column in enumerate(self.columns):
            shown.add_column(column, justify="right" if self._is_numeric(i) else "left")
        for row in self.rows:
            shown.add_row(*(_text(value) for value in row))
        return shown

    def _is_numeric(self, column: int) -> bool:
        values = [row[column] for row in self.rows]
        return any(_is_number(v) for v in values) and not any(isinstance(v, str) for v in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    """A value as it is shown: four digits of a fraction, all of a whole number."""
    if value is None:
        return "-"
    if not _is_number(value):
        return str(value)
    whole = isinstance(value, int) or abs(value) >= 1000
    return f"{value:,.0f}" if whole else f"{value:.4g}"


def table(
    measurements: Mapping[str, Measurement],
    profiles: Iterable[EnergyProfile] = (DEFAULT_PROFILE,),
) -> Table:
    """A row for every network, each compared with the first.

    Args:
        measurements: by name of the network; on the same samples, or they compare nothing.
        profiles: the energies to estimate. Each gives an event-driven and a dense column, and how
            many times the event-driven energy of the first network the event-driven energy is.
    """
    profiles = list(profiles)
    columns = ["network", "parameters", "states", "spikes", "rate"]
    columns += ["ACs", "MACs", "dense operations"]
    for profile in profiles:
        columns += [
            f"nJ {profile.name}, event-driven",
            f"nJ {profile.name}, dense",
            f"ratio {profile.name}, event-driven",
        ]
    rows: list[list[Any]] = []
    for name, measured in measurements.items():
        ops = measured.per_sample()
        spikes = measured.spikes_per_sample if measured.spiking else None
        row = [name, measured.footprint.parameters, measured.footprint.states, spikes]
        row += [measured.rate if measured.spiking else None, ops.ac, ops.mac, ops.dense]
        for profile in profiles:
            first = next(iter(measurements.values()))
            events, dense = (energy(measured, profile, c).total for c in (EVENT_DRIVEN, DENSE))
            row += [events / 1000, dense / 1000, events / energy(first, profile).total]
        rows.append(row)
    return Table(columns, rows, ["All figures are for one sample.", ESTIMATE])


def layer_table(
    measurement: Measurement,
    profiles: Iterable[EnergyProfile] = (DEFAULT_PROFILE,),
    per: str = "sample",
) -> Table:
    """A row for every layer of a network, and one for all of them.

    Args:
        measurement: of the network.
        profiles: the energies to estimate, event-driven.
        per: what counts and energies are told for, a "sample" or a "step" of one.
    """
    share = measurement.share(per)
    energies = [energy(measurement, profile) for profile in profiles]
    columns = ["layer", "kind", "spikes", "rate", "active neurons", "ACs", "MACs"]
    columns += ["dense operations", *(f"nJ {e.profile.name}" for e in energies)]
    rows: list[list[Any]] = []
    for name, layer in measurement.layers.items():
        spikes = measurement.spikes.get(name)
        ops = layer.total(spiking=measurement.spiking).per(measurement.samples)
        seen: list[Any] = [None] * 3
        if spikes:
            seen = [share * spikes.per_sample, spikes.rate, spikes.active_fraction]
        row = [name or layer.kind, layer.kind, *seen, *_counts(ops, share)]
        rows.append([*row, *(share * e.layers[name] / 1000 for e in energies)])
    spiking = measurement.spiking
    row = ["total", "", share * measurement.spikes_per_sample if spiking else None]
    row += [measurement.rate if spiking else None, None]
    row += _counts(measurement.per_sample(), share)
    rows.append([*row, *(share * e.total / 1000 for e in energies)])
    return Table(columns, rows, [f"All figures are for one {per}.", ESTIMATE])


def _counts(ops: Ops, share: float) -> list[float]:
    return [share * ops.ac, share * ops.mac, share * ops.dense]
