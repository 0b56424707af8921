"""Repeats, their low quantile and their spread."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.measure.timing import is_noisy, measure, measure_interleaved, percentile, pooled, summary
from partitioner.measurements import Measurement

TIMES = st.lists(st.floats(0, 1e3), min_size=1, max_size=50)


@given(times=TIMES)
def test_a_summary_lies_between_the_least_and_the_median(times: list[float]) -> None:
    found = summary(times)
    assert min(times) <= found.seconds <= found.seconds + found.spread_s <= max(times) + 1e-9
    assert found.repeats == len(times)


@given(times=TIMES)
def test_a_percentile_is_one_of_the_values(times: list[float]) -> None:
    assert percentile(times, 0.1) in times


def test_one_slow_repeat_does_not_move_the_result() -> None:
    assert summary([1.0] * 9 + [50.0]).seconds == 1.0


def test_a_spent_budget_still_gives_the_least_number_of_repeats() -> None:
    calls = list[int]()
    found = measure(lambda: calls.append(1), budget_s=0.0, min_repeats=4, warm_ups=2)
    assert (found.repeats, len(calls)) == (4, 6)


def test_quick_calls_stop_at_the_most_repeats() -> None:
    assert measure(lambda: None, budget_s=60.0, max_repeats=7).repeats == 7


@pytest.mark.parametrize(("spread", "noisy"), [(0.0, False), (0.02, False), (0.05, True)])
def test_repeats_that_disagree_are_noisy(spread: float, noisy: bool) -> None:
    assert is_noisy(Measurement(0.1, spread, 10)) is noisy


def test_interleaved_calls_are_made_equally_often_after_one_warm_up_each() -> None:
    calls = [0, 0, 0]

    def count(which: int) -> None:
        calls[which] += 1

    found = measure_interleaved([partial(count, which) for which in range(3)], budget_s=0.0, min_rounds=4)
    assert calls == [5, 5, 5]
    assert [one.repeats for one in found] == [4, 4, 4]


def test_passes_pool_to_their_median_and_the_distance_between_them() -> None:
    passes = [Measurement(seconds, 0.5, 5) for seconds in (3.0, 1.0, 1.25)]
    assert pooled(passes) == Measurement(1.25, 2.0, 15)
