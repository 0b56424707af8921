"""What the edges, links and replicas of a simulated fleet did in the time that counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from simulations.cloud import Member, SimulatedCloud
from simulations.fleet_edge import FleetEdge, lines_of
from simulations.run_record import Resource, ResourceKind
from simulations.scenario.cloud import ReplicaPower
from simulations.scenario.edges import EdgePower, EdgeSection
from simulations.scenario.links import LinkSection
from simulations.scenario.scenario import Scenario

__all__ = ["resources_of"]

# Fleets with more edges are told of by group: nobody reads ten thousand rows.
_MOST_TOLD_APART = 200


def resources_of(scenario: Scenario, edges: Sequence[FleetEdge], cloud: SimulatedCloud) -> Iterator[Resource]:
    """Edges and links in the scenario's order, then replicas in theirs."""
    counted_s = scenario.duration - scenario.warm_up
    for section in scenario.edges:
        group = [edge for edge in edges if edge.kind.section is section]
        apart = len(edges) <= _MOST_TOLD_APART
        for name, some in [(edge.name, [edge]) for edge in group] if apart else [(section.name, group)]:
            yield _edges(section, name, some, counted_s)
    for link in scenario.links:
        if users := [edge for edge in edges if edge.kind.section.link == link.name]:
            yield from _links(link, users, counted_s)
    for member in cloud.members:
        present_s = member.present_s(scenario.warm_up, scenario.duration)
        if present_s > 0.0:
            yield _replica(member, present_s, scenario.cloud.power)


def _edges(section: EdgeSection, name: str, edges: Sequence[FleetEdge], counted_s: float) -> Resource:
    busy_s, radio_s = [edge.busy.seconds for edge in edges], math.fsum(edge.radio.seconds for edge in edges)
    energy_j = _energy_j(section.power, math.fsum(busy_s), radio_s, len(edges) * counted_s)
    return _alike("edge", name, section.name, busy_s, len(edges), counted_s, energy_j)


def _replica(member: Member, present_s: float, power: ReplicaPower | None) -> Resource:
    """present_s: what it is paid for: it draws power while it starts and drains, and also while it is down."""
    busy_s, number = member.replica.busy_s, str(member.replica.number)
    energy_j = None if power is None else power.busy * busy_s + power.idle * (present_s - busy_s)
    return Resource("replica", number, "cloud", busy_s, present_s, busy_s / present_s, energy_j)


def _links(section: LinkSection, users: Sequence[FleetEdge], counted_s: float) -> Iterator[Resource]:
    number, lines = 1 if section.shared else len(users), lines_of(users)
    up_s, down_s = [one.busy_up.seconds for one in lines], [one.busy_down.seconds for one in lines]
    yield _alike("uplink", section.name, section.name, up_s, number, counted_s)
    yield _alike("downlink", section.name, section.name, down_s, number, counted_s)


def _alike(
    kind: ResourceKind,
    name: str,
    group: str,
    busy_s: Sequence[float],
    number: int,
    each_s: float,
    energy_j: float | None = None,
) -> Resource:
    """`number` of them, each there for `each_s`; those that are not among `busy_s` never worked."""
    busiest = max(busy_s, default=0.0) / each_s
    return Resource(kind, name, group, math.fsum(busy_s), number * each_s, busiest, energy_j)


def _energy_j(power: EdgePower | None, busy_s: float, radio_s: float, present_s: float) -> float | None:
    """By the watts of the live `energy` policy: busy while they compute, idle for all the rest, the radio on top. A
    second of an edge counts once, however many requests wait in it (each pays for it there), and also where none does.
    """
    if power is None:
        return None
    return power.busy * busy_s + power.idle * (present_s - busy_s) + power.radio * radio_s
