"""A frontier as a table: each plan, the region where it wins, and its cost vector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from isthmus.units import format_bandwidth, format_duration, format_size
from partitioner.bandwidth_pieces import pieces_of, time_lines
from partitioner.condition import Condition
from partitioner.frontier import Frontier, FrontierPlan
from partitioner.link import Link

__all__ = ["bandwidths_won", "frontier_lines"]


def frontier_lines(frontier: Frontier, rtt_s: float) -> Iterator[str]:
    """One line a plan, those with the most edge ops first."""
    won = bandwidths_won(frontier, rtt_s)
    columns = f"{'edge':>8} {'up':>8} {'down':>8} {'cloud':>8}"
    yield f"{'plan':10} {'edge ops':>8}  {columns}  wins (idle devices, this round trip)"
    for number, entry in enumerate(frontier.plans):
        costs = entry.costs
        amounts = (
            format_duration(costs.edge_s),
            format_size(costs.uplink_bytes),
            format_size(costs.downlink_bytes),
            format_duration(costs.cloud_s),
        )
        columns = " ".join(f"{amount:>8}" for amount in amounts)
        where = _range(*won[number]) if number in won else _elsewhere(entry)
        yield f"{entry.plan.kind:10} {len(entry.plan.edge_ops):8}  {columns}  {where}"


def bandwidths_won(frontier: Frontier, rtt_s: float) -> Mapping[int, tuple[float, float]]:
    """The bandwidths, in bits per second, from and to which each plan (by number) is the best on idle devices."""
    idle = Condition(Link(1.0, 1.0, rtt_s))  # of its link, only the round trip counts here
    pieces = pieces_of(time_lines(frontier, idle))
    return {piece.line: (piece.from_bps, piece.to_bps) for piece in pieces}


def _range(least_bps: float, most_bps: float) -> str:
    if least_bps == 0 and most_bps == math.inf:
        return "at any bandwidth"
    if least_bps == 0:
        return f"below {format_bandwidth(most_bps)}"
    return f"from {format_bandwidth(least_bps)}" + ("" if most_bps == math.inf else f" to {format_bandwidth(most_bps)}")


def _elsewhere(entry: FrontierPlan) -> str:
    """A condition under which it wins, from the middle of its region."""
    if not entry.region:
        return "with a longer round trip"
    edge, wire, cloud = (sum(column) for column in zip(*entry.region, strict=True))
    busier, idle = ("edge", cloud) if edge > cloud else ("cloud", edge)
    return f"under load, as {busier} x{max(edge, cloud) / idle:.2g} at {format_bandwidth(8 * idle / wire)}"
