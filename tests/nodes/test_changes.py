"""Waiting for something to change."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter

import pytest

from nodes.changes import Changes


async def test_all_who_wait_are_woken_by_one_change() -> None:
    changes = Changes()
    waiting = [asyncio.create_task(changes.next()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    changes.tell()
    await asyncio.wait_for(asyncio.gather(*waiting), 10.0)


async def test_a_wait_ends_at_its_time_without_a_change() -> None:
    began_s = time.monotonic()
    await Changes().next(began_s + 0.02)
    assert 0.015 <= time.monotonic() - began_s < 10.0
    await Changes().next(began_s)


async def test_who_was_cancelled_is_told_nothing_any_more() -> None:
    changes, told = Changes(), list[str]()
    waiting = asyncio.create_task(changes.next())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with changes.heard_by(lambda: told.append("while it listened")):
        changes.tell()
        await asyncio.sleep(0)
    changes.tell()
    await asyncio.sleep(0)
    assert told == ["while it listened"]


async def test_any_number_may_listen_who_tell_something_themselves_and_each_is_called_once_for_all_of_it() -> None:
    changes, called = Changes(), Counter[int]()
    with contextlib.ExitStack() as listening:
        for number in range(2 * sys.getrecursionlimit()):

            def listener(number: int = number) -> None:
                called[number] += 1
                if called[number] == 1:
                    changes.tell()

            listening.enter_context(changes.heard_by(listener))
        changes.tell()
        for _ in range(5):
            await asyncio.sleep(0)
    assert len(called) == 2 * sys.getrecursionlimit()
    assert set(called.values()) == {2}
