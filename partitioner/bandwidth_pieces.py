"""Which plan is the quickest at which bandwidth: the lower envelope of straight lines, exactly.

The time of a plan is linear in the seconds that a bit takes (1 / bandwidth). From infinite bandwidth down, the best
plan changes where a less steep line crosses it first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from partitioner.condition import Condition
from partitioner.frontier import Frontier
from partitioner.link import Link
from partitioner.objectives import Stage, latency_stage

__all__ = ["Piece", "TimeLine", "pieces_of", "time_lines", "value_lines"]


@dataclass(frozen=True, slots=True)
class TimeLine:
    """The time of a plan over the uplink's bandwidth: fixed_s + wire_bits / bandwidth.

    wire_bits: those of the downlink are weighed with how much slower it is than the uplink.
    """

    fixed_s: float
    wire_bits: float

    def seconds(self, uplink_bps: float) -> float:
        """The time at that bandwidth."""
        return self.fixed_s + self.wire_bits / uplink_bps


@dataclass(frozen=True, slots=True)
class Piece:
    """From one bandwidth (0 at least) to another (infinity at most), line number `line` is the lowest."""

    line: int
    from_bps: float
    to_bps: float


def time_lines(frontier: Frontier, condition: Condition) -> list[TimeLine]:
    """The time of each plan of `frontier` over the uplink's bandwidth, round trip and loads as in `condition`."""
    at_one = Link(1.0, 1.0 / frontier.downlink_ratio, condition.link.rtt_s)
    return value_lines(frontier, latency_stage(at_one, condition.edge_load, condition.cloud_load))


def value_lines(frontier: Frontier, at_one: Stage) -> list[TimeLine]:
    """The same for any linear objective: joules or money instead of seconds. at_one: its prices where the uplink moves
    one bit a second and the downlink as many times less as the frontier's is slower."""
    lines = []
    for entry in frontier.plans:
        costs, crossing = entry.costs, 0.0 if entry.plan.kind == "edge-only" else at_one.crossing
        fixed = math.fsum((at_one.edge_s * costs.edge_s, at_one.cloud_s * costs.cloud_s, crossing))
        wire = at_one.uplink_bytes * costs.uplink_bytes + at_one.downlink_bytes * costs.downlink_bytes
        lines.append(TimeLine(fixed, wire))
    return lines


def pieces_of(lines: Sequence[TimeLine]) -> tuple[Piece, ...]:
    """The pieces of the lower envelope, slowest bandwidth first; they touch, and cover all bandwidths."""
    best = min(range(len(lines)), key=lambda i: (lines[i].fixed_s, lines[i].wire_bits))
    pieces: list[Piece] = []
    to_bps = math.inf
    while True:
        crossing, after = _next_crossing(lines, best)
        from_bps = 1.0 / crossing if crossing > 0 else to_bps
        pieces.append(Piece(best, from_bps, to_bps))
        if after == best:
            return tuple(reversed(pieces))
        best, to_bps = after, from_bps


def _next_crossing(lines: Sequence[TimeLine], best: int) -> tuple[float, int]:
    """At which seconds a bit the best line is undercut, and by which (the least steep of equals)."""
    here = lines[best]
    crossings = [
        ((line.fixed_s - here.fixed_s) / (here.wire_bits - line.wire_bits), line.wire_bits, number)
        for number, line in enumerate(lines)
        if line.wire_bits < here.wire_bits
    ]
    if not crossings:
        return math.inf, best
    crossing, _, number = min(crossings)
    return crossing, number
