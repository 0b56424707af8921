"""The queue before an edge's compute: a pool, and the estimate of the wait that a new request will find."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TypeVar

from nodes.batch_queue import BatchCounts, BatchQueue, QueuedWork
from nodes.batch_times import BatchTimes
from nodes.batching import DEFAULT_LIMITS, BatchLimits
from nodes.compute_pool import ComputePool
from nodes.halves import EdgeOutcome
from nodes.prefix_batch import PrefixWork, prefix_group, run_prefixes
from nodes.queues import EdgeQueue

__all__ = ["PrefixQueue"]

T = TypeVar("T")


class PrefixQueue:
    """Runs prefixes, several as one where they wait and that pays, and other work between them, on one pool."""

    def __init__(self, pool: ComputePool, estimate: EdgeQueue, batching: BatchLimits = DEFAULT_LIMITS) -> None:
        """estimate: is told of the other work; what prefixes take as batches is known here."""
        self.pool = pool
        self._estimate = estimate
        self._work_ids = itertools.count(1)
        self._prefixes: BatchQueue[PrefixWork, EdgeOutcome] = BatchQueue(pool, batching, run_prefixes)

    @property
    def prefix_counts(self) -> BatchCounts:
        """The batches of prefixes that have run."""
        return self._prefixes.counts

    def wait_s(self) -> float:
        """Seconds until work submitted now would start."""
        return self._estimate.wait_s(time.monotonic()) + self._prefixes.wait_s()

    async def run(self, expected_s: float, work: Callable[[], T]) -> T:
        """`work()` on the pool, awaited; it is predicted to take `expected_s`."""
        work_id = next(self._work_ids)
        self._estimate.submitted(work_id, expected_s, time.monotonic())
        try:
            return await self.pool.run(work)
        finally:
            self._estimate.finished(work_id, time.monotonic())

    async def run_prefix(
        self, work: PrefixWork, edge_times: BatchTimes, deadline_s: float | None, priority: int
    ) -> EdgeOutcome:
        """The outcome of one request's prefix. edge_times: t(B) of all that the edge does up to the wire.

        Raises DeadlineExceeded where its time is over before it starts, and what the half's `run` raises.
        """
        return await self._prefixes.run(
            QueuedWork(
                work=work,
                group=prefix_group(work.half, work.inputs),
                items=work.inputs.batch,
                times=edge_times,
                arrived_s=time.monotonic(),
                deadline_s=deadline_s,
                priority=priority,
            )
        )
