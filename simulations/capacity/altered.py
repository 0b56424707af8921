"""Scenarios a little otherwise: more edges, twice the load, half the uplink, slower replicas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """So many in all, the groups in their proportions, each with one at least."""
    now = edge_count(scenario)
    return tuple((f"edges.{one.name}.count", max(1, round(one.count * count / now))) for one in scenario.edges)


def sensitivities(scenario: Scenario) -> Iterator[Change]:
    """What a planner asks next. A link by a fitted model has no rate to halve, and is left as it is."""
    uplinks = tuple(setting for one in scenario.links for setting in _halved(one.name, one.uplink))
    if uplinks:
        yield "uplink halved", uplinks
    yield "load doubled", tuple((f"clients.{one.name}.count", 2 * one.count) for one in scenario.clients)
    slower = f"replicas at {SLOWER_REPLICAS:.0%} of their speed"
    yield slower, (("cloud.speed", scenario.cloud.speed * SLOWER_REPLICAS),)


def _halved(name: str, uplink: float | TraceRate | MarkovRate) -> Sequence[Setting]:
    if isinstance(uplink, MarkovRate):
        return []
    if isinstance(uplink, TraceRate):
        return [(f"links.{name}.uplink", {**uplink.model_dump(), "scale": uplink.scale / 2})]
    return [(f"links.{name}.uplink", f"{uplink / 2}bps")]
