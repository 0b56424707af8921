"""The wait for the way up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.estimators.way_up import WayUpEstimator

BPS = 8e6  # a byte a microsecond


def test_nothing_waits_where_nothing_is_under_way() -> None:
    way_up = WayUpEstimator()
    assert way_up.wait_s(0.0) == 0.0
    number = way_up.sent(500_000, BPS, 0.6, 10.0)
    way_up.finished(number, 10.2)
    assert way_up.wait_s(10.2) == 0.0


def test_bytes_wait_for_those_that_were_sent_before() -> None:
    way_up = WayUpEstimator()
    way_up.sent(500_000, BPS, 0.6, 10.0)
    assert way_up.wait_s(10.0) == pytest.approx(0.5)
    way_up.sent(250_000, BPS, 0.9, 10.1)
    assert way_up.wait_s(10.1) == pytest.approx(0.65)
    assert way_up.wait_s(10.5) == pytest.approx(0.25)
    assert way_up.wait_s(10.75) == pytest.approx(0.0, abs=1e-9)  # crossed, though not answered: the cloud works


def test_bytes_of_an_answered_request_are_waited_for_no_longer() -> None:
    way_up = WayUpEstimator()
    first = way_up.sent(500_000, BPS, 0.6, 10.0)
    way_up.sent(1000, BPS, 0.6, 10.01)
    assert way_up.wait_s(10.01) == pytest.approx(0.491)
    way_up.finished(first, 10.02)  # far sooner than believed
    assert way_up.wait_s(10.02) == pytest.approx(0.001)


def test_bytes_of_what_stays_are_in_the_way_and_its_lateness_is_not() -> None:
    way_up = WayUpEstimator()
    number = way_up.sent(5_000_000, BPS, 0.1, 10.0)
    assert way_up.wait_s(14.0) == pytest.approx(14.0 - 10.175)  # overdue for longer than its bytes take
    way_up.stays(number)
    assert way_up.wait_s(14.0) == pytest.approx(1.0)
    assert way_up.wait_s(15.5) == 0.0
    way_up.finished(number, 16.0)
    way_up.stays(number)
    assert way_up.wait_s(16.0) == 0.0


def test_bytes_of_what_was_given_up_are_waited_for_no_longer() -> None:
    way_up = WayUpEstimator()
    way_up.sent(500_000, BPS, 9.0, 10.0)
    second = way_up.sent(500_000, BPS, 9.0, 10.0)
    way_up.finished(second, 10.2)
    assert way_up.wait_s(10.2) == pytest.approx(0.5)


def test_the_wait_does_not_grow_with_the_requests_where_one_is_always_out() -> None:
    way_up, now_s = WayUpEstimator(), 10.0
    before = way_up.sent(100_000, BPS, 9.0, now_s)
    for _ in range(100):  # twice as fast as believed
        now_s += 0.05
        number = way_up.sent(100_000, BPS, 9.0, now_s)
        way_up.finished(before, now_s)
        before = number
    assert way_up.wait_s(now_s) == pytest.approx(0.1)


def test_what_waits_crosses_at_the_rate_that_is_believed_by_now() -> None:
    way_up = WayUpEstimator()
    way_up.sent(500_000, BPS / 10, 9.0, 10.0)
    way_up.sent(500_000, BPS, 9.0, 10.0)
    assert way_up.wait_s(10.0) == pytest.approx(1.0)
    way_up.sent(0, BPS / 2, 9.0, 10.5)
    assert way_up.wait_s(10.5) == pytest.approx(1.0)  # for the other half


def test_a_request_that_ends_twice_is_taken_off_once() -> None:
    way_up = WayUpEstimator()
    first = way_up.sent(500_000, BPS, 9.0, 10.0)
    way_up.sent(500_000, BPS, 9.0, 10.0)
    for _ in range(3):
        way_up.finished(first, 10.1)
    assert way_up.wait_s(10.1) == pytest.approx(0.5)


def test_what_is_overdue_is_expected_to_take_as_long_again() -> None:
    way_up = WayUpEstimator()
    number = way_up.sent(1000, BPS, 0.4, 10.0)
    assert way_up.wait_s(10.5) == 0.0  # predictions err
    assert way_up.wait_s(11.55) == pytest.approx(1.0)
    assert way_up.wait_s(13.55) == pytest.approx(3.0)
    way_up.finished(number, 14.0)
    assert way_up.wait_s(14.0) == 0.0


def test_what_is_overdue_does_not_make_bytes_cross_later() -> None:
    way_up = WayUpEstimator()
    number = way_up.sent(500_000, BPS, 0.5, 10.0)
    assert way_up.crossing_s(10.2) == way_up.wait_s(10.2) == pytest.approx(0.3)
    assert way_up.crossing_s(14.0) == 0.0
    assert way_up.wait_s(14.0) == pytest.approx(3.325)
    way_up.finished(number, 14.0)
    assert way_up.crossing_s(14.0) == 0.0


def test_bytes_on_a_link_that_nobody_knows_are_no_wait() -> None:
    way_up = WayUpEstimator()
    way_up.sent(10**9, None, 0.4, 10.0)
    assert way_up.wait_s(10.1) == 0.0


def test_an_answer_to_nobody_changes_nothing() -> None:
    way_up = WayUpEstimator()
    way_up.finished(7, 1.0)
    assert way_up.wait_s(1.0) == 0.0


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 10**6), st.floats(0, 2), st.booleans()), max_size=20),
    st.floats(1e3, 1e9),
)
def test_a_wait_is_never_negative_and_ends_with_the_last_answer(
    steps: list[tuple[float, int, float, bool]], bps: float
) -> None:
    way_up, now_s, open_ids = WayUpEstimator(), 0.0, list[int]()
    for gap_s, size_bytes, expected_s, answered in steps:
        now_s += gap_s
        open_ids.append(way_up.sent(size_bytes, bps, expected_s, now_s))
        assert way_up.wait_s(now_s) >= 0.0
        if answered:
            way_up.finished(open_ids.pop(0), now_s)
    for number in open_ids:
        way_up.finished(number, now_s)
    assert way_up.wait_s(now_s) == 0.0


messages = st.tuples(st.floats(0, 1), st.integers(0, 10**6), st.integers(0, 10**6))


@given(st.lists(messages, max_size=20), st.floats(1e3, 1e9))
def test_a_wait_is_never_longer_than_what_is_out_takes(steps: list[tuple[float, int, int]], bps: float) -> None:
    way_up, now_s, out = WayUpEstimator(), 0.0, dict[int, int]()
    for gap_s, size_bytes, pick in steps:
        now_s += gap_s
        out[way_up.sent(size_bytes, bps, 1e9, now_s)] = size_bytes  # never overdue
        if pick % 2:
            ended = list(out)[pick % len(out)]
            way_up.finished(ended, now_s)
            del out[ended]
        assert way_up.wait_s(now_s) <= sum(out.values()) * 8 / bps * (1 + 1e-9) + 1e-9


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 10**6), st.floats(0, 1)), max_size=20), st.floats(1e5, 1e8))
def test_it_waits_as_long_as_a_link_does_that_has_the_believed_rate_and_keeps_the_order(
    steps: list[tuple[float, int, float]], bps: float
) -> None:
    """Each request is answered some time after its bytes have crossed, so that nothing but the order is known."""
    way_up, now_s, crossed_s, ends = WayUpEstimator(), 0.0, 0.0, list[tuple[float, int]]()
    for gap_s, size_bytes, cloud_s in steps:
        now_s += gap_s
        for end_s, number in sorted(one for one in ends if one[0] <= now_s):
            way_up.finished(number, end_s)
        ends = [one for one in ends if one[0] > now_s]
        assert math.isclose(way_up.wait_s(now_s), max(0.0, crossed_s - now_s), rel_tol=1e-6, abs_tol=1e-6)
        crossed_s = max(crossed_s, now_s) + size_bytes * 8 / bps
        ends.append((crossed_s + cloud_s, way_up.sent(size_bytes, bps, 1e9, now_s)))
