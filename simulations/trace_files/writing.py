"""A recording to a file, in the form that its reader wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from isthmus.errors import InvalidConfiguration
from isthmus.whole_file import whole_file
from simulations.bandwidth_trace import BandwidthTrace
from simulations.link_trace import LinkTrace
from simulations.trace_files.csv_form import csv_lines
from simulations.trace_files.mahimahi_form import mahimahi_lines
from simulations.trace_files.table_form import table_lines

__all__ = ["TraceForm", "check_trace_files", "trace_files", "write_link_trace"]

TraceForm = Literal["csv", "table", "mahimahi"]
_OF_ONE_WAY: dict[TraceForm, Callable[[BandwidthTrace], Iterator[str]]] = {
    "table": table_lines,
    "mahimahi": mahimahi_lines,
}


def trace_files(path: Path, form: TraceForm) -> tuple[Path, ...]:
    """The files of that form: a CSV holds all of a recording; the other forms hold one direction, so they are two,
    PATH.up and PATH.down."""
    return (path,) if form == "csv" else tuple(path.with_name(f"{path.name}.{way}") for way in ("up", "down"))


def check_trace_files(path: Path, form: TraceForm) -> None:
    """Raises InvalidConfiguration where they cannot be written, as far as that shows before there is anything to write:
    not that the disk will be full."""
    for one in trace_files(path, form):
        unfinished = _unfinished(one)
        try:
            if one.exists():
                one.open("ab").close()
            unfinished.touch()
            unfinished.unlink()
        except OSError as error:
            raise _refused(one, error) from error


def write_link_trace(trace: LinkTrace, path: Path, form: TraceForm = "csv") -> tuple[Path, ...]:
    """The files written, see `trace_files`; each appears whole or not at all. Raises InvalidConfiguration where the
    system refuses; what was there before then stays."""
    files = trace_files(path, form)
    one_way = _OF_ONE_WAY.get(form)
    contents = [csv_lines(trace)] if one_way is None else [one_way(trace.uplink), one_way(trace.downlink)]
    for one, lines in zip(files, contents, strict=True):
        try:
            _write(one, lines)
        except OSError as error:
            raise _refused(one, error) from error
    return files


def _write(path: Path, lines: Iterable[str]) -> None:
    with whole_file(path.resolve(), _unfinished(path)) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _unfinished(path: Path) -> Path:
    """Where it is written first: beside the file itself, wherever a link to it lies."""
    if path.exists() and not path.is_file():
        raise InvalidConfiguration("trace", "is a folder or a device", value=str(path), remedy="name a file")
    whole = path.resolve()
    return whole.with_name(f"{whole.name}.part")


def _refused(path: Path, error: OSError) -> InvalidConfiguration:
    return InvalidConfiguration("trace", f"cannot be written: {error.strerror}", value=str(path))
