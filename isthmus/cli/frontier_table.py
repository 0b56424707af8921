"""A frontier as a table: each plan, what crosses, its cost vector, and the region where it wins; 100 columns wide."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from isthmus.cli.crossing_words import crossing_words
from isthmus.errors import InvalidInput
from isthmus.units import format_bandwidth, format_duration, format_size
from partitioner.bandwidth_pieces import pieces_of, value_lines
from partitioner.condition import CostVector
from partitioner.frontier import Frontier, FrontierPlan
from partitioner.link import Link
from partitioner.menu import MOST_CUTS, Menu, menu_of
from partitioner.objectives import objective_for
from partitioner.plan import Plan
from partitioner.setting import Setting
from partitioner.throughput_frontier import FASTEST_BPS, SLOWEST_BPS, ThroughputFrontier

__all__ = ["bandwidths_won", "check_linear", "frontier_lines", "throughput_lines"]

# Of what crosses. What is left of 100 columns holds the longest range of bandwidths, and beside it another column in
# the frontier for throughput, and under an accuracy budget.
_CROSSES, _CROSSES_NARROW, _CROSSES_AGREES = 20, 16, 12


def check_linear(objective: str, setting: Setting) -> None:
    """Raise InvalidInput for an objective by which `frontier_lines` cannot say who wins."""
    if len(objective_for(objective, setting).stages) > 1:
        remedy = "ask for throughput alone, or leave --frontier out"
        raise InvalidInput("--frontier", "goes by no sum with throughput", value=objective, remedy=remedy)


def frontier_lines(
    frontier: Frontier,
    setting: Setting,
    objective: str = "latency",
    agreement: Callable[[Plan], float | None] = lambda plan: None,
) -> Iterator[str]:
    """One line a plan, those with the most edge ops first, those that a fleet would be offered with a star; what that
    menu costs, last. Who wins is by a linear objective, at the setting's round trip and loads. agreement: what a plan
    keeps of the model's answers, for a column of its own where somebody measured it. Raises InvalidInput for an
    objective that is not known, or needs what the profiles do not declare."""
    won = bandwidths_won(frontier, setting, objective)
    menu = menu_of(frontier, most_cuts=MOST_CUTS)
    offered = {entry.plan.plan_id for cut in menu.cuts for entry in cut.plans}
    kept = [agreement(entry.plan) for entry in frontier.plans]
    judged = any(one is not None for one in kept)
    crosses = _CROSSES_AGREES if judged else _CROSSES
    yield f"{_heading('plan, *menu', crosses)}  {'agrees  ' if judged else ''}{_wins(setting, objective)}"
    for number, entry in enumerate(frontier.plans):
        star = "*" if entry.plan.plan_id in offered else " "
        where = _range(*won[number]) if number in won else _elsewhere(entry, objective)
        share = kept[number]
        agrees = "" if share is None else f"{share:6.4f}  "
        yield f"{_amounts(entry.plan, entry.costs, star, crosses)}  {agrees}{where}"
    yield _menu_line(menu)


def throughput_lines(frontier: ThroughputFrontier) -> Iterator[str]:
    """One line a plan, the one for the slowest links first."""
    yield f"{_heading('plan', _CROSSES_NARROW)}  {'at most':>7}  wins by throughput"
    for entry in frontier.plans:
        most = f"{_three_digits(1 / entry.compute_s)}/s" if entry.compute_s else "any"
        least_bps = 0.0 if entry.from_bps <= SLOWEST_BPS else entry.from_bps
        most_bps = math.inf if entry.to_bps >= FASTEST_BPS else entry.to_bps
        amounts = _amounts(entry.plan, entry.costs, " ", _CROSSES_NARROW)
        yield f"{amounts}  {most:>7}  {_range(least_bps, most_bps)}"


def bandwidths_won(
    frontier: Frontier, setting: Setting, objective: str = "latency"
) -> Mapping[int, tuple[float, float]]:
    """The bandwidths, in bits per second, from and to which each plan (by number) is the best, at the setting's round
    trip and loads."""
    at_one = Link(1.0, 1.0 / frontier.downlink_ratio, setting.link.rtt_s)
    (stage,) = objective_for(objective, replace(setting, link=at_one)).stages
    return {piece.line: (piece.from_bps, piece.to_bps) for piece in pieces_of(value_lines(frontier, stage))}


def _menu_line(menu: Menu) -> str:
    """How far from the frontier a fleet that offers no more would ever be."""
    cuts = f"{len(menu.cuts)} cut{'' if len(menu.cuts) == 1 else 's'}"
    (edge, more_edge), (cloud, more_cloud) = menu.domain.edge_loads, menu.domain.cloud_loads
    where = f"{_range(*menu.domain.bandwidths_bps)}, edge x{edge:g}–{more_edge:g}, cloud x{cloud:g}–{more_cloud:g}"
    return f"*menu: {cuts}, at most {menu.excess:.2%} slower than the frontier at {where}"


def _wins(setting: Setting, objective: str) -> str:
    if objective != "latency":
        return f"wins by {objective}"
    edge, cloud = setting.costing.edge_load, setting.costing.cloud_load
    return "wins on idle devices" if edge == cloud == 1 else f"wins, edge x{edge:g}, cloud x{cloud:g}"


def _heading(first: str, crosses: int) -> str:
    amounts = " ".join(f"{name:>7}" for name in ("edge", "up", "down", "cloud"))
    return f"{first:11} {'ops':>4}  {'crosses':{crosses}}  {amounts}"


def _amounts(plan: Plan, costs: CostVector, star: str, crosses: int) -> str:
    amounts = (
        format_duration(costs.edge_s),
        format_size(costs.uplink_bytes),
        format_size(costs.downlink_bytes),
        format_duration(costs.cloud_s),
    )
    what = crossing_words(plan.boundary, crosses)
    numbers = " ".join(f"{amount:>7}" for amount in amounts)
    return f"{plan.kind:10}{star} {len(plan.edge_ops):4}  {what:{crosses}}  {numbers}"


def _range(least_bps: float, most_bps: float) -> str:
    if least_bps == 0 and most_bps == math.inf:
        return "at any bandwidth"
    if least_bps == 0:
        return f"below {format_bandwidth(most_bps)}"
    least = format_bandwidth(least_bps)
    return f"above {least}" if most_bps == math.inf else f"{least}–{format_bandwidth(most_bps)}"


def _elsewhere(entry: FrontierPlan, objective: str) -> str:
    """A condition under which it wins: for latency from the middle of its region, else in what way it differs."""
    if objective == "cost":
        return "not by cost"  # no condition makes one plan's cloud seconds dearer than another's
    if not entry.region:
        return "with a longer round trip"
    if objective != "latency":
        return "under other loads"
    edge, wire, cloud = (sum(column) for column in zip(*entry.region, strict=True))
    busier, idle = ("edge", cloud) if edge > cloud else ("cloud", edge)
    times = _three_digits(max(edge, cloud) / idle)
    return f"if {busier} x{times}, {format_bandwidth(8 * idle / wire)}"


def _three_digits(value: float) -> str:
    """Without an exponent, which takes the room of two."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
