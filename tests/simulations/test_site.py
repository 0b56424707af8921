"""One simulated site: what a request takes where it can be worked out by hand, and what always holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup
from partitioner.measurements import AffineTime
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import PlanCosts, PlanEntry, PlanTable
from scheduler.admission.control import AdmissionControl
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.cloud import SimulatedCloud
from simulations.kernel import Simulation
from simulations.replica import Suffix
from simulations.replica_kind import PlanSuffix, ReplicaKind
from simulations.site import UNBATCHED, Arrival, Served, Site, SiteFacts
from simulations.site_cloud import SiteCloud

DIGEST = "d" * 64
MBPS = 1e6
STEADY = BandwidthTrace((0.0,), (8 * MBPS,))  # a byte a microsecond
RTT_S = 0.04


def entry_of(
    kind: str, edge_s: float, size: int, cloud_s: float, codec: str = "raw", local_s: float = 0.0, down: int = 4000
) -> PlanEntry:
    crosses = kind != "edge-only"
    up = (TensorCodec("cut", codec, bytes=size),) if crosses else ()
    answer = (TensorCodec("logits", "raw", bytes=down),) if crosses else ()
    edge_ops = () if kind == "cloud-only" else ("stem",) if crosses else ("stem", "head")
    plan = Plan("net", DIGEST, "bytes", edge_ops, up, answer, () if crosses else ("logits",))
    edge, cloud = AffineTime(edge_s, 0.0), AffineTime(cloud_s, 0.0)
    down_bytes = down if crosses else 0
    file_crosses = codec == "file"
    costs = PlanCosts(edge, cloud, 0 if file_crosses else size, 0.0, down_bytes, 0.0, AffineTime(local_s, 0.0))
    return PlanEntry(plan, costs, file_crosses=file_crosses)


EDGE = entry_of("edge-only", 0.300, 0, 0.0)
SPLIT = entry_of("split", 0.100, 10_000, 0.020, local_s=0.200)
FILE = entry_of("cloud-only", 0.0, 0, 0.050, codec="file", local_s=0.3)
TABLE = PlanTable("net", DIGEST, (EDGE, SPLIT, FILE))


def run(
    policy: str, arrivals: list[Arrival], link: BandwidthTrace = STEADY, table: PlanTable = TABLE, spread: float = 0.0,
    admission: AdmissionControl | None = None, heard: list[object] | None = None,
) -> list[Served]:  # fmt: skip
    """heard: takes what the chooser writes into its log."""
    simulation = Simulation()
    chooser = PlanChooser(policy, explore_share=0.0, journal=None if heard is None else heard.append)
    site = Site(SiteFacts(table, link, link, RTT_S, spread), chooser, simulation, admission=admission)
    site.expect(arrivals)
    simulation.run()
    return sorted(site.served, key=lambda one: (one.arrival.time_s, one.arrival.file_bytes))


def plan_of(entry: PlanEntry) -> str:
    return f"fixed:{entry.plan.plan_id}"


@pytest.mark.parametrize(
    ("entry", "took_s"),
    [
        (EDGE, 0.300),
        (SPLIT, 0.100 + 0.010 + RTT_S / 2 + 0.020 + 0.004 + RTT_S / 2),
        (FILE, 0.200 + RTT_S / 2 + 0.050 + 0.004 + RTT_S / 2),
    ],
    ids=["edge-only", "split", "file"],
)
def test_a_request_alone_takes_the_sum_of_its_stages(entry: PlanEntry, took_s: float) -> None:
    (one,) = run(plan_of(entry), [Arrival(5.0, 200_000)])
    assert (one.plan_id, one.resumed) == (entry.plan.plan_id, False)
    assert one.took_s == pytest.approx(took_s)


def test_requests_wait_for_the_edge_in_their_order() -> None:
    took_s = [one.took_s for one in run("edge-only", [Arrival(5.0 + n / 10, 1000) for n in range(4)])]
    assert took_s == pytest.approx([0.3, 0.5, 0.7, 0.9])


def test_requests_wait_for_the_way_up_and_not_for_the_edge_that_does_nothing() -> None:
    took_s = [one.took_s for one in run(plan_of(FILE), [Arrival(5.0, 200_000)] * 3)]
    alone_s = 0.2 + 0.05 + 0.004 + RTT_S
    assert took_s == pytest.approx([alone_s, alone_s + 0.2, alone_s + 0.4])


def test_the_chooser_learns_the_link_from_what_crosses() -> None:
    """On a slow link the split loses, on a fast one it wins: the same chooser finds both, within a few requests."""
    steps = BandwidthTrace((0.0, 60.0, 120.0), (8 * MBPS, 0.2 * MBPS, 8 * MBPS))
    served = run("latency", [Arrival(1.0 + n, 200_000) for n in range(170)], steps)
    kinds = ["edge" if one.plan_id == EDGE.plan.plan_id else "cloud" for one in served]
    assert set(kinds[5:58]) == {"cloud"}
    assert kinds[65:118].count("edge") >= 50
    assert kinds[126:].count("cloud") >= len(kinds[126:]) - 1


def test_what_the_cloud_does_not_answer_is_finished_on_the_edge() -> None:
    outage = BandwidthTrace((0.0, 20.0, 40.0), (8 * MBPS, 1000.0, 8 * MBPS))
    served = run("latency", [Arrival(1.0 + n, 200_000) for n in range(50)], outage)
    resumed = [one for one in served if one.resumed]
    assert len(served) == 50
    assert 1 <= len(resumed) <= 2  # afterwards the link is known to be silent
    assert all(20.0 <= one.arrival.time_s + one.took_s <= 24.0 for one in resumed)
    assert max(one.took_s for one in served) < 2.0


def test_requests_whose_replica_fell_silent_while_they_waited_for_the_edge_go_on_there() -> None:
    """All are placed before it does, and more than the breaker takes are late before the last one's turn."""
    outage = BandwidthTrace((0.0, 20.1), (8 * MBPS, 1000.0))
    served = run(plan_of(SPLIT), [Arrival(20.0, number) for number in range(40)], outage)
    assert len(served) == 40
    assert all(one.resumed for one in served[1:])


@given(
    gaps_s=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=30),
    steps=st.lists(st.tuples(st.floats(0.5, 10.0), st.floats(1e3, 5e7)), min_size=2, max_size=5),
    spread=st.floats(0.0, 0.3),
    noise=st.tuples(*[st.floats(-2.0, 2.0)] * 3),
)
@settings(max_examples=60, deadline=None)
def test_every_request_is_served_once_and_no_sooner_than_alone(
    gaps_s: list[float], steps: list[tuple[float, float]], spread: float, noise: tuple[float, float, float]
) -> None:
    times_s, now_s = [], 0.0
    for length_s, _ in steps:
        times_s.append(now_s)
        now_s += length_s
    trace = BandwidthTrace(tuple(times_s), tuple(bps for _, bps in steps))
    arrivals, now_s = [], 0.0
    for number, gap_s in enumerate(gaps_s):
        now_s += gap_s
        arrivals.append(Arrival(now_s, 10_000 + number, noise=noise))
    served = run("latency", arrivals, trace, spread=spread)
    assert [one.arrival for one in served] == arrivals
    quickest_s = min(0.1, 0.05) * 2.718 ** (-2 * spread - spread * spread / 2)
    assert all(one.took_s >= quickest_s for one in served)
    assert served == run("latency", arrivals, trace, spread=spread)


def test_sites_wait_for_each_other_at_a_replica_that_they_share() -> None:
    simulation = Simulation()
    cloud = SimulatedCloud(simulation, ReplicaKind(UNBATCHED))
    sites = [Site(SiteFacts(TABLE, STEADY, STEADY, RTT_S), PlanChooser(plan_of(FILE)), simulation, cloud) for _ in "ab"]
    for site in sites:
        site.expect([Arrival(5.0, 200_000)])
    simulation.run()
    took_s = sorted(site.served[0].took_s for site in sites)
    alone_s = 0.2 + 0.05 + 0.004 + RTT_S
    assert took_s == pytest.approx([alone_s, alone_s + 0.05])
    assert cloud.replicas[0].busy_s == pytest.approx(0.1)


def test_a_site_takes_the_sooner_of_two_replicas_by_what_it_was_told() -> None:
    simulation = Simulation()
    cloud = SimulatedCloud(simulation, ReplicaKind(UNBATCHED), 2)
    busy, idle = cloud.replicas
    site = Site(SiteFacts(TABLE, STEADY, STEADY, RTT_S), PlanChooser(plan_of(FILE)), simulation, cloud)
    plan = PlanSuffix(BatchGroup("net", "cut", "eager", ()), BatchTimes.of({1: 10.0}))
    simulation.at(4.9, busy.submit, Suffix(plan, 1.0, lambda _: None, lambda _: None))
    site.expect([Arrival(5.2, 1000), Arrival(6.0, 1000)])
    simulation.run()
    assert [busy.busy_s, idle.busy_s] == pytest.approx([10.0, 0.1])


def test_an_oracle_is_right_about_a_request_that_comes_alone() -> None:
    simulation = Simulation()
    site = Site(SiteFacts(TABLE, STEADY, STEADY, RTT_S), PlanChooser(explore_share=0.0), simulation)
    arrival = Arrival(5.0, 200_000)
    for entry in TABLE.entries:
        (one,) = run(plan_of(entry), [arrival])
        assert site.finish_s(entry, arrival, 5.0) - 5.0 == pytest.approx(one.took_s)


def test_an_oracle_knows_that_nothing_comes_back_where_no_replica_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SiteCloud, "able", lambda *_: ())
    site = Site(SiteFacts(TABLE, STEADY, STEADY, RTT_S), PlanChooser(explore_share=0.0), Simulation())
    ends = [entry.plan.kind for entry in TABLE.entries if site.finish_s(entry, Arrival(5.0, 1000), 5.0) < math.inf]
    assert set(ends) == {"edge-only"}


def test_a_request_that_no_plan_answers_in_time_is_refused() -> None:
    (one,) = run("latency", [Arrival(5.0, 200_000, timeout_s=0.01)])
    assert (one.plan_id, one.took_s) == ("", 0.0)
