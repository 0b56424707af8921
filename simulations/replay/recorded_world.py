"""A decision log as a world to run policies in: its arrivals, its link, what both sides' compute took, its cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from partitioner.plan_table import PlanTable
from scheduler.admission.control import AdmissionControl
from scheduler.plan_chooser import PlanChooser
from scheduler.policies.reason import plan_name
from simulations.busy_time import BusyTime
from simulations.cloud import SimulatedCloud
from simulations.edge_link import EdgeLink
from simulations.edge_site import EdgeSite
from simulations.kernel import Simulation
from simulations.link_delay import LinkDelay
from simulations.replay.cloud_history import CloudHistory, cloud_history
from simulations.replay.device_history import DeviceHistory, device_history
from simulations.replay.fates import End, Fate
from simulations.replay.link_history import Gaps, LinkHistory, link_history
from simulations.replay.logged_request import LoggedRequest
from simulations.replay.logged_run import LoggedRun
from simulations.replay.policy_history import InForce
from simulations.replay.recorded_edge import RecordedArrival, RecordedFacts, recorded_arrivals
from simulations.replica_kind import ReplicaKind
from simulations.site import UNBATCHED
from simulations.site_cloud import SiteCloud
from simulations.site_request import Served
from simulations.traced_line import TracedLine

__all__ = ["RecordedWorld"]

# Crossings below this are too few to say how long others' work made them wait.
_FEW_CROSSINGS = 30
_NOT_THERE = Fate(float("nan"), "failed", "", None)


@dataclass(frozen=True, slots=True)
class RecordedWorld:
    """`of` a run; `run` it under policies, as often as one likes: nothing is kept."""

    logged: LoggedRun
    link: LinkHistory
    device: DeviceHistory
    cloud: CloudHistory
    tables: Mapping[str, PlanTable]

    @classmethod
    def of(cls, logged: LoggedRun) -> RecordedWorld:
        """Raises InvalidRequest for a log that does not show what is needed."""
        tables = {one.asked.model: one.placed.table for one in logged.requests if one.placed is not None}
        link, device, cloud = link_history(logged), device_history(logged.requests), cloud_history(logged.requests)
        return cls(logged, link, device, cloud, tables)

    def run(self, under: Sequence[InForce], gaps: Gaps = "nearest") -> list[Fate]:
        """What becomes of each request. under: the policies in force, from 0 on. gaps: what fills what was not seen of
        the link. Raises NotFound and InvalidInput for a policy that cannot be made."""
        simulation, chooser, served = Simulation(), PlanChooser(seed=self.logged.seed), list[Served]()
        for one in under:
            if one.from_s > 0.0:
                simulation.at(one.from_s, _put_in_force, chooser, one)
            else:
                _put_in_force(chooser, one)
        site = self._site(simulation, chooser, gaps, served)
        for arrival in recorded_arrivals(self.logged.requests, self.cloud):
            simulation.at(arrival.time_s, site.arrive, arrival)
        simulation.run()
        fates = [_NOT_THERE] * len(self.logged.requests)
        for ended in served:
            assert isinstance(ended.arrival, RecordedArrival)
            fates[ended.arrival.number] = _fate(ended, ended.arrival.table)
        return fates

    def _site(self, simulation: Simulation, chooser: PlanChooser, gaps: Gaps, served: list[Served]) -> EdgeSite:
        recorded, bounds = self.link.round_trips, self.logged.bounds
        lines = TracedLine(self.link.uplink(gaps)), TracedLine(self.link.downlink(gaps))
        half_s = recorded.usual_s / 2
        delays = LinkDelay(half_s, recorded=recorded), LinkDelay(half_s, recorded=recorded)
        link = EdgeLink(chooser, lines, delays, (BusyTime(), BusyTime()))
        link.watch.stop_s = self.logged.span_s
        cloud = SimulatedCloud(simulation, ReplicaKind(UNBATCHED), self.cloud.replicas)
        known = SiteCloud(simulation, chooser, cloud, link.usual_rtt_s, lambda: link.heard_s)
        admission = None if bounds is None else AdmissionControl(bounds.queue, bounds.depth, bounds.probability)
        facts = RecordedFacts(self.tables, self.device)
        return EdgeSite(simulation, facts, chooser, link, known, served.append, admission)

    def knows(self, request: LoggedRequest) -> bool:
        """Whether there are plans of its model; nothing can be said of any other."""
        return request.asked.model in self.tables

    def caveats(self) -> tuple[str, ...]:
        """What the log does not tell, and what is taken for granted instead."""
        crossings = len(self.cloud.moments_s)
        cloud = f"others' work in the cloud is taken as {crossings} requests met it, whatever is sent there now"
        if crossings < _FEW_CROSSINGS:
            cloud = f"only {crossings} requests crossed: how long one waits in the cloud is hardly known"
        said = [
            "clients would have sent the same, whenever they were answered",
            cloud,
            "a request by a plan that did not run takes its costs, times what is usual of it and of the moment",
            f"the round trip was as the edge believed it, {self._round_trip()}; suffixes and prefixes run one by one",
        ]
        if not self.link.down:
            said.append("the way down was never seen by itself: it is taken to be as fast as the way up")
        needy = [name for name, table in sorted(self.tables.items()) if not _has_edge_only(table)]
        if needy:
            said.append(
                f"{', '.join(needy)} needs the cloud: what fails or waits for it live is finished by the edge here"
            )
        unknown = sum(not self.knows(one) for one in self.logged.requests)
        if unknown:
            said.append(f"{unknown} requests are of models of which no plan is known: they are left out")
        return tuple(said)

    def _round_trip(self) -> str:
        """In words."""
        low, high = (f"{pick(self.link.round_trips.rtts_s) * 1e3:.1f}" for pick in (min, max))
        return f"{low} ms throughout" if low == high else f"{low} to {high} ms"


def _has_edge_only(table: PlanTable) -> bool:
    return any(one.plan.kind == "edge-only" for one in table.entries)


def _put_in_force(chooser: PlanChooser, one: InForce) -> None:
    scoped = tuple(ScopedPolicy(scope, policy) for scope, policy in one.steering.policies.items())
    chooser.configure(ConfiguredPolicies(scoped))
    if chooser.steering.canary != one.steering.canary:
        chooser.steer(replace(chooser.steering, canary=one.steering.canary))


def _fate(served: Served, table: PlanTable) -> Fate:
    outcome = served.outcome
    # A live log has no other word for a request whose deadline passed after its plan was chosen.
    end: End = "failed" if outcome == "dropped" else outcome
    plan = plan_name(table.by_id(served.plan_id).plan) if served.plan_id else ""
    late = None if served.arrival.within_s is None else not served.in_time
    return Fate(served.took_s if served.answered else float("nan"), end, plan, late, served.stages)
