"""A file of any form to a recording: which form it is shows in its first lines."""

from __future__ import annotations

from pathlib import Path

from isthmus.errors import InvalidConfiguration
from simulations.link_trace import LinkTrace
from simulations.trace_files.csv_form import csv_rows, is_csv_heading
from simulations.trace_files.mahimahi_form import are_opportunities, mahimahi_rows
from simulations.trace_files.table_form import table_rows
from simulations.trace_files.trace_rows import TraceRow, link_trace

__all__ = ["read_link_trace"]


def read_link_trace(path: Path) -> LinkTrace:
    """A table of "seconds Mbit/s", a CSV whose heading names time, up, down and rtt, or mahimahi's packet
    opportunities. "#" starts a comment. Raises InvalidConfiguration naming the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration("trace", f"cannot be read: {error}", value=str(path)) from error
    numbered = ((number, line.partition("#")[0].strip()) for number, line in enumerate(text.split("\n"), 1))
    return link_trace(_rows([(number, line) for number, line in numbered if line]))


def _rows(lines: list[tuple[int, str]]) -> list[TraceRow]:
    if lines and is_csv_heading(lines[0][1]):
        return csv_rows(lines)
    if lines and are_opportunities(lines):
        return mahimahi_rows(lines)
    return table_rows(lines)
