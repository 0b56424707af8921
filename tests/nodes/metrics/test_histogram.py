"""Observations by size."""

from __future__ import annotations

import math

from nodes.metrics.histogram import Histogram


def test_an_observation_belongs_to_the_lowest_bound_that_it_does_not_exceed() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5):
        histogram.observe(value)
    assert (histogram.count().counts, histogram.count().sum) == ((2, 1, 1), 5.5)


def test_a_clock_that_goes_back_counts_as_nothing() -> None:
    histogram = Histogram((1.0,))
    histogram.observe(-3.0)
    assert (histogram.count().counts, histogram.count().sum) == ((1, 0), 0.0)


def test_what_is_no_number_is_left_out() -> None:
    histogram = Histogram((1.0,))
    histogram.observe(math.nan)
    histogram.observe(math.inf)
    assert (histogram.count().counts, histogram.count().sum) == ((0, 0), 0.0)


def test_a_count_stays_as_it_was() -> None:
    histogram = Histogram((1.0,))
    before = histogram.count()
    histogram.observe(0.5)
    assert before.counts == (0, 0)
