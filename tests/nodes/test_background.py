"""Work apart from the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nodes.background import run_apart, to_its_end


async def test_the_loop_goes_on_meanwhile() -> None:
    go = threading.Event()
    waiting = asyncio.create_task(run_apart(go.wait))
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    assert await waiting is True


async def test_its_error_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        await run_apart(lambda: 1 / 0)


async def test_it_keeps_no_process_alive() -> None:
    assert await run_apart(lambda: threading.current_thread().daemon)


async def test_what_is_brought_to_its_end_is_over_when_its_waiter_is_cancelled() -> None:
    go, over = threading.Event(), list[bool]()
    waiting = asyncio.create_task(to_its_end(run_apart(lambda: over.append(go.wait()))))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert over == [True]
