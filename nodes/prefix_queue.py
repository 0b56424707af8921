"""The queue before an edge's compute: a pool, and the estimate of the wait that a new request will find."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from nodes.batch_queue import AT_ONCE_S, BatchQueue, QueuedWork
from nodes.batch_times import BatchTimes
from nodes.batching import DEFAULT_LIMITS, BatchGroup, BatchLimits
from nodes.compute_pool import ComputePool
from nodes.engine_queue import BatchCounts
from nodes.execution_ledger import ExecutionLedger, Ticket
from nodes.halves import EdgeOutcome
from nodes.prefix_batch import PrefixWork, prefix_group, run_prefixes
from nodes.preparing import PreparingWork
from nodes.queues import EdgeQueue

__all__ = ["PrefixQueue"]

T = TypeVar("T")


class _Suffix(NamedTuple):
    """Of a request that the cloud did not answer."""

    compute: Callable[[], object]


class PrefixQueue:
    """Runs prefixes, several as one where they wait and that pays, and suffixes, the most urgent one first; and other
    work between them, on one pool.

    Starts nothing that is over. prefixes, suffixes: what became of the two kinds of work that requests bring. planning:
    what is measured there to make plans, for which requests wait as for one another.
    """

    def __init__(
        self,
        pool: ComputePool,
        estimate: EdgeQueue,
        batching: BatchLimits = DEFAULT_LIMITS,
        at_once_s: float = AT_ONCE_S,
    ) -> None:
        """estimate: is told of other work; what prefixes take as batches is known here. at_once_s: see BatchQueue."""
        self.pool = pool
        self._estimate = estimate
        self.most_batched = batching.max_batch
        self._work_ids = itertools.count(1)
        self.planning = PreparingWork(pool)
        self._batches: BatchQueue[PrefixWork | _Suffix, Any] = BatchQueue(pool, batching, _run, at_once_s)
        self.prefixes, self.suffixes = self._batches.ledger, ExecutionLedger()

    @property
    def prefix_counts(self) -> BatchCounts:
        """The batches of prefixes that have run."""
        return self._batches.counts

    def check(self) -> None:
        """Raises Unavailable where the compute thread hangs: requests would wait for it without end."""
        now_s = time.monotonic()
        self._batches.check(now_s)
        self.pool.check(now_s)

    def wait_s(self) -> float:
        """Seconds until work submitted now would start."""
        return self.requests_s() + self.planning.wait_s(time.monotonic())

    def requests_s(self) -> float:
        """Of `wait_s`, what requests have brought."""
        return self._estimate.wait_s(time.monotonic()) + self._batches.wait_s()

    async def run(self, expected_s: float, work: Callable[[], T]) -> T:
        """`work()` on the pool, awaited; it is predicted to take `expected_s`."""
        work_id = next(self._work_ids)
        self._estimate.submitted(work_id, expected_s, time.monotonic())
        try:
            return await self.pool.run(work)
        finally:
            self._estimate.finished(work_id, time.monotonic())

    async def run_prefix(
        self, work: PrefixWork, edge_times: BatchTimes, deadline_s: float | None, priority: int,
        due_s: float | None = None, rest_s: float = 0.0,
    ) -> EdgeOutcome:  # fmt: skip
        """The outcome of one request's prefix. edge_times: t(B) of all that the edge does up to the wire. due_s: what
        its order goes by, None for its deadline. rest_s: what the request takes after it.

        Raises DeadlineExceeded where its time is over before it starts, and what the half's `run` raises.
        """
        outcome: EdgeOutcome = await self._batches.run(
            QueuedWork(
                work=work,
                group=prefix_group(work.half, work.inputs),
                items=work.inputs.batch,
                times=edge_times,
                arrived_s=time.monotonic(),
                deadline_s=deadline_s,
                priority=priority,
                due_s=due_s,
                rest_s=rest_s,
            )
        )
        return outcome

    async def run_beside(self, work: PrefixWork, deadline_s: float | None) -> EdgeOutcome:
        """As `run_prefix` of a half that computes nothing, as where files cross as they came: it waits for no other."""
        ticket = self.prefixes.admit(deadline_s)
        try:
            (outcome,) = await asyncio.to_thread(_gated, ticket, partial(run_prefixes, (work,)))
        finally:
            ticket.withdraw(time.monotonic())
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def run_prefix_at_once(self, work: PrefixWork, measured_s: float, deadline_s: float | None) -> EdgeOutcome | None:
        """As `run_prefix`, on the calling thread: where it was measured to take less than a hand-over and nothing is
        before it; otherwise None. What files take is not measured, they differ."""
        if work.inputs.file_bytes:
            return None
        outcome: EdgeOutcome | None = self._batches.run_at_once(work, measured_s, deadline_s)
        return outcome

    async def run_suffix(
        self, compute: Callable[[], T], group: BatchGroup, expected_s: float, deadline_s: float | None,
        due_s: float | None, priority: int,
    ) -> T:  # fmt: skip
        """`compute()` in its turn among prefixes and suffixes, by itself; it is predicted to take `expected_s`. group:
        of what takes as long. due_s: what its order goes by, None for its deadline.

        Raises as `run_prefix`.
        """
        result: T = await self._batches.run(
            QueuedWork(
                work=_Suffix(compute),
                group=group,
                items=1,
                times=BatchTimes.of({1: expected_s}),
                arrived_s=time.monotonic(),
                deadline_s=deadline_s,
                priority=priority,
                due_s=due_s,
                ledger=self.suffixes,
            )
        )
        return result


def _run(works: Sequence[PrefixWork | _Suffix]) -> Sequence[Any]:
    """A suffix, or prefixes of one group."""
    suffixes = [one.compute() for one in works if isinstance(one, _Suffix)]
    return suffixes or run_prefixes([one for one in works if isinstance(one, PrefixWork)])


def _gated(ticket: Ticket, work: Callable[[], T]) -> T:
    """`work()`, unless it is over. Raises DeadlineExceeded, Cancelled."""
    ticket.begin(time.monotonic())
    ticket.runs(time.monotonic())
    return work()
