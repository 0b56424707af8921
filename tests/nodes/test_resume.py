"""Resume from the cut: real replicas that die, stall, drain and forget, in one process, over real gRPC."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from isthmus.errors import CloudUnavailable, ComputeFailed, InvalidRequest, Overloaded, TooLarge
from nodes.circuit_breaker import FAILURES_TO_OPEN
from nodes.codecs.base import EncodedTensor
from nodes.codecs.raw import RawCodec
from nodes.guarded_connection import GuardedConnection
from nodes.halves import EdgeHalf, EdgeOutcome
from nodes.limits import CLOUD_LIMITS, EDGE_LIMITS
from nodes.model_runtime import wire_codecs
from nodes.protocol.events import RequestArrived
from nodes.request_run import Answer, RequestRun
from nodes.transport.segment_server import SuffixResult
from tests.nodes.sites import Cloud, Site, edge_site, eventually


async def held(site: Site, seed: int, timeout_s: float | None = None) -> tuple[Cloud, asyncio.Task[Answer]]:
    """A request whose suffix waits at the gate of a replica, and that replica."""
    before = [cloud.engine.gate.came for cloud in site.clouds]
    for cloud in site.clouds:
        cloud.engine.gate.shut()
    task = asyncio.create_task(site.run(seed, timeout_s))
    await eventually(lambda: [cloud.engine.gate.came for cloud in site.clouds] != before)
    (holder,) = (c for c, n in zip(site.clouds, before, strict=True) if c.engine.gate.came > n)
    for cloud in site.clouds:
        if cloud is not holder:
            cloud.engine.gate.open()
    return holder, task


def prefixes(site: Site) -> int:
    return site.around.queue.prefixes.counts.executed


def suffixes(site: Site) -> int:
    return site.around.queue.suffixes.counts.executed


async def test_a_healthy_replica_answers() -> None:
    async with edge_site() as site:
        answer = await site.run(1)
        assert site.is_right(answer, 1)
        assert (answer.finished_by, answer.sendings, suffixes(site)) == ("cloud", 1, 0)
        assert answer.replica  # by its name in the fleet


async def test_what_waits_for_the_cloud_too_long_is_a_wait_for_the_way_up_until_it_ends() -> None:
    async with edge_site(finish_s=60.0) as site:
        way_up = site.around.way_up
        holder, task = await held(site, 1)
        await eventually(lambda: way_up.wait_s(time.monotonic()) > 0.2)  # overdue, and ever longer
        holder.engine.gate.open()
        await task
        assert way_up.wait_s(time.monotonic()) == 0.0
        holder, task = await held(site, 2)
        await holder.die()
        await task
        assert way_up.wait_s(time.monotonic()) == 0.0


async def test_when_a_replica_dies_another_gets_the_same_tensors_where_that_is_sooner() -> None:
    async with edge_site(clouds=2, finish_s=5.0) as site:
        holder, task = await held(site, 1)
        await holder.die()
        answer = await task
        assert site.is_right(answer, 1)
        assert (answer.finished_by, answer.sendings) == ("cloud", 2)
        assert (prefixes(site), suffixes(site)) == (1, 0)


async def test_when_a_replica_dies_the_edge_finishes_where_that_is_sooner() -> None:
    async with edge_site(clouds=2, finish_s=1e-6) as site:
        holder, task = await held(site, 1)
        await holder.die()
        answer = await task
        assert site.is_right(answer, 1)
        assert (answer.finished_by, prefixes(site), suffixes(site)) == ("edge", 1, 1)


async def test_the_last_replica_gone_the_edge_finishes_however_slow_it_is() -> None:
    async with edge_site(finish_s=60.0) as site:
        holder, task = await held(site, 1)
        await holder.die()
        answer = await task
        assert site.is_right(answer, 1)
        assert (answer.finished_by, prefixes(site)) == ("edge", 1)


async def test_a_deadline_before_which_the_edge_could_not_finish_leaves_the_request_with_the_cloud() -> None:
    async with edge_site(finish_s=60.0) as site:
        answer = await site.run(1, timeout_s=5.0)
        assert site.is_right(answer, 1)
        assert (answer.finished_by, answer.sendings) == ("cloud", 1)


async def test_when_a_replica_stalls_the_edge_finishes_inside_the_deadline() -> None:
    async with edge_site(finish_s=0.02) as site:
        began = time.monotonic()
        _, task = await held(site, 1, timeout_s=2.0)
        answer = await task
        assert site.is_right(answer, 1)
        assert answer.finished_by == "edge"
        assert 0.3 < time.monotonic() - began < 2.0
        assert answer.timings.total_s == pytest.approx(time.monotonic() - began, abs=0.3)


async def test_many_requests_of_a_stalled_replica_are_all_finished_inside_their_deadlines() -> None:
    async with edge_site(finish_s=0.005) as site:
        site.clouds[0].engine.gate.shut()
        answers = await asyncio.gather(*(site.run(seed, timeout_s=3.0) for seed in range(40)))
        assert all(site.is_right(answer, seed) for seed, answer in enumerate(answers))
        assert {answer.finished_by for answer in answers} == {"edge"}
        assert prefixes(site) == suffixes(site) == 40


async def test_a_draining_replica_answers_what_it_has() -> None:
    async with edge_site(finish_s=5.0) as site:
        holder, task = await held(site, 1)
        draining = asyncio.create_task(holder.service.drain(5.0))
        await eventually(lambda: site.around.replicas.usable == 0)
        holder.engine.gate.open()
        answer = await task
        await draining
        assert (answer.finished_by, answer.sendings) == ("cloud", 1)
        assert site.is_right(answer, 1)


async def test_what_only_the_cloud_may_finish_goes_to_another_replica() -> None:
    async with edge_site(clouds=2, finish_s=1e-6) as site:
        site.cloud_required = True
        holder, task = await held(site, 1)
        await holder.die()
        answer = await task
        assert (answer.finished_by, suffixes(site)) == ("cloud", 0)
        assert site.is_right(answer, 1)


async def test_what_only_the_cloud_may_finish_is_unavailable_without_one() -> None:
    async with edge_site() as site:
        site.cloud_required = True
        holder, task = await held(site, 1)
        await holder.die()
        with pytest.raises(CloudUnavailable, match="needs the cloud"):
            await task
        assert suffixes(site) == 0


async def test_an_unknown_plan_fails_no_request_and_is_offered_again() -> None:
    async with edge_site() as site:
        (connection,) = await site.usable(1)
        digest = site.ready.entry.plan.wire_digest
        site.clouds[0].node.forget(digest)
        first = await site.run(1)
        assert site.is_right(first, 1)
        assert first.finished_by == "edge"
        await eventually(lambda: connection.runs(digest))
        second = await site.run(2)
        assert (second.finished_by, site.is_right(second, 2)) == ("cloud", True)


async def test_an_unknown_plan_is_offered_again_before_a_request_that_needs_the_cloud_goes_on() -> None:
    async with edge_site() as site:
        site.cloud_required = True
        site.clouds[0].node.forget(site.ready.entry.plan.wire_digest)
        answers = await asyncio.gather(*(site.run(seed) for seed in range(5)))
        assert [answer.finished_by for answer in answers] == ["cloud"] * 5
        assert all(site.is_right(answer, seed) for seed, answer in enumerate(answers))


async def test_an_unknown_plan_disturbs_nobody_else_on_the_stream() -> None:
    async with edge_site() as site:
        holder, task = await held(site, 1)
        holder.node.forget(site.ready.entry.plan.wire_digest)
        forgotten = await site.run(2)
        holder.engine.gate.open()
        assert (forgotten.finished_by, (await task).finished_by) == ("edge", "cloud")


async def test_over_the_bound_of_what_is_kept_new_requests_are_refused_at_once() -> None:
    async with edge_site(kept_bytes=300) as site:  # one request keeps 256, as predicted
        holder, task = await held(site, 1)
        with pytest.raises(Overloaded, match=r"edge\.kept_memory"):
            await site.run(2)
        assert prefixes(site) == 1
        holder.engine.gate.open()
        await task
        assert (await site.run(3)).finished_by == "cloud"
        assert (site.around.kept.peak_bytes, site.around.kept.held_bytes) == (256, 0)


def predict_bytes(site: Site, uplink_bytes: float) -> None:
    """Of what crosses."""
    entry = site.ready.entry
    costs = replace(entry.costs, uplink_bytes_per_item=uplink_bytes)
    site.ready = replace(site.ready, entry=replace(entry, costs=costs))


async def test_what_is_kept_counts_as_it_is_once_it_is_there() -> None:
    async with edge_site(kept_bytes=400) as site:
        predict_bytes(site, 1.0)
        holder, task = await held(site, 1)
        kept_bytes = site.around.kept.held_bytes
        holder.engine.gate.open()
        assert kept_bytes == 128 + (await task).uplink_bytes
        assert site.around.kept.held_bytes == 0


async def test_what_is_larger_than_predicted_and_has_no_room_is_finished_by_the_edge_unsent() -> None:
    async with edge_site(kept_bytes=150) as site:
        predict_bytes(site, 1.0)
        answer = await site.run(1)
        assert site.is_right(answer, 1)
        assert (answer.finished_by, answer.sendings, suffixes(site)) == ("edge", 0, 1)
        assert (site.around.kept.peak_bytes, site.around.kept.held_bytes) == (129, 0)
        site.cloud_required = True
        with pytest.raises(TooLarge, match=r"edge\.kept_memory"):
            await site.run(2)
        assert site.around.kept.held_bytes == 0


async def test_what_there_is_no_room_for_is_let_go_before_the_edge_finishes(monkeypatch: pytest.MonkeyPatch) -> None:
    def encoded() -> int:
        return sum(type(one) is EncodedTensor for one in gc.get_objects())  # looks at no attribute of strangers

    finish, before, beside = RequestRun._finish_on_edge, 0, list[int]()

    async def finished(self: RequestRun, outcome: EdgeOutcome) -> object:
        for _ in range(100):  # the compute thread may still be about to let go of its result
            if encoded() == before:
                break
            await asyncio.sleep(0.02)
        beside.append(encoded() - before)
        return await finish(self, outcome)

    monkeypatch.setattr(RequestRun, "_finish_on_edge", finished)
    async with edge_site(kept_bytes=150) as site:
        predict_bytes(site, 1.0)
        gc.collect()
        before = encoded()
        assert (await site.run(1)).finished_by == "edge"
    assert beside == [0]


async def test_a_replica_that_fails_every_request_is_not_asked_until_a_probe_succeeds() -> None:
    async with edge_site() as site:
        (connection,) = await site.usable(1)
        site.clouds[0].engine.failing = True
        answers = [await site.run(seed) for seed in range(3)]
        assert {answer.finished_by for answer in answers} == {"edge"}
        assert not connection.open
        site.clouds[0].engine.failing = False
        await site.usable(1)
        probe = await site.run(4)
        assert (probe.finished_by, site.is_right(probe, 4)) == ("cloud", True)


async def test_a_silent_replica_is_not_asked_again_before_it_has_said_something() -> None:
    async with edge_site() as site:
        (connection,) = await site.usable(1)
        connection.gave_up(time.monotonic(), late=True)
        assert not connection.open
        await eventually(lambda: connection.open)  # an echo comes back
        assert (await site.run(1)).finished_by == "cloud"


async def test_of_two_slow_ways_on_the_less_slow_is_taken() -> None:
    async with edge_site(clouds=2, finish_s=1e-6) as site:
        site.expect(cloud_s=2.0, finish_s=1.0)
        holder, task = await held(site, 1)
        await holder.die()
        assert (await task).finished_by == "edge"


async def test_a_request_that_nobody_can_compute_is_no_replicas_fault() -> None:
    async with edge_site(clouds=2) as site:
        site.cloud_required = True
        connections = await site.usable(2)
        for cloud in site.clouds:
            cloud.engine.failing = True
        for seed in range(FAILURES_TO_OPEN + 1):
            with pytest.raises(ComputeFailed, match="made to fail"):
                await site.run(seed)
        assert all(connection.healthy for connection in connections)


async def test_a_replica_that_cannot_compute_what_another_one_can_is_at_fault() -> None:
    async with edge_site(clouds=2) as site:
        site.cloud_required = True
        connections = await site.usable(2)
        first = (await site.run(0)).replica
        site.clouds[int(first.removeprefix("replica-"))].engine.failing = True
        for seed in range(100):
            assert (await site.run(seed)).replica != first
            if not all(connection.healthy for connection in connections):
                break
        assert [connection.replica_id for connection in connections if not connection.healthy] == [first]


async def misread(request: RequestArrived) -> SuffixResult:
    raise InvalidRequest("tensor x", "cannot be decoded")


async def test_what_a_replica_reads_as_wrong_is_finished_by_the_edge_or_another_one() -> None:
    async with edge_site(clouds=2) as site:
        misreads, other = await site.usable(2)
        site.clouds[int(misreads.replica_id.removeprefix("replica-"))].node.run = misread  # type: ignore[method-assign]
        site.expect(cloud_s=1.0, finish_s=1e-6)
        answer = await site.run(1, None, misreads)
        assert (answer.finished_by, site.is_right(answer, 1)) == ("edge", True)
        site.cloud_required = True
        for seed in range(FAILURES_TO_OPEN):
            assert (await site.run(seed, None, misreads)).replica == other.replica_id
        assert not misreads.healthy
        assert other.healthy


async def test_what_every_replica_reads_as_wrong_is_told_so_where_only_they_may_finish() -> None:
    async with edge_site() as site:
        site.cloud_required = True
        site.clouds[0].node.run = misread  # type: ignore[method-assign]
        with pytest.raises(InvalidRequest, match="cannot be decoded"):
            await site.run(1)


class Garbling:
    """A replica that computes as it should, and answers something else."""

    def __init__(self, cloud: Cloud, garble: Callable[[EncodedTensor], EncodedTensor]) -> None:
        self._run, self._garble = cloud.node.run, garble
        self.garbling = True
        cloud.node.run = self  # type: ignore[method-assign]

    async def __call__(self, request: RequestArrived) -> SuffixResult:
        result = await self._run(request)
        if not self.garbling:
            return result
        return result._replace(tensors=tuple(self._garble(tensor) for tensor in result.tensors))


def one_row_more(tensor: EncodedTensor) -> EncodedTensor:
    return RawCodec().encode(tensor.name, torch.zeros(tensor.shape[0] + 1, *tensor.shape[1:]))


GARBLED: dict[str, Callable[[EncodedTensor], EncodedTensor]] = {
    "another name": lambda tensor: replace(tensor, name="nobody"),
    "another codec": lambda tensor: replace(tensor, codec="zstd"),
    "bytes that are missing": lambda tensor: replace(tensor, data=tensor.data[:-1]),
    "another shape": one_row_more,
    "another dtype": lambda tensor: RawCodec().encode(tensor.name, torch.zeros(tensor.shape, dtype=torch.float64)),
}
garbled = pytest.mark.parametrize("garble", GARBLED.values(), ids=GARBLED.keys())


def cloud_of(site: Site, connection: GuardedConnection) -> Cloud:
    return site.clouds[int(connection.replica_id.removeprefix("replica-"))]


@garbled
async def test_an_answer_that_is_not_the_plans_is_made_by_the_edge_once(
    garble: Callable[[EncodedTensor], EncodedTensor],
) -> None:
    async with edge_site() as site:
        Garbling(site.clouds[0], garble)
        answer = await site.run(1)
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 1)) == ("edge", 1, True)
        assert (prefixes(site), suffixes(site)) == (1, 1)
        counts = site.around.counts
        assert (counts.answered, counts.resumed_on_edge) == (0, 1)
        assert answer.timings.uplink_s > 0.0  # what the wait for it took


@garbled
async def test_a_replica_whose_answers_are_not_the_plans_is_set_aside_and_another_one_asked(
    garble: Callable[[EncodedTensor], EncodedTensor],
) -> None:
    async with edge_site(clouds=2) as site:
        site.cloud_required = True
        garbles, other = await site.usable(2)
        Garbling(cloud_of(site, garbles), garble)
        for seed in range(FAILURES_TO_OPEN):
            assert garbles.healthy
            answer = await site.run(seed, None, garbles)
            assert (answer.replica, answer.sendings, site.is_right(answer, seed)) == (other.replica_id, 2, True)
        assert not garbles.healthy
        assert other.healthy


async def test_a_replica_that_answers_what_is_asked_again_is_used_again() -> None:
    async with edge_site() as site:
        (connection,) = await site.usable(1)
        garbling = Garbling(site.clouds[0], one_row_more)
        for seed in range(FAILURES_TO_OPEN):
            assert (await site.run(seed)).finished_by == "edge"
        assert not connection.open
        garbling.garbling = False
        await site.usable(1)
        assert (await site.run(1)).finished_by == "cloud"
        assert connection.healthy


@garbled
async def test_where_only_the_cloud_may_finish_and_nobody_answers_the_plans_it_could_not_be_computed(
    garble: Callable[[EncodedTensor], EncodedTensor],
) -> None:
    async with edge_site() as site:
        site.cloud_required = True
        Garbling(site.clouds[0], garble)
        with pytest.raises(ComputeFailed, match="the cloud's answer is not what the plan makes"):
            await site.run(1)
        assert (prefixes(site), suffixes(site)) == (1, 0)


async def test_an_answer_too_large_for_the_edge_is_no_replicas_fault() -> None:
    async with edge_site() as site:
        (connection,) = await site.usable(1)
        plan, small = site.ready.entry.plan, replace(EDGE_LIMITS, tensor_bytes=8)
        codecs = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
        half = EdgeHalf(site.model, plan.edge_ops, *codecs, site.engine, limits=small)
        site.ready = replace(site.ready, half=half)
        for seed in range(FAILURES_TO_OPEN):
            answer = await site.run(seed)
            assert (answer.finished_by, site.is_right(answer, seed)) == ("edge", True)
        assert connection.healthy
        site.cloud_required = True
        with pytest.raises(TooLarge, match=r"edge\.limits\.tensor"):
            await site.run(1)


async def test_what_only_the_cloud_may_finish_is_told_of_its_overload() -> None:
    async with edge_site(limits=replace(CLOUD_LIMITS, queue=0)) as site:
        site.cloud_required = True
        with pytest.raises(Overloaded, match=r"cloud\.limits\.queue"):
            await site.run(1)
        assert site.clouds[0].service.rejections == {"OVERLOADED": 1}


async def test_what_the_replicas_have_no_memory_for_is_finished_by_the_edge() -> None:
    async with edge_site() as site:
        held = site.clouds[0].service.held
        held.reserve(held.limit_bytes, 1.0)
        answer = await site.run(1)
        assert site.is_right(answer, 1)
        assert answer.replica == ""
        site.cloud_required = True
        with pytest.raises(Overloaded, match=r"cloud\.limits\.memory"):
            await site.run(2)
        held.release(held.limit_bytes)
        assert (await site.run(3)).replica != ""
        await eventually(lambda: held.held_bytes == 0)


async def test_what_is_too_large_for_the_replicas_is_finished_by_the_edge() -> None:
    async with edge_site(limits=replace(CLOUD_LIMITS, message_bytes=8)) as site:
        assert (await site.run(1)).replica == ""
        site.cloud_required = True
        with pytest.raises(TooLarge, match=r"cloud\.limits\.message"):
            await site.run(1)
        assert site.clouds[0].service.rejections == {"TOO_LARGE": 2}
