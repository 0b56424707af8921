"""A scenario on one simulated clock: edges with their live choosers, links, replicas, clients, faults.

One seed gives one run, byte for byte, in any process: every random draw comes from a generator that is seeded by the
scenario's seed, the replication, and the name of what draws, and jitter follows from these and from the message. So the
same requests come, and links do the same, whatever the policy is or how many replicas or further clients there are:
scenarios are compared by common random numbers. Users of a closed loop ask when they were answered, and share one
generator in the order of events: theirs are not the same.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from isthmus.errors import InvalidConfiguration
from partitioner.plan import InputForm
from partitioner.plan_table import PlanTable
from scheduler.steered_policies import SteeredPolicies
from simulations import faults
from simulations.autoscaler import SimulatedAutoscaler
from simulations.cloud import SimulatedCloud
from simulations.edge_facts import EdgeFacts
from simulations.fleet_clients import ClosedLoopClient, LoggedClient, OpenLoopClient, RequestMaker
from simulations.fleet_edge import EdgeKind, FleetEdge, RunPlace, Watcher
from simulations.fleet_links import LinkMaker
from simulations.fleet_plans import offered_table, read_plans, scaled_table
from simulations.fleet_policies import policies_of
from simulations.fleet_recorder import FleetRecorder
from simulations.kernel import Simulation
from simulations.rare_collection import rarely_collected
from simulations.replica_faults import break_replicas
from simulations.replica_kind import ReplicaKind
from simulations.run_record import RunRecord
from simulations.scenario.arrivals import LoggedArrivals
from simulations.scenario.clients import ClientSection
from simulations.scenario.edges import EdgeSection
from simulations.scenario.faults import PlannedReplicaFault, RandomFaults
from simulations.scenario.scenario import Scenario
from simulations.site_request import Served
from simulations.workload.client_names import client_name, drawn_as
from simulations.workload.closed_loop import ClosedLoop
from simulations.workload.logged import Logged

__all__ = ["Fleet", "FleetRun"]


Ended = Callable[[FleetEdge, Served], None]
_BROUGHT: Mapping[InputForm, str] = {"tensor": "tensors", "bytes": "files"}


@dataclass(frozen=True, slots=True)
class FleetRun:
    """A run under way; `record` once. finish: its record, of what has happened."""

    simulation: Simulation
    cloud: SimulatedCloud
    finish: Callable[[], RunRecord]

    def advance(self, until_s: float) -> None:
        """Let everything happen that is due before then."""
        with rarely_collected():
            self.simulation.run(until_s)

    def offered_s(self) -> float:
        """Seconds of work that came to replicas so far, at the pace of their best batches."""
        return math.fsum(one.offered_s for one in self.cloud.replicas)

    def record(self) -> RunRecord:
        """Let the rest happen."""
        self.advance(math.inf)
        return self.finish()


class Fleet:
    """A scenario with all that its files hold, to be run any number of times."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        """folder: where the scenario lies. Raises InvalidConfiguration naming the field whose file or policy is at
        fault."""
        self.scenario = scenario
        self._tables = {one.name: read_plans(Path(one.plans), f"models.{one.name}.plans") for one in scenario.models}
        self._links = {one.name: LinkMaker(one) for one in scenario.links}
        self._kinds = {one.name: self._kind(one, str(folder.resolve())) for one in scenario.edges}
        self._check_plans()
        self._processes = {
            one.name: one.arrivals.requests() if isinstance(one.arrivals, LoggedArrivals) else one.arrivals.process()
            for one in scenario.clients
        }
        for client in scenario.clients:
            self._check_forms(client)

    def run(self, replication: int = 0) -> RunRecord:
        """One run. Replication n of seed s is replication 0 of seed s + n."""
        return self.begin(replication).record()

    def begin(self, replication: int = 0, watcher: Watcher | None = None, *, recorded: bool = True) -> FleetRun:
        """The same run, to be let go on as far as one likes. watcher: is told of each request. recorded: False where
        that is enough: the record then has no requests and no samples."""
        scenario, simulation = self.scenario, Simulation()
        cloud = self._cloud(simulation)
        seed = f"{scenario.seed + replication}"
        counted_s = scenario.warm_up, scenario.duration
        # No edge has such a name, as names hold no slash: what a shared link draws is its own.
        shared = {
            name: link.lines(f"{seed}/links/{name}", counted_s)
            for name, link in self._links.items()
            if link.section.shared
        }
        place = RunPlace(simulation, cloud, seed, counted_s, shared)
        recorder = FleetRecorder(scenario, cloud)
        edges = self._edges(place, recorder.ended if recorded else _forgotten, watcher)
        self._disturb(place)
        if recorded:
            recorder.watch(simulation, edges)
        for edge in edges:
            self._start_clients(edge, place)
        return FleetRun(simulation, cloud, lambda: recorder.finish(replication, edges, self._tables))

    # ---- what all runs share -----------------------------------------------------------------------------------

    def _kind(self, section: EdgeSection, folder: str) -> EdgeKind:
        scenario = self.scenario
        tables = {model: self._offered(section, model) for model in self._tables}
        facts = EdgeFacts(tables, scenario.spread, section.overhead, section.cloud_overhead, section.batching.limits)
        policies = SteeredPolicies.configured(policies_of(scenario, section, folder))
        return EdgeKind(section, facts, policies, self._links[section.link])

    def _offered(self, section: EdgeSection, model: str) -> PlanTable:
        """What edges of that group may use, with its times."""
        cloud = self.scenario.cloud
        table = offered_table(replace(self._table(section, model), model=model), cloud.plans)
        return scaled_table(table, section.slowdown, cloud.speed)

    def _check_plans(self) -> None:
        """Each that `cloud.plans` names is in some file."""
        tables = [table for kind in self._kinds.values() for table in kind.facts.tables.values()]
        offered = [one.plan for table in tables for one in table.entries if one.plan.kind != "edge-only"]
        known = {name for plan in offered for name in (plan.plan_id, plan.kind)}
        for name in self.scenario.cloud.plans or ():
            if name not in known:
                remedy = "name split, cloud-only or the id of one in models.NAME.plans; edges have edge-only anyway"
                raise InvalidConfiguration("cloud.plans", "is no plan of a replica", value=name, remedy=remedy)

    def _table(self, section: EdgeSection, model: str) -> PlanTable:
        own = section.plans.get(model)
        return self._tables[model] if own is None else read_plans(Path(own), f"edges.{section.name}.plans.{model}")

    def _check_forms(self, client: ClientSection) -> None:
        tables, process = self._kinds[client.edges].facts.tables, self._processes[client.name]
        if isinstance(process, Logged):
            field, remedy = "arrivals.log", "give the model plans that do: isthmus partition with --file, or without"
            asked = sorted({(one.model, one.form) for one in process.requests})
        else:
            field = "file"
            remedy = "leave out file" if client.file is not None else "set file, the size of what it brings"
            asked = [(client.model, "tensor" if client.file is None else "bytes")]
        if self.scenario.cloud.plans is not None:
            remedy += ", or let cloud.plans name one that does"
        for model, form in asked:
            if not tables[model].for_form(form):
                problem = f"brings {_BROUGHT[form]}, and no plan of {model} takes them"
                raise InvalidConfiguration(f"clients.{client.name}.{field}", problem, remedy=remedy)
            _check_autonomy(self._kinds[client.edges], model, form)

    # ---- one run -----------------------------------------------------------------------------------------------

    def _cloud(self, simulation: Simulation) -> SimulatedCloud:
        section = self.scenario.cloud
        replicas = section.replicas if section.autoscaling is None else section.autoscaling.rule.at_start
        # The plans' costs are those of these replicas already.
        kind = ReplicaKind(section.batching.limits, queue=section.queue)
        cloud = SimulatedCloud(
            simulation, kind, replicas,
            start_s=section.start, registry_s=section.registry, report_every_s=section.report,
            counted_s=(self.scenario.warm_up, self.scenario.duration),
        )  # fmt: skip
        if section.autoscaling is not None:
            SimulatedAutoscaler(simulation, cloud, section.autoscaling.rule, self.scenario.duration)
        return cloud

    def _disturb(self, place: RunPlace) -> None:
        failures = self.scenario.cloud.failures
        if failures == ():
            return
        times: faults.RandomFaults | dict[int, faults.PlannedFaults]
        if isinstance(failures, RandomFaults):
            times = faults.RandomFaults(failures.every, failures.lasts)
        else:
            times = {number: _of_replica(failures, number) for number in sorted({one.replica for one in failures})}
        seed = int.from_bytes(place.seed.encode(), "big") % 2**63
        break_replicas(place.simulation, place.cloud, times, seed=seed, until_s=self.scenario.duration)

    def _edges(self, place: RunPlace, ended: Ended, watcher: Watcher | None) -> list[FleetEdge]:
        among_all = itertools.count()
        return [
            FleetEdge(kind, number, place, ended, next(among_all), watcher)
            for kind in self._kinds.values()
            for number in range(kind.section.count)
        ]

    def _start_clients(self, edge: FleetEdge, place: RunPlace) -> None:
        for section in self.scenario.clients:
            if section.edges == edge.kind.section.name:
                for number in range(section.count):
                    self._start_client(edge, place, section, number)

    def _start_client(self, edge: FleetEdge, place: RunPlace, section: ClientSection, number: int) -> None:
        process = self._processes[section.name]
        name = client_name(section.name, section.count, number)
        seed = f"{place.seed}/{edge.name}/{drawn_as(section.name, number)}"
        if isinstance(process, Logged):
            LoggedClient(place.simulation, process, name, edge.arrive, seed).start(self.scenario.duration)
            return
        make = RequestMaker(section, name, seed)
        if isinstance(process, ClosedLoop):
            client = ClosedLoopClient(place.simulation, process, make, edge.arrive, seed)
            edge.listeners[name] = client.ended
            client.start(self.scenario.duration)
        else:
            OpenLoopClient(place.simulation, process, make, edge.arrive, seed).start(self.scenario.duration)


def _check_autonomy(kind: EdgeKind, model: str, form: InputForm) -> None:
    """A model that needs the cloud waits for it, asks again and fails; here the edge would finish it, and what fails
    live would count as kept."""
    if not any(one.plan.kind == "edge-only" for one in kind.facts.tables[model].for_form(form)):
        own = model in kind.section.plans
        field = f"edges.{kind.section.name}.plans.{model}" if own else f"models.{model}.plans"
        problem = f"holds no plan by which an edge answers {_BROUGHT[form]} alone, as of a model that needs the cloud"
        remedy = "give plans of a model with `autonomy: full`: the other is not simulated (docs/simulation.md)"
        raise InvalidConfiguration(field, problem, remedy=remedy)


def _forgotten(edge: FleetEdge, served: Served) -> None:
    """A request that has ended, where nobody wants a record."""


def _of_replica(failures: tuple[PlannedReplicaFault, ...], number: int) -> faults.PlannedFaults:
    mine = (one for one in failures if one.replica == number)
    return faults.PlannedFaults(tuple(faults.Fault(one.at, one.at + one.lasts) for one in mine))
