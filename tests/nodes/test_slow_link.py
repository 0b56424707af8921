"""A link far slower than believed is no stalled replica: over real gRPC, through the link emulator."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import nn

from isthmus.addresses import format_address, parse_address
from isthmus.errors import CloudUnavailable
from nodes.chooser import Transfer
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.protocol.chunk_sizes import MIN_OPENING_BYTES
from nodes.request_run import Answer
from nodes.resumption import patience_s
from partitioner.front_end import model_from_module
from partitioner.measurements import AffineTime
from partitioner.model import Model
from simulations.link_emulator import LinkEmulator, LinkShape
from tests.nodes.sites import WIDTH, Site, edge_site, eventually

BELIEVED_BPS = 8e6
SLOW_BPS = BELIEVED_BPS / 5
WIRE_BYTES = 300_000  # 0.3 s as believed, and 1.5 s
PATIENCE_S = patience_s(8 * WIRE_BYTES / BELIEVED_BPS)
assert PATIENCE_S < 8 * WIRE_BYTES / SLOW_BPS


class Wide(NamedTuple):
    """A model of two layers: how many values cross each way, of which zstd makes about WIRE_BYTES where they are many;
    behind a ReLU half of them are the same."""

    boundary: int = 32
    answer: int = 4

    def model(self) -> Model:
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(WIDTH, self.boundary), nn.ReLU(), nn.Linear(self.boundary, self.answer))
        return model_from_module(layers.eval(), (torch.zeros(2, WIDTH),), "wide")


UP, DOWN = Wide(boundary=134_000), Wide(answer=80_000)


@contextlib.asynccontextmanager
async def linked_site(wide: Wide = UP) -> AsyncIterator[tuple[Site, LinkEmulator]]:
    """One replica behind a link that is as fast as its edge believes, until somebody changes it."""
    async with edge_site(kept_bytes=1 << 24, model=wide.model()) as site, contextlib.AsyncExitStack() as stack:
        (direct,) = await site.usable(1)
        link = LinkEmulator(LinkShape(BELIEVED_BPS, BELIEVED_BPS, 0.0))
        stack.push_async_callback(link.close)
        relayed = format_address(*await link.relay("127.0.0.1", 0, *parse_address(site.clouds[0].target)))
        site.around.replicas.follow(FleetView(2, (Replica("replica-0", Endpoint(relayed)),)))
        await eventually(lambda: direct not in site.around.replicas.connections)
        await site.usable(1)
        entry, size = site.ready.entry, float(WIRE_BYTES)
        costs = replace(
            entry.costs,
            uplink_bytes_per_item=size if wide is UP else 128.0,
            downlink_bytes_per_item=size if wide is DOWN else 16.0,
        )
        site.ready = replace(site.ready, entry=replace(entry, costs=costs))
        believe(site)
        yield site, link


def believe(site: Site) -> None:
    """The edge, of its link."""
    for direction in ("up", "down"):
        for _ in range(50):
            site.chooser.observe_transfer(
                Transfer(direction, WIRE_BYTES, 8 * WIRE_BYTES / BELIEVED_BPS), time.monotonic()
            )
    link = site.chooser.link()
    assert link is not None
    assert link.uplink_bps == pytest.approx(BELIEVED_BPS, rel=0.2)
    assert link.downlink_bps == pytest.approx(BELIEVED_BPS, rel=0.2)


def finishing_takes(site: Site, seconds: float) -> None:
    """As the edge predicts."""
    entry = site.ready.entry
    costs = replace(entry.costs, local_finish=AffineTime(seconds, 0.0))
    site.ready = replace(site.ready, entry=replace(entry, costs=costs))


async def test_uploads_that_crawl_are_all_answered_by_the_cloud() -> None:
    async with linked_site() as (site, link):
        site.cloud_required = True
        link.set_shape(LinkShape(SLOW_BPS, BELIEVED_BPS, 0.0))
        began_s = time.monotonic()
        answers = await asyncio.gather(*(site.run(seed) for seed in range(3)))
        assert [answer.finished_by for answer in answers] == ["cloud"] * 3
        assert all(site.is_right(answer, seed) for seed, answer in enumerate(answers))
        assert time.monotonic() - began_s > 3 * PATIENCE_S
        assert (await site.usable(1))[0].healthy


async def test_an_answer_that_crawls_is_waited_for() -> None:
    async with linked_site(DOWN) as (site, link):
        site.cloud_required = True
        link.set_shape(LinkShape(BELIEVED_BPS, SLOW_BPS, 0.0))
        began_s = time.monotonic()
        answer = await site.run(1)
        assert (answer.finished_by, answer.sendings) == ("cloud", 1)
        assert site.is_right(answer, 1)
        assert time.monotonic() - began_s > PATIENCE_S


async def test_what_was_waited_for_past_its_patience_does_not_make_the_link_slow() -> None:
    async with linked_site(Wide(boundary=9_000)) as (site, link):
        site.cloud_required = True
        for seed in (1, 2):
            await asyncio.sleep(0.3)  # what looks at the link is back
            link.stall(1.3)  # as a replica that has no core would have it
            answer = await site.run(seed, timeout_s=10.0)
            assert (answer.finished_by, answer.late, answer.sendings) == ("cloud", True, 1)
            assert answer.uplink_bytes < MIN_OPENING_BYTES  # and has no span
        await asyncio.sleep(0.3)
        believed = site.chooser.link()
        assert believed is not None
        assert believed.uplink_bps > BELIEVED_BPS / 4


async def test_what_stops_half_way_is_given_up_a_patience_later_and_the_replica_set_aside() -> None:
    async with linked_site() as (site, link):
        (connection,) = await site.usable(1)
        link.set_shape(LinkShape(SLOW_BPS, BELIEVED_BPS, 0.0))
        finishing_takes(site, 60.0)
        (request_id,) = itertools.islice(copy.copy(site.around.wire_ids), 1)
        task = asyncio.create_task(site.run(1))
        await eventually(lambda: connection.progress(request_id).moved_bytes > 0)
        link.stall(60.0)
        await asyncio.sleep(0.2)
        stalled_s = connection.progress(request_id).moved_s
        answer = await task
        assert (answer.finished_by, site.is_right(answer, 1)) == ("edge", True)
        assert PATIENCE_S <= time.monotonic() - stalled_s < 2 * PATIENCE_S
        assert not connection.open


async def test_a_way_that_stands_still_is_left_for_the_edge_long_before_patience_and_believed_to_be_slow() -> None:
    async with linked_site() as (site, link):
        finishing_takes(site, 0.1)
        link.stall(60.0)
        began_s = time.monotonic()
        answer = await site.run(1)
        assert (answer.finished_by, site.is_right(answer, 1)) == ("edge", True)
        assert time.monotonic() - began_s < PATIENCE_S
        believed = site.chooser.link()
        assert believed is not None
        assert believed.uplink_bps < 0.99 * BELIEVED_BPS  # one that was given up is no proof


async def test_a_few_bytes_that_are_there_are_known_by_an_echo_and_their_answer_is_waited_for() -> None:
    async with linked_site(Wide()) as (site, _):
        finishing_takes(site, 0.1)
        gate = site.clouds[0].engine.gate
        gate.shut()
        task = asyncio.create_task(site.run(1))
        await asyncio.sleep(0.8)  # all that a way which stands still would be given
        assert not task.done()
        gate.open()
        assert (await task).finished_by == "cloud"


async def test_a_replica_that_computes_for_ever_is_given_up_whatever_else_it_is_sent() -> None:
    async with linked_site() as (site, _):
        site.cloud_required = True
        site.clouds[0].engine.gate.shut()
        came, first = site.clouds[0].engine.gate.came, asyncio.create_task(site.run(1))
        await eventually(lambda: site.clouds[0].engine.gate.came > came)
        others: list[asyncio.Task[Answer]] = []
        while not first.done() and len(others) < 60:  # six seconds
            others.append(asyncio.create_task(site.run(2, timeout_s=0.2)))
            await asyncio.sleep(0.1)
        assert first.done()
        with pytest.raises(CloudUnavailable, match="no replica answers"):
            await first
        await asyncio.gather(*others, return_exceptions=True)
