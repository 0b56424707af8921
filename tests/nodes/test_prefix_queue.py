"""The queue before an edge's compute."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Awaitable

import pytest

from isthmus.errors import ComputeFailed, DeadlineExceeded
from nodes.batch_times import BatchTimes
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.inputs import ModelInputs
from nodes.prefix_batch import PrefixWork, edge_suffix_group
from nodes.prefix_queue import PrefixQueue
from scheduler.estimators.load import EdgeQueueEstimator
from tests.nodes.sites import inputs_of, small_model, split_plan


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


async def test_prefixes_and_suffixes_take_their_turns_by_when_they_are_due() -> None:
    model, gate, ended = small_model(), threading.Event(), list[str]()
    half = split_plan(model, EagerEngine(threads=1), cloud_s=0.0, finish_s=0.0).half
    work = PrefixWork(half, ModelInputs({model.graph.inputs[0]: inputs_of(1)}, 1), BatchTimes.of({1: 1.0}))
    group, now_s = edge_suffix_group(half, 1), time.monotonic()

    async def note(name: str, piece: Awaitable[object]) -> None:
        await piece
        ended.append(name)

    with ComputePool() as pool:
        queue = PrefixQueue(pool, EdgeQueueEstimator())

        def suffix(due_s: float | None, deadline_s: float | None = None) -> Awaitable[object]:
            return queue.run_suffix(gate.wait, group, 2.0, deadline_s, due_s, 0)

        def prefix(due_s: float | None, deadline_s: float | None) -> Awaitable[object]:
            return queue.run_prefix(work, BatchTimes.of({1: 1.0}), deadline_s, 0, due_s)

        pieces = {
            "runs": suffix(now_s + 50.0),
            "after what is due": suffix(math.inf, now_s + 60.0),
            "due at 90": prefix(None, now_s + 90.0),
            "due at 80": suffix(None, now_s + 80.0),
            "due at 70": prefix(now_s + 70.0, now_s + 100.0),
        }
        tasks = [asyncio.create_task(note(name, piece)) for name, piece in pieces.items()]
        await asyncio.sleep(0)  # one turn, so that they are in the queue
        assert queue.wait_s() == pytest.approx(3 * 2.0 + 2 * 1.0, abs=1.5)
        gate.set()
        await asyncio.gather(*tasks)
    assert ended == ["runs", "due at 70", "due at 80", "due at 90", "after what is due"]
    assert (queue.suffixes.counts.executed, queue.prefixes.counts.executed, queue.prefix_counts.batches) == (3, 2, 2)


async def test_a_suffix_that_fails_says_so_and_one_whose_deadline_is_over_does_not_run() -> None:
    half = split_plan(small_model(), EagerEngine(threads=1), cloud_s=0.0, finish_s=0.0).half

    def fail() -> None:
        raise ComputeFailed("no")

    with ComputePool() as pool:
        queue = PrefixQueue(pool, EdgeQueueEstimator())
        with pytest.raises(ComputeFailed, match="no"):
            await queue.run_suffix(fail, edge_suffix_group(half, 1), 1.0, None, None, 0)
        with pytest.raises(DeadlineExceeded):
            await queue.run_suffix(fail, edge_suffix_group(half, 1), 1.0, time.monotonic() - 1.0, None, 0)
        assert queue.wait_s() == 0.0
    counts = queue.suffixes.counts
    assert (counts.executed, counts.expired_unexecuted) == (1, 1)
