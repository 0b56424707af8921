"""Boundary tensors that leave while the prefix still runs: real replicas in one process, over real gRPC."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from isthmus.errors import ComputeFailed
from nodes.batch_times import BatchTimes
from nodes.codecs import pieces
from nodes.codecs.base import EncodedTensor
from nodes.codecs.zstd import ZstdCodec
from nodes.request_run import Answer
from tests.nodes.sites import Site, edge_site, eventually
from tests.nodes.test_resume import prefixes, suffixes


def arriving(site: Site) -> list[int]:
    """Bytes of requests that have not arrived whole, a replica."""
    return [cloud.service.status().held_bytes for cloud in site.clouds]


async def begun(site: Site, seed: int, timeout_s: float | None = None) -> asyncio.Task[Answer]:
    """A request whose first tensor is at a replica while its prefix waits behind it."""
    site.edge_gate.shut()
    task = asyncio.create_task(site.run(seed, timeout_s))
    await eventually(lambda: sum(arriving(site)) > 0)
    return task


async def test_the_first_tensor_is_there_before_the_prefix_has_ended_and_the_answer_is_right() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        task = await begun(site, 1)
        site.edge_gate.open()
        answer = await task
        assert site.is_right(answer, 1)
        assert (answer.finished_by, answer.sendings) == ("cloud", 1)
        assert (prefixes(site), suffixes(site), site.clouds[0].node.ledger.counts.executed) == (1, 0, 1)
        assert (arriving(site), site.around.replicas.in_flight_bytes) == ([0], 0)


async def test_where_the_prefix_fails_the_replica_is_told() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        task = await begun(site, 1)
        site.engine.failing = True
        site.edge_gate.open()
        with pytest.raises(ComputeFailed):
            await task
        await eventually(lambda: site.clouds[0].service.status().requests == 0)
        assert (arriving(site), site.around.replicas.in_flight_bytes) == ([0], 0)
        site.engine.failing = False
        assert site.is_right(await site.run(2), 2)


async def test_a_replica_that_drains_meanwhile_answers_what_it_has_begun_to_take() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        task = await begun(site, 1)
        draining = asyncio.create_task(site.clouds[0].service.drain(5.0))
        await eventually(lambda: site.around.replicas.usable == 0)
        site.edge_gate.open()
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 1)) == ("cloud", 1, True)
        await draining


async def test_where_the_client_goes_the_replica_is_told() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        task = await begun(site, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: site.clouds[0].service.status().requests == 0)
        assert (arriving(site), site.clouds[0].node.ledger.counts.executed) == ([0], 0)


async def test_where_the_replica_dies_meanwhile_the_request_goes_on_from_its_cut() -> None:
    async with edge_site(skips=True, clouds=2, finish_s=5.0) as site:
        task = await begun(site, 1)
        await site.clouds[0 if arriving(site)[0] else 1].die()
        site.edge_gate.open()
        answer = await task
        assert site.is_right(answer, 1)
        assert (answer.finished_by, answer.sendings, prefixes(site)) == ("cloud", 2, 1)


async def test_where_the_last_replica_dies_meanwhile_the_edge_finishes() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        task = await begun(site, 1)
        await site.clouds[0].die()
        site.edge_gate.open()
        answer = await task
        assert (answer.finished_by, prefixes(site), suffixes(site)) == ("edge", 1, 1)
        assert site.is_right(answer, 1)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Every tensor is encoded in pieces, and the second one is made when this is set."""
    may_go_on, plain = threading.Event(), ZstdCodec.encode_pieces

    def gated(self: ZstdCodec, name: str, tensor: torch.Tensor, count: int) -> Iterator[EncodedTensor]:
        made = plain(self, name, tensor, count)
        yield next(made)
        assert may_go_on.wait(10.0)
        yield from made

    monkeypatch.setattr(pieces, "LEAST_BYTES", 1)
    monkeypatch.setattr(ZstdCodec, "encode_pieces", gated)
    yield may_go_on
    may_go_on.set()


async def test_the_first_piece_of_a_tensor_is_there_while_the_next_is_encoded(encoder: threading.Event) -> None:
    async with edge_site(finish_s=5.0) as site:
        task = asyncio.create_task(site.run(1))
        await eventually(lambda: site.clouds[0].service.arriving_bytes > 0)
        assert not task.done()
        encoder.set()
        answer = await task
        assert site.is_right(answer, 1)
        assert (answer.finished_by, answer.sendings, site.clouds[0].node.ledger.counts.executed) == ("cloud", 1, 1)
        assert (arriving(site), site.around.replicas.in_flight_bytes) == ([0], 0)


async def test_where_the_replica_dies_between_pieces_another_gets_them_all(encoder: threading.Event) -> None:
    async with edge_site(clouds=2, finish_s=5.0) as site:
        task = asyncio.create_task(site.run(1))
        await eventually(lambda: sum(cloud.service.arriving_bytes for cloud in site.clouds) > 0)
        await site.clouds[0 if site.clouds[0].service.arriving_bytes else 1].die()
        encoder.set()
        answer = await task
        assert site.is_right(answer, 1)
        assert (answer.finished_by, answer.sendings, prefixes(site)) == ("cloud", 2, 1)


async def test_a_plan_that_is_not_known_meanwhile_fails_no_request() -> None:
    async with edge_site(skips=True) as site:
        site.clouds[0].node.forget(site.ready.entry.plan.wire_digest)
        task = await begun(site, 1)
        site.edge_gate.open()
        answer = await task
        assert (answer.finished_by, site.is_right(answer, 1)) == ("edge", True)


async def test_every_one_of_many_requests_sends_its_tensors_as_they_are_made() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        first = await begun(site, 0)
        others = [asyncio.create_task(site.run(seed)) for seed in range(1, 20)]
        await eventually(lambda: site.around.queue.wait_s() > 0)
        site.edge_gate.open()
        answers = await asyncio.gather(first, *others)
        assert [(answer.finished_by, answer.sendings) for answer in answers] == [("cloud", 1)] * 20


async def test_requests_that_run_as_one_send_their_tensors_at_the_end() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        site.ready = replace(site.ready, prefix_times=BatchTimes.of({1: 1e-4, 8: 1.1e-4}))
        site.edge_gate.shut()
        first = await begun(site, 0)
        others = [asyncio.create_task(site.run(seed)) for seed in range(1, 6)]
        await eventually(lambda: site.around.queue.wait_s() > 0)
        site.edge_gate.open()
        answers = await asyncio.gather(first, *others)
        assert [(answer.finished_by, answer.sendings) for answer in answers] == [("cloud", 1)] * 6
        assert site.around.queue.prefix_counts.batches < prefixes(site) == 6


async def test_a_replica_that_failed_lately_is_probed_with_a_whole_request() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        (connection,) = await site.usable(1)
        for _ in range(3):
            connection.gave_up(0.0, late=True)
        await site.usable(1)  # half-open
        answer = await site.run(1)
        assert (answer.finished_by, answer.sendings, connection.healthy) == ("cloud", 1, True)


async def test_the_stages_sum_to_the_time_it_took() -> None:
    async with edge_site(skips=True, finish_s=5.0) as site:
        began_s = asyncio.get_running_loop().time()
        task = await begun(site, 1)
        site.edge_gate.open()
        answer = await task
        assert answer.timings.total_s == pytest.approx(asyncio.get_running_loop().time() - began_s, abs=0.05)
