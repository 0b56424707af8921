"""Intervals hold what they say as often as they say, on data whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.answers.interval import Estimate, Floats, Statistic, estimate, mean, of_values, quantile
from simulations.answers.shares import share

TRIALS = 300
# 95 % intervals: of 300 trials 285 hold the truth, give or take 4; six deviations either way, and a little for bias.
LEAST, MOST = 0.89, 0.99


def covered(found: list[Estimate | None], truth: float) -> float:
    return float(np.mean([one is not None and one.low is not None and one.low <= truth <= one.high for one in found]))  # type: ignore[operator]


def exponential(random: np.random.Generator, runs: int, n: int) -> list[Floats]:
    return [random.exponential(1.0, n) for _ in range(runs)]


def waits(random: np.random.Generator, trials: int, n: int, rho: float) -> Floats:
    """Rows of an AR(1) process whose neighbours are correlated by rho, of mean 5 and variance 1."""
    rows = np.empty((trials, n))
    rows[:, 0] = random.normal(0.0, 1.0, trials)
    for step in range(1, n):
        rows[:, step] = rho * rows[:, step - 1] + math.sqrt(1 - rho * rho) * random.normal(0.0, 1.0, trials)
    return rows + 5.0


@pytest.mark.parametrize(
    ("statistic", "truth", "runs", "n"),
    [(mean, 1.0, 5, 200), (quantile(0.5), math.log(2), 5, 200), (quantile(0.99), math.log(100), 5, 3000)],
    ids=["mean", "p50", "p99"],
)
def test_intervals_over_replications_hold_the_truth_as_often_as_they_say(
    statistic: Statistic, truth: float, runs: int, n: int
) -> None:
    random = np.random.default_rng(1)
    found = [estimate(exponential(random, runs, n), statistic) for _ in range(TRIALS)]
    assert LEAST <= covered(found, truth) <= MOST


@pytest.mark.parametrize(("statistic", "truth"), [(mean, 5.0), (quantile(0.9), 5.0 + 1.2815516)], ids=["mean", "p90"])
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_intervals_over_batches_of_one_run_hold_the_truth_where_neighbours_are_alike(
    statistic: Statistic, truth: float, rho: float
) -> None:
    rows = waits(np.random.default_rng(2), TRIALS, 4000, rho)
    assert LEAST <= covered([estimate([row], statistic) for row in rows], truth) <= MOST


def test_as_if_they_were_independent_correlated_values_would_look_too_sure() -> None:
    """What batches are for: the same data taken as independent miss the truth far more often."""
    rows = waits(np.random.default_rng(2), TRIALS, 4000, 0.8)
    assert covered([of_values(row.tolist()) for row in rows], 5.0) < 0.6


def test_the_value_of_a_quantile_is_the_mean_of_the_runs_own() -> None:
    runs = exponential(np.random.default_rng(3), 4, 1000)
    found = estimate(runs, quantile(0.9))
    assert found is not None
    assert found.value == pytest.approx(np.mean([np.quantile(run, 0.9, method="inverted_cdf") for run in runs]))
    assert (found.n, found.method) == (4, "replications")


def test_too_few_values_give_a_value_and_no_interval() -> None:
    few = exponential(np.random.default_rng(4), 3, 100)
    found = estimate(few, quantile(0.999))
    assert found == Estimate(float(np.max(np.concatenate(few))))
    assert estimate([few[0]], quantile(0.9)) == Estimate(quantile(0.9).of(few[0]))


@pytest.mark.parametrize("runs", [[], [np.empty(0)], [np.empty(0), np.empty(0)]])
def test_nothing_gives_nothing(runs: list[Floats]) -> None:
    assert estimate(runs, mean) is None


@given(
    st.lists(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=30), min_size=1, max_size=6),
    st.sampled_from([mean, quantile(0.5), quantile(0.99)]),
)
def test_an_interval_holds_its_value_and_nothing_is_nan(values: list[list[float]], statistic: Statistic) -> None:
    found = estimate([np.array(run) for run in values], statistic)
    assert found is not None
    assert math.isfinite(found.value)
    if found.low is not None and found.high is not None:
        assert found.low <= found.value <= found.high


@given(st.lists(st.floats(0.0, 1e3), min_size=2, max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_replications_does_not_matter(values: list[float], random: object) -> None:
    turned = list(reversed(values))
    first, second = of_values(values), of_values(turned)
    assert first.value == pytest.approx(second.value)
    assert first.half_width == pytest.approx(second.half_width, rel=1e-6, abs=1e-9)


def test_a_share_of_which_nothing_was_seen_is_not_sure_to_be_zero() -> None:
    found = share([np.zeros(500, np.bool_)] * 2)
    assert found is not None
    assert (found.value, found.low, found.method) == (0.0, 0.0, "exact")
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 1000))
    full = share([np.ones(500, np.bool_)] * 2)
    assert full is not None
    assert full.low == pytest.approx(0.025 ** (1 / 1000))
