"""Requests before one engine: the batcher on the real clock, its batches on a compute pool.

The worker itself asks for its next batch when it has finished one, so the engine does not wait for a turn of the event
loop (0.1 ms and, while requests stream in, some milliseconds). Between two batches the pool's other work gets its turn.
Work that is shorter than a hand-over stays on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from isthmus.errors import Cancelled, ComputeFailed, DeadlineExceeded, Draining, IsthmusError
from isthmus.telemetry import get_logger
from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup, BatchLimits, Hold, Start, WaitingRequest
from nodes.compute_pool import ComputePool
from nodes.engine_queue import BatchCounts, EngineQueue
from nodes.execution_ledger import ExecutionLedger, Ticket
from nodes.overdue import check_returning

__all__ = ["AT_ONCE_S", "LONGEST_TURN_S", "WARY_RUNS", "BatchQueue", "QueuedWork"]

W = TypeVar("W")
R = TypeVar("R")

# Handing work to the worker and its answer back costs 60 us of CPU where nothing else runs, and 200 to 400 us while
# requests stream in and both threads want the interpreter: work measured below this is shorter than that.
AT_ONCE_S = 100e-6
# A run here that took so long sends as many to the worker: then the measurement does not hold. Shorter ones can be a
# core that was lent to another process for one turn of the scheduler.
LONGEST_TURN_S, WARY_RUNS = 5e-3, 20
CLOSING = "this node is closing; send the request again elsewhere"


class QueuedWork(NamedTuple, Generic[W]):
    """One request's work and what the batcher goes by. arrived_s, deadline_s, due_s: on `time.monotonic`. ledger: of
    work of another kind than the queue's own, which is not among its batches; None for the queue's. rest_s: see
    `WaitingRequest`."""

    work: W
    group: BatchGroup
    items: int
    times: BatchTimes
    arrived_s: float
    deadline_s: float | None
    priority: int
    due_s: float | None = None
    ledger: ExecutionLedger | None = None
    rest_s: float = 0.0

    def waiting(self, request_id: int) -> WaitingRequest:
        """As the batcher sees it."""
        return WaitingRequest(
            request_id, self.group, self.items, self.times, self.arrived_s, self.deadline_s, self.priority, self.due_s,
            self.rest_s,
        )  # fmt: skip


class _Entry(NamedTuple, Generic[W, R]):
    work: W
    answer: asyncio.Future[R]
    loop: asyncio.AbstractEventLoop
    ticket: Ticket
    counted: bool


class BatchQueue(Generic[W, R]):
    """Use it from one event loop. One batch runs at a time, whatever the pool's workers.

    ledger: what became of the requests.
    """

    def __init__(
        self,
        pool: ComputePool,
        limits: BatchLimits,
        run: Callable[[Sequence[W]], Sequence[R | Exception]],
        at_once_s: float = AT_ONCE_S,
    ) -> None:
        """run: called on a worker with the works of one batch; an answer or an error for each, in order. Where it
        raises for several, it is called with each by itself, so that the one at fault fails alone. at_once_s: what was
        measured to take less may run on the event loop; 0 for nothing, where work waits for something."""
        self._pool, self._run, self._at_once_s = pool, run, at_once_s
        self.ledger = ExecutionLedger()
        self._lock = threading.Lock()  # over all that follows: the event loop and the worker both touch it
        self._waiting = EngineQueue(limits)
        self._entries: dict[int, _Entry[W, R]] = {}
        self._asked = False
        self._wary = 0  # so many runs go to the worker before the event loop is trusted with one again
        self._ids = itertools.count(1)

    @property
    def requests(self) -> int:
        """How many wait or run."""
        with self._lock:
            return self._waiting.requests

    @property
    def counts(self) -> BatchCounts:
        """What has run so far."""
        return self._waiting.counts

    def wait_s(self) -> float:
        """Seconds of work here: what is left of the running batch, and all that waits, as batches are made of it."""
        with self._lock:
            return self._waiting.wait_s(time.monotonic())

    def waiting_s(self) -> float:
        """Of `wait_s`, what waits."""
        with self._lock:
            return self._waiting.waiting_s()

    def check(self, now_s: float) -> None:
        """Raises Unavailable where the batch that runs should long have ended: it never will."""
        with self._lock:
            running = self._waiting.running
        if running is not None:
            check_returning(f"a batch of {running.requests} requests", now_s - running.since_s, running.expected_s)

    async def run(self, queued: QueuedWork[W]) -> R:
        """The answer to one request, run in some batch. Cancelling takes it back where it has not started.

        Raises what `run` gave for it, DeadlineExceeded where its time was over before it started, Draining where the
        pool was closed.
        """
        loop, request_id = asyncio.get_running_loop(), next(self._ids)
        ticket = (queued.ledger or self.ledger).admit(queued.deadline_s)
        counted = queued.ledger is None
        entry: _Entry[W, R] = _Entry(queued.work, loop.create_future(), loop, ticket, counted)
        with self._lock:
            self._waiting.add(queued.waiting(request_id))
            self._entries[request_id] = entry
        self._ask()
        try:
            return await entry.answer
        finally:
            ticket.withdraw(time.monotonic())
            with self._lock:
                if self._waiting.withdraw(request_id):
                    del self._entries[request_id]

    def displace(self, queued: QueuedWork[W], full: IsthmusError) -> bool:
        """Of a full queue: end the least urgent that waits with the error, to have `queued` take its place. False where
        `queued` is no more urgent than any."""
        with self._lock:
            gone = self._waiting.make_way(queued.waiting(0))
            entry = None if gone is None else self._entries.pop(gone.request_id)
        if entry is not None and not entry.answer.done():
            entry.answer.set_exception(full)
        return entry is not None

    def run_at_once(self, work: W, measured_s: float, deadline_s: float | None) -> R | None:
        """The answer to one request, run here on the event loop; None where it has to take its turn (`run` it): unless
        it was measured to take less than handing it over does, and nothing waits or runs.

        Raises as `run` does.
        """
        if measured_s >= self._at_once_s or not self._may_run_here():
            return None
        ticket = self.ledger.admit(deadline_s)
        ticket.begin(time.monotonic())
        started_s = time.monotonic()
        ticket.runs(started_s)
        (result,) = self._run((work,))
        took_s = time.monotonic() - started_s
        with self._lock:
            self._waiting.ran(1, took_s)
        if took_s >= LONGEST_TURN_S:
            self._wary = WARY_RUNS
        if isinstance(result, Exception):
            raise result
        return result

    def _may_run_here(self) -> bool:
        if self._wary:
            self._wary -= 1
            return False
        with self._lock:
            return not self._entries and self._waiting.running is None

    def _ask(self) -> None:
        """Have a worker look what to do, unless one will anyway."""
        with self._lock:
            if self._asked or not self._entries:
                return
            self._asked = True
        self._submit()

    def _ask_again(self) -> None:
        """The worker that was asked is done: have one look at what has come meanwhile."""
        with self._lock:
            self._asked = False
        self._ask()

    def _submit(self) -> None:
        try:
            self._pool.post(self._turn, self._close)
        except RuntimeError:  # the pool is closed
            self._close()

    def _close(self) -> None:
        self._abandon(Draining(CLOSING))

    def _abandon(self, error: IsthmusError) -> None:
        """Nothing that waits now will run: each request ends with the error. What comes later finds an empty queue."""
        with self._lock:
            entries, self._entries, self._asked = list(self._entries.values()), {}, False
            self._waiting.clear()
        _deliver(entries, [error for _ in entries])

    # ---- on the worker -------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        try:
            self._work()
        except Exception as fault:
            get_logger("queue").error("batches could not be made", exc_info=fault)
            self._abandon(ComputeFailed(f"batches could not be made: {type(fault).__name__}"))

    def _work(self) -> None:
        with self._lock:
            now_s = time.monotonic()
            expired, decision = self._waiting.next(now_s)
            late = [self._entries.pop(one.request_id) for one in expired]
            chosen = list[_Entry[W, R]]()
            if isinstance(decision, Start):
                chosen = [self._entries.pop(one.request_id) for one in decision.members]
                self._waiting.began(len(chosen), decision.expected_s, now_s)
            self._asked = isinstance(decision, Start)
            waiting = next(iter(self._entries.values()), None)
        _deliver(late, [DeadlineExceeded("the deadline passed before its turn; nothing was computed") for _ in late])
        if isinstance(decision, Start):
            self._run_batch(chosen, decision.expected_s)
            self._ask_again()
        elif isinstance(decision, Hold) and waiting is not None:
            waiting.loop.call_soon_threadsafe(
                waiting.loop.call_later, max(0.0, decision.until_s - time.monotonic()), self._ask
            )

    def _run_batch(self, chosen: Sequence[_Entry[W, R]], expected_s: float) -> None:
        """Those that may still begin. The gate is right before the run: choosing them, and telling others that they are
        late, may take a turn of the scheduler. Whom it holds back is told after the run, for the same reason."""
        members, over = _begin(chosen, time.monotonic())
        started_s = time.monotonic()
        for member in members:
            member.ticket.runs(started_s)
        results = self._results(members) if members else ()
        took_s = time.monotonic() - started_s
        with self._lock:
            if members:
                # What failed, or was held back, says nothing of how long such a batch takes.
                whole = not over and not all(isinstance(one, Exception) for one in results)
                taught_s = expected_s if whole else 0.0
                self._waiting.ended(len(members), taught_s, took_s, counted=members[0].counted)
            else:
                self._waiting.held_back()
        _deliver(members, results)
        _deliver([entry for entry, _ in over], [error for _, error in over])

    def _results(self, members: Sequence[_Entry[W, R]]) -> Sequence[R | Exception]:
        try:
            return self._run([member.work for member in members])
        except Exception as error:
            return [error] if len(members) == 1 else [self._run_again(member) for member in members]

    def _run_again(self, member: _Entry[W, R]) -> R | Exception:
        """By itself, behind the gate once more: those before it took their time, too."""
        try:
            member.ticket.begin_again(time.monotonic())
            member.ticket.runs(time.monotonic())
            (result,) = self._run((member.work,))
        except Exception as error:
            return error
        return result


def _begin(
    members: Sequence[_Entry[W, R]], now_s: float
) -> tuple[list[_Entry[W, R]], list[tuple[_Entry[W, R], Exception]]]:
    """Those that may still run, and why the others may not."""
    begun, over = list[_Entry[W, R]](), list[tuple[_Entry[W, R], Exception]]()
    for entry in members:
        try:
            entry.ticket.begin(now_s)
        except (Cancelled, DeadlineExceeded) as error:
            over.append((entry, error))
        else:
            begun.append(entry)
    return begun, over


def _deliver(entries: Sequence[_Entry[W, R]], results: Sequence[R | Exception]) -> None:
    if entries:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            entries[0].loop.call_soon_threadsafe(_settle, tuple(zip(entries, results, strict=True)))


def _settle(answers: Sequence[tuple[_Entry[W, R], R | Exception]]) -> None:
    for entry, result in answers:
        if entry.answer.done():
            continue  # cancelled meanwhile
        if isinstance(result, Exception):
            entry.answer.set_exception(result)
        else:
            entry.answer.set_result(result)
