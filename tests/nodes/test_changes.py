"""Waiting for something to change."""

from __future__ import annotations

import asyncio
import time

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
    changes.tell()
    assert told == ["while it listened"]
