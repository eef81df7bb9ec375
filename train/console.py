"""Where a run speaks: a terminal with colours, or plain lines in a log."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rich.console
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from rich.table import Table


class Console:
    """Prints lines, warnings and tables.

    Args:
        quiet: print nothing, as all processes of a distributed run but the first do.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.rich = rich.console.Console(highlight=False, soft_wrap=True, quiet=quiet, markup=False)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody is watching."""
        return self.rich.is_terminal and not self.rich.quiet

    def line(self, text: str = "", style: str | None = None) -> None:
        """Print a line."""
        self.rich.print(text, style=style)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.rich.print(f"warning: {text}", style="yellow")

    @contextmanager
    def following(self, name: str) -> Iterator[None]:
        """Print what a logger says during a block, such as how far a download is."""
        logger, handler = logging.getLogger(name), _LogLines(self)
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)

    def table(self, columns: list[str], rows: list[list[Any]]) -> None:
        """Print a table; the first column holds names, the others numbers."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for i, column in enumerate(columns):
            table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
        for row in rows:
            table.add_row(*map(str, row))
        # A narrow terminal breaks its lines, but nothing is left out of them.
        table.width = self.rich.measure(table, options=self.rich.options.update_width(9999)).maximum
        self.rich.print(table, soft_wrap=False, crop=False, overflow="ignore")


class BarsOnly(Console):
    """Says nothing but warnings; shows bars where somebody is watching."""

    def line(self, text: str = "", style: str | None = None) -> None:
        """Leave a line out."""

    def table(self, columns: list[str], rows: list[list[Any]]) -> None:
        """Leave a table out."""


class _LogLines(logging.Handler):
    """Prints log records as plain lines."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.line(record.getMessage())


def first_process() -> bool:
    """Whether this process speaks and writes; the others of a distributed run only compute."""
    # Lightning's launcher numbers the nodes, and leaves the first process of each without a rank.
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return getattr(rank_zero_only, "rank", 0) == 0 and node in ("", "0")


def percent(share: float) -> str:
    """Format a share with three figures or so: 0.98765 -> "98.8 %"."""
    return f"{100 * share:.{1 if share >= 0.01 else 2}f} %"


def with_caveat(text: str, caveat: str) -> str:
    """Put beside a score what its reader must know, if there is anything: "98.8 % (caveat)"."""
    return f"{text} ({caveat})" if caveat else text


def counted(number: int, noun: str) -> str:
    """Format a number of things: 1 epoch, 2 epochs, 2,000 epochs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Format a time: 3.2 s, 4 min 05 s, 2 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
