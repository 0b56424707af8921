"""Expected waits."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.estimators.load import CloudQueueEstimator, EdgeQueueEstimator


def test_a_free_edge_has_no_wait() -> None:
    edge = EdgeQueueEstimator(workers=2)
    edge.submitted(1, 0.5, now_s=0.0)
    assert edge.wait_s(0.1) == 0.0


def test_waiting_and_remaining_work_add_up() -> None:
    edge = EdgeQueueEstimator()
    for work in (1, 2):
        edge.submitted(work, 0.5, now_s=0.0)
    assert edge.wait_s(0.2) == pytest.approx(0.8)


def test_workers_share_what_waits() -> None:
    edge = EdgeQueueEstimator(workers=2)
    for work in (1, 2, 3):
        edge.submitted(work, 0.5, now_s=0.0)
    assert edge.wait_s(0.2) == pytest.approx((0.5 + 0.3 + 0.3) / 2)


def test_the_next_work_starts_when_one_ends() -> None:
    edge = EdgeQueueEstimator()
    for work in (1, 2):
        edge.submitted(work, 0.5, now_s=0.0)
    edge.finished(1, now_s=0.7)
    assert edge.wait_s(0.9) == pytest.approx(0.3)


def test_work_that_overruns_is_about_to_end() -> None:
    edge = EdgeQueueEstimator()
    edge.submitted(1, 0.5, now_s=0.0)
    assert edge.wait_s(2.0) == 0.0


@given(st.lists(st.floats(0, 1e6), max_size=20), st.integers(1, 3), st.randoms())
def test_nothing_is_left_when_all_work_has_ended(work: list[float], workers: int, order: Random) -> None:
    edge = EdgeQueueEstimator(workers)
    for number, expected_s in enumerate(work):
        edge.submitted(number, expected_s, now_s=0.0)
    for number in order.sample(range(len(work)), len(work)):
        edge.finished(number, now_s=1.0)
        edge.finished(number, now_s=1.0)
    assert edge.wait_s(1.0) == 0.0


def test_a_report_drains_with_time() -> None:
    cloud = CloudQueueEstimator()
    cloud.reported(1.0, now_s=10.0, delay_s=0.1)
    assert cloud.wait_s(10.5) == pytest.approx(0.4)


def test_own_requests_count_until_a_later_report_has_seen_them() -> None:
    cloud = CloudQueueEstimator()
    cloud.reported(0.0, now_s=0.0)
    cloud.sent(1, 0.2, now_s=1.0)
    assert cloud.wait_s(1.0) == pytest.approx(0.2)
    cloud.reported(0.2, now_s=1.1)
    assert cloud.wait_s(1.1) == pytest.approx(0.2)


def test_an_old_report_says_nothing_but_own_requests_still_count() -> None:
    cloud = CloudQueueEstimator(report_lifetime_s=5.0)
    cloud.sent(1, 0.2, now_s=0.0)
    cloud.reported(100.0, now_s=1.0)
    assert cloud.wait_s(7.0) == pytest.approx(0.2)
    cloud.finished(1)
    assert cloud.wait_s(7.0) == 0.0
