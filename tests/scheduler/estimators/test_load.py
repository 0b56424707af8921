"""Expected waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.estimators.load import CloudQueueEstimator, EdgeQueueEstimator


def test_a_free_edge_has_no_wait() -> None:
    edge = EdgeQueueEstimator(workers=2)
    edge.submitted("a", 0.5)
    edge.started("a", 0.0)
    assert edge.wait_s(0.1) == 0.0


def test_waiting_and_remaining_work_add_up() -> None:
    edge = EdgeQueueEstimator()
    for work in "ab":
        edge.submitted(work, 0.5)
    edge.started("a", 0.0)
    assert edge.wait_s(0.2) == pytest.approx(0.8)


def test_work_that_overruns_is_about_to_end() -> None:
    edge = EdgeQueueEstimator()
    edge.submitted("a", 0.5)
    edge.started("a", 0.0)
    assert edge.wait_s(2.0) == 0.0


@given(st.lists(st.floats(0, 1e6), max_size=20), st.booleans())
def test_nothing_is_left_when_all_work_has_ended(work: list[float], was_started: bool) -> None:
    edge = EdgeQueueEstimator()
    for number, expected_s in enumerate(work):
        edge.submitted(str(number), expected_s)
    for number in range(len(work)):
        if was_started:
            edge.started(str(number), 0.0)
        edge.finished(str(number))
        edge.finished(str(number))
    assert edge.wait_s(0.0) == 0.0


def test_a_report_drains_with_time() -> None:
    cloud = CloudQueueEstimator()
    cloud.reported(1.0, now_s=10.0, delay_s=0.1)
    assert cloud.wait_s(10.5) == pytest.approx(0.4)


def test_own_requests_count_until_a_later_report_has_seen_them() -> None:
    cloud = CloudQueueEstimator()
    cloud.reported(0.0, now_s=0.0)
    cloud.sent("a", 0.2, now_s=1.0)
    assert cloud.wait_s(1.0) == pytest.approx(0.2)
    cloud.reported(0.2, now_s=1.1)
    assert cloud.wait_s(1.1) == pytest.approx(0.2)


def test_an_old_report_says_nothing_but_own_requests_still_count() -> None:
    cloud = CloudQueueEstimator(report_lifetime_s=5.0)
    cloud.sent("a", 0.2, now_s=0.0)
    cloud.reported(100.0, now_s=1.0)
    assert cloud.wait_s(7.0) == pytest.approx(0.2)
    cloud.finished("a")
    assert cloud.wait_s(7.0) == 0.0
