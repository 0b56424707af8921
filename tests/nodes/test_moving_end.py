"""Waits whose end moves."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import Any

import pytest

from nodes.changes import Changes
from nodes.moving_end import LONGEST_LOOK_S, LOOK_S, MovingEnd


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


async def read(answer: asyncio.Future[str]) -> str:
    """As a stream does: what is there takes some turns of the event loop to reach whoever waits."""
    await answer
    for _ in range(5):
        await asyncio.sleep(0)
    return answer.result()


async def test_what_came_while_the_process_stood_still_is_read_before_it_counts_as_late() -> None:
    loop, late_s = asyncio.get_running_loop(), time.monotonic() + 0.05
    answer: asyncio.Future[str] = loop.create_future()
    came = threading.Timer(0.02, loop.call_soon_threadsafe, [answer.set_result, "in time"])
    came.start()
    async with MovingEnd(math.inf, lambda: late_s):
        time.sleep(0.2)  # noqa: ASYNC251 - a process that stands still
        assert await read(answer) == "in time"


@pytest.mark.parametrize("stood_still_s", [0.0, 0.1])
async def test_a_process_that_stood_still_looks_as_long_as_that_and_not_for_ever(stood_still_s: float) -> None:
    now_s = time.monotonic()
    asyncio.get_running_loop().call_later(0.01, time.sleep, 0.01 + stood_still_s)
    least_s = 0.02 + max(LOOK_S, 2 * stood_still_s)
    assert 0.9 * least_s <= await lasted_s(MovingEnd(math.inf, lambda: now_s + 0.02)) < LONGEST_LOOK_S + 10.0


async def test_the_end_in_any_case_is_not_put_off_by_that() -> None:
    now_s = time.monotonic()
    asyncio.get_running_loop().call_later(0.01, time.sleep, 0.4)
    assert await lasted_s(MovingEnd(now_s + 0.3, lambda: now_s + 0.05)) < 0.7  # it would look until 0.77


async def test_it_is_told_that_it_may_be_late_sooner() -> None:
    now_s, moments = time.monotonic(), [60.0]
    end = MovingEnd(math.inf, lambda: now_s + moments[-1])

    def sooner() -> None:
        moments.append(0.0)
        end.again()

    asyncio.get_running_loop().call_later(0.02, sooner)
    assert 0.015 <= await lasted_s(end) < 10.0
    end.again()  # it has ended


async def test_a_thousand_that_are_late_in_one_moment_and_tell_each_other_all_end() -> None:
    changes, waits, late_s = Changes(), 1000, time.monotonic() + 0.2

    async def waits_on() -> None:
        untold = [True]

        def late() -> float:
            if time.monotonic() >= late_s and untold:
                untold.clear()
                changes.tell()
            return late_s

        async with MovingEnd(math.inf, late) as end:
            with changes.heard_by(end.again):
                await asyncio.Event().wait()

    tasks = [asyncio.create_task(waits_on()) for _ in range(waits)]
    await asyncio.sleep(0.01)
    time.sleep(max(0.0, late_s + 0.05 - time.monotonic()))  # noqa: ASYNC251 - a process that stands still
    ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20.0)
    assert [type(end) for end in ends] == [TimeoutError] * waits
