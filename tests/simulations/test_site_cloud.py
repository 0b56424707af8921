"""What one simulated edge knows of the replicas: whom it asks, and whom not after failures, drains and starts."""

from __future__ import annotations

import math

import pytest

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup, BatchLimits
from nodes.circuit_breaker import FAILURES_TO_OPEN
from nodes.protocol.periods import WANT_PERIOD_S
from scheduler.plan_chooser import PlanChooser
from simulations.cloud import SimulatedCloud
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica, Suffix
from simulations.replica_kind import PlanSuffix, ReplicaKind
from simulations.site_cloud import CONNECT_TRIPS, SiteCloud

RTT_S = 0.1
PLAN = PlanSuffix(BatchGroup("net", "cut", "eager", ()), BatchTimes.of({1: 1.0}))


class Edge:
    """One edge before a cloud, its link always well."""

    def __init__(self, replicas: int = 2, start_s: float = 3.0, registry_s: float = 0.5) -> None:
        self.simulation = Simulation()
        kind = ReplicaKind(BatchLimits(max_batch=1))
        self.cloud = SimulatedCloud(self.simulation, kind, replicas, start_s=start_s, registry_s=registry_s)
        self.heard_s = math.inf
        self.site = SiteCloud(self.simulation, PlanChooser(seed=1), self.cloud, RTT_S, lambda: self.heard_s, seed=2)
        self.lost = list[tuple[int, float]]()

    @property
    def now_s(self) -> float:
        return self.simulation.now_s

    def occupy(self, replica: SimulatedReplica, runs: int = 1) -> None:
        for _ in range(runs):
            replica.submit(Suffix(PLAN, 1.0, lambda _: None, lambda _: None))

    def send(self, replica: SimulatedReplica, number: int) -> None:
        self.site.sent(replica, number, 1.0, self.now_s, lambda: self.lost.append((number, self.now_s)))

    def able(self) -> list[int]:
        return [one.number for one in self.site.able(self.now_s)]

    def until(self, time_s: float) -> None:
        self.simulation.run(time_s)


def test_it_asks_the_replica_that_it_was_told_has_less_to_do() -> None:
    edge = Edge()
    busy, idle = edge.cloud.serving
    edge.simulation.at(0.95, edge.occupy, busy, 5)
    edge.until(0.99 + RTT_S / 2)
    assert edge.site.wait_s(busy, edge.now_s) == 0.0  # the last report is of before
    edge.until(1.0 + RTT_S / 2 + 1e-6)
    assert edge.site.wait_s(busy, edge.now_s) == pytest.approx(4.95 - RTT_S / 2, abs=1e-5)
    assert {edge.site.pick(edge.now_s) for _ in range(20)} == {idle}


def test_own_requests_that_no_report_can_know_of_yet_are_waited_for() -> None:
    edge = Edge()
    one, _ = edge.cloud.serving
    edge.until(1.2)
    edge.send(one, 7)
    assert edge.site.wait_s(one, 1.3) == pytest.approx(1.0)
    edge.site.answered(one, 7, 1.3)
    assert edge.site.wait_s(one, 1.3) == 0.0


def test_an_idle_replica_says_so_once_and_own_requests_on_their_way_stay_waited_for() -> None:
    edge = Edge()
    one, _ = edge.cloud.serving
    edge.until(1.2)
    edge.send(one, 7)
    edge.until(3.0)
    assert edge.site.wait_s(one, 3.0) == pytest.approx(1.0)


def test_reports_do_not_come_while_nothing_is_heard() -> None:
    edge = Edge()
    busy, _ = edge.cloud.serving
    edge.heard_s = 0.9
    edge.simulation.at(1.6, edge.occupy, busy, 5)
    edge.until(2.7)
    assert edge.site.wait_s(busy, edge.now_s) == 0.0
    edge.heard_s = 2.6
    assert edge.site.wait_s(busy, edge.now_s) > 3.0


def test_a_replica_that_died_is_left_and_its_requests_are_lost_half_a_round_trip_later() -> None:
    edge = Edge()
    dead, other = edge.cloud.serving
    edge.until(1.0)
    edge.send(dead, 1)
    edge.send(other, 2)
    edge.simulation.at(2.0, edge.cloud.fail, dead)
    edge.until(2.0 + RTT_S / 2 - 1e-6)
    assert (edge.lost, edge.able()) == ([], [0, 1])
    edge.until(2.0 + RTT_S / 2 + 1e-6)
    assert [number for number, _ in edge.lost] == [1]
    assert edge.lost[0][1] == pytest.approx(2.0 + RTT_S / 2)
    assert edge.able() == [1]


def test_a_replica_that_is_back_is_heard_of_from_the_registry_and_dialled_at_once() -> None:
    edge = Edge()
    dead, _ = edge.cloud.serving
    edge.simulation.at(2.0, edge.cloud.fail, dead)
    edge.simulation.at(9.0, edge.cloud.recover, dead)
    found_s = 9.0 + 0.5 + RTT_S / 2 + CONNECT_TRIPS * RTT_S
    edge.until(found_s - 1e-6)
    assert edge.able() == [1]
    edge.until(found_s + 1e-6)
    assert edge.able() == [0, 1]


def test_what_a_replica_failed_before_it_died_does_not_speak_against_the_one_that_comes_back() -> None:
    edge = Edge()
    dead, _ = edge.cloud.serving
    edge.heard_s = 4.0
    edge.until(5.0)
    edge.send(dead, 1)
    edge.site.gave_up(dead, 1, 5.0, 5.0, late=True)
    edge.simulation.at(6.0, edge.cloud.fail, dead)
    edge.simulation.at(7.0, edge.cloud.recover, dead)
    edge.until(5.9)
    assert edge.able() == [1]
    edge.until(8.0)
    assert edge.able() == [0, 1]


def test_a_silent_replica_is_asked_again_once_it_is_heard_and_not_after_three_in_a_row() -> None:
    edge = Edge(replicas=1)
    (one,) = edge.cloud.serving
    edge.until(5.0)
    for number in range(FAILURES_TO_OPEN):
        edge.heard_s = edge.now_s + 1e-3
        edge.send(one, number)
        edge.site.gave_up(one, number, edge.now_s, edge.now_s + 2e-3, late=True)
        assert edge.able() == []
        edge.heard_s = edge.now_s + 3e-3
        assert edge.able() == ([0] if number < FAILURES_TO_OPEN - 1 else [])
    edge.until(6.0)
    edge.heard_s = 6.0
    assert edge.able() == [0]  # on trial
    edge.send(one, 9)
    assert edge.able() == []
    edge.site.answered(one, 9, edge.now_s)
    assert edge.able() == [0]


def test_a_deadline_alone_does_not_blame_a_replica_that_has_said_something() -> None:
    edge = Edge(replicas=1)
    (one,) = edge.cloud.serving
    edge.until(5.0)
    for number in range(2 * FAILURES_TO_OPEN):
        edge.send(one, number)
        edge.site.gave_up(one, number, edge.now_s, edge.now_s, late=False)
    assert edge.able() == [0]


def test_a_replica_that_drains_is_asked_no_more_once_it_has_said_so() -> None:
    edge = Edge()
    edge.simulation.at(2.0, edge.cloud.drain_one)
    edge.until(2.0 + RTT_S / 2 - 1e-6)
    assert edge.able() == [0, 1]
    edge.until(2.0 + RTT_S / 2 + 1e-6)
    assert edge.able() == [0]
    edge.until(20.0)
    assert edge.able() == [0]


def test_a_replica_that_was_chosen_is_not_open_any_more_once_it_drains() -> None:
    edge = Edge()
    _, last = edge.cloud.serving
    edge.simulation.at(2.0, edge.cloud.drain_one)
    edge.until(2.0 + RTT_S / 2 - 1e-6)
    assert edge.site.open(last, edge.now_s)
    edge.until(2.0 + RTT_S / 2 + 1e-6)
    assert not edge.site.open(last, edge.now_s)


def test_a_request_was_alone_if_no_other_was_on_its_stream_from_first_to_last() -> None:
    edge = Edge()
    one, other = edge.cloud.serving
    edge.until(1.0)
    edge.send(one, 1)
    edge.send(other, 2)
    assert edge.site.was_alone(one, 1)
    assert edge.site.was_alone(other, 2)
    edge.send(one, 3)
    assert not edge.site.was_alone(one, 3)
    edge.site.answered(one, 3, 1.1)
    assert not edge.site.was_alone(one, 1)
    edge.site.answered(one, 1, 1.2)
    edge.send(one, 4)
    assert edge.site.was_alone(one, 4)


def test_a_new_replica_is_asked_after_its_start_the_registry_and_the_connection() -> None:
    edge = Edge(replicas=1, start_s=3.0, registry_s=0.5)
    edge.simulation.at(2.0, edge.cloud.start)
    known_s = 2.0 + 3.0 + 0.5 + RTT_S / 2 + CONNECT_TRIPS * RTT_S
    edge.until(known_s - 1e-6)
    assert edge.able() == [0]
    edge.until(known_s + 1e-6)
    assert edge.able() == [0, 1]


def test_an_edge_without_replicas_says_now_and_then_that_it_wants_one() -> None:
    edge, wanted_s = Edge(replicas=0), list[float]()
    edge.cloud.on_want.append(lambda: wanted_s.append(edge.now_s))
    for tenth in range(1, 50):
        edge.until(tenth / 10)
        assert edge.site.pick(edge.now_s) is None
        edge.site.want(edge.now_s)
    edge.until(5.0)
    assert wanted_s == pytest.approx([0.1 + RTT_S / 2 + turn * WANT_PERIOD_S for turn in range(3)], abs=0.15)
