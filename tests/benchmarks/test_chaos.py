"""Chaos in short: real processes, killed, stopped, drained and cut off at random, and no request is lost."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.chaos import run_chaos


@pytest.mark.slow
def test_no_request_is_lost_wrong_or_answered_twice() -> None:
    chaos = asyncio.run(run_chaos(1_500, seed=1, least_faults=4))
    assert chaos.lost == []
    assert (chaos.wrong, chaos.duplicated) == (0, 0)
    assert len(chaos.asked) >= 1_500
    assert chaos.faults.total() >= 4
    assert "cloud" in {one.finished_by for one in chaos.asked}
