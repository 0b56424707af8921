"""Recorded bandwidth over time: what a link could do on a bus, on a ferry, in a living room."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

from isthmus.errors import InvalidConfiguration

__all__ = ["BandwidthTrace", "play_trace", "read_trace"]

# Recordings hold zeros. A rate cannot be zero, and at this one nothing arrives before the recording goes on.
_LOWEST_BPS = 1000.0


@dataclass(frozen=True, slots=True)
class BandwidthTrace:
    """`bandwidths_bps[i]` holds from `times_s[i]` until the next time. After the last one the trace starts over.

    Times start at zero and rise; the last value holds as long as the one before it did.
    """

    times_s: tuple[float, ...]
    bandwidths_bps: tuple[float, ...]

    @property
    def period_s(self) -> float:
        """How long one run through the trace takes; infinite where it has a single value."""
        if len(self.times_s) == 1:
            return math.inf
        return 2 * self.times_s[-1] - self.times_s[-2]

    def at(self, time_s: float) -> float:
        """Bits per second at `time_s` after the start."""
        return self.bandwidths_bps[bisect_right(self.times_s, self._phase_s(time_s)) - 1]

    def changes(self) -> Iterator[tuple[float, float]]:
        """(seconds after the start, bits per second) of every change, in order; without end where the trace repeats."""
        for lap in count():
            for time_s, bps in zip(self.times_s, self.bandwidths_bps, strict=True):
                yield lap * self.period_s + time_s if lap else time_s, bps
            if math.isinf(self.period_s):
                return

    def _phase_s(self, time_s: float) -> float:
        return time_s if math.isinf(self.period_s) else time_s % self.period_s


def read_trace(path: Path) -> BandwidthTrace:
    """A file of lines "seconds Mbit/s", apart by blanks or a comma. "#" starts a comment; a heading may come first.

    The form of the recordings that video streaming research shares. Raises InvalidConfiguration naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration("trace", f"cannot be read: {error}", value=str(path)) from error
    rows = [row for number, line in enumerate(lines, 1) if (row := _row(line, number)) is not None]
    if not rows:
        raise InvalidConfiguration("trace", "holds no line", value=str(path), remedy="write lines like: 0.5 4.2")
    if any(later[0] <= earlier[0] for earlier, later in pairwise(rows)):
        raise InvalidConfiguration("trace", "has times that do not rise", value=str(path))
    start_s = rows[0][0]
    return BandwidthTrace(tuple(time_s - start_s for time_s, _ in rows), tuple(bps for _, bps in rows))


def _row(line: str, number: int) -> tuple[float, float] | None:
    text = line.partition("#")[0].replace(",", " ").split()
    if not text:
        return None
    try:
        time_s, megabits_per_s = float(text[0]), float(text[1])
    except (ValueError, IndexError) as error:
        if number == 1:
            return None
        raise _bad_line(line, number) from error
    if not (math.isfinite(time_s) and math.isfinite(megabits_per_s) and megabits_per_s >= 0):
        raise _bad_line(line, number)
    return time_s, max(_LOWEST_BPS, megabits_per_s * 1e6)


def _bad_line(line: str, number: int) -> InvalidConfiguration:
    remedy = "write seconds and Mbit/s, like: 0.5 4.2"
    return InvalidConfiguration(f"trace line {number}", "is not a time and a bandwidth", value=line, remedy=remedy)


async def play_trace(trace: BandwidthTrace, set_bandwidth: Callable[[float], None]) -> None:
    """Call `set_bandwidth` with bits per second whenever the trace changes, from now on until cancelled.

    Each change is timed from the start, so that lateness does not add up.
    """
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    for time_s, bps in trace.changes():
        await asyncio.sleep(start_s + time_s - loop.time())
        set_bandwidth(bps)
