"""How a fleet is looked at."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.answers.slo import Slo
from simulations.capacity.verdict import judged, looks
from simulations.fleet import Fleet
from simulations.scenario.sweep import with_settings
from tests.simulations.capacity.conftest import Make


@given(st.integers(10, 200))
def test_each_look_sees_much_more_than_the_one_before_and_the_last_one_all(windows: int) -> None:
    found = looks(windows)
    assert (found[0], found[-1]) == (5, windows)
    # 1.7 times as much, roughly: a look that sees little more costs confidence and tells nothing.
    assert all(1.28 <= after / before <= 2.25 for before, after in pairwise(found))


def test_looks_of_a_long_run() -> None:
    assert looks(120) == [5, 8, 14, 24, 41, 70, 120]


@pytest.mark.parametrize("early", [True, False])
def test_too_near_to_tell_stands_beside_an_interval_that_holds_the_promise(scenario_of: Make, early: bool) -> None:
    """Three replicas answer two thirds of the requests within a quarter of a second."""
    file, sides = with_settings(scenario_of(), [("cloud.replicas", 3)]), set()
    for share in (0.56, 0.6, 0.64, 0.7, 0.74, 0.78):
        verdict = judged(Fleet(file.scenario, file.folder), Slo(0.25, share), 0.95, range(1), early=early)
        low, high = verdict.share.low, verdict.share.high
        assert low is not None
        assert high is not None
        assert verdict.side == ("above" if low > share else "below" if high < share else "open")
        sides.add(verdict.side)
    assert "open" in sides
