"""A request that was cancelled or is past its deadline is not executed any more: on the edge, in the cloud."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.errors import DeadlineExceeded
from nodes.execution_ledger import ExecutionCounts
from tests.nodes.sites import edge_site, eventually
from tests.nodes.test_resume import held


async def test_a_cancelled_request_leaves_the_edges_queue_unexecuted() -> None:
    async with edge_site() as site:
        ledger, before = site.around.queue.prefixes, site.edge_gate.came
        site.edge_gate.shut()
        first = asyncio.create_task(site.run(1))
        await eventually(lambda: site.edge_gate.came > before)
        second = asyncio.create_task(site.run(2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        site.edge_gate.open()
        assert site.is_right(await first, 1)
        assert ledger.counts == ExecutionCounts(executed=1, cancelled_unexecuted=1)


async def test_an_expired_request_leaves_the_edges_queue_unexecuted() -> None:
    async with edge_site() as site:
        ledger, before = site.around.queue.prefixes, site.edge_gate.came
        site.edge_gate.shut()
        first = asyncio.create_task(site.run(1))
        await eventually(lambda: site.edge_gate.came > before)
        second = asyncio.create_task(site.run(2, timeout_s=0.02))
        await asyncio.sleep(0.03)
        site.edge_gate.open()
        with pytest.raises(DeadlineExceeded):
            await second
        await first
        assert ledger.counts == ExecutionCounts(executed=1, expired_unexecuted=1)


async def test_a_cancelled_request_leaves_the_clouds_queue_unexecuted() -> None:
    async with edge_site() as site:
        ledger = site.clouds[0].node.ledger
        holder, first = await held(site, 1)
        second = asyncio.create_task(site.run(2))
        await eventually(lambda: holder.node.load().queued_requests == 2)
        second.cancel()
        await eventually(lambda: ledger.counts.cancelled_unexecuted == 1)
        holder.engine.gate.open()
        assert site.is_right(await first, 1)
        assert ledger.counts == ExecutionCounts(executed=1, cancelled_unexecuted=1)


async def test_a_request_that_expires_in_the_clouds_queue_is_not_executed() -> None:
    async with edge_site() as site:
        ledger = site.clouds[0].node.ledger
        site.cloud_required = True
        holder, first = await held(site, 1)
        second = asyncio.create_task(site.run(2, timeout_s=0.1))
        await eventually(lambda: holder.node.load().queued_requests == 2)
        with pytest.raises(DeadlineExceeded):
            await second
        await eventually(lambda: ledger.counts.expired_unexecuted + ledger.counts.cancelled_unexecuted == 1)
        holder.engine.gate.open()
        await first
        assert (ledger.counts.executed, ledger.counts.executed_after_deadline) == (1, 0)


async def test_a_replica_tells_what_became_of_its_work() -> None:
    async with edge_site() as site:
        (connection,) = await site.usable(1)
        await site.run(1)
        said = await connection.describe()
        assert {name: count for name, count in said.counts.items() if not name.endswith("streams")} == {
            "executed": 1,
            "expired_unexecuted": 0,
            "cancelled_unexecuted": 0,
            "executed_after_deadline": 0,
        }
