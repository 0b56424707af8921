"""Lines "seconds Mbit/s": the form of the recordings that video streaming research shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simulations.bandwidth_trace import BandwidthTrace
from simulations.trace_files.trace_rows import TraceRow, bad_line, bandwidth_bps, finite

__all__ = ["table_lines", "table_rows"]

_PROBLEM = "is not a time and a bandwidth"
_REMEDY = "write seconds and Mbit/s, like: 0.5 4.2"


def table_rows(lines: Sequence[tuple[int, str]]) -> list[TraceRow]:
    """Of (number, text) of each line that holds something; both apart by blanks or a comma. The first may be a heading.

    Raises InvalidConfiguration naming the line.
    """
    rows = lines[1:] if lines and _is_heading(lines[0][1]) else lines
    return [_row(text, number) for number, text in rows]


def _is_heading(text: str) -> bool:
    try:
        float(text.replace(",", " ").split()[0])
    except (ValueError, IndexError):
        return True
    return False


def _row(text: str, number: int) -> TraceRow:
    words = text.replace(",", " ").split()
    if len(words) < 2:
        raise bad_line(text, number, _PROBLEM, _REMEDY)
    time_s, megabits_per_s = (finite(word, number, _PROBLEM, _REMEDY) for word in words[:2])
    bps = bandwidth_bps(megabits_per_s * 1e6, number, _REMEDY)
    return TraceRow(number, time_s, bps, bps)


def table_lines(trace: BandwidthTrace) -> Iterator[str]:
    """One direction, as this form holds it."""
    for time_s, bps in zip(trace.times_s, trace.bandwidths_bps, strict=True):
        yield f"{time_s:.6f} {bps / 1e6:.6g}"
