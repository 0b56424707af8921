"""The short form of the figure `analytic`: the simulator's queues against their formulas."""

from __future__ import annotations

import pytest

from benchmarks.analytic import Compared, cases, compared, exponential, mean_wait, share_above_zero, share_that_waits


@pytest.fixture(scope="module")
def found() -> list[Compared]:
    return [
        compared(case, 6, 800, seed=0, confidence=0.995)
        for case in cases()
        if case.load < 0.8 or case.statistic is share_above_zero
    ]


def test_every_formula_is_within_the_interval_of_its_case(found: list[Compared]) -> None:
    assert not [one.line for one in found if one.distance > 1.0]


def test_the_interval_of_no_case_is_so_wide_that_it_says_nothing(found: list[Compared]) -> None:
    assert not [one.line for one in found if one.half_width > 0.8 * one.case.expected]


def test_one_server_of_many_is_one_server() -> None:
    assert share_that_waits(0.7, 1) == pytest.approx(0.7)
    assert share_that_waits(0.7, 1) / (1 - 0.7) == pytest.approx(mean_wait(0.7, exponential))
