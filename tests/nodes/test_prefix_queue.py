"""The queue before an edge's compute."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nodes.compute_pool import ComputePool
from nodes.prefix_queue import PrefixQueue
from scheduler.estimators.load import EdgeQueueEstimator


async def test_work_under_way_is_a_wait_and_its_end_is_none() -> None:
    gate = threading.Event()
    with ComputePool() as pool:
        queue = PrefixQueue(pool, EdgeQueueEstimator())
        work = asyncio.create_task(queue.run(60.0, gate.wait))
        await asyncio.sleep(0)  # one turn for the task, so that it submits
        assert queue.wait_s() == pytest.approx(60.0, abs=5.0)
        gate.set()
        await work
        assert queue.wait_s() == 0.0


async def test_work_that_raises_leaves_no_wait_behind() -> None:
    def fail() -> None:
        raise ValueError("no")

    with ComputePool() as pool:
        queue = PrefixQueue(pool, EdgeQueueEstimator())
        with pytest.raises(ValueError, match="no"):
            await queue.run(60.0, fail)
        assert queue.wait_s() == 0.0
