"""The queue before an edge's compute: a pool, and the estimate of the wait that a new request will find."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TypeVar

from nodes.compute_pool import ComputePool
from nodes.execution_ledger import ExecutionLedger
from nodes.queues import EdgeQueue

__all__ = ["PrefixQueue"]

T = TypeVar("T")


class PrefixQueue:
    """Runs work on a compute pool, keeps the estimate informed of what waits, and starts nothing that is over.

    prefixes, suffixes: what became of the two kinds of work that requests bring.
    """

    def __init__(self, pool: ComputePool, estimate: EdgeQueue) -> None:
        self._pool = pool
        self._estimate = estimate
        self._work_ids = itertools.count(1)
        self.prefixes, self.suffixes = ExecutionLedger(), ExecutionLedger()

    def wait_s(self) -> float:
        """Seconds until work submitted now would start."""
        return self._estimate.wait_s(time.monotonic())

    async def run(self, expected_s: float, work: Callable[[], T]) -> T:
        """`work()` on the pool, awaited; it is predicted to take `expected_s`."""
        work_id = next(self._work_ids)
        self._estimate.submitted(work_id, expected_s, time.monotonic())
        try:
            return await self._pool.run(work)
        finally:
            self._estimate.finished(work_id, time.monotonic())

    async def run_before(
        self, deadline_s: float | None, ledger: ExecutionLedger, expected_s: float, work: Callable[[], T]
    ) -> T:
        """As `run`, unless the deadline (monotonic) is over or the caller is cancelled before it begins.

        Raises DeadlineExceeded.
        """
        ticket = ledger.admit(deadline_s)

        def begun() -> T:
            ticket.begin(time.monotonic())
            return work()

        try:
            return await self.run(expected_s, begun)
        finally:
            ticket.withdraw(time.monotonic())
