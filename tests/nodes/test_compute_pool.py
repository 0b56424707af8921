"""The compute pool: its own threads, its own thread budget, errors and cancellation passed on."""

from __future__ import annotations

import asyncio
import threading

import pytest
import torch

from isthmus.errors import InvalidConfiguration
from nodes.compute_pool import ComputePool


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
