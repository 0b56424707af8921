"""Takes down what a simulated fleet does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from partitioner.plan_table import PlanTable
from scheduler.policies.reason import plan_name
from simulations.cloud import SimulatedCloud
from simulations.fleet_edge import FleetEdge
from simulations.fleet_links import LinkLines
from simulations.kernel import Simulation
from simulations.run_record import EndedRequest, Resource, RunFacts, RunRecord, RunRecorder, Series
from simulations.scenario.edges import EdgePower
from simulations.scenario.scenario import Scenario
from simulations.site_request import Served

__all__ = ["FleetRecorder"]

_MOST_SAMPLES, _LEAST_SAMPLES = 240, 24
# Looking at every edge and replica takes a microsecond each: a second of it in all.
_MOST_LOOKS = 500_000
# Fleets with more edges are told of by group: nobody reads ten thousand rows.
_MOST_TOLD_APART = 200


class FleetRecorder:
    """Of one run. `ended` is called with each request."""

    def __init__(self, scenario: Scenario, cloud: SimulatedCloud) -> None:
        self._scenario, self._cloud = scenario, cloud
        self._recorder = RunRecorder()

    def ended(self, edge: FleetEdge, served: Served) -> None:
        """A request of that edge has ended."""
        arrival, stages, section = served.arrival, served.stages, edge.kind.section
        self._recorder.add(
            EndedRequest(
                time_s=arrival.time_s,
                took_s=served.took_s,
                timeout_s=math.inf if arrival.timeout_s is None else arrival.timeout_s,
                energy_j=_energy_j(section.power, served),
                edge_queue_s=stages.edge_queue_s,
                edge_s=stages.edge_s,
                uplink_s=stages.uplink_s,
                cloud_queue_s=stages.cloud_queue_s,
                cloud_s=stages.cloud_s,
                downlink_s=stages.downlink_s,
                finish_s=stages.finish_s,
                up_bytes=served.up_bytes,
                down_bytes=served.down_bytes,
                outcome=served.outcome,
                reason=served.refused or ("deadline" if served.dropped else ""),
                edge=edge.name,
                link=section.link if served.up_bytes else "",
                replica=served.replica,
                client=arrival.client.partition("#")[0],
                model=arrival.model,
                request_class=arrival.request_class,
                plan=served.plan_id,
                kind=served.kind,
            )
        )

    # ---- over time ---------------------------------------------------------------------------------------------

    def watch(self, simulation: Simulation, edges: Sequence[FleetEdge]) -> None:
        """Look at queues, replicas and beliefs now and then until the end."""
        duration_s = self._scenario.duration
        samples = _MOST_LOOKS // (len(edges) + len(self._cloud.members) + 1)
        samples = max(_LEAST_SAMPLES, min(_MOST_SAMPLES, samples))
        groups: dict[str, list[FleetEdge]] = {}
        for edge in edges:
            groups.setdefault(edge.kind.section.name, []).append(edge)

        def sample(number: int) -> None:
            self._sample(simulation.now_s, groups)
            if number < samples:
                simulation.at(duration_s * (number + 1) / samples, sample, number + 1)

        simulation.at(0.0, sample, 0)

    def _sample(self, now_s: float, groups: Mapping[str, Sequence[FleetEdge]]) -> None:
        record, cloud = self._recorder, self._cloud
        record.sample(Series("replicas", "cloud"), now_s, sum(one.up for one in cloud.serving))
        record.sample(Series("cloud_queue_s", "cloud"), now_s, math.fsum(one.queued_s for one in cloud.serving))
        for name, edges in groups.items():
            sites = [edge.site for edge in edges if edge.site is not None]
            record.sample(Series("edge_queue_s", name), now_s, math.fsum(site.queued_s for site in sites))
            chooser = edges[0].chooser
            believed = None if chooser is None else chooser.link()
            if believed is not None:
                record.sample(Series("uplink_estimate_bps", edges[0].name), now_s, believed.uplink_bps)

    # ---- in the end --------------------------------------------------------------------------------------------

    def finish(
        self,
        replication: int,
        edges: Sequence[FleetEdge],
        shared: Mapping[str, LinkLines],
        tables: Mapping[str, PlanTable],
    ) -> RunRecord:
        """The record of the run."""
        scenario = self._scenario
        for resource in (*self._edge_resources(edges), *self._link_resources(edges, shared), *self._replicas()):
            self._recorder.resource(resource)
        plans = [entry.plan for table in (*tables.values(), *_own_tables(edges)) for entry in table.entries]
        facts = RunFacts(
            scenario=scenario.name,
            seed=scenario.seed + replication,
            duration_s=scenario.duration,
            warm_up_s=scenario.warm_up,
            replication=replication,
            plan_titles={plan.plan_id: plan_name(plan) for plan in plans},
            notes=_notes(scenario),
        )
        return self._recorder.finish(facts)

    @property
    def _counted_s(self) -> float:
        return self._scenario.duration - self._scenario.warm_up

    def _edge_resources(self, edges: Sequence[FleetEdge]) -> Iterator[Resource]:
        if len(edges) <= _MOST_TOLD_APART:
            for edge in edges:
                yield Resource("edge", edge.name, edge.kind.section.name, edge.busy.seconds, self._counted_s)
            return
        for section in self._scenario.edges:
            busy_s = math.fsum(edge.busy.seconds for edge in edges if edge.kind.section is section)
            yield Resource("edge", section.name, section.name, busy_s, section.count * self._counted_s)

    def _link_resources(self, edges: Sequence[FleetEdge], shared: Mapping[str, LinkLines]) -> Iterator[Resource]:
        for section in self._scenario.edges:
            group = [edge for edge in edges if edge.kind.section is section]
            lines = (
                [shared[section.name]] if section.name in shared else [e.lines for e in group if e.lines is not None]
            )
            links = 1 if section.name in shared else section.count
            up_s = math.fsum(one.busy_up.seconds for one in lines)
            down_s = math.fsum(one.busy_down.seconds for one in lines)
            yield Resource("uplink", section.name, section.link, up_s, links * self._counted_s)
            yield Resource("downlink", section.name, section.link, down_s, links * self._counted_s)

    def _replicas(self) -> Iterator[Resource]:
        from_s, until_s = self._scenario.warm_up, self._scenario.duration
        for member in self._cloud.members:
            present_s = member.present_s(from_s, until_s)
            if present_s > 0.0:
                yield Resource("replica", str(member.replica.number), "cloud", member.replica.busy_s, present_s)


def _own_tables(edges: Sequence[FleetEdge]) -> Iterator[PlanTable]:
    for facts in {id(edge.kind): edge.kind.facts for edge in edges}.values():
        yield from facts.tables.values()


def _energy_j(power: EdgePower | None, served: Served) -> float:
    """Of the edge: computing, waiting for the rest of the request, and its radio."""
    if power is None:
        return math.nan
    worked_s = served.stages.worked_s
    waited_s = max(0.0, served.took_s - worked_s)
    return power.busy * worked_s + power.idle * waited_s + power.radio * served.stages.radio_s


def _notes(scenario: Scenario) -> tuple[str, ...]:
    """What a reader must know before any number."""
    notes = ["times are the plans' own, drawn with the spread that was measured" if scenario.spread == "measured" else
             f"times are the plans' own, drawn with a spread of {scenario.spread:g}"]  # fmt: skip
    slowed = [f"{one.name} {one.slowdown:g} times" for one in scenario.edges if one.slowdown != 1.0]
    if slowed:
        notes.append(f"edge times are scaled: {', '.join(slowed)} as long as measured")
    if scenario.cloud.speed != 1.0:
        notes.append(f"cloud times are scaled: replicas {scenario.cloud.speed:g} times as fast as measured")
    return tuple(notes)
