"""Bandwidth from transfers of any size."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.estimators.bandwidth import BandwidthEstimator

rates = st.floats(1e3, 1e12)
sizes = st.integers(1024, 4_000_000)
BIG = 600_000


def feed(estimator: BandwidthEstimator, bps: float, transfers: list[int], start_s: float = 0.0) -> float:
    for number, size in enumerate(transfers):
        estimator.observe(size, size * 8 / bps, start_s + number)
    return believed(estimator, start_s + len(transfers))


def believed(estimator: BandwidthEstimator, now_s: float = 100.0) -> float:
    estimate = estimator.estimate(now_s)
    assert estimate is not None
    return estimate.bps


@given(rates, st.lists(sizes, min_size=1, max_size=20))
def test_any_constant_rate_is_learned_exactly(bps: float, transfers: list[int]) -> None:
    assert feed(BandwidthEstimator(), bps, transfers) == pytest.approx(bps, rel=1e-6)


@given(rates, rates, st.integers(16 * 1024, 4_000_000))
def test_a_step_is_followed_within_four_transfers(before: float, after: float, size: int) -> None:
    estimator = BandwidthEstimator()
    feed(estimator, before, [size] * 10)
    assert feed(estimator, after, [size] * 4, start_s=10) == pytest.approx(after, rel=0.05)


@given(st.floats(1e6, 1e9), st.lists(st.floats(0.7, 1.4), min_size=10, max_size=60))
def test_noise_stays_within_its_own_bounds(bps: float, factors: list[float]) -> None:
    estimator = BandwidthEstimator()
    for number, factor in enumerate(factors):
        estimator.observe(BIG, BIG * 8 / (bps * factor), float(number))
    assert 0.69 * bps <= believed(estimator) <= 1.41 * bps


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_one_outlier_hardly_moves_the_estimate(factor: float) -> None:
    estimator = BandwidthEstimator()
    feed(estimator, 20e6, [BIG] * 10)
    estimator.observe(BIG, BIG * 8 / (20e6 * factor), 10.0)
    assert believed(estimator) == pytest.approx(20e6, rel=0.4)
    assert feed(estimator, 20e6, [BIG] * 3, start_s=11) == pytest.approx(20e6, rel=0.05)


def test_a_few_tiny_quick_transfers_do_not_outvote_a_large_one() -> None:
    estimator = BandwidthEstimator()
    feed(estimator, 20e6, [BIG])
    assert feed(estimator, 10e9, [2000] * 5, start_s=1) == pytest.approx(20e6, rel=0.05)


def test_slow_tiny_transfers_tell_that_the_link_became_slow() -> None:
    estimator = BandwidthEstimator()
    feed(estimator, 200e6, [BIG] * 5)
    assert feed(estimator, 1e6, [8000] * 3, start_s=5) == pytest.approx(1e6, rel=0.05)


@pytest.mark.parametrize(
    ("size", "span_s"),
    [(100, 0.001), (0, 0.001), (-5, 1.0), (BIG, 0.0), (BIG, -1.0), (BIG, math.nan), (BIG, math.inf), (BIG, 1e-300)],
)
def test_nonsense_is_ignored(size: int, span_s: float) -> None:
    estimator = BandwidthEstimator()
    estimator.observe(size, span_s, 0.0)
    assert estimator.estimate(0.0) is None


def test_doubt_grows_with_age_and_shrinks_with_evidence() -> None:
    estimator = BandwidthEstimator()
    feed(estimator, 20e6, [BIG])
    first, later = estimator.estimate(1.0), estimator.estimate(60.0)
    assert first is not None
    assert later is not None
    assert later.uncertainty > first.uncertainty
    assert later.age_s == 60.0
    feed(estimator, 20e6, [BIG] * 5, start_s=60)
    settled = estimator.estimate(64.0)
    assert settled is not None
    assert settled.uncertainty < first.uncertainty


@pytest.mark.parametrize(("bps", "believed_bps"), [(1e6, 1e6), (100e6, 20e6)])
def test_what_had_not_arrived_after_a_while_shows_a_link_that_is_no_faster(bps: float, believed_bps: float) -> None:
    estimator = BandwidthEstimator()
    estimator.observe_unfinished(BIG, BIG * 8 / bps, 0.0)
    assert estimator.estimate(0.0) is None
    feed(estimator, 20e6, [BIG] * 5)
    for number in range(3):
        estimator.observe_unfinished(BIG, BIG * 8 / bps, 5.0 + number)
    assert believed(estimator) == pytest.approx(believed_bps, rel=0.05)
