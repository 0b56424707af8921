"""What a burst says of the link that it crossed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Arrived", "rate_bps"]

# Less than a clock and a scheduler tell apart.
_SHORTEST_S = 1e-6


@dataclass(frozen=True, slots=True)
class Arrived:
    """So many bytes of a burst were there at that moment."""

    time_s: float
    total_bytes: int


def rate_bps(arrivals: Sequence[Arrived]) -> float:
    """Bits per second of the second half of a burst's bytes, of two arrivals or more; zero of less.

    While the first half comes, TCP learns how much the link holds (slow start, again after each idle second), so only
    what follows shows the line's rate. It runs from one arrival to another, so it does not count the way of the first.
    """
    if len(arrivals) < 2:
        return 0.0
    last = arrivals[-1]
    half = next(one for one in arrivals if 2 * one.total_bytes >= last.total_bytes)
    if half is last:  # all of the second half came at once
        half = arrivals[-2]
    return 8 * (last.total_bytes - half.total_bytes) / max(_SHORTEST_S, last.time_s - half.time_s)
