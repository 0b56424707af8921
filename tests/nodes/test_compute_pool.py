"""The compute pool: its own threads, its own thread budget, errors and cancellation passed on."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import pytest
import torch

from isthmus.errors import InvalidConfiguration, Unavailable
from nodes.compute_pool import ComputePool
from nodes.overdue import LONGEST_JOB_S


async def test_calls_run_off_the_event_loops_thread() -> None:
    with ComputePool(name="work") as pool:
        assert (await pool.run(threading.current_thread)).name.startswith("work")


async def test_arguments_and_results_pass_through() -> None:
    with ComputePool() as pool:
        assert await pool.run(divmod, 7, 3) == (2, 1)


async def test_an_error_is_raised_at_the_await() -> None:
    with ComputePool() as pool:
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 1, 0)
        assert await pool.run(divmod, 4, 2) == (2, 0)


def test_two_pools_hold_two_thread_budgets_side_by_side() -> None:
    with ComputePool(1) as one, ComputePool(2) as two:
        budgets = [pool.run_blocking(torch.get_num_threads) for pool in (one, two, one)]
    assert budgets == [1, 2, 1]


def test_a_pool_leaves_the_callers_budget_alone() -> None:
    before = torch.get_num_threads()
    with ComputePool(before + 1) as pool:
        pool.run_blocking(torch.get_num_threads)
    assert torch.get_num_threads() == before


async def test_a_cancelled_call_that_has_not_started_never_runs() -> None:
    ran, release = list[int](), threading.Event()
    with ComputePool() as pool:
        first = asyncio.ensure_future(pool.run(release.wait))
        second = asyncio.ensure_future(pool.run(ran.append, 2))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second  # before the worker is free to take it
        release.set()
        assert await first
    assert ran == []


@pytest.mark.parametrize("counts", [{"threads": 0}, {"workers": 0}])
def test_counts_below_one_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(InvalidConfiguration, match=next(iter(counts))):
        ComputePool(**counts)  # type: ignore[arg-type]


def test_a_thread_that_shares_a_pools_budget_computes_as_its_workers_do() -> None:
    with ComputePool(2) as two, ComputePool(1) as elsewhere:
        elsewhere.run_blocking(two.share_budget)
        assert elsewhere.run_blocking(torch.get_num_threads) == 2


def test_what_a_pool_is_posted_runs_or_is_dropped_by_its_close_and_later_posts_are_refused() -> None:
    said, begun, release = list[str](), threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        release.wait()
        said.append("first ran")

    def dropped() -> None:
        said.append("second dropped")
        release.set()

    pool = ComputePool()
    pool.post(first, lambda: said.append("first dropped"))
    begun.wait()
    pool.post(lambda: said.append("second ran"), dropped)
    pool.close()
    assert said == ["second dropped", "first ran"]
    with pytest.raises(RuntimeError, match="closed"):
        pool.post(list, list)


async def test_the_loop_goes_on_while_the_last_call_of_a_pool_that_closes_ends() -> None:
    gate, begun, said = threading.Event(), threading.Event(), list[str]()
    pool = ComputePool()

    def last() -> None:
        begun.set()
        said.append("went on" if gate.wait(5.0) else "stood still")

    pool.post(last, list)
    await asyncio.to_thread(begun.wait)
    pool.post(list, lambda: said.append(f"dropped on {threading.current_thread().name}"))
    closing = asyncio.create_task(pool.aclose())
    await asyncio.sleep(0.01)
    assert not closing.done()
    with pytest.raises(RuntimeError, match="closed"):
        pool.post(list, list)
    gate.set()
    await closing
    assert said == [f"dropped on {threading.current_thread().name}", "went on"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_worker_that_does_not_return_is_seen_and_so_is_one_that_is_gone() -> None:
    gate, began = threading.Event(), threading.Event()
    with ComputePool(name="work") as pool:
        pool.check(time.monotonic() + 1e6)

        def stuck() -> None:
            began.set()
            gate.wait()

        pool.post(stuck, gate.set)
        await asyncio.to_thread(began.wait)
        pool.check(time.monotonic() + 0.9 * LONGEST_JOB_S)
        with pytest.raises(Unavailable, match=r"compute thread work_0: has not returned for 6\d\d s; it hangs"):
            pool.check(time.monotonic() + LONGEST_JOB_S + 1.0)
        gate.set()
        await pool.run(int)
        await pool.run(threading.current_thread)  # by now the one before is over
        pool.check(time.monotonic())
        idle = threading.Event()
        pool.post(idle.set, gate.set)
        pool._workers[0].join(0.1)
        pool.check(time.monotonic() + 1e6)
        pool.post(sys.exit, gate.set)
        pool._workers[0].join(10)
        with pytest.raises(Unavailable, match="compute thread work_0: has died"):
            pool.check(time.monotonic())
