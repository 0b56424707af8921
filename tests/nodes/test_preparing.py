"""How long requests wait for plans that are being prepared, as far as a replica knows."""

from __future__ import annotations

import asyncio
import threading
import time

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


async def test_what_runs_and_what_waits_behind_it_is_waited_for() -> None:
    gate, begun = threading.Event(), threading.Event()

    def held() -> None:
        begun.set()
        gate.wait(WAIT_S)

    with ComputePool() as pool:
        work = PreparingWork(pool)
        parts = [asyncio.create_task(work.run(kind, held)) for kind in ("load", "measure")]
        await asyncio.to_thread(begun.wait)
        now_s = time.monotonic()
        assert FIRST_S < work.wait_s(now_s) <= 2 * FIRST_S
        assert work.wait_s(now_s + 2 * FIRST_S) == FIRST_S  # what runs is late, and may end any moment
        gate.set()
        await asyncio.gather(*parts)


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
