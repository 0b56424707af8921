"""When to stop: precise enough, or surely on one side."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from isthmus.errors import InvalidQuantity
from simulations.answers.interval import of_values
from simulations.answers.ratio import Counted
from simulations.answers.stopping import LEAST_RUNS, looked_at, precise, side_of


def test_a_narrow_interval_of_enough_runs_is_precise() -> None:
    narrow = [100.0 + 0.1 * (number % 3) for number in range(LEAST_RUNS)]
    assert precise(of_values(narrow), 0.01)
    assert not precise(of_values(narrow[:5]), 0.01)
    assert not precise(of_values([50.0, 150.0] * LEAST_RUNS), 0.01)


def test_the_error_that_was_asked_for_is_kept_as_often_as_it_says() -> None:
    """Sampling until it says so, as a search does: nine of ten ends lie within the error (a 90 % interval)."""
    random, within = np.random.default_rng(5), 0
    for _ in range(100):
        values = list(random.exponential(1.0, LEAST_RUNS))
        while not precise(of_values(values, 0.9), 0.2):
            values.append(random.exponential(1.0))
        within += abs(np.mean(values) - 1.0) <= 0.2
    assert within >= 0.8 * 100  # three deviations below, and what stopping early costs


def test_windows_tell_a_side_as_soon_as_they_can() -> None:
    assert side_of(0.9, [Counted(95, 100), Counted(96, 100), Counted(95, 100), Counted(96, 100)], looks=5) == "above"
    assert side_of(0.9, [Counted(75, 100), Counted(76, 100), Counted(74, 100), Counted(75, 100)], looks=5) == "below"
    assert side_of(0.9, [Counted(89, 100), Counted(91, 100)], looks=5) == "open"
    assert side_of(0.9, [Counted(50, 100)], looks=5) == "open"
    assert side_of(0.9, [Counted(0, 0), Counted(0, 0)], looks=5) == "open"


WINDOWS = st.lists(st.integers(0, 300).flatmap(lambda came: st.builds(Counted, st.integers(0, came), st.just(came))))


@given(goal=st.sampled_from([0.5, 0.9, 0.99]), windows=WINDOWS, looks=st.integers(1, 50))
def test_a_side_is_said_where_the_interval_that_is_told_is_clear_of_the_goal(
    goal: float, windows: list[Counted], looks: int
) -> None:
    side, told = side_of(goal, windows, looks, 0.9), looked_at(windows, looks, 0.9)
    if told is None or told.low is None or told.high is None:
        assert side == "open"
        return
    assert told.low <= told.value <= told.high
    assert side == ("above" if told.low > goal else "below" if told.high < goal else "open")


@pytest.mark.parametrize(("kept", "came"), [(0, 9), (1, 9), (97, 100), (999, 1000), (10, 10)])
@pytest.mark.parametrize("looks", [1, 35])
def test_an_interval_of_windows_that_are_alike_is_the_exact_one(kept: int, came: int, looks: int) -> None:
    """Either end is the share of which what was seen, or more of it, is as rare as the error (Clopper and Pearson)."""
    told, error = looked_at([Counted(kept, came)] * 4, looks, 0.95), 0.05 / looks
    assert told is not None
    if kept:
        assert binomtest(4 * kept, 4 * came, told.low or 0.0, "greater").pvalue == pytest.approx(error)
    if kept < came:
        assert binomtest(4 * kept, 4 * came, told.high or 0.0, "less").pvalue == pytest.approx(error)


@given(
    goal=st.sampled_from([0.5, 0.9, 0.99, 0.999]),
    came=st.lists(st.integers(1, 1000), min_size=2, max_size=8),
    looks=st.integers(1, 30),
)
def test_of_requests_that_all_keep_it_as_many_are_needed_as_the_goal_is_high(
    goal: float, came: list[int], looks: int
) -> None:
    needed = math.log(0.05 / looks) / math.log(goal)
    kept = side_of(goal, [Counted(one, one) for one in came], looks, 0.95)
    assert kept == ("above" if sum(came) >= needed else "open")
    # And of those that all break it, as many as it is low.
    broken = side_of(1.0 - goal, [Counted(0, one) for one in came], looks, 0.95)
    assert broken == ("below" if sum(came) >= needed else "open")


def test_windows_that_are_alike_by_chance_tell_nothing() -> None:
    assert side_of(0.89, [Counted(9, 10)] * 5, looks=10) == "open"
    assert side_of(0.91, [Counted(9, 10)] * 5, looks=10) == "open"


def test_that_every_request_keeps_it_is_broken_by_one_and_said_at_the_end_only() -> None:
    whole = [Counted(1000, 1000)] * 20
    assert side_of(1.0, whole, looks=5) == "open"
    assert side_of(1.0, whole, looks=5, last=True) == "above"
    assert side_of(1.0, [*whole, Counted(999, 1000)], looks=5) == "below"


@pytest.mark.parametrize(("goal", "came"), [(0.9, 50), (0.999, 20)])
def test_looking_again_and_again_does_not_make_it_say_something(goal: float, came: int) -> None:
    """At the goal itself no side is right: it may say either in 5 of 100 searches."""
    random, said = np.random.default_rng(6), 0
    looks = 19
    for _ in range(200):
        # Windows that differ by more than chance does, as queues make them.
        shares = random.beta(goal * 50, (1 - goal) * 50, looks + 1)
        windows = [Counted(int(random.binomial(came, share)), came) for share in shares]
        said += any(side_of(goal, windows[: n + 2], looks) != "open" for n in range(looks))
    assert said <= 0.10 * 200


@pytest.mark.parametrize("error", [0.0, 1.0, float("nan")])
def test_an_error_that_is_no_share_is_refused(error: float) -> None:
    with pytest.raises(InvalidQuantity, match="relative error"):
        precise(of_values([1.0, 2.0]), error)


def test_at_least_one_look() -> None:
    with pytest.raises(InvalidQuantity, match="looks"):
        side_of(0.5, [Counted(1, 1)], looks=0)
