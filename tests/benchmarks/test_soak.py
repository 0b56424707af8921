"""The soak in short, and proof that it would see what it looks for."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from benchmarks.soak import Soak, growth, left_behind, run_soak

HELD = {"requests": 0, "streams": 1, "held_bytes": 0, "tasks": 20, "threads": 4, "descriptors": 23}


@pytest.mark.slow
def test_edge_and_cloud_processes_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.soak.REHEARSAL_S", 2.0)
    soak = asyncio.run(run_soak(4.0, seed=1))
    assert left_behind(soak) == []
    assert soak.outcomes["answered"] > 0
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
