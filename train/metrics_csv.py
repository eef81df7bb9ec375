"""metrics.csv: one row whenever something was measured, in columns that are fixed from the start.

Unlike Lightning's own CSV logger, which deletes an earlier file and keeps rows in memory, this one
appends every row at once and can be cut back to a checkpoint. It holds no wall-clock times, so that
a resumed run writes the same bytes as an uninterrupted one.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from .errors import ConfigError
from .run_folder import naming


class MetricsCSV(Logger):
    """Appends rows to a CSV file.

    Args:
        path: the file.
        columns: names of everything that will be logged.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        super().__init__()
        self.path = path
        self.columns = list(columns)

    @property
    def name(self) -> str:
        """What Lightning calls the logger."""
        return "metrics.csv"

    @property
    def version(self) -> str:
        """Lightning wants one; a run folder has only one."""
        return ""

    @rank_zero_only
    def begin(self) -> None:
        """Write the header line of a new run."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)  # of a run that was killed before its first checkpoint
        self._append(self.columns)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; what was not measured stays empty.

        Raises:
            KeyError: for a name that is no column.
        """
        if unknown := set(metrics) - set(self.columns):
            raise KeyError(f"metrics.csv has no column {sorted(unknown)}")
        # repr keeps every digit: the table is exact.
        self._append([repr(metrics[c]) if c in metrics else "" for c in self.columns])

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the settings are in config.yaml."""

    def size(self) -> int:
        """Length of the table in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def check_holds(self, size: int) -> None:
        """Check that the table is as long as it was, in bytes, when a checkpoint was written.

        Raises:
            ConfigError: if rows are missing.
        """
        if self.size() < size:
            raise ConfigError(
                f"{self.path} is missing or shorter than when the checkpoint was written: put the "
                "whole file back, or start a new run."
            )

    @rank_zero_only
    def cut(self, size: int) -> None:
        """Cut the table back to a length in bytes that :meth:`size` returned.

        Raises:
            ConfigError: if rows are missing.
        """
        self.check_holds(size)
        os.truncate(self.path, size)

    def _append(self, row: Sequence[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        with naming(self.path), open(self.path, "a") as file:
            file.write(line.getvalue())
            # A checkpoint must never outlive, in a power cut, the rows that it counts on.
            file.flush()
            os.fsync(file.fileno())


def read_metrics(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read a table back.

    Returns:
        For every column, the pairs of (batches seen, value) where it was measured.
    """
    series: dict[str, list[tuple[int, float]]] = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value:
                    series.setdefault(name, []).append((int(row["batch"]), float(value)))
    return series
