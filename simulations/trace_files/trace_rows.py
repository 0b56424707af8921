"""Rows of a recording as a file holds them, and the checks that every form shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import InvalidConfiguration
from simulations.bandwidth_trace import DEAD_BPS
from simulations.link_trace import LinkTrace

__all__ = ["TraceRow", "bad_line", "bandwidth_bps", "finite", "link_trace"]

_HIGHEST_BPS = 1e15
# Moments of any clock, also of one that counts microseconds since 1970.
_LARGEST = 1e16


@dataclass(frozen=True, slots=True)
class TraceRow:
    """What holds from a time on. line: where it stands in the file, from 1. rtt_s: None for as before."""

    line: int
    time_s: float
    uplink_bps: float
    downlink_bps: float
    rtt_s: float | None = None


def link_trace(rows: Sequence[TraceRow]) -> LinkTrace:
    """The recording; its first time becomes zero. Raises InvalidConfiguration naming the line."""
    if not rows:
        raise InvalidConfiguration("trace", "holds no line", remedy="write lines like: 0.5 4.2")
    start_s = rows[0].time_s
    times_s = tuple(row.time_s - start_s for row in rows)
    for number in range(1, len(rows)):
        if times_s[number] <= times_s[number - 1]:
            raise InvalidConfiguration(f"trace line {rows[number].line}", "has a time that does not rise")
    uplink_bps, downlink_bps = tuple(row.uplink_bps for row in rows), tuple(row.downlink_bps for row in rows)
    return LinkTrace(times_s, uplink_bps, downlink_bps, _filled([row.rtt_s for row in rows]))


def _filled(rtts_s: Sequence[float | None]) -> tuple[float, ...] | None:
    """Where nothing was heard the round trip is as before, at the start as afterwards."""
    last_s = next((rtt_s for rtt_s in rtts_s if rtt_s is not None), None)
    if last_s is None:
        return None
    filled = []
    for rtt_s in rtts_s:
        last_s = last_s if rtt_s is None else rtt_s
        filled.append(last_s)
    return tuple(filled)


def finite(text: str, line: int, problem: str, remedy: str) -> float:
    """A number of a moderate size. Raises InvalidConfiguration naming the line."""
    try:
        value = float(text)
    except ValueError as error:
        raise bad_line(text, line, problem, remedy) from error
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise bad_line(text, line, problem, remedy)
    return value


def bandwidth_bps(value: float, line: int, remedy: str) -> float:
    """Bits per second, of zero as little as a rate can be. Raises InvalidConfiguration where it is below zero."""
    if not 0 <= value <= _HIGHEST_BPS:
        raise bad_line(f"{value:g} bit/s", line, "is not a bandwidth", remedy)
    return max(DEAD_BPS, value)


def bad_line(text: str, line: int, problem: str, remedy: str) -> InvalidConfiguration:
    """The error that names the line."""
    return InvalidConfiguration(f"trace line {line}", problem, value=text, remedy=remedy)
