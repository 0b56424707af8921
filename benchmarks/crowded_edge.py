"""Does choosing for each request beat the better of always staying and always crossing where much comes? Simulated.

One edge with a queue of its own, a link and two replicas; plans that either keep all of a request on the edge or leave
it a millisecond. Whatever crosses passes the edge's queue too, so that what is best for one request can make all others
wait: the edge's queue full and the replicas idle is then a state that holds itself up. In each case requests come at a
share of what can cross. Value: policy `latency`'s mean over that of the better fixed plan, in the worst case; its
interval resamples blocks of 100 requests. There is no noise of a machine in it: the floor is 1. Details: each case, and
the mean of all ratios.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from benchmarks.herd import poisson_arrivals
from benchmarks.regret import blocks_ratio, mean_s
from partitioner.measurements import AffineTime
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import PlanCosts, PlanEntry, PlanTable
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.cloud import SimulatedCloud
from simulations.kernel import Simulation
from simulations.replica_kind import ReplicaKind
from simulations.site import UNBATCHED, Arrival, Served, Site, SiteFacts

GOAL, REPLICAS, RTT_S, SPREAD = 1.05, 2, 0.01, 0.2
EDGE_S, CLOUD_S, UPLINK_BPS, LOADS = (0.1, 0.25), (0.02, 0.06), (50e6, 0.8e6), (0.5, 0.8, 0.95)
PREFIX_S, BOUNDARY_BYTES, ANSWER_BYTES, DOWNLINK_BPS = 0.001, 2_000, 200, 50e6


@dataclass(frozen=True, slots=True)
class Case:
    """edge_s: what the edge takes for all of a request. cloud_s: what a replica takes where it crosses. load: of what
    link and replicas can carry."""

    edge_s: float
    cloud_s: float
    uplink_bps: float
    load: float

    @property
    def rate_per_s(self) -> float:
        """At which requests come."""
        return self.load * min(REPLICAS / self.cloud_s, self.uplink_bps / (8 * BOUNDARY_BYTES))

    @property
    def name(self) -> str:
        """For people."""
        link, rate = f"{self.uplink_bps / 1e6:g} Mbit/s", f"{self.rate_per_s:.1f} a second"
        return f"{self.edge_s * 1e3:g} ms alone, {self.cloud_s * 1e3:g} ms there, {link}, load {self.load:g} ({rate})"

    @property
    def table(self) -> PlanTable:
        """Two plans."""
        alone, none = AffineTime(self.edge_s, 0.0), AffineTime(0.0, 0.0)
        up, down = (TensorCodec("cut", "raw", bytes=BOUNDARY_BYTES),), (TensorCodec("out", "raw", bytes=ANSWER_BYTES),)
        stays = Plan("net", "d" * 64, "bytes", ("stem", "head"), (), (), ("out",))
        crosses = Plan("net", "d" * 64, "bytes", ("stem",), up, down, ())
        costs = (
            PlanCosts(alone, none, 0, 0.0, 0, 0.0, none, SPREAD, 0.0),
            PlanCosts(
                AffineTime(PREFIX_S, 0.0), AffineTime(self.cloud_s, 0.0), BOUNDARY_BYTES, 0.0, ANSWER_BYTES, 0.0, alone,
                SPREAD, SPREAD,
            ),
        )  # fmt: skip
        return PlanTable("net", "d" * 64, tuple(PlanEntry(*one) for one in zip((stays, crosses), costs, strict=True)))


def served(case: Case, policy: str, coming: Sequence[Arrival]) -> list[Served]:
    """What became of the requests, in the order of their arrival."""
    simulation = Simulation()
    up, down = (BandwidthTrace((0.0,), (bps,)) for bps in (case.uplink_bps, DOWNLINK_BPS))
    cloud = SimulatedCloud(simulation, ReplicaKind(UNBATCHED), REPLICAS)
    site = Site(SiteFacts(case.table, up, down, RTT_S, SPREAD), PlanChooser(policy), simulation, cloud)
    site.expect(list(coming))
    simulation.run()
    return sorted(site.served, key=lambda one: one.arrival.time_s)


def figure(options: Options) -> Figure:
    """The figure over all cases."""
    length_s = 60.0 if options.quick else 300.0
    rows, ratios, n = list[str](), list[Interval](), 0
    for case in itertools.starmap(Case, itertools.product(EDGE_S, CLOUD_S, UPLINK_BPS, LOADS)):
        coming = poisson_arrivals(case.rate_per_s, length_s, random.Random(options.seed))
        ours = served(case, "latency", coming)
        fixed = {"split": served(case, "fixed:split", coming)}
        if case.rate_per_s * case.edge_s < 1:
            fixed["edge-only"] = served(case, "edge-only", coming)
        name, best = min(fixed.items(), key=lambda one: mean_s(one[1]))
        found = blocks_ratio(ours, best, options.seed)
        ratios.append(found)
        n += len(coming)
        stayed = sum(one.kind == "edge-only" for one in ours) / len(ours)
        rows.append(
            f"{case.name}: {mean_s(ours) * 1e3:.0f} ms, {stayed:.0%} stayed; {name} {mean_s(best) * 1e3:.0f} ms; "
            f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
        )
    worst = max(ratios, key=lambda one: one.value)
    holds = worst.low <= GOAL
    details = {
        "geometric mean of the ratios": f"{geometric_mean([one.value for one in ratios]):.3f}",
        "cases": rows,
    }
    return Figure(
        "crowded_edge", worst.value, worst.low, worst.high, 1.0, n, GOAL, holds, machine(), options.seed,
        "holds" if holds else "missed", details,
    )  # fmt: skip


def main() -> None:
    options = parse_options(__doc__ or "")
    report(figure(options), options)


if __name__ == "__main__":
    main()
