"""Chaos in short: real processes, killed, stopped, drained and cut off at random, and no request is lost."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


def test_no_request_is_lost_wrong_or_answered_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)  # as a script there finds its neighbours
    from chaos import run_chaos

    chaos = asyncio.run(run_chaos(1_500, seed=1))
    assert chaos.lost == []
    assert (chaos.wrong, chaos.duplicated, len(chaos.asked)) == (0, 0, 1_500)
    assert sum(chaos.faults.values()) > 0
    assert "cloud" in {one.finished_by for one in chaos.asked}
    assert "chaos" in sys.modules
