"""How long a simulated edge waits for the cloud, and what is left of a request that it waits for no longer."""

from __future__ import annotations

import pytest

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup
from nodes.resumption import FINISH_MARGIN, WORK_MARGIN, patience_s, remote_s
from nodes.way_watch import LEAST_WAIT_S
from partitioner.plan import Prediction
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.busy_time import BusyTime
from simulations.cloud import SimulatedCloud
from simulations.edge_facts import EdgeFacts
from simulations.edge_link import EdgeLink
from simulations.kernel import Simulation
from simulations.link_delay import LinkDelay
from simulations.replica import Suffix
from simulations.replica_kind import PlanSuffix, ReplicaKind
from simulations.site import UNBATCHED, Arrival
from simulations.site_asking import SiteAsking
from simulations.site_cloud import SiteCloud
from simulations.site_request import Crossing
from simulations.traced_line import TracedLine
from tests.simulations.test_site import MBPS, RTT_S, SPLIT, TABLE

STOPS_AT_5 = BandwidthTrace((0.0, 5.0), (8 * MBPS, 1.0))
CLOUD_S, FINISH_S = 0.02, 0.2  # of SPLIT
NOW_S = 5.0


class Edge:
    """An OwnEdge with so much to do, before one replica and a link that stops; notes when it goes on alone."""

    def __init__(self, queued_s: float = 0.0, link: BandwidthTrace = STOPS_AT_5) -> None:
        self.queued_s = queued_s
        self.simulation, self.chooser = Simulation(), PlanChooser()
        lines = TracedLine(link), TracedLine(link)
        delays = LinkDelay(RTT_S / 2), LinkDelay(RTT_S / 2)
        self.link = EdgeLink(self.chooser, lines, delays, (BusyTime(), BusyTime()))
        self.cloud = SimulatedCloud(self.simulation, ReplicaKind(UNBATCHED))
        known = SiteCloud(self.simulation, self.chooser, self.cloud, RTT_S, lambda: self.link.heard_s)
        self.asking = SiteAsking(self.simulation, EdgeFacts({"": TABLE}), self.chooser, self.link, known, self)
        self.alone_s: dict[int, float] = {}
        self.answered_s: dict[int, float] = {}
        self.simulation.run(NOW_S)
        self.link.watch.catch_up(NOW_S)

    def finish(self, crossing: Crossing) -> None:
        self.alone_s[crossing.number] = self.simulation.now_s

    def answered(self, crossing: Crossing) -> None:
        self.answered_s[crossing.number] = self.simulation.now_s

    def ask(
        self, number: int, timeout_s: float | None = None, up_bytes: int = 10_000, promised: bool = False,
        watched: bool = False, waits_s: float = 0.0,
    ) -> Crossing:  # fmt: skip
        """watched: it is left as soon as its bytes do not get up; else patience alone says. waits_s: what was predicted
        for the edge and, again, for the way up, for what was overdue."""
        arrival = Arrival(NOW_S, 0, timeout_s)
        crossing = Crossing(number, arrival, SPLIT, 0.1, CLOUD_S, FINISH_S, up_bytes, 4000, promised=promised)
        crossing.replica = self.cloud.replicas[0]
        crossing.predicted = Prediction.of(0.1 + waits_s, 0.03 + waits_s, CLOUD_S, 0.03)
        self.asking.ask(crossing)
        if not watched:
            crossing.way = None
        return crossing


@pytest.mark.parametrize(("promised", "margin"), [(True, WORK_MARGIN), (False, FINISH_MARGIN)])
def test_a_silent_cloud_is_given_up_for_the_edge_whether_or_not_that_was_promised(
    promised: bool, margin: float
) -> None:
    edge = Edge()
    edge.ask(1, timeout_s=1.0, promised=promised)
    edge.simulation.run(7.0)
    assert edge.alone_s == {1: pytest.approx(5.95 - margin * FINISH_S)}


def test_an_edge_begins_sooner_by_what_waits_for_it_already() -> None:
    edge = Edge(queued_s=0.3)
    edge.ask(1, timeout_s=1.0)
    edge.simulation.run(7.0)
    assert edge.alone_s == {1: pytest.approx(5.95 - 0.3 - FINISH_MARGIN * FINISH_S)}


def test_requests_that_were_promised_nothing_leave_room_for_each_other_too() -> None:
    edge = Edge()
    edge.ask(1, timeout_s=1.0)
    edge.ask(2, timeout_s=1.0)
    edge.simulation.run(7.0)
    kept_back_s = FINISH_MARGIN * FINISH_S
    assert edge.alone_s == {1: pytest.approx(5.95 - 2 * kept_back_s), 2: pytest.approx(5.95 - kept_back_s)}


def test_an_edge_is_as_patient_as_the_bytes_before_a_request_take() -> None:
    edge = Edge()
    edge.ask(1, up_bytes=1_000_000)
    edge.ask(2)
    link = edge.chooser.link()
    behind_s = remote_s(link, 1_010_000, 4000, 2 * CLOUD_S)  # there it waits for the first one's suffix
    edge.simulation.run(20.0)
    assert behind_s > 1.0
    assert edge.alone_s[2] - NOW_S == pytest.approx(patience_s(behind_s))
    assert edge.alone_s[1] - NOW_S == pytest.approx(patience_s(remote_s(link, 10_000, 4000, CLOUD_S)))


def test_an_edge_is_not_the_more_patient_for_what_was_over_when_the_request_was_sent() -> None:
    edge = Edge()
    patience = patience_s(remote_s(edge.chooser.link(), 10_000, 4000, CLOUD_S))
    edge.ask(1, waits_s=12.0)
    edge.simulation.run(80.0)
    assert edge.alone_s[1] - NOW_S == pytest.approx(patience)


def test_a_link_that_crawls_is_waited_for_while_it_moves() -> None:
    edge = Edge(link=BandwidthTrace((0.0, 5.0), (8 * MBPS, 0.32 * MBPS)))  # from 1 MB a second to 40 kB
    edge.ask(1, up_bytes=100_000)
    edge.ask(2, up_bytes=20_000)
    edge.simulation.run(20.0)
    assert edge.alone_s == {}
    assert edge.answered_s == {1: pytest.approx(7.66, abs=0.05), 2: pytest.approx(8.16, abs=0.05)}


def test_one_that_crawls_and_then_stops_is_given_up_a_patience_later() -> None:
    edge = Edge(link=BandwidthTrace((0.0, 5.0, 8.0), (8 * MBPS, 0.32 * MBPS, 1.0)))
    edge.ask(1, up_bytes=500_000)
    edge.simulation.run(20.0)
    assert 8.0 < edge.alone_s[1] <= 8.0 + 2 * patience_s(0.1)


def test_a_deadline_ends_the_wait_for_what_crawls() -> None:
    edge = Edge(link=BandwidthTrace((0.0, 5.0), (8 * MBPS, 0.32 * MBPS)))
    edge.ask(1, timeout_s=2.0, up_bytes=500_000)
    edge.simulation.run(20.0)
    assert edge.alone_s == {1: pytest.approx(6.95 - FINISH_MARGIN * FINISH_S)}


def test_what_the_edge_could_not_finish_in_time_stays_with_the_cloud_until_its_deadline() -> None:
    edge = Edge(link=BandwidthTrace((0.0,), (8 * MBPS,)))
    edge.ask(1, timeout_s=0.15)
    edge.simulation.run(20.0)
    assert edge.alone_s == {}
    assert edge.answered_s[1] < NOW_S + 0.15
    silent = Edge()
    silent.ask(1, timeout_s=0.15)
    silent.simulation.run(20.0)
    assert silent.alone_s == {1: pytest.approx(NOW_S + 0.15)}


def test_a_request_that_is_abandoned_leaves_nothing_behind() -> None:
    edge = Edge(link=BandwidthTrace((0.0,), (8 * MBPS,)))
    (replica,) = edge.cloud.replicas
    others = PlanSuffix(BatchGroup("net", "cut", "eager", ()), BatchTimes.of({1: 0.5}))
    replica.submit(Suffix(others, 1.0, lambda _: None, lambda _: None))
    crossings = [edge.ask(1, timeout_s=1.0), edge.ask(2)]
    edge.simulation.run(NOW_S + 0.1)
    assert replica.requests == 3
    for crossing in crossings:
        edge.asking.abandon(crossing)
    assert (edge.link.in_flight_bytes, edge.link.watch.under_way, edge.link.way_up.wait_s(NOW_S + 9.0)) == (0, 0, 0.0)
    edge.simulation.run(NOW_S + 0.13)
    assert replica.requests == 1
    edge.simulation.run(20.0)
    assert (edge.alone_s, edge.answered_s, replica.busy_s) == ({}, {}, 0.5)


def test_a_way_that_stands_still_is_left_long_before_patience_and_the_link_is_believed_to_be_slower() -> None:
    edge = Edge()
    before = edge.chooser.link()
    edge.ask(1, up_bytes=100_000, watched=True)
    edge.simulation.run(NOW_S + 1.0)
    after = edge.chooser.link()
    assert edge.alone_s == {1: pytest.approx(NOW_S + 0.01 + RTT_S + 0.05 + LEAST_WAIT_S, abs=0.005)}
    assert before is not None
    assert after is not None
    assert after.uplink_bps < before.uplink_bps


def test_a_slow_way_is_waited_for_where_the_rest_comes_sooner_than_the_edge_would_finish() -> None:
    edge = Edge(link=BandwidthTrace((0.0, 5.0), (8 * MBPS, 3 * MBPS)))
    edge.ask(1, up_bytes=100_000, watched=True)
    edge.simulation.run(20.0)
    assert edge.alone_s == {}


def test_a_replica_that_computes_for_long_is_no_way_that_stands_still() -> None:
    edge = Edge(link=BandwidthTrace((0.0,), (8 * MBPS,)))
    (replica,) = edge.cloud.replicas
    others = PlanSuffix(BatchGroup("net", "cut", "eager", ()), BatchTimes.of({1: 0.8}))
    replica.submit(Suffix(others, 1.0, lambda _: None, lambda _: None))
    edge.ask(1, watched=True)
    edge.simulation.run(20.0)
    assert edge.alone_s == {}
    assert edge.answered_s[1] > NOW_S + 0.8


def busy_for(edge: Edge, seconds: float) -> None:
    """Its replica, with others' work."""
    others = PlanSuffix(BatchGroup("net", "cut", "eager", ()), BatchTimes.of({1: seconds}))
    edge.cloud.replicas[0].submit(Suffix(others, 1.0, lambda _: None, lambda _: None))


def test_what_a_dropped_request_waited_at_a_replica_is_no_time_on_the_way_up() -> None:
    edge = Edge(link=BandwidthTrace((0.0,), (8 * MBPS,)))
    busy_for(edge, 5.0)
    crossing = edge.ask(1)
    crossing.ready_s = NOW_S
    edge.simulation.run(NOW_S + 1.0)
    edge.asking.abandon(crossing)
    stages = crossing.served(NOW_S + 1.0, 0.0, resumed=False, dropped=True).stages
    up_s = 0.01 + RTT_S / 2
    assert stages.uplink_s == pytest.approx(up_s, abs=0.002)
    assert stages.cloud_queue_s == pytest.approx(1.0 - up_s, abs=0.002)


def test_what_a_request_waited_at_a_replica_before_the_edge_went_on_alone_is_the_clouds() -> None:
    edge = Edge(link=BandwidthTrace((0.0,), (8 * MBPS,)))
    busy_for(edge, 5.0)
    crossing = edge.ask(1, timeout_s=1.0)
    crossing.ready_s = NOW_S
    edge.simulation.run(NOW_S + 2.0)
    stages = crossing.served(edge.alone_s[1] + FINISH_S, 0.0, resumed=True, dropped=False).stages
    assert stages.finish_s == pytest.approx(FINISH_S)
    assert stages.cloud_queue_s == pytest.approx(edge.alone_s[1] - NOW_S - 0.01 - RTT_S / 2, abs=0.002)


def test_what_is_given_up_before_it_has_crossed_was_on_the_way_up_all_the_time() -> None:
    edge = Edge()  # whose link stops
    crossing = edge.ask(1)
    crossing.ready_s = NOW_S
    edge.simulation.run(NOW_S + 0.5)
    edge.asking.abandon(crossing)
    stages = crossing.served(NOW_S + 0.5, 0.0, resumed=False, dropped=True).stages
    assert stages.uplink_s == pytest.approx(0.5)
    assert stages.cloud_queue_s == 0.0


def test_an_answer_on_a_way_down_that_stands_still_is_the_downlinks() -> None:
    edge = Edge(link=BandwidthTrace((0.0, 5.02), (8 * MBPS, 1.0)))  # it stops when all has crossed
    crossing = edge.ask(1)
    crossing.ready_s = NOW_S
    edge.simulation.run(NOW_S + 0.5)
    edge.asking.abandon(crossing)
    stages = crossing.served(NOW_S + 0.5, 0.0, resumed=False, dropped=True).stages
    assert stages.downlink_s == pytest.approx(0.5 - 0.03 - CLOUD_S, abs=0.03)
    assert stages.uplink_s == pytest.approx(0.03, abs=0.01)
