"""The frontier and its menu as tables: every plan that wins somewhere, and the few cuts to offer."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.page.html import paragraph, section, swatch, table
from isthmus.report.bandwidth_curve import said_range
from isthmus.report.facts import Chapter
from isthmus.report.plan_names import PlanName, codecs_of
from isthmus.units import format_bandwidth, format_duration, format_size
from partitioner.accuracy_rule import TAKEN_OUT
from partitioner.bandwidth_pieces import Piece, pieces_of, time_lines
from partitioner.frontier import Frontier, FrontierPlan
from partitioner.menu import Domain, Menu

__all__ = ["frontier_section", "menu_section"]


def frontier_section(chapter: Chapter, frontier: Frontier, names: Mapping[str, PlanName]) -> str:
    """Every plan with its boundary, bytes, idle seconds and where it wins."""
    won = {piece.line: piece for piece in pieces_of(time_lines(frontier, chapter.condition))}
    rows = [_row(entry, names[entry.plan.plan_id], won.get(i)) for i, entry in enumerate(frontier.plans)]
    ratio = "" if frontier.downlink_ratio == 1 else f" The uplink is {frontier.downlink_ratio:.3g} times the downlink."
    costing = chapter.setting.costing
    pruned = costing.budget is not None and costing.budget.pruned
    of = "" if costing.budget is None else " of the codecs left" if pruned else " of the codecs measured"
    other = f"other plan{of}"
    if costing.constraints.has_budget:
        other += " within the limits"
    never = f"no {other} ever is" if frontier.gap == 0.0 else f"no {other} is by more than {frontier.gap:.2%}"
    never += f" (of all codecs measured nothing is proven: {TAKEN_OUT})" if pruned else ""
    return section(
        f"The frontier: {len(rows)} plan{'' if len(rows) == 1 else 's'}",
        paragraph(
            f"Every plan that is the quickest under some bandwidth, round trip and loads; {never}. "
            f"Seconds are those of idle devices.{ratio}"
        ),
        table(
            "The plans, those with most ops on the edge first. Bandwidths: for the round trip and loads asked about; "
            "elsewhere: under other loads, such as these (the edge's over the cloud's) at this bandwidth.",
            ("", "plan", "going up", "wins", "up", "down", "edge", "cloud"),
            rows,
            numbers_from=4,
        ),
    )


def _row(entry: FrontierPlan, name: PlanName, piece: Piece | None) -> tuple[str, ...]:
    costs = entry.costs
    return (
        swatch(name.code, name.colour),
        name.title,
        codecs_of(entry.plan.boundary),
        said_range(piece) if piece is not None else _elsewhere(entry),
        format_size(costs.uplink_bytes),
        format_size(costs.downlink_bytes),
        format_duration(costs.edge_s),
        format_duration(costs.cloud_s),
    )


def _elsewhere(entry: FrontierPlan) -> str:
    """A condition from the middle of the region where it wins."""
    edge, wire, cloud = (sum(column) for column in zip(*entry.region, strict=True)) if entry.region else (0, 0, 0)
    if not (wire > 0 and cloud > 0):
        return "only over a longer round trip"
    return f"elsewhere: edge × {edge / cloud:.2g}, {format_bandwidth(8 * cloud / wire)}"


def menu_section(menu: Menu, names: Mapping[str, PlanName]) -> str:
    """The cuts to offer, and what they guarantee."""
    fewest = (
        "No fewer cuts of the frontier would do." if menu.is_fewest else "Fewer cuts may do: the search was cut short."
    )
    rows = []
    for cut in menu.cuts:
        name = names[cut.plans[0].plan.plan_id]
        codecs = dict.fromkeys(codecs_of(entry.plan.boundary) for entry in cut.plans)
        rows.append((swatch(name.code, name.colour), name.title, "; or ".join(codecs), str(len(cut.plans))))
    return section(
        f"The menu: {len(rows)} cut{'' if len(rows) == 1 else 's'} to offer",
        paragraph(
            f"With these cuts alone, the best of them is at most {menu.excess:.2%} slower than the whole frontier, "
            f"anywhere in {_said_domain(menu.domain)}, over any round trip (granted: {menu.tolerance:.2%}). {fewest}"
        ),
        table("The cuts", ("", "cut", "going up", "plans"), rows, numbers_from=3),
    )


def _said_domain(domain: Domain) -> str:
    slowest, fastest = domain.bandwidths_bps
    edge, cloud = domain.edge_loads, domain.cloud_loads
    return (
        f"{format_bandwidth(slowest)} to {format_bandwidth(fastest)}, edge loads {edge[0]:g} to {edge[1]:g} "
        f"and cloud loads {cloud[0]:g} to {cloud[1]:g}"
    )
