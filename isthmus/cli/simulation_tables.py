"""What a simulation found, on a terminal: in full, or of a sweep one line a point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from isthmus.cli.plain_table import plain_table
from isthmus.cli.summary_tables import summary_tables
from isthmus.units import format_duration
from simulations.answers.summary import Summary
from simulations.report.bars import percent
from simulations.report.tables import said
from simulations.scenario.sweep import SweepPoint

__all__ = ["print_answers"]

_QUANTILES = ("p50", "p90", "p99")


def print_answers(answered: Sequence[tuple[SweepPoint, Summary]], folder: Path) -> None:
    """Of one scenario in full; of a sweep one line a point."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # a file has no width: no name is cut
    if len(answered) == 1:
        _print_one(console, answered[0][1])
    else:
        console.print(_sweep_table(answered))
    console.print(f"\nanswers, page and trace: {folder}")


def _print_one(console: Console, answers: Summary) -> None:
    for one in summary_tables(answers):
        console.print(one)
        if isinstance(one, Table):
            console.print()


def _sweep_table(answered: Sequence[tuple[SweepPoint, Summary]]) -> Table:
    fields = [path for path, _ in answered[0][0].settings]
    table = plain_table(fields[0], *fields[1:], "n", *_QUANTILES, "in time", "cost an hour")
    for point, answers in answered:
        whole = answers.all
        times = (said(whole.times_s.get(name), format_duration) for name in _QUANTILES)
        cost = "-" if answers.cost is None else said(answers.cost.per_hour, "{:.4g}".format)
        values = (str(value) for _, value in point.settings)
        table.add_row(*values, f"{whole.n:,}", *times, said(whole.kept_of_all, percent), cost)
    return table
