"""Requests that only the cloud may finish: a replica that is late or lost for a while fails none whose deadline is far
off. Real replicas in one process, over real gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from isthmus.addresses import format_address, parse_address
from isthmus.errors import CloudUnavailable, DeadlineExceeded, UnknownPlan
from nodes.circuit_breaker import FAILURES_TO_OPEN
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.guarded_connection import GuardedConnection
from nodes.onward import MOST_UNANSWERED
from nodes.protocol.events import RequestArrived
from nodes.request_run import Answer
from nodes.transport.segment_server import SuffixResult
from partitioner.measurements import AffineTime
from simulations.link_emulator import LinkShape
from simulations.link_thread import LinkEmulatorThread
from tests.nodes.sites import Cloud, Site, edge_site, eventually
from tests.nodes.test_resume import held, prefixes, suffixes

DEADLINE_S = 10.0


@contextlib.asynccontextmanager
async def required_site(clouds: int = 1) -> AsyncIterator[Site]:
    async with edge_site(clouds=clouds) as site:
        site.cloud_required = True
        yield site


@contextlib.asynccontextmanager
async def linked_site() -> AsyncIterator[tuple[Site, LinkEmulatorThread]]:
    """One replica behind a link that goes on while this thread stands still."""
    async with required_site() as site:
        (direct,) = await site.usable(1)
        with LinkEmulatorThread(LinkShape(1e9, 1e9, 0.0)) as link:
            relayed = format_address(*link.relay("127.0.0.1", 0, *parse_address(site.clouds[0].target)))
            site.around.replicas.follow(FleetView(2, (Replica("replica-0", Endpoint(relayed)),)))
            await eventually(lambda: direct not in site.around.replicas.connections)
            await site.usable(1)
            yield site, link


async def held_past_patience(site: Site, deadline_s: float = DEADLINE_S) -> tuple[Cloud, asyncio.Task[Answer]]:
    """A request that waits for the only replica, and says no more of the way up: given up, or late and staying."""
    way_up = site.around.way_up
    holder, task = await held(site, 1, deadline_s)
    await eventually(lambda: way_up.wait_s(time.monotonic()) > 0.5)
    await eventually(lambda: way_up.wait_s(time.monotonic()) == 0.0)
    return holder, task


async def test_a_silent_replica_is_not_waited_for_the_longer_for_what_the_edge_was_expected_to_take() -> None:
    async with required_site(clouds=2) as site:
        costs = site.ready.entry.costs
        entry = replace(site.ready.entry, costs=replace(costs, edge=AffineTime(0.0, DEADLINE_S)))
        site.ready = replace(site.ready, entry=entry)
        _, task = await held(site, 1, DEADLINE_S)
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 1)) == ("cloud", 2, True)


def replica_of(site: Site, connection: GuardedConnection) -> Cloud:
    return site.clouds[int(connection.replica_id.removeprefix("replica-"))]


def set_aside(connection: GuardedConnection) -> None:
    """By answers that were late."""
    for _ in range(FAILURES_TO_OPEN):
        connection.gave_up(time.monotonic(), late=True)
    assert not connection.open


async def test_an_answer_that_is_late_is_waited_for_while_nobody_else_can_be_asked() -> None:
    async with required_site() as site:
        (connection,) = await site.usable(1)
        holder, task = await held_past_patience(site)
        holder.engine.gate.open()
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 1)) == ("cloud", 1, True)
        assert (prefixes(site), suffixes(site), site.around.replicas.late_answers) == (1, 0, 0)
        assert connection.healthy
        assert (answer.teaches, (await site.run(2, DEADLINE_S)).teaches) == (False, True)


async def test_the_only_replica_is_asked_by_others_while_one_waits_past_its_patience() -> None:
    async with required_site() as site:
        holder, task = await held_past_patience(site)
        others = [asyncio.create_task(site.run(seed, DEADLINE_S)) for seed in range(2, 5)]
        await eventually(lambda: holder.node.load().queued_requests == 4)
        holder.engine.gate.open()
        answers = await asyncio.gather(task, *others)
        assert {(answer.finished_by, answer.sendings) for answer in answers} == {("cloud", 1)}
        assert all(site.is_right(answer, seed) for seed, answer in enumerate(answers, 1))


async def test_a_probe_that_waits_past_its_patience_keeps_no_other_request_from_the_replica() -> None:
    async with required_site() as site:
        (connection,) = await site.usable(1)
        set_aside(connection)
        await eventually(lambda: connection.open)
        _, task = await held_past_patience(site)
        assert connection.open
        task.cancel()


async def test_an_edge_that_says_goodbye_waits_for_no_deadline() -> None:
    async with required_site() as site:
        _, task = await held_past_patience(site, 6 * DEADLINE_S)
        async with asyncio.timeout(DEADLINE_S):
            await site.around.replicas.close()
            with pytest.raises(CloudUnavailable):
                await task


async def test_the_wait_ends_with_the_deadline_and_the_only_replica_stays_in_use() -> None:
    async with required_site() as site:
        (connection,) = await site.usable(1)
        holder, task = await held(site, 1, timeout_s=1.5)
        with pytest.raises(DeadlineExceeded):
            await task
        assert connection.healthy
        holder.engine.gate.open()
        assert (await site.run(2, DEADLINE_S)).finished_by == "cloud"
        assert site.around.kept.held_bytes == 0


async def test_a_client_that_leaves_while_its_request_stays_takes_it_back() -> None:
    async with required_site() as site:
        holder, task = await held_past_patience(site)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda: holder.service.status().requests == 0)
        assert (site.around.kept.held_bytes, site.around.replicas.in_flight_bytes) == (0, 0)


async def test_of_two_replicas_that_are_late_the_first_is_asked_again_once_it_has_spoken() -> None:
    async with required_site(clouds=2) as site:
        for cloud in site.clouds:
            cloud.engine.gate.shut()
        before = [cloud.engine.gate.came for cloud in site.clouds]
        task = asyncio.create_task(site.run(1, 2 * DEADLINE_S))
        await eventually(lambda: [cloud.engine.gate.came for cloud in site.clouds] != before)
        (first,) = (place for place, cloud in enumerate(site.clouds) if cloud.engine.gate.came > before[place])
        other = site.clouds[1 - first].engine.gate
        await eventually(lambda: other.came > before[1 - first])
        site.clouds[first].engine.gate.open()
        answer = await task
        assert (answer.replica, answer.sendings, site.is_right(answer, 1)) == (f"replica-{first}", 3, True)
        assert (prefixes(site), suffixes(site), site.around.counts.resent) == (1, 0, 2)


async def test_a_request_that_stays_leaves_for_a_replica_that_comes_later() -> None:
    async with required_site() as site:
        (late,) = await site.usable(1)
        _, task = await held_past_patience(site)
        site.clouds.append(await Cloud.start([site.model], "replica-1"))
        views = (Replica(f"replica-{number}", Endpoint(cloud.target)) for number, cloud in enumerate(site.clouds))
        site.around.replicas.follow(FleetView(2, tuple(views)))
        answer = await task
        assert (answer.replica, answer.sendings, site.is_right(answer, 1)) == ("replica-1", 2, True)
        await eventually(lambda: late.open)  # it was set aside only when it was left


async def test_a_replica_whose_stream_breaks_answers_once_it_is_back() -> None:
    async with linked_site() as (site, link):
        holder, task = await held(site, 1, DEADLINE_S)
        link.cut()
        await eventually(lambda: not site.around.replicas.connections)
        holder.engine.gate.open()
        link.restore()
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 1)) == ("cloud", 2, True)
        assert (prefixes(site), suffixes(site)) == (1, 0)


async def test_a_replica_that_did_not_know_the_plan_is_asked_again_once_it_does() -> None:
    async with required_site(clouds=2) as site:
        forgetful, other = await site.usable(2)
        gates = [replica_of(site, each).engine.gate for each in (forgetful, other)]
        replica_of(site, forgetful).node.forget(site.ready.entry.plan.wire_digest)
        for gate in gates:
            gate.shut()  # it learns the plan no sooner
        came = gates[1].came
        task = asyncio.create_task(site.run(1, 2 * DEADLINE_S, forgetful))
        await eventually(lambda: gates[1].came > came)
        gates[0].open()
        answer = await task
        assert (answer.replica, answer.sendings, site.is_right(answer, 1)) == (forgetful.replica_id, 3, True)


async def test_a_replica_that_had_no_room_just_then_is_asked_again_where_the_other_is_late() -> None:
    async with required_site(clouds=2) as site:
        full, other = await site.usable(2)
        held, gate = replica_of(site, full).service.held, replica_of(site, other).engine.gate
        held.reserve(held.limit_bytes, 1.0)
        gate.shut()
        came = gate.came
        task = asyncio.create_task(site.run(1, 2 * DEADLINE_S, full))
        await eventually(lambda: gate.came > came)
        held.release(held.limit_bytes)
        answer = await task
        assert (answer.replica, answer.sendings, site.is_right(answer, 1)) == (full.replica_id, 3, True)


async def test_a_plan_that_is_forgotten_again_is_offered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with required_site() as site:
        node, known = site.clouds[0].node, site.clouds[0].node.run
        forgets = iter((UnknownPlan("forgotten"), UnknownPlan("and again")))

        async def run(request: RequestArrived) -> SuffixResult:
            if (error := next(forgets, None)) is not None:
                raise error
            return await known(request)

        monkeypatch.setattr(node, "run", run)
        answer = await site.run(1, DEADLINE_S)
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 1)) == ("cloud", 3, True)


async def test_a_request_that_lost_its_replica_goes_to_one_that_the_view_names_later() -> None:
    async with required_site() as site:
        holder, task = await held(site, 1, DEADLINE_S)
        await holder.die()
        await eventually(lambda: not site.around.replicas.connections)
        site.clouds.append(await Cloud.start([site.model], "replica-1"))
        site.around.replicas.follow(FleetView(2, (Replica("replica-1", Endpoint(site.clouds[1].target)),)))
        answer = await task
        assert (answer.replica, answer.sendings, site.is_right(answer, 1)) == ("replica-1", 2, True)


async def test_a_request_whose_replica_is_lost_again_and_again_is_not_sent_again_for_ever() -> None:
    async with linked_site() as (site, link):
        gate = site.clouds[0].engine.gate
        gate.shut()
        task = asyncio.create_task(site.run(1, 3 * DEADLINE_S))
        for _ in range(MOST_UNANSWERED):
            came = gate.came
            await eventually(lambda came=came: gate.came > came)  # type: ignore[misc]
            link.cut()
            gate.open()
            await eventually(lambda: not site.around.replicas.connections)
            gate.shut()
            link.restore()
        with pytest.raises(CloudUnavailable, match=r"no replica answers \(replica-0 connecting\); try again"):
            await task


async def test_without_a_replica_until_the_deadline_it_is_told_why() -> None:
    async with required_site() as site:
        holder, task = await held(site, 1, timeout_s=1.0)
        await holder.die()
        with pytest.raises(CloudUnavailable, match=r"no replica answers \(replica-0 connecting\); try again"):
            await task


async def test_requests_wait_for_a_replica_whose_breaker_is_open_and_are_all_answered() -> None:
    async with required_site() as site:
        (connection,) = await site.usable(1)
        set_aside(connection)
        answers = await asyncio.gather(*(site.run(seed, DEADLINE_S) for seed in range(5)))
        assert {(answer.finished_by, answer.sendings) for answer in answers} == {("cloud", 1)}
        assert all(site.is_right(answer, seed) for seed, answer in enumerate(answers))
        assert connection.healthy


async def test_without_a_deadline_a_replica_that_is_set_aside_is_waited_for_a_moment() -> None:
    async with required_site() as site:
        (connection,) = await site.usable(1)
        set_aside(connection)
        assert (await site.run(1)).finished_by == "cloud"
        assert suffixes(site) == 0


async def test_without_a_deadline_nobody_waits_longer_and_the_edge_does_not_finish_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nodes.onward.REPLICA_WAIT_S", 0.001)
    async with required_site() as site:
        (connection,) = await site.usable(1)
        set_aside(connection)
        with pytest.raises(CloudUnavailable, match="no replica answers"):
            await site.run(1)
        assert suffixes(site) == 0
        assert site.around.kept.held_bytes == 0


async def test_without_a_deadline_patience_is_what_ends_the_wait() -> None:
    async with required_site() as site:
        _, task = await held(site, 1)
        with pytest.raises(CloudUnavailable, match=r"no replica answers \(replica-0 "):
            await task


async def test_an_edge_that_stood_still_reads_the_answer_before_it_gives_its_replica_up() -> None:
    async with linked_site() as (site, link):
        began_s = time.monotonic()
        holder, task = await held(site, 1)
        link.stall(0.5)  # the answer waits in it while this thread, and so the edge, goes on
        holder.engine.gate.open()
        await eventually(lambda: holder.service.status().requests == 0)
        time.sleep(began_s + 2.0 - time.monotonic())  # noqa: ASYNC251 - a machine that stands still
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 1)) == ("cloud", 1, True)
        assert (await site.usable(1))[0].healthy
