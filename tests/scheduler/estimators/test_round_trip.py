"""The round trip from small echoes."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.estimators.round_trip import RoundTripEstimator


def feed(estimator: RoundTripEstimator, *rtts_s: float, start_s: float = 0.0) -> float | None:
    for number, rtt_s in enumerate(rtts_s):
        estimator.observe(rtt_s, start_s + number)
    return estimator.estimate_s()


def test_nothing_is_believed_before_the_first_echo() -> None:
    assert RoundTripEstimator().estimate_s() is None


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_the_estimate_is_one_of_the_echoes_of_the_window(rtts_s: list[float]) -> None:
    assert feed(RoundTripEstimator(), *rtts_s) in rtts_s[-32:]


@given(st.floats(0.001, 1), st.integers(0, 1000))
def test_queues_in_half_of_the_echoes_do_not_count(rtt_s: float, seed: int) -> None:
    rng = Random(seed)
    rtts_s = [rtt_s * (1 + 0.4 * rng.random() * (number % 2)) for number in range(32)]
    estimate_s = feed(RoundTripEstimator(), *rtts_s)
    assert estimate_s == pytest.approx(rtt_s)


@pytest.mark.parametrize(("before_s", "after_s"), [(0.02, 0.1), (0.1, 0.02)])
def test_a_step_is_followed_within_three_echoes(before_s: float, after_s: float) -> None:
    estimator = RoundTripEstimator()
    feed(estimator, *[before_s] * 30)
    assert feed(estimator, *[after_s] * 3, start_s=30) == after_s


def test_two_delayed_echoes_are_no_step() -> None:
    estimator = RoundTripEstimator()
    feed(estimator, *[0.02] * 10)
    assert feed(estimator, 0.5, 0.5, start_s=10) == 0.02


def test_old_echoes_age_out() -> None:
    estimator = RoundTripEstimator()
    feed(estimator, *[0.020] * 10)
    assert feed(estimator, *[0.025] * 3, start_s=1000) == 0.025


@pytest.mark.parametrize("rtt_s", [-1.0, math.nan, math.inf])
def test_nonsense_is_ignored(rtt_s: float) -> None:
    assert feed(RoundTripEstimator(), rtt_s) is None


@given(st.lists(st.tuples(st.floats(0, 0.3), st.floats(0, 40), st.booleans()), max_size=60))
def test_what_is_believed_goes_by_what_was_seen_and_not_by_who_asked(
    echoes: list[tuple[float, float, bool]],
) -> None:
    asked, unasked, now_s = RoundTripEstimator(), RoundTripEstimator(), 0.0
    for rtt_s, gap_s, asks in echoes:
        now_s += gap_s
        for one in (asked, unasked):
            one.observe(rtt_s, now_s)
        asked.estimate_s()
        if asks:
            assert unasked.estimate_s() == asked.estimate_s()
