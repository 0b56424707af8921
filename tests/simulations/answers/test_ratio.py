"""Shares from windows: every request weighs alike, and the interval holds what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.answers.interval import of_values
from simulations.answers.ratio import Counted, linearised, ratio, summed

windows = st.lists(
    st.integers(0, 40).flatmap(lambda came: st.builds(Counted, st.integers(0, came), st.just(came))), max_size=12
)


def test_a_quiet_window_does_not_weigh_like_a_busy_one() -> None:
    found = ratio([Counted(500, 1000), Counted(10, 10), Counted(10, 10), Counted(10, 10)])
    assert found is not None
    assert found.value == pytest.approx(530 / 1030)


@given(windows)
def test_the_mean_of_the_linearised_values_is_the_share_of_all(counts: list[Counted]) -> None:
    values, (kept, came) = linearised(counts), summed(counts)
    assert len(values) == sum(one.came > 0 for one in counts)
    if values:
        assert np.mean(values) == pytest.approx(kept / came, abs=1e-12)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=10).filter(lambda kept: 0 < sum(kept) < 20 * len(kept)))
def test_of_windows_with_as_many_requests_it_is_the_mean_of_their_shares(kept: list[int]) -> None:
    found, plain = ratio([Counted(one, 20) for one in kept]), of_values([one / 20 for one in kept]).within(0.0, 1.0)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-12)


def test_a_window_without_a_request_says_nothing() -> None:
    counts = [Counted(5, 10), Counted(9, 10), Counted(30, 40)]
    assert ratio([*counts, Counted(0, 0)]) == ratio(counts)


def test_of_windows_that_differ_the_interval_holds_the_share_as_often_as_it_says() -> None:
    """Busy windows are the worse ones: of all requests 0.75 are in time, of the mean window 0.825."""
    random, held = np.random.default_rng(4), 0
    for _ in range(200):
        busy = random.random(40) < 0.5
        came = np.where(busy, 40, 10)
        kept = random.binomial(came, np.where(busy, 0.7, 0.95))
        found = ratio([Counted(int(k), int(c)) for k, c in zip(kept, came, strict=True)])
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.75 <= found.high
    assert 0.90 * 200 <= held <= 0.99 * 200


def test_where_all_are_in_time_the_interval_is_as_wide_as_few_requests_leave_it() -> None:
    found = ratio([Counted(10, 10)] * 5)
    assert found is not None
    assert (found.high, found.n, found.method) == (1.0, 50, "exact")
    assert found.low == pytest.approx(0.025 ** (1 / 50))
    assert ratio([Counted(0, 0)] * 5) is None
