"""The wait for the way up."""

from __future__ import annotations

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


def test_what_is_overdue_is_expected_to_take_as_long_again() -> None:
    way_up = WayUpEstimator()
    number = way_up.sent(1000, BPS, 0.4, 10.0)
    assert way_up.wait_s(10.5) == 0.0  # predictions err
    assert way_up.wait_s(11.55) == pytest.approx(1.0)
    assert way_up.wait_s(13.55) == pytest.approx(3.0)
    way_up.finished(number, 14.0)
    assert way_up.wait_s(14.0) == 0.0


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
