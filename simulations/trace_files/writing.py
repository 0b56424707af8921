"""A recording to a file, in the form that its reader wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from isthmus.errors import InvalidConfiguration
from simulations.bandwidth_trace import BandwidthTrace
from simulations.link_trace import LinkTrace
from simulations.trace_files.csv_form import csv_lines
from simulations.trace_files.mahimahi_form import mahimahi_lines
from simulations.trace_files.table_form import table_lines

__all__ = ["TraceForm", "write_link_trace"]

TraceForm = Literal["csv", "table", "mahimahi"]
_OF_ONE_WAY: dict[TraceForm, Callable[[BandwidthTrace], Iterator[str]]] = {
    "table": table_lines,
    "mahimahi": mahimahi_lines,
}


def write_link_trace(trace: LinkTrace, path: Path, form: TraceForm = "csv") -> tuple[Path, ...]:
    """The files written: a CSV holds all of it; the other forms hold one direction, so they are two, PATH.up and
    PATH.down. Raises InvalidConfiguration where the system refuses."""
    one_way = _OF_ONE_WAY.get(form)
    if one_way is None:
        return (_write(path, csv_lines(trace)),)
    ways = (("up", trace.uplink), ("down", trace.downlink))
    return tuple(_write(path.with_name(f"{path.name}.{way}"), one_way(one)) for way, one in ways)


def _write(path: Path, lines: Iterable[str]) -> Path:
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise InvalidConfiguration("trace", f"cannot be written: {error.strerror}", value=str(path)) from error
    return path
