"""Whether a generator kept its rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.load.lateness import LATE_S, Lateness, LatenessSummary


def judged(late_s: list[float], unsent: int = 0) -> LatenessSummary:
    lateness = Lateness()
    for one_s in late_s:
        lateness.sent(one_s)
    for _ in range(unsent):
        lateness.not_sent()
    return lateness.summary()


def test_requests_in_time_keep_the_rate() -> None:
    summary = judged([0.001] * 99 + [0.5])
    assert summary.kept
    assert (summary.meant, summary.late, summary.worst_s) == (100, 1, 0.5)
    assert "kept its rate" in str(summary)


def test_more_than_one_in_a_hundred_late_do_not() -> None:
    summary = judged([0.001] * 98 + [0.02] * 2)
    assert not summary.kept
    assert "COULD NOT KEEP ITS RATE" in str(summary)


def test_one_that_did_not_leave_is_told() -> None:
    summary = judged([0.001] * 1000, unsent=1)
    assert not summary.kept
    assert "1 did not leave" in str(summary)


def test_nothing_meant_is_nothing_late() -> None:
    assert judged([]).kept


def test_the_time_outside_the_edge_is_a_mean() -> None:
    lateness = Lateness()
    lateness.answered(0.001)
    lateness.answered(0.003)
    assert lateness.summary().outside_s == 0.002


@pytest.mark.parametrize(("n", "rank"), [(1, 1), (51, 51), (52, 52), (99, 99), (100, 99), (101, 100), (300, 297)])
def test_99_of_100_left_no_later_than_p99(n: int, rank: int) -> None:
    """The nearest rank: the first that is not below 99 % of them."""
    assert judged([float(one) for one in range(1, n + 1)]).p99_s == rank


@given(st.lists(st.floats(0.0, 10.0), min_size=1), st.integers(0, 5))
def test_what_is_told_is_in_order_and_travels(late_s: list[float], unsent: int) -> None:
    summary = judged(late_s, unsent)
    assert 0.0 <= summary.median_s <= summary.p99_s <= summary.worst_s == max(late_s)
    assert summary.late == sum(one_s > LATE_S for one_s in late_s)
    assert LatenessSummary.from_json(summary.to_json()) == summary
