"""Scenarios a little otherwise: more edges, twice the load, half the uplink, slower replicas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulations.scenario.links import MarkovRate, TraceRate
from simulations.scenario.scenario import Scenario

__all__ = ["SLOWER_REPLICAS", "Change", "edge_count", "sensitivities", "with_edges"]

Setting = tuple[str, Any]
Change = tuple[str, tuple[Setting, ...]]
"""In words, and what it sets."""

SLOWER_REPLICAS = 0.75


def edge_count(scenario: Scenario) -> int:
    """All groups together."""
    return sum(one.count for one in scenario.edges)


def with_edges(scenario: Scenario, count: int) -> tuple[Setting, ...]:
    """So many in all, as many as there are or more, the groups in their proportions. What whole numbers leave over goes
    to the groups with the largest remainders (Hamilton's method), the first of equal ones."""
    now = edge_count(scenario)
    shares = [divmod(one.count * count, now) for one in scenario.edges]
    over = count - sum(whole for whole, _ in shares)
    gaining = set(sorted(range(len(shares)), key=lambda place: -shares[place][1])[:over])
    return tuple(
        (f"edges.{one.name}.count", whole + (place in gaining))
        for place, (one, (whole, _)) in enumerate(zip(scenario.edges, shares, strict=True))
    )


def sensitivities(scenario: Scenario) -> Iterator[Change]:
    """What a planner asks next."""
    yield "uplink halved", tuple((f"links.{one.name}.uplink", _halved(one.uplink)) for one in scenario.links)
    yield "load doubled", tuple((f"clients.{one.name}.count", 2 * one.count) for one in scenario.clients)
    slower = f"replicas at {SLOWER_REPLICAS:.0%} of their speed"
    yield slower, (("cloud.speed", scenario.cloud.speed * SLOWER_REPLICAS),)


def _halved(uplink: float | TraceRate | MarkovRate) -> Any:
    if isinstance(uplink, TraceRate | MarkovRate):
        return {**uplink.model_dump(), "scale": uplink.scale / 2}
    return f"{uplink / 2}bps"
