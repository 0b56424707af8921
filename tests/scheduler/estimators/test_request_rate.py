"""How many requests a second need an edge's worker lately."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.estimators.request_rate import RequestRate


@pytest.mark.parametrize("per_s", [0.5, 3.0, 200.0])
def test_a_steady_rate_is_learned(per_s: float) -> None:
    rate = RequestRate()
    assert rate.per_s(1000.0) == 0.0
    for number in range(int(60 * per_s)):
        rate.seen(1000.0 + number / per_s)
    assert rate.per_s(1060.0) == pytest.approx(per_s, rel=0.15)


def test_a_burst_is_followed_and_forgotten() -> None:
    rate = RequestRate()
    for number in range(500):
        rate.seen(5.0 + number / 100)
    assert rate.per_s(10.0) > 30.0
    assert rate.per_s(70.0) < 1.0


@given(st.lists(st.floats(-1e9, 1e9), max_size=20))
def test_whatever_the_clock_says_it_is_no_more_than_all_at_once(moments: list[float]) -> None:
    rate = RequestRate()
    for number, now_s in enumerate(moments):
        assert 0.0 <= rate.per_s(now_s) <= number / 10 + 1e-9
        rate.seen(now_s)
