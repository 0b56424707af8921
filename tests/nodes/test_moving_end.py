"""Waits whose end moves."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from nodes.moving_end import MovingEnd


async def lasted_s(end: MovingEnd, *moments_s: float) -> float:
    """Until a wait for ever was ended. moments_s: by when it has to, one after the other."""

    async def waits() -> None:
        async with end:
            for moment_s in moments_s:
                end.end_by(moment_s)
            await asyncio.Event().wait()

    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        await waits()
    return time.monotonic() - began_s


async def test_it_ends_when_it_is_late_or_its_time_is_over_whichever_is_first() -> None:
    now_s = time.monotonic()
    assert await lasted_s(MovingEnd(math.inf, lambda: now_s + 0.05)) >= 0.04
    now_s = time.monotonic()
    assert 0.04 <= await lasted_s(MovingEnd(now_s + 0.05, lambda: now_s + 60.0)) < 10.0


async def test_what_puts_its_lateness_off_lets_it_last_but_not_past_its_time() -> None:
    now_s = time.monotonic()
    moments = iter([now_s + 0.01, now_s + 0.02, now_s + 0.05])
    assert await lasted_s(MovingEnd(math.inf, lambda: next(moments, now_s + 0.05))) >= 0.04
    now_s = time.monotonic()
    assert 0.04 <= await lasted_s(MovingEnd(now_s + 0.05, lambda: time.monotonic() + 0.01)) < 10.0


async def test_it_may_have_to_end_sooner_and_later_again_but_never_after_its_time() -> None:
    now_s = time.monotonic()
    assert 0.005 <= await lasted_s(MovingEnd(now_s + 60.0, lambda: math.inf), now_s + 0.01) < 10.0
    now_s = time.monotonic()
    end = MovingEnd(now_s + 0.1, lambda: math.inf)
    assert 0.09 <= await lasted_s(end, now_s + 0.01, now_s + 60.0) < 10.0


async def test_what_ends_in_time_is_left_alone() -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, fault: faults.append(fault))
    now_s = time.monotonic()
    async with MovingEnd(now_s + 0.02, lambda: math.inf) as end:
        pass
    end.end_by(now_s)
    await asyncio.sleep(0.03)
    assert faults == []
