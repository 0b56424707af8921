"""Takes down what a simulated fleet does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from partitioner.plan_table import PlanTable
from scheduler.policies.reason import plan_name
from simulations.cloud import SimulatedCloud
from simulations.fleet_edge import FleetEdge, lines_of
from simulations.fleet_resources import resources_of
from simulations.kernel import Simulation
from simulations.run_record import EndedRequest, RunFacts, RunRecord, RunRecorder, Series
from simulations.scenario.scenario import Scenario
from simulations.site_request import Served

__all__ = ["FleetRecorder"]

_MOST_SAMPLES, _LEAST_SAMPLES = 240, 24
# Looking at every edge and replica takes a microsecond each: a second of it in all.
_MOST_LOOKS = 500_000

_Grouped = Mapping[str, Sequence[FleetEdge]]


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
                timeout_s=math.inf if arrival.within_s is None else arrival.within_s,
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
                group=section.name,
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
        """Look at queues, replicas and links now and then until the end."""
        duration_s = self._scenario.duration
        samples = _MOST_LOOKS // (len(edges) + len(self._cloud.members) + 1)
        samples = max(_LEAST_SAMPLES, min(_MOST_SAMPLES, samples))
        groups = _grouped(edges, lambda edge: edge.kind.section.name)
        links = _grouped(edges, lambda edge: edge.kind.section.link)

        def sample(number: int) -> None:
            self._sample(simulation.now_s, groups, links)
            if number < samples:
                simulation.at(duration_s * (number + 1) / samples, sample, number + 1)

        simulation.at(0.0, sample, 0)

    def _sample(self, now_s: float, groups: _Grouped, links: _Grouped) -> None:
        record, cloud = self._recorder, self._cloud
        record.sample(Series("replicas", "cloud"), now_s, sum(one.up for one in cloud.serving))
        record.sample(Series("cloud_queue_s", "cloud"), now_s, math.fsum(one.queued_s for one in cloud.serving))
        for name, edges in groups.items():
            # Most have nothing to do: looking closer at these takes more of a run than its requests.
            sites = [edge.site for edge in edges if edge.site is not None and not edge.site.idle]
            record.sample(Series("edge_queue_s", name), now_s, math.fsum(site.queued_s for site in sites))
            self._sample_link(now_s, edges[0])
        for name, edges in links.items():
            busy = [edge for edge in edges if edge.lines is not None and edge.lines.uplink.free_s > now_s]
            waits_s = math.fsum(one.uplink.wait_s(now_s) for one in lines_of(busy))
            record.sample(Series("uplink_queue_s", name), now_s, waits_s)

    def _sample_link(self, now_s: float, edge: FleetEdge) -> None:
        """What its uplink carries, and what is believed of it; nothing before it has had a request."""
        if edge.lines is not None:
            self._recorder.sample(Series("uplink_bps", edge.name), now_s, edge.lines.uplink.bps(now_s))
        believed = None if edge.chooser is None else edge.chooser.link()
        if believed is not None:
            self._recorder.sample(Series("uplink_estimate_bps", edge.name), now_s, believed.uplink_bps)

    # ---- in the end --------------------------------------------------------------------------------------------

    def finish(self, replication: int, edges: Sequence[FleetEdge], tables: Mapping[str, PlanTable]) -> RunRecord:
        """The record of the run."""
        scenario = self._scenario
        for resource in resources_of(scenario, edges, self._cloud):
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


def _grouped(edges: Sequence[FleetEdge], name_of: Callable[[FleetEdge], str]) -> _Grouped:
    groups: dict[str, list[FleetEdge]] = {}
    for edge in edges:
        groups.setdefault(name_of(edge), []).append(edge)
    return groups


def _own_tables(edges: Sequence[FleetEdge]) -> Iterator[PlanTable]:
    for facts in {id(edge.kind): edge.kind.facts for edge in edges}.values():
        yield from facts.tables.values()


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
