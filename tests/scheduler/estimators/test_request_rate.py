"""How many requests a second an edge has lately."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.estimators.request_rate import RequestRate


@pytest.mark.parametrize("per_s", [0.5, 3.0, 200.0])
def test_a_steady_rate_is_learned(per_s: float) -> None:
    rate = RequestRate()
    found = [rate.seen(1000.0 + number / per_s) for number in range(int(60 * per_s))]
    assert found[0] == 0.0
    assert found[-1] == pytest.approx(per_s, rel=0.15)


def test_a_burst_is_followed_and_forgotten() -> None:
    rate = RequestRate()
    burst = [rate.seen(5.0 + number / 100) for number in range(500)]
    assert burst[-1] > 30.0
    assert rate.seen(70.0) < 1.0


@given(st.lists(st.floats(-1e9, 1e9), max_size=20))
def test_whatever_the_clock_says_it_is_no_more_than_all_at_once(moments: list[float]) -> None:
    rate = RequestRate()
    for number, now_s in enumerate(moments):
        assert 0.0 <= rate.seen(now_s) <= number / 10
