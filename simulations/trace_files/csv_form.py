"""CSV whose heading names columns: time, up, down, rtt, each with its unit; what `isthmus record` writes.

`time_s,up_mbps,down_mbps,rtt_ms` is the whole of it. Without a unit, time is in seconds, bandwidth in Mbit/s and a
round trip in milliseconds. Where one direction is missing it is as the other. Other columns are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from simulations.link_trace import LinkTrace
from simulations.trace_files.trace_rows import TraceRow, bad_line, bandwidth_bps, finite

__all__ = ["csv_lines", "csv_rows", "is_csv_heading"]

_HEADING = "time_s,up_mbps,down_mbps,rtt_ms"
_REMEDY = f"name the columns {_HEADING}"
_COLUMNS = {
    **dict.fromkeys(("time", "seconds"), "time"),
    **dict.fromkeys(("up", "uplink", "upload"), "up"),
    **dict.fromkeys(("down", "downlink", "download"), "down"),
    "rtt": "rtt",
}
_TIMES = {"s": 1.0, "ms": 1e-3}
_RATES = {"": 1e6, "bps": 1.0, "kbps": 1e3, "mbps": 1e6, "gbps": 1e9}
_UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {"": 1.0, **_TIMES},
    "up": _RATES,
    "down": _RATES,
    "rtt": {"": 1e-3, **_TIMES},
}


@dataclass(frozen=True, slots=True)
class _Column:
    place: int
    scale: float


def is_csv_heading(text: str) -> bool:
    """Whether a first line names a time and a direction."""
    named = {_COLUMNS.get(_name_and_unit(cell)[0]) for cell in text.split(",")}
    return "time" in named and bool(named & {"up", "down"})


def csv_rows(lines: Sequence[tuple[int, str]]) -> list[TraceRow]:
    """Of (number, text) of the heading and each line after it. Raises InvalidConfiguration naming the line."""
    (heading_line, heading), *rest = lines
    columns = _columns(heading, heading_line)
    return [_row(text.split(","), number, columns) for number, text in rest]


def _name_and_unit(cell: str) -> tuple[str, str]:
    name, _, unit = cell.strip().strip('"').lower().partition("_")
    return name, unit


def _columns(heading: str, line: int) -> dict[str, _Column]:
    columns: dict[str, _Column] = {}
    for place, cell in enumerate(heading.split(",")):
        name, unit = _name_and_unit(cell)
        column = _COLUMNS.get(name)
        if column is None:
            continue
        if unit not in _UNITS[column]:
            known = ", ".join(f"{name}_{one}" for one in _UNITS[column] if one)
            raise bad_line(cell, line, "has a unit that is not known", f"write one of: {known}")
        if column in columns:
            raise bad_line(cell, line, f"names the column {column} twice", _REMEDY)
        columns[column] = _Column(place, _UNITS[column][unit])
    return columns


def _row(cells: Sequence[str], line: int, columns: Mapping[str, _Column]) -> TraceRow:
    time_s = _value(cells, line, columns, "time")
    if time_s is None:
        raise bad_line(",".join(cells), line, "has no time", _REMEDY)
    up, down = _value(cells, line, columns, "up"), _value(cells, line, columns, "down")
    rtt_s = _value(cells, line, columns, "rtt")
    if up is None and down is None:
        raise bad_line(",".join(cells), line, "has no bandwidth", "write 0 where nothing crossed")
    if rtt_s is not None and rtt_s < 0:
        raise bad_line(f"{rtt_s:g} s", line, "has a round trip below zero", "leave it empty where none was seen")
    uplink_bps = bandwidth_bps(up if up is not None else down or 0.0, line, _REMEDY)
    downlink_bps = bandwidth_bps(down if down is not None else up or 0.0, line, _REMEDY)
    return TraceRow(line, time_s, uplink_bps, downlink_bps, rtt_s)


def _value(cells: Sequence[str], line: int, columns: Mapping[str, _Column], name: str) -> float | None:
    """In SI units; None for a column that is not there, or an empty cell."""
    column = columns.get(name)
    text = cells[column.place].strip().strip('"') if column is not None and column.place < len(cells) else ""
    if column is None or not text:
        return None
    return finite(text, line, f"is not a number in column {name}", _REMEDY) * column.scale


def csv_lines(trace: LinkTrace) -> Iterator[str]:
    """The whole recording, as this form holds it."""
    yield _HEADING
    for place, time_s in enumerate(trace.times_s):
        up, down = trace.uplink_bps[place] / 1e6, trace.downlink_bps[place] / 1e6
        rtt = "" if trace.rtts_s is None else f"{trace.rtts_s[place] * 1e3:.6g}"
        yield f"{time_s:.6f},{up:.6g},{down:.6g},{rtt}"
