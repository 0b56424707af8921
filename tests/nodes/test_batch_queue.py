"""The batcher on the real clock: answers, errors, cancelling, deadlines, load, the end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from isthmus.errors import Cancelled, ComputeFailed, DeadlineExceeded, Draining, Overloaded, Unavailable
from nodes import batch_queue
from nodes.batch_queue import AT_ONCE_S, LONGEST_TURN_S, WARY_RUNS, BatchQueue, QueuedWork
from nodes.batch_times import BatchTimes
from nodes.batching import Batcher, BatchGroup, BatchLimits
from nodes.compute_pool import ComputePool
from nodes.engine_queue import EngineQueue, Turn
from nodes.execution_ledger import ExecutionCounts, ExecutionLedger, Ticket
from nodes.overdue import HUNG_TIMES
from tests.nodes.sites import eventually

GROUP = BatchGroup("model", "cut", "eager", ())
FLAT, QUICK = BatchTimes.of({1: 10.0, 8: 10.0}), BatchTimes.of({1: 1e-6, 8: 1e-6})


class Engine:
    """Doubles numbers, a batch at a time, each only when the gate is open; remembers the batches."""

    def __init__(self) -> None:
        self.gate, self.began, self.batches = threading.Event(), threading.Event(), list[tuple[int, ...]]()

    def run(self, works: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(tuple(works))
        self.began.set()
        self.gate.wait()
        return [ComputeFailed("odd") if work == 13 else 2 * work for work in works]


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.gate.set()


@pytest.fixture
def pool(engine: Engine) -> Iterator[ComputePool]:
    with ComputePool() as made:
        yield made
        engine.gate.set()


@pytest.fixture
def queue(engine: Engine, pool: ComputePool) -> BatchQueue[int, int]:
    return BatchQueue(pool, BatchLimits(max_delay_s=0.0), engine.run)


def queued(work: int, deadline_s: float | None = None, priority: int = 0) -> QueuedWork[int]:
    return QueuedWork(work, GROUP, 1, FLAT, time.monotonic(), deadline_s, priority)


async def asked(queue: BatchQueue[int, int], *works: QueuedWork[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(queue.run(work)) for work in works]
    await asyncio.sleep(0)  # one turn, so that they are in the queue
    return tasks


async def busy(queue: BatchQueue[int, int], engine: Engine) -> asyncio.Task[int]:
    """The engine with its first batch, waiting at the gate."""
    (first,) = await asked(queue, queued(1))
    await asyncio.to_thread(engine.began.wait)
    return first


async def test_what_came_while_the_engine_was_busy_runs_as_one(queue: BatchQueue[int, int], engine: Engine) -> None:
    first = await busy(queue, engine)
    tasks = await asked(queue, queued(2), queued(3), queued(4))
    engine.gate.set()
    assert await asyncio.gather(first, *tasks) == [2, 4, 6, 8]
    assert engine.batches == [(1,), (2, 3, 4)]


async def test_runs_that_fail_say_nothing_of_how_long_work_takes(
    queue: BatchQueue[int, int], engine: Engine, pool: ComputePool
) -> None:
    engine.gate.set()
    for _ in range(10):
        with pytest.raises(ComputeFailed):
            await queue.run(queued(13))
    engine.gate.clear()
    engine.began.clear()
    first = await busy(queue, engine)
    assert queue.wait_s() == pytest.approx(10.0, abs=1.0)
    engine.gate.set()
    assert await first == 2


async def test_work_of_another_kind_is_counted_by_its_own_ledger(queue: BatchQueue[int, int], engine: Engine) -> None:
    engine.gate.set()
    other = ExecutionLedger()
    assert await queue.run(queued(2)._replace(ledger=other)) == 4
    assert (other.counts.executed, queue.ledger.counts.executed, queue.counts.batches) == (1, 0, 0)
    assert await queue.run(queued(3)) == 6
    assert (other.counts.executed, queue.ledger.counts.executed, queue.counts.batches) == (1, 1, 1)


async def test_an_error_of_one_reaches_only_that_one(queue: BatchQueue[int, int], engine: Engine) -> None:
    engine.gate.set()
    tasks = await asked(queue, queued(12), queued(13), queued(14))
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert (answers[0], answers[2]) == (24, 28)
    assert isinstance(answers[1], ComputeFailed)


class Unjoinable(Engine):
    """Fails whatever runs as one, and shuts the gate before what runs then."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = threading.Event()

    def run(self, works: Sequence[int]) -> Sequence[int | Exception]:
        if len(works) == 1:
            return super().run(works)
        self.batches.append(tuple(works))
        self.gate.clear()
        self.failed.set()
        raise ComputeFailed("one of them")


@pytest.fixture
def unjoinable() -> Iterator[Unjoinable]:
    made = Unjoinable()
    yield made
    made.gate.set()


@pytest.fixture
def failing(unjoinable: Unjoinable, pool: ComputePool) -> BatchQueue[int, int]:
    return BatchQueue(pool, BatchLimits(max_delay_s=0.0), unjoinable.run)


async def failed_as_one(
    queue: BatchQueue[int, int], engine: Unjoinable, *works: QueuedWork[int]
) -> list[asyncio.Task[int]]:
    """A batch of these that has failed, and of which the first now waits at the gate by itself."""
    first = await busy(queue, engine)
    tasks = await asked(queue, *works)
    engine.gate.set()
    await first
    await asyncio.to_thread(engine.failed.wait)
    return tasks


async def test_of_a_batch_that_fails_as_one_only_the_one_at_fault_gets_the_error(
    failing: BatchQueue[int, int], unjoinable: Unjoinable
) -> None:
    tasks = await failed_as_one(failing, unjoinable, queued(12), queued(13), queued(14))
    unjoinable.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert (answers[0], str(answers[1]), answers[2]) == (24, "odd", 28)
    assert failing.ledger.counts == ExecutionCounts(executed=4)


async def test_of_a_batch_that_fails_as_one_nobody_runs_alone_whose_time_is_over_by_then(
    failing: BatchQueue[int, int], unjoinable: Unjoinable
) -> None:
    deadline_s = time.monotonic() + 0.3
    works = queued(2)._replace(due_s=0.0), queued(3, deadline_s), queued(4)
    tasks = await failed_as_one(failing, unjoinable, *(work._replace(times=QUICK) for work in works))
    await eventually(lambda: time.monotonic() >= deadline_s)
    unjoinable.gate.set()
    with pytest.raises(DeadlineExceeded, match="before it ran by itself"):
        await tasks[1]
    assert [await tasks[0], await tasks[2]] == [4, 8]
    assert unjoinable.batches == [(1,), (2, 3, 4), (2,), (4,)]
    assert failing.ledger.counts.executed_after_deadline == 0


async def test_of_a_batch_that_fails_as_one_nobody_runs_alone_who_left_meanwhile(
    failing: BatchQueue[int, int], unjoinable: Unjoinable
) -> None:
    tasks = await failed_as_one(failing, unjoinable, queued(2), queued(3), queued(4))
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    unjoinable.gate.set()
    assert [await tasks[0], await tasks[2]] == [4, 8]
    assert unjoinable.batches == [(1,), (2, 3, 4), (2,), (4,)]


async def test_a_cancelled_request_does_not_run_and_its_companions_do(
    queue: BatchQueue[int, int], engine: Engine
) -> None:
    first = await busy(queue, engine)
    tasks = await asked(queue, queued(2), queued(3))
    tasks[0].cancel()
    await asyncio.sleep(0)
    assert queue.requests == 2
    engine.gate.set()
    assert [await first, await tasks[1]] == [2, 6]
    assert engine.batches == [(1,), (3,)]


async def test_an_expired_request_does_not_run(queue: BatchQueue[int, int], engine: Engine) -> None:
    first = await busy(queue, engine)
    tasks = await asked(queue, queued(2, deadline_s=time.monotonic() - 0.001), queued(3))
    engine.gate.set()
    with pytest.raises(DeadlineExceeded, match="nothing was computed"):
        await tasks[0]
    assert [await first, await tasks[1]] == [2, 6]
    assert engine.batches == [(1,), (3,)]


async def test_in_a_full_queue_the_least_urgent_goes_for_what_is_more_urgent(
    queue: BatchQueue[int, int], engine: Engine
) -> None:
    first, full = await busy(queue, engine), Overloaded("full")
    tasks = await asked(queue, queued(2, priority=1), queued(3, priority=2), queued(4, priority=2))
    assert not queue.displace(queued(5, priority=2), full)  # among equals the newest goes
    assert queue.displace(queued(5, priority=1), full)
    with pytest.raises(Overloaded, match="full"):
        await tasks[2]
    assert (queue.requests, queue.ledger.counts.cancelled_unexecuted) == (3, 1)
    engine.gate.set()
    assert [await first, await tasks[0], await tasks[1]] == [2, 4, 6]
    assert engine.batches == [(1,), (2, 3)]


async def test_what_runs_makes_way_for_nothing(queue: BatchQueue[int, int], engine: Engine) -> None:
    first = await busy(queue, engine)
    assert not queue.displace(queued(2, priority=1), Overloaded("full"))
    engine.gate.set()
    assert await first == 2


async def test_load_counts_what_runs_and_what_waits_as_batches(queue: BatchQueue[int, int], engine: Engine) -> None:
    assert (queue.requests, queue.wait_s()) == (0, 0.0)
    first = await busy(queue, engine)
    tasks = await asked(queue, *(queued(number) for number in range(2, 14, 2)))
    assert queue.requests == 7
    assert queue.wait_s() == pytest.approx(20.0, abs=2.0)  # what is left of one batch, and one of six
    engine.gate.set()
    await asyncio.gather(first, *tasks)
    assert (queue.requests, queue.wait_s()) == (0, 0.0)


async def test_an_idle_engine_is_held_for_others_and_then_starts(engine: Engine, pool: ComputePool) -> None:
    queue: BatchQueue[int, int] = BatchQueue(pool, BatchLimits(max_delay_s=0.002), engine.run)
    engine.gate.set()
    await asyncio.gather(*await asked(queue, *(queued(number) for number in range(8))))  # requests come in crowds
    tasks = await asked(queue, queued(20), queued(21))
    assert await asyncio.gather(*tasks) == [40, 42]
    assert engine.batches[-1] == (20, 21)


async def test_a_closed_pool_turns_requests_away(engine: Engine) -> None:
    pool = ComputePool()
    queue: BatchQueue[int, int] = BatchQueue(pool, BatchLimits(), engine.run)
    pool.close()
    with pytest.raises(Draining):
        await queue.run(queued(1))


async def test_what_waits_when_the_pool_closes_is_turned_away(engine: Engine) -> None:
    pool = ComputePool()
    queue: BatchQueue[int, int] = BatchQueue(pool, BatchLimits(), engine.run)
    first = await busy(queue, engine)
    tasks = await asked(queue, queued(2))
    closing = asyncio.create_task(asyncio.to_thread(pool.close))
    await asyncio.sleep(0)
    engine.gate.set()
    answers = await asyncio.gather(first, *tasks, return_exceptions=True)
    await closing
    assert answers[0] == 2
    assert answers[1] == 4 or isinstance(answers[1], Draining)


async def test_a_fault_in_making_batches_ends_what_waits_and_not_what_comes_later(
    queue: BatchQueue[int, int], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.gate.set()
    with monkeypatch.context() as broken:
        broken.setattr(Batcher, "next", lambda *_: 1 / 0)
        with pytest.raises(ComputeFailed, match="ZeroDivisionError"):
            await asyncio.wait_for(queue.run(queued(1)), 5.0)
    assert await asyncio.wait_for(queue.run(queued(2)), 5.0) == 4


class Here:
    """Doubles numbers and remembers on which thread; spends `spent_s` of it first."""

    def __init__(self, spent_s: float = 0.0) -> None:
        self.spent_s, self.threads = spent_s, list[int]()

    def run(self, works: Sequence[int]) -> Sequence[int | Exception]:
        self.threads.append(threading.get_ident())
        until_s = time.monotonic() + self.spent_s
        while time.monotonic() < until_s:
            pass
        return [ComputeFailed("odd") if work == 13 else 2 * work for work in works]


SHORT_S = AT_ONCE_S / 2


def test_work_shorter_than_a_hand_over_runs_where_it_was_asked(pool: ComputePool) -> None:
    here = Here()
    queue = BatchQueue[int, int](pool, BatchLimits(), here.run)
    assert queue.run_at_once(4, SHORT_S, None) == 8
    assert here.threads == [threading.get_ident()]
    assert (queue.ledger.counts.executed, queue.counts.batches, queue.counts.requests) == (1, 1, 1)


def test_longer_work_takes_its_turn(pool: ComputePool) -> None:
    here = Here()
    queue = BatchQueue[int, int](pool, BatchLimits(), here.run)
    assert queue.run_at_once(4, AT_ONCE_S, None) is None
    assert not here.threads
    assert queue.ledger.counts == ExecutionCounts()


def test_short_work_takes_its_turn_while_the_engine_is_not_to_run_it_elsewhere(pool: ComputePool) -> None:
    here = Here()
    assert BatchQueue[int, int](pool, BatchLimits(), here.run, at_once_s=0.0).run_at_once(4, 0.0, None) is None


async def test_short_work_takes_its_turn_behind_what_waits(pool: ComputePool, engine: Engine) -> None:
    queue = BatchQueue[int, int](pool, BatchLimits(), Here().run)
    pool.post(engine.gate.wait, engine.gate.set)
    (waits,) = await asked(queue, queued(1))
    assert queue.run_at_once(4, SHORT_S, None) is None
    engine.gate.set()
    assert await waits == 2


async def test_short_work_takes_its_turn_behind_what_runs(pool: ComputePool, engine: Engine) -> None:
    queue = BatchQueue[int, int](pool, BatchLimits(), lambda works: engine.run(works) if 1 in works else [0])
    runs = await busy(queue, engine)
    assert queue.run_at_once(4, SHORT_S, None) is None
    engine.gate.set()
    assert await runs == 2


def test_short_work_is_not_run_after_its_time(pool: ComputePool) -> None:
    here = Here()
    queue = BatchQueue[int, int](pool, BatchLimits(), here.run)
    with pytest.raises(DeadlineExceeded):
        queue.run_at_once(4, SHORT_S, time.monotonic() - 1)
    assert not here.threads
    assert queue.ledger.counts == ExecutionCounts(expired_unexecuted=1)


def test_short_work_that_fails_raises_what_it_failed_with(pool: ComputePool) -> None:
    queue = BatchQueue[int, int](pool, BatchLimits(), Here().run)
    with pytest.raises(ComputeFailed, match="odd"):
        queue.run_at_once(13, SHORT_S, None)


def test_work_that_took_long_here_goes_to_the_worker_for_a_while(pool: ComputePool) -> None:
    here = Here(spent_s=LONGEST_TURN_S)
    queue = BatchQueue[int, int](pool, BatchLimits(), here.run)
    assert queue.run_at_once(4, SHORT_S, None) == 8
    here.spent_s = 0.0
    assert [queue.run_at_once(4, SHORT_S, None) for _ in range(WARY_RUNS)] == [None] * WARY_RUNS
    assert queue.run_at_once(4, SHORT_S, None) == 8


async def test_a_batch_that_should_long_have_ended_is_told_from_one_that_takes_its_time(
    queue: BatchQueue[int, int], engine: Engine
) -> None:
    queue.check(time.monotonic() + 1e6)  # nothing runs
    first, now_s = await busy(queue, engine), time.monotonic()
    queue.check(now_s + 0.9 * HUNG_TIMES * FLAT.at(1))
    with pytest.raises(Unavailable, match=r"a batch of 1 requests: has not returned for 2.. s, expected to take 10 s"):
        queue.check(now_s + 1.1 * HUNG_TIMES * FLAT.at(1))
    engine.gate.set()
    await first
    queue.check(time.monotonic() + 1e6)


async def test_a_batch_that_nobody_wants_any_more_does_not_run(
    queue: BatchQueue[int, int], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_back(ticket: Ticket, now_s: float) -> None:
        raise Cancelled("taken back")

    monkeypatch.setattr(Ticket, "begin", taken_back)
    with pytest.raises(Cancelled):
        await queue.run(queued(1))
    queue.check(time.monotonic() + 1e6)
    assert (queue.requests, engine.batches) == (0, [])


class Slow(EngineQueue):
    """Takes its time to choose: as where very much waits, or the process is stopped."""

    def next(self, now_s: float) -> Turn:
        turn = super().next(now_s)
        time.sleep(0.1)
        return turn


async def test_what_expires_while_its_batch_is_chosen_does_not_run_and_its_companions_do(
    pool: ComputePool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_queue, "EngineQueue", Slow)
    queue = BatchQueue(pool, BatchLimits(max_delay_s=0.0), engine.run)
    engine.gate.set()
    tasks = await asked(queue, queued(2, deadline_s=time.monotonic() + 0.09)._replace(times=QUICK), queued(3))
    with pytest.raises(DeadlineExceeded):
        await tasks[0]
    assert (await tasks[1], engine.batches) == (6, [(3,)])
    assert queue.ledger.counts == ExecutionCounts(executed=1, expired_unexecuted=1)


async def test_where_all_of_a_batch_expire_while_it_is_chosen_nothing_runs_and_what_comes_then_does(
    pool: ComputePool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_queue, "EngineQueue", Slow)
    queue = BatchQueue(pool, BatchLimits(max_delay_s=0.0), engine.run)
    engine.gate.set()
    with pytest.raises(DeadlineExceeded):
        await queue.run(queued(2, deadline_s=time.monotonic() + 0.09)._replace(times=QUICK))
    assert (queue.requests, queue.counts.batches, queue.wait_s()) == (0, 0, 0.0)
    assert await queue.run(queued(3)) == 6
    assert engine.batches == [(3,)]


async def test_what_expires_while_another_one_is_told_that_it_is_late_does_not_run(
    queue: BatchQueue[int, int], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await busy(queue, engine)
    soon_s = time.monotonic() + 0.5
    gone, over = await asked(
        queue, queued(2, deadline_s=time.monotonic() - 1), queued(3, deadline_s=soon_s)._replace(times=QUICK)
    )
    loop = asyncio.get_running_loop()
    tell, by_worker = loop.call_soon_threadsafe, list[int]()

    def tell_slowly(*told: Any, **context: Any) -> asyncio.Handle:
        handle = tell(*told, **context)
        if threading.current_thread() is not threading.main_thread():
            by_worker.append(1)
            if len(by_worker) == 2:  # the first was the answer of what ran
                time.sleep(max(0.0, soon_s - time.monotonic()))
        return handle

    monkeypatch.setattr(loop, "call_soon_threadsafe", tell_slowly)
    engine.gate.set()
    for task in (gone, over):
        with pytest.raises(DeadlineExceeded):
            await task
    assert (await first, engine.batches) == (2, [(1,)])
    assert queue.ledger.counts == ExecutionCounts(executed=1, expired_unexecuted=2)


async def test_what_runs_after_its_time_is_counted(
    queue: BatchQueue[int, int], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.gate.set()
    monkeypatch.setattr(Ticket, "begin", lambda ticket, now_s: time.sleep(0.1))  # a gate that is too slow
    assert await queue.run(queued(1, deadline_s=time.monotonic() + 60)) == 2
    assert queue.ledger.counts.executed_after_deadline == 0
    assert await queue.run(queued(2, deadline_s=time.monotonic() + 0.05)) == 4
    assert queue.ledger.counts.executed_after_deadline == 1
    assert queue.run_at_once(3, SHORT_S, time.monotonic() + 0.05) == 6
    assert queue.ledger.counts.executed_after_deadline == 2
