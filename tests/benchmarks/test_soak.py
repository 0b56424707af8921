"""The soak in short, and proof that it would see what it looks for."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from benchmarks.soak import EXPECTED, WEIGHTS, Soak, growth, last_slope, left_behind, run_soak

HELD = {"requests": 0, "streams": 1, "held_bytes": 0, "tasks": 20, "threads": 4, "descriptors": 23}


@pytest.mark.slow
def test_edge_and_cloud_processes_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.soak.REHEARSAL_S", 2.0)
    soak = asyncio.run(run_soak(4.0, seed=1))
    assert left_behind(soak) == []
    assert soak.outcomes["split", "answered"] > 0
    assert soak.words == {}
    assert len(soak.statuses["edge"]) == len(soak.statuses["cloud"]) == len(soak.times_s) >= 2


def test_what_is_not_given_back_is_named() -> None:
    soak = Soak(before={"edge": HELD}, after={"edge": {**HELD, "tasks": 21, "held_bytes": 5}})
    assert left_behind(soak) == ["edge: held_bytes 0 -> 5", "edge: tasks 20 -> 21"]


@pytest.mark.parametrize("leak", [0.0, 5_000.0])
def test_growth_is_found_among_steps_and_noise(leak: float) -> None:
    noise, times_s = Random(0), [2.0 * number for number in range(300)]
    resident = [round(5e8 + 1e5 * noise.random() + leak * at_s + 2e7 * (at_s == 100.0)) for at_s in times_s]
    found = growth(times_s, resident)
    assert found.value == pytest.approx(1 + leak * 598 / 5e8, abs=1e-4)
    assert (found.low > 1.001) == (leak > 0)


def test_the_slope_of_the_last_half_tells_filling_from_leaking() -> None:
    noise, times_s = Random(0), [2.0 * number for number in range(600)]
    filling = [round(5e8 + 1e5 * noise.random() + 20_000 * min(at_s, 400.0)) for at_s in times_s]
    leaking = [round(5e8 + 1e5 * noise.random() + 20_000 * at_s) for at_s in times_s]
    assert last_slope(times_s, filling).low < 0 < last_slope(times_s, filling).high
    assert last_slope(times_s, leaking).value == pytest.approx(60 * 20_000, rel=0.01)


def test_how_requests_may_not_end_is_told_in_words() -> None:
    soak = Soak()
    for kind, outcomes in EXPECTED.items():
        for outcome in outcomes:
            soak.ended(kind, outcome)
    assert soak.words == {}
    soak.ended("split", "CloudUnavailable", "no replica is reachable")
    soak.ended("refused", "answered")
    assert soak.words == {"split: CloudUnavailable: no replica is reachable": 1, "refused: answered: ": 1}
    assert len(WEIGHTS) == len(EXPECTED)
