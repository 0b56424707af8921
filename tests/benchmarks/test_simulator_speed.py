"""The simulator's speed holds only where a request costs as much in a large fleet, and says what was simulated."""

from __future__ import annotations

import pytest

from benchmarks.figure import Options, PairedSamples, ratio_figure
from benchmarks.simulator_speed import GOAL_GROWTH, Timed, judged

OPTIONS = Options(quick=True, as_json=False, record=False, seed=0)
ROUNDS = [Timed(4000, 0.08)] * 6


@pytest.mark.parametrize(("growth", "holds"), [(1.2, True), (1.3, False)])
def test_a_cost_that_grows_with_the_fleet_does_not_hold(growth: float, holds: bool) -> None:
    samples = PairedSamples((200.0 * growth,) * 5, (200.0,) * 5, (200.0,) * 5)
    grown = ratio_figure("growth", samples, GOAL_GROWTH, OPTIONS, details={"1 edges": "1 us", "100 edges": "2 us"})
    found = judged(ROUNDS, 1.0, grown, True, OPTIONS)
    assert found.value == pytest.approx(20.0)
    assert found.holds == holds
    assert ("growth" in found.verdict) == (not holds)


def test_a_million_requests_is_said_to_be_scaled_up() -> None:
    samples = PairedSamples((200.0,) * 5, (200.0,) * 5, (200.0,) * 5)
    grown = ratio_figure("growth", samples, GOAL_GROWTH, OPTIONS, details={"1 edges": "1 us", "100 edges": "2 us"})
    found = judged(ROUNDS, 1.0, grown, True, OPTIONS)
    assert "scaled up from 24000 simulated" in found.verdict
    assert "6 x 4000" in str(found.details["a million requests"])
