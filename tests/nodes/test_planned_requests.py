"""A live request is planned work of its replica until its boundary is made, however that ends."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.nodes.sites import edge_site, eventually


async def test_requests_before_the_edges_worker_are_ahead_of_others_at_their_replica() -> None:
    async with edge_site() as site:
        site.expect(cloud_s=7.0, finish_s=100.0)
        (replica,) = await site.usable(1)
        planned = site.around.replicas.planned
        site.edge_gate.shut()
        running = [asyncio.create_task(site.run(seed)) for seed in (1, 2)]
        await eventually(lambda: len(planned) == 2)
        others_s, own_s = site.around.replicas.cloud_waits_s(replica)
        assert others_s < 1.0
        assert own_s == pytest.approx(14.0, abs=1.0)
        assert planned.uplink_s(site.around.way_up, site.chooser.link(), time.monotonic()) > 0.0
        site.edge_gate.open()
        answers = await asyncio.gather(*running)
        assert all(site.is_right(answer, seed) for answer, seed in zip(answers, (1, 2), strict=True))
        assert len(planned) == 0
        assert site.around.replicas.cloud_waits_s(replica)[1] < 1.0


async def test_a_request_that_ends_before_its_boundary_is_made_is_planned_no_more() -> None:
    async with edge_site() as site:
        planned = site.around.replicas.planned
        site.edge_gate.shut()
        running = asyncio.create_task(site.run(1))
        late = asyncio.create_task(site.run(2))
        await eventually(lambda: len(planned) == 2)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        assert len(planned) == 1
        site.edge_gate.open()
        await running


async def test_a_request_that_only_the_edge_answers_is_nobodys_planned_work() -> None:
    async with edge_site(clouds=0) as site:
        site.edge_gate.shut()
        running = asyncio.create_task(site.run(1))
        await eventually(lambda: site.edge_gate.came > 0)
        assert len(site.around.replicas.planned) == 0
        site.edge_gate.open()
        assert site.is_right(await running, 1)
