"""A frontier as a table: each plan, the region where it wins, and its cost vector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from isthmus.units import format_bandwidth, format_duration, format_size
from partitioner.bandwidth_pieces import pieces_of, value_lines
from partitioner.condition import CostVector
from partitioner.frontier import Frontier, FrontierPlan
from partitioner.link import Link
from partitioner.objectives import Objective, objective_for
from partitioner.plan import Plan
from partitioner.setting import Setting
from partitioner.throughput_frontier import FASTEST_BPS, SLOWEST_BPS, ThroughputFrontier

__all__ = ["bandwidths_won", "frontier_lines", "throughput_lines"]


def frontier_lines(frontier: Frontier, setting: Setting, objective: str = "latency") -> Iterator[str]:
    """One line a plan, those with the most edge ops first; who wins is by a linear objective. Raises InvalidInput for
    one that is not known, or needs what the profiles do not declare."""
    won = bandwidths_won(frontier, setting, objective)
    by = "" if objective == "latency" else f" by {objective}"
    yield f"{_HEADING}  wins{by} (idle devices, this round trip)"
    for number, entry in enumerate(frontier.plans):
        where = _range(*won[number]) if number in won else _elsewhere(entry, objective)
        yield f"{_amounts(entry.plan, entry.costs)}  {where}"


def throughput_lines(frontier: ThroughputFrontier) -> Iterator[str]:
    """One line a plan, the one for the slowest links first."""
    yield f"{_HEADING}  {'at most':>9}  wins by throughput (every stage busy)"
    for entry in frontier.plans:
        most = f"{1 / entry.compute_s:.4g}/s" if entry.compute_s else "any"
        least_bps = 0.0 if entry.from_bps <= SLOWEST_BPS else entry.from_bps
        most_bps = math.inf if entry.to_bps >= FASTEST_BPS else entry.to_bps
        yield f"{_amounts(entry.plan, entry.costs)}  {most:>9}  {_range(least_bps, most_bps)}"
    yield "gap 0, proven best" if frontier.gap == 0 else f"gap: up to {frontier.gap:.2%} better may exist"


def bandwidths_won(
    frontier: Frontier, setting: Setting, objective: str = "latency"
) -> Mapping[int, tuple[float, float]]:
    """The bandwidths, in bits per second, from and to which each plan (by number) is the best on idle devices."""
    at_one = Link(1.0, 1.0 / frontier.downlink_ratio, setting.link.rtt_s)
    (stage,) = _idle(setting, at_one, objective).stages
    return {piece.line: (piece.from_bps, piece.to_bps) for piece in pieces_of(value_lines(frontier, stage))}


def _idle(setting: Setting, link: Link, objective: str) -> Objective:
    costing = replace(setting.costing, edge_load=1.0, cloud_load=1.0)
    return objective_for(objective, replace(setting, link=link, costing=costing))


_HEADING = f"{'plan':10} {'edge ops':>8}  {'edge':>8} {'up':>8} {'down':>8} {'cloud':>8}"


def _amounts(plan: Plan, costs: CostVector) -> str:
    amounts = (
        format_duration(costs.edge_s),
        format_size(costs.uplink_bytes),
        format_size(costs.downlink_bytes),
        format_duration(costs.cloud_s),
    )
    return f"{plan.kind:10} {len(plan.edge_ops):8}  {' '.join(f'{amount:>8}' for amount in amounts)}"


def _range(least_bps: float, most_bps: float) -> str:
    if least_bps == 0 and most_bps == math.inf:
        return "at any bandwidth"
    if least_bps == 0:
        return f"below {format_bandwidth(most_bps)}"
    return f"from {format_bandwidth(least_bps)}" + ("" if most_bps == math.inf else f" to {format_bandwidth(most_bps)}")


def _elsewhere(entry: FrontierPlan, objective: str) -> str:
    """A condition under which it wins, from the middle of its region; for latency only."""
    if objective != "latency":
        return "under other loads"
    if not entry.region:
        return "with a longer round trip"
    edge, wire, cloud = (sum(column) for column in zip(*entry.region, strict=True))
    busier, idle = ("edge", cloud) if edge > cloud else ("cloud", edge)
    return f"under load, as {busier} x{max(edge, cloud) / idle:.2g} at {format_bandwidth(8 * idle / wire)}"
