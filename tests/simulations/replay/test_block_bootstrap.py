"""Error bars that resample blocks of time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.replay.block_bootstrap import LEAST_BLOCKS, P50, P99, Blocks, Interval, Statistic, mean

VALUES = st.lists(st.floats(0.001, 100.0), min_size=1, max_size=60)


def ends(found: Interval) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def width(found: Interval) -> float:
    low, high = ends(found)
    return high - low


@given(values=VALUES, seed=st.integers(0, 9))
@settings(max_examples=20)
def test_a_statistic_lies_within_the_values_and_its_interval_within_them_too(values: list[float], seed: int) -> None:
    blocks = Blocks.of([float(n) for n in range(len(values))], 3.0, seed)
    for statistic in (P50, P99, mean):
        found = blocks.interval(np.array(values), statistic)
        assert min(values) - 1e-9 <= found.value <= max(values) + 1e-9
        if blocks.number >= LEAST_BLOCKS and len(values) >= statistic.least:
            low, high = ends(found)
            assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


@pytest.mark.parametrize("number", [1, LEAST_BLOCKS - 1])
def test_too_few_blocks_tell_nothing_of_chance(number: int) -> None:
    blocks, values = Blocks.of(list(map(float, range(number))), 1.0, 0), np.arange(1.0, number + 1)
    assert blocks.number == number
    assert blocks.interval(values, mean) == Interval(values.mean())
    assert blocks.change(2 * values, values, mean) == Interval(1.0)


@pytest.mark.parametrize(("statistic", "least"), [(P50, 10), (P99, 500)])
def test_a_quantile_with_fewer_than_five_values_beyond_it_has_no_interval(statistic: Statistic, least: int) -> None:
    values = np.random.default_rng(1).exponential(1.0, least)
    blocks = Blocks.of([n * 60.0 / least for n in range(least)], 1.0, 0)
    assert width(blocks.interval(values, statistic)) > 0.0
    assert width(blocks.change(values, 2 * values, statistic)) >= 0.0
    few = np.where(np.arange(least) == 7, np.nan, values)
    assert blocks.interval(few, statistic).low is None
    assert blocks.change(few, values, statistic).low is None
    assert blocks.change(values, few, statistic).low is None


def test_blocks_are_no_shorter_than_asked() -> None:
    assert Blocks.of(list(map(float, range(20))), 5.0, 0).number == 4


def test_blocks_without_a_value_tell_nothing_either() -> None:
    blocks, values = Blocks.of(list(map(float, range(20))), 1.0, 0), np.arange(1.0, 21.0)
    few = np.where(values < LEAST_BLOCKS, values, np.nan)
    assert blocks.interval(few, mean).low is None
    assert blocks.change(values, few, mean).high is None
    assert blocks.change(few, values, mean).high is None
    assert width(blocks.interval(values, mean)) > 0.0


@given(values=VALUES, share=st.sampled_from([(P50, 0.5), (P99, 0.99)]))
@settings(max_examples=20)
def test_a_quantile_is_the_least_value_that_its_share_is_not_above(
    values: list[float], share: tuple[Statistic, float]
) -> None:
    statistic, wanted = share
    found = Blocks.of(list(map(float, range(len(values)))), 1.0, 0).interval(np.array(values), statistic).value
    assert found == np.quantile(values, wanted, method="inverted_cdf")


def test_requests_without_a_value_do_not_count() -> None:
    values = np.array([1.0, np.nan, 3.0, np.nan])
    assert Blocks.of([0.0, 1.0, 2.0, 3.0], 1.0, 0).interval(values, mean).value == 2.0


def test_what_moves_together_differs_more_surely_than_either_is_known() -> None:
    slow = np.repeat(np.random.default_rng(1).uniform(1.0, 9.0, 40), 25)  # a busy minute is busy for all in it
    blocks = Blocks.of([float(n) for n in range(1000)], 25.0, 0)
    alone, together = blocks.interval(slow, mean), blocks.change(0.9 * slow, slow, mean)
    assert together.value == pytest.approx(-0.1)
    assert width(together) < 1e-6 < width(alone)


def test_neighbours_that_are_alike_make_the_interval_wider() -> None:
    blocky = np.repeat(np.random.default_rng(1).uniform(1.0, 9.0, 40), 25)
    moments = [float(n) for n in range(1000)]
    shuffled = np.random.default_rng(2).permutation(blocky)
    widths = [width(Blocks.of(moments, 25.0, 0).interval(values, mean)) for values in (blocky, shuffled)]
    assert widths[0] > 2 * widths[1]
