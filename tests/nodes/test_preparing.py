"""How long requests wait for plans that are being prepared, as far as a replica knows."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial

import pytest

from nodes.compute_pool import ComputePool
from nodes.preparing import FIRST_S, PreparingWork

WAIT_S = 60.0  # where a test fails


async def test_nothing_is_waited_for_while_nothing_is_prepared() -> None:
    with ComputePool() as pool:
        work = PreparingWork(pool)
        assert work.wait_s(time.monotonic()) == 0.0
        assert await work.run("load", lambda: 7) == 7
        assert work.wait_s(time.monotonic()) == 0.0


async def test_what_requests_bring_waits_for_the_part_that_runs_and_not_for_those_behind_it() -> None:
    gate, begun, order = threading.Event(), threading.Event(), list[str]()

    def held(kind: str) -> None:
        begun.set()
        gate.wait(WAIT_S)
        order.append(kind)

    with ComputePool() as pool:
        work = PreparingWork(pool)
        parts = [asyncio.create_task(work.run(kind, partial(held, kind))) for kind in ("load", "measure")]
        await asyncio.to_thread(begun.wait)
        now_s = time.monotonic()
        assert 0.0 < work.wait_s(now_s) <= FIRST_S
        assert work.wait_s(now_s + 2 * FIRST_S) == 0.0  # it is late, and may end any moment
        brought = asyncio.create_task(pool.run(lambda: order.append("request")))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(brought, *parts)
    assert order == ["load", "request", "measure"]


async def test_the_next_of_a_kind_is_expected_to_take_as_long_as_the_last() -> None:
    gate = threading.Event()
    with ComputePool() as pool:
        work = PreparingWork(pool)
        began_s = time.monotonic()
        await work.run("measure", lambda: time.sleep(0.02))
        took_s = time.monotonic() - began_s
        pool.post(lambda: gate.wait(WAIT_S), list)
        part = asyncio.create_task(work.run("measure", int))
        await asyncio.sleep(0)
        assert 0.02 <= work.wait_s(time.monotonic()) <= took_s
        gate.set()
        await part


async def test_what_fails_is_waited_for_no_longer() -> None:
    with ComputePool() as pool:
        work = PreparingWork(pool)
        with pytest.raises(ZeroDivisionError):
            await work.run("load", lambda: 1 / 0)
        assert work.wait_s(time.monotonic()) == 0.0
        gate = threading.Event()
        pool.post(lambda: gate.wait(WAIT_S), list)
        part = asyncio.create_task(work.run("load", int))
        await asyncio.sleep(0)
        assert work.wait_s(time.monotonic()) == FIRST_S  # a failure tells nothing of what takes longer
        gate.set()
        await part
