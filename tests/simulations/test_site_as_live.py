"""What a simulated edge does as a live one: what a deadline ends, when it goes on alone, what its chooser hears."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup
from nodes.chooser import Choice, ChoiceRequest, Exchange, StageTimes, Transfer
from nodes.steering import EVERYTHING, Canary, PolicySetting, Steering
from partitioner.plan_table import PlanTable
from scheduler.admission.control import AdmissionControl
from scheduler.decision_record import Observed
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.cloud import SimulatedCloud
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica, Suffix
from simulations.replica_kind import PlanSuffix, ReplicaKind
from simulations.site import UNBATCHED, Arrival, Site, SiteFacts
from tests.simulations.test_site import DIGEST, EDGE, FILE, MBPS, RTT_S, SPLIT, STEADY, TABLE, entry_of, plan_of, run

# ---- what a deadline ends ------------------------------------------------------------------------------------------

SURPRISE = (3.0, 0.0, 0.0)
"""Noise of an edge's time: with a spread of 0.5 four times what the costs say."""


def test_who_waits_for_its_turn_at_its_deadline_is_refused_then() -> None:
    arrivals = [Arrival(5.0, 1), Arrival(5.0, 2, timeout_s=0.2)]
    _, late = run("edge-only", arrivals, admission=AdmissionControl(100, 1))
    assert (late.plan_id, late.refused) == ("", "deadline")
    assert late.took_s == pytest.approx(0.2)


def test_what_computes_at_its_deadline_goes_on_to_its_end_for_nobody() -> None:
    arrivals = [Arrival(5.0, 1, timeout_s=0.6, noise=SURPRISE), Arrival(5.7, 2)]
    over, later = run("edge-only", arrivals, spread=0.5)
    assert over.dropped
    assert over.took_s == pytest.approx(0.6)
    took_s = 0.3 * math.exp(0.5 * 3.0 - 0.125)
    assert later.took_s == pytest.approx(5.0 + took_s - 5.7 + 0.3 * math.exp(-0.125))


def test_what_waits_for_the_edge_at_its_deadline_is_taken_back() -> None:
    arrivals = [Arrival(5.0, 1, noise=SURPRISE), Arrival(5.1, 2, timeout_s=0.7), Arrival(5.2, 3)]
    first, over, last = run("edge-only", arrivals, spread=0.5)
    assert over.dropped
    assert over.took_s == pytest.approx(0.7)
    assert last.arrival.time_s + last.took_s == pytest.approx(5.0 + first.took_s + 0.3 * math.exp(-0.125))


@given(
    asked=st.lists(
        st.tuples(st.floats(0.0, 0.3), st.floats(0.01, 3.0), st.floats(-2.0, 3.0), st.integers(0, 2)),
        min_size=1, max_size=25,
    ),
    steps=st.lists(st.floats(1e3, 2e7), min_size=2, max_size=5),
    depth=st.integers(1, 6),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_request_ends_once_and_by_its_deadline(
    asked: list[tuple[float, float, float, int]], steps: list[float], depth: int
) -> None:
    arrivals, now_s = [], 1.0
    for number, (gap_s, timeout_s, noise, priority) in enumerate(asked):
        now_s += gap_s
        arrivals.append(Arrival(now_s, number, timeout_s, (noise, 0.0, noise), priority=priority))
    trace = BandwidthTrace(tuple(1.0 * number for number in range(len(steps))), tuple(steps))
    served = run("latency", arrivals, trace, spread=0.3, admission=AdmissionControl(10, depth))
    assert [one.arrival for one in served] == arrivals
    assert all(one.took_s <= (one.arrival.timeout_s or 0.0) + 1e-9 for one in served)


# ---- resuming ------------------------------------------------------------------------------------------------------

SILENT = BandwidthTrace((0.0, 5.105), (8 * MBPS, 1000.0))
"""Stops when the first request's boundary is on its way."""


def test_an_edge_does_not_idle_for_a_promise_that_may_fall_due() -> None:
    promised = Arrival(5.0, 1, timeout_s=1.0, plan_id=SPLIT.plan.plan_id)
    first, second = run("latency", [promised, Arrival(5.45, 2, plan_id=EDGE.plan.plan_id)], SILENT)
    assert first.resumed
    assert second.took_s == pytest.approx(0.3)


def test_an_edge_that_is_slower_of_late_begins_to_finish_so_much_sooner() -> None:
    slower = (2 * (math.log(1.5) + 0.125), 0.0, 0.0)  # of a spread of 0.5: one and a half times what the costs say
    stops = BandwidthTrace((0.0, 60.105), (8 * MBPS, 1000.0))
    arrivals = [Arrival(1.0 + n, 1, noise=slower) for n in range(50)]
    last = run(plan_of(SPLIT), [*arrivals, Arrival(60.0, 1, 0.85, slower)], stops, spread=0.5)[-1]
    assert last.resumed
    assert last.promised
    assert last.took_s - last.stages.finish_s == pytest.approx(0.8 - 1.1 * 1.5 * 0.2, abs=0.03)


def test_the_deadline_of_its_policy_is_that_of_a_request_that_states_none() -> None:
    table, simulation = PlanTable("net", DIGEST, (EDGE,)), Simulation()
    for deadline_s, refused in ((0.2, "deadline"), (0.5, "")):
        chooser = PlanChooser("slo", {"deadline": deadline_s})
        site = Site(SiteFacts(table, STEADY, STEADY, RTT_S), chooser, simulation)
        site.expect([Arrival(5.0, 1), Arrival(9.0, 2, timeout_s=9.0), Arrival(13.0, 3, policy="latency")])
        simulation.run()
        assert [one.refused for one in site.served] == [refused, refused, ""]
        assert [one.promised for one in site.served] == [not refused, not refused, False]
        simulation = Simulation()


def test_a_canarys_requests_have_its_deadline() -> None:
    standing, canary = (PolicySetting("slo", {"deadline": deadline_s}) for deadline_s in (0.2, 0.5))
    chooser, simulation = PlanChooser(), Simulation()
    chooser.steer(Steering({EVERYTHING: standing}, canary=Canary(canary, 0.5)))
    site = Site(SiteFacts(PlanTable("net", DIGEST, (EDGE,)), STEADY, STEADY, RTT_S), chooser, simulation)
    site.expect([Arrival(5.0 * number, number) for number in range(1, 9)])
    simulation.run()
    assert sorted(one.refused for one in site.served) == [""] * 4 + ["deadline"] * 4
    for one in chooser.log.last(8):
        assert one.request.remaining_s == pytest.approx(0.5 if one.policy == canary else 0.2)


class Watching(PlanChooser):
    """Remembers what it was asked."""

    def __init__(self, policy: str) -> None:
        super().__init__(policy, explore_share=0.0)
        self.asked: list[ChoiceRequest] = []

    def choose(self, request: ChoiceRequest) -> Choice:
        self.asked.append(request)
        return super().choose(request)


def test_an_edge_that_finishes_a_request_believes_what_was_predicted_and_not_what_it_takes() -> None:
    simulation, chooser = Simulation(), Watching(plan_of(SPLIT))
    site = Site(SiteFacts(TABLE, SILENT, SILENT, RTT_S, spread=0.5), chooser, simulation)
    site.expect([Arrival(5.0, 1, noise=(3.0, 0.0, 0.0)), Arrival(7.0, 2, plan_id=EDGE.plan.plan_id)])
    simulation.run()
    first = site.served[0]
    began_s = first.arrival.time_s + first.took_s - first.stages.finish_s
    simulation, chooser = Simulation(), Watching(plan_of(SPLIT))
    site = Site(SiteFacts(TABLE, SILENT, SILENT, RTT_S, spread=0.5), chooser, simulation)
    site.expect([Arrival(5.0, 1, noise=(3.0, 0.0, 0.0)), Arrival(began_s + 0.05, 2, plan_id=EDGE.plan.plan_id)])
    simulation.run()
    assert first.resumed
    assert first.stages.finish_s == pytest.approx(0.2 * math.exp(0.5 * 3.0 - 0.125))
    pace = 1.0 + 0.2 * (math.exp(0.5 * 3.0 - 0.125) - 1.0)  # by the prefix
    assert chooser.asked[1].edge_queue_s == pytest.approx(0.2 * pace - 0.05)


def test_a_replica_that_is_late_does_not_keep_an_edge_from_asking_another() -> None:
    simulation = Simulation()
    cloud = SimulatedCloud(simulation, ReplicaKind(UNBATCHED), 2)
    stuck, busy = cloud.replicas
    slow = entry_of("split", 0.100, 10_000, 0.020, local_s=5.0)
    site = Site(SiteFacts(PlanTable("net", DIGEST, (EDGE, slow)), STEADY, STEADY, RTT_S), PlanChooser(plan_of(slow)),
                simulation, cloud)  # fmt: skip
    group = BatchGroup("net", "cut", "eager", ())

    def occupy(replica: SimulatedReplica, seconds: float) -> None:
        plan = PlanSuffix(group, BatchTimes.of({1: seconds}))
        replica.submit(Suffix(plan, 1.0, lambda _: None, lambda _: None))

    simulation.at(4.0, occupy, busy, 1.5)  # which is reported, so that the other one is asked
    simulation.at(5.05, occupy, stuck, 30.0)
    site.expect([Arrival(5.0, 1), Arrival(6.3, 2)])  # the second before the next echo
    simulation.run()
    first, second = site.served
    assert [first.replica, second.replica] == 2 * [str(busy.number)]
    assert [first.up_bytes, second.up_bytes] == [2 * 10_000, 10_000]


# ---- what the chooser hears ----------------------------------------------------------------------------------------


def learned(heard: list[object], kind: type) -> list[Any]:
    return [one.what for one in heard if isinstance(one, Observed) and isinstance(one.what, kind)]


def test_a_small_request_teaches_the_link_where_no_other_was_on_its_stream() -> None:
    heard: list[object] = []
    run(plan_of(FILE), [Arrival(5.0, 10_000), Arrival(5.0, 11_000), Arrival(7.0, 12_000)], heard=heard)
    assert [one.up_bytes for one in learned(heard, Exchange)] == [12_000]


BULKY = entry_of("split", 0.100, 10_000, 0.020, local_s=0.200, down=100_000)


def test_what_comes_down_in_chunks_teaches_the_way_down() -> None:
    heard: list[object] = []
    run(plan_of(BULKY), [Arrival(5.0, 1000)], table=PlanTable("net", DIGEST, (EDGE, BULKY)), heard=heard)
    (down,) = [one for one in learned(heard, Transfer) if one.direction == "down"]
    assert down.size_bytes == 100_000 - 32 * 1024
    assert down.span_s == pytest.approx(down.size_bytes * 1e-6)


def test_a_large_answer_is_decoded_when_the_edges_compute_is_free() -> None:
    arrivals = [Arrival(5.0, 1, plan_id=BULKY.plan.plan_id), Arrival(5.2, 2, plan_id=EDGE.plan.plan_id)]
    first, _ = run("latency", arrivals, table=PlanTable("net", DIGEST, (EDGE, BULKY)))
    assert first.took_s == pytest.approx(0.5)  # it was back after 0.27 s
    assert first.stages.edge_queue_s == pytest.approx(0.5 - 0.1 - 0.01 - 0.02 - 0.02 - 0.1 - 0.02)


def test_what_a_request_takes_besides_is_learned_from_one_that_is_alone() -> None:
    heard: list[object] = []
    run(plan_of(SPLIT), [Arrival(5.0, 1), Arrival(7.0, 2), Arrival(7.01, 3)], heard=heard)
    assert [one.besides_s for one in learned(heard, StageTimes)] == [pytest.approx(0.0), None, None]


SLOWER = BandwidthTrace((0.0, 3.0), (8 * MBPS, 0.4 * MBPS))
"""Which a short probe shows: one that is as quick as believed teaches nothing."""


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_link_is_looked_at_for_requests_that_stay_only_where_there_is_a_replica(replicas: int) -> None:
    simulation, heard = Simulation(), list[object]()
    cloud = SimulatedCloud(simulation, ReplicaKind(UNBATCHED), replicas)
    chooser = PlanChooser("edge-only", journal=heard.append)
    site = Site(SiteFacts(TABLE, SLOWER, STEADY, RTT_S), chooser, simulation, cloud)
    site.expect([Arrival(5.0 + number, 1) for number in range(10)])
    simulation.run()
    looks = len(learned(heard, Transfer)) - 1  # one when it connects
    assert (looks > 0) == (replicas > 0)


def test_a_link_is_looked_at_for_requests_that_are_refused() -> None:
    heard: list[object] = []
    arrivals = [Arrival(5.0 + number, 1, timeout_s=0.01) for number in range(10)]
    served = run("latency", arrivals, SLOWER, heard=heard)
    assert all(one.refused for one in served)
    assert len(learned(heard, Transfer)) > 1
