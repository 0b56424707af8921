"""What an edge's own requests will put on the way up and on replicas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.planned_crossings import PlannedCrossing, PlannedCrossings
from partitioner.link import Link
from scheduler.estimators.way_up import WayUpEstimator

LINK = Link(8e6, 8e6, 0.02)
NOW_S = 100.0
moments = st.floats(NOW_S - 2, NOW_S + 5)
crossings = st.builds(
    PlannedCrossing, st.sampled_from("ab"), moments, moments, st.integers(0, 2_000_000), st.floats(0, 2)
)


def entered(*planned: PlannedCrossing) -> PlannedCrossings:
    all_of_them = PlannedCrossings()
    for number, one in enumerate(planned):
        all_of_them.enter(number, one)
    return all_of_them


def busy_until_s(free_s: float, work: list[tuple[float, float]]) -> float:
    """One server, in the order given: of (from when on, seconds)."""
    if not work:
        return free_s
    (ready_s, took_s), *rest = work
    return busy_until_s(max(free_s, ready_s) + took_s, rest)


@given(st.lists(crossings, max_size=6), st.floats(0, 3))
def test_each_replica_works_off_what_goes_there_as_it_comes(planned: list[PlannedCrossing], sent_s: float) -> None:
    for replica in "ab":
        work = [(one.arrives_s, one.cloud_s) for one in planned if one.replica == replica]
        found = entered(*planned).cloud_s(replica, sent_s, NOW_S)
        assert found == pytest.approx(busy_until_s(NOW_S + sent_s, work) - NOW_S, abs=1e-9)


@given(st.lists(crossings, min_size=1, max_size=6), st.integers(0, 2_000_000))
def test_the_way_up_carries_all_of_it_behind_what_was_sent(planned: list[PlannedCrossing], sent_bytes: int) -> None:
    way_up = WayUpEstimator()
    way_up.sent(sent_bytes, LINK.uplink_bps, 9.0, NOW_S)
    work = [(one.ready_s, LINK.uplink_s(one.size_bytes)) for one in planned]
    expected_s = busy_until_s(NOW_S + LINK.uplink_s(sent_bytes), work) - NOW_S
    assert entered(*planned).uplink_s(way_up, LINK, NOW_S) == pytest.approx(expected_s, abs=1e-9)


def test_what_is_overdue_is_waited_for_whatever_is_planned() -> None:
    way_up = WayUpEstimator()
    way_up.sent(1000, LINK.uplink_bps, 0.1, NOW_S - 5.0)
    one = PlannedCrossing("a", NOW_S, NOW_S, 1000, 0.1)
    assert entered(one).uplink_s(way_up, LINK, NOW_S) == way_up.wait_s(NOW_S) > 4.0


def test_nothing_is_planned_on_a_link_of_which_nothing_is_known() -> None:
    one = PlannedCrossing("a", NOW_S, NOW_S, 1_000_000, 0.1)
    assert entered(one).uplink_s(WayUpEstimator(), None, NOW_S) == 0.0


def test_who_has_left_puts_nothing_there_and_may_leave_again() -> None:
    planned = entered(PlannedCrossing("a", NOW_S, NOW_S + 1.0, 1_000_000, 0.5))
    assert (len(planned), planned.cloud_s("a", 0.0, NOW_S)) == (1, 1.5)
    planned.leave(0)
    planned.leave(0)
    assert (len(planned), planned.cloud_s("a", 0.25, NOW_S)) == (0, 0.25)
    assert planned.uplink_s(WayUpEstimator(), LINK, NOW_S) == 0.0
