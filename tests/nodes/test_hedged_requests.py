"""Hedged requests: two real replicas over real gRPC, of which one is late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from isthmus.addresses import format_address, parse_address
from isthmus.errors import CloudUnavailable, ComputeFailed, InvalidInput
from nodes.accepted_request import AcceptedRequest
from nodes.cloud_answer import CloudAnswer
from nodes.cloud_asking import CloudAsking
from nodes.codecs.base import EncodedTensor
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.guarded_connection import GuardedConnection
from nodes.halves import EdgeOutcome
from nodes.hedging import REQUESTS_A_HEDGE, Hedging
from nodes.request_run import Answer
from simulations.link_emulator import LinkEmulator, LinkShape
from tests.nodes.sites import Cloud, Site, edge_site, eventually
from tests.nodes.test_resume import Garbling, held, one_row_more, prefixes, suffixes


class LateAtOnce(Hedging):
    """Once it is told so, late is what takes 0.3 s, whatever was predicted and on however busy a machine: time to see
    who was asked first, and less than a request waits for its replica."""

    hedges = False

    def after_s(self, expected_s: float) -> float | None:
        return 0.3 if self.hedges else None


@contextlib.asynccontextmanager
async def hedging_site(requests: int = REQUESTS_A_HEDGE, clouds: int = 2) -> AsyncIterator[Site]:
    """With so many requests answered, so that one hedge is earned. The edge would be slower than any replica."""
    hedging = LateAtOnce(80.0)
    async with edge_site(clouds=clouds, finish_s=5.0, hedging=hedging) as site:
        for seed in range(requests):
            assert (await site.run(seed)).sendings == 1
        hedging.hedges = True
        yield site


async def test_where_a_replica_stalls_the_second_one_answers_and_nothing_is_computed_twice_on_the_edge() -> None:
    async with hedging_site() as site:
        _, task = await held(site, 99)
        answer = await task
        assert site.is_right(answer, 99)
        assert (answer.finished_by, answer.sendings, suffixes(site)) == ("cloud", 2, 0)
        assert prefixes(site) == REQUESTS_A_HEDGE + 1
        counts = site.around.counts
        assert (counts.hedged, counts.hedges_won, counts.resent, counts.answered) == (1, 1, 0, REQUESTS_A_HEDGE)


async def test_the_stages_of_a_hedged_request_are_disjoint() -> None:
    async with hedging_site() as site:
        began_s = asyncio.get_running_loop().time()
        _, task = await held(site, 99)
        answer = await task
        assert 0 < answer.timings.total_s <= asyncio.get_running_loop().time() - began_s
        assert min(answer.timings.edge_s, answer.timings.uplink_s, answer.timings.downlink_s) >= 0


async def test_the_loser_is_cancelled_and_holds_nothing() -> None:
    async with hedging_site() as site:
        holder, task = await held(site, 99)
        await task
        await eventually(lambda: holder.service.status().requests == 0)
        assert site.around.replicas.in_flight_bytes == 0


async def test_a_late_answer_of_the_loser_is_discarded_once() -> None:
    async with hedging_site() as site, contextlib.AsyncExitStack() as stack:
        before = await site.usable(2)
        links, replicas = [], []
        for number, cloud in enumerate(site.clouds):
            link = LinkEmulator(LinkShape(1e9, 1e9, 0.0))
            stack.push_async_callback(link.close)
            relayed = format_address(*await link.relay("127.0.0.1", 0, *parse_address(cloud.target)))
            links.append(link)
            replicas.append(Replica(f"replica-{number}", Endpoint(relayed)))
        site.around.replicas.follow(FleetView(2, tuple(replicas)))
        await eventually(lambda: len(site.around.replicas.connections) == 2)
        await eventually(lambda: not {*before} & {*site.around.replicas.connections})
        await site.usable(2)
        holder, task = await held(site, 99)
        links[site.clouds.index(holder)].stall(1.0)  # the cancellation and the answer pass each other
        holder.engine.gate.open()
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 99)) == ("cloud", 2, True)
        assert site.around.replicas.late_answers == 0
        await eventually(lambda: site.around.replicas.late_answers > 0)
        assert site.around.replicas.late_answers == 1


async def test_a_first_answer_that_comes_after_all_counts() -> None:
    async with hedging_site() as site:
        before = [cloud.engine.gate.came for cloud in site.clouds]
        for cloud in site.clouds:
            cloud.engine.gate.shut()
        task = asyncio.create_task(site.run(99))
        await eventually(lambda: [cloud.engine.gate.came for cloud in site.clouds] != before)
        (first,) = (c for c, n in zip(site.clouds, before, strict=True) if c.engine.gate.came > n)
        await eventually(lambda: site.around.counts.hedged == 1)
        first.engine.gate.open()
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 99)) == ("cloud", 2, True)
        assert (site.around.counts.hedges_won, site.around.counts.answered) == (0, REQUESTS_A_HEDGE + 1)
        assert site.around.replicas.in_flight_bytes == 0


async def test_where_the_first_answer_is_none_of_the_plans_the_other_one_is_still_waited_for() -> None:
    async with hedging_site() as site:
        holder, task = await held(site, 99)
        (other,) = (cloud for cloud in site.clouds if cloud is not holder)
        (asked,) = (one for one in await site.usable(2) if one.replica_id == f"replica-{site.clouds.index(other)}")
        garbled = list[str]()

        def garble(tensor: EncodedTensor) -> EncodedTensor:
            garbled.append(tensor.name)
            return one_row_more(tensor)

        Garbling(other, garble)
        await eventually(lambda: bool(garbled) and asked.in_flight == 0)
        holder.engine.gate.open()
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 99)) == ("cloud", 2, True)
        counts = site.around.counts
        assert (counts.hedged, counts.hedges_won, counts.resent, suffixes(site)) == (1, 0, 0, 0)
        assert counts.answered == REQUESTS_A_HEDGE + 1  # by whom it was asked first
        assert answer.timings.total_s > 0


async def test_an_answer_that_is_there_is_read_though_the_edge_would_have_to_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hedging_site() as site:
        holder, task = await held(site, 99)
        (other,) = (cloud for cloud in site.clouds if cloud is not holder)
        asking, misanswered, is_late = CloudAsking.ask, CloudAsking.misanswered, list[bool]()

        def answer_of_none(self: CloudAsking, answer: CloudAnswer, error: InvalidInput) -> None:
            holder.engine.gate.open()  # not before, or its answer might be the first
            misanswered(self, answer, error)

        async def ask_late(self: CloudAsking, outcome: EdgeOutcome, replica: GuardedConnection) -> CloudAnswer | None:
            if self._other is not None:
                await asyncio.wait([self._other.asked])
                is_late.append(True)
            return await asking(self, outcome, replica)

        monkeypatch.setattr(CloudAsking, "ask", ask_late)
        monkeypatch.setattr(CloudAsking, "misanswered", answer_of_none)
        monkeypatch.setattr(AcceptedRequest, "edge_must_begin", lambda self: bool(is_late))
        Garbling(other, one_row_more)
        answer = await task
        assert site.is_right(answer, 99)
        assert (is_late, answer.finished_by, suffixes(site)) == ([True], "cloud", 0)


async def test_where_both_die_the_edge_finishes() -> None:
    async with hedging_site() as site:
        for cloud in site.clouds:
            cloud.engine.gate.shut()
        task = asyncio.create_task(site.run(99))
        await eventually(lambda: site.around.counts.hedged == 1)
        for cloud in site.clouds:
            await cloud.die()
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 99)) == ("edge", 2, True)
        assert suffixes(site) == 1


async def test_where_both_fail_neither_is_asked_again() -> None:
    async with hedging_site() as site:
        for cloud in site.clouds:
            cloud.engine.gate.shut()
            cloud.engine.failing = True
        task = asyncio.create_task(site.run(99))
        await eventually(lambda: site.around.counts.hedged == 1)
        for cloud in site.clouds:
            cloud.engine.gate.open()
        answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 99)) == ("edge", 2, True)


async def both_asked(site: Site) -> tuple[Cloud, Cloud, asyncio.Task[Answer]]:
    """A request that waits at the gates of two replicas, the one that was asked first before the other."""
    before = [cloud.engine.gate.came for cloud in site.clouds]
    for cloud in site.clouds:
        cloud.engine.gate.shut()
    task = asyncio.create_task(site.run(99))
    await eventually(lambda: [cloud.engine.gate.came for cloud in site.clouds] != before)
    (first,) = (c for c, n in zip(site.clouds, before, strict=True) if c.engine.gate.came > n)
    (second,) = (cloud for cloud in site.clouds if cloud is not first)
    await eventually(lambda: second.engine.gate.came > before[site.clouds.index(second)])
    return first, second, task


def told_of(lines: list[EventDict], site: Site, cloud: Cloud) -> list[str]:
    """Why a request went on elsewhere from that replica, as the edge's log has it."""
    replica = f"replica-{site.clouds.index(cloud)}"
    return [line["reason"] for line in lines if line["event"] == "resuming from the cut" and line["replica"] == replica]


@pytest.mark.parametrize("dies", [0, 1], ids=["the first", "the second"])
async def test_where_both_fail_each_failure_is_of_the_replica_whose_it_is(dies: int) -> None:
    async with hedging_site() as site:
        with capture_logs() as lines:
            *asked, task = await both_asked(site)
            dead, failing = asked[dies], asked[1 - dies]
            await dead.die()
            failing.engine.failing = True
            failing.engine.gate.open()
            answer = await task
        assert (answer.finished_by, answer.sendings, site.is_right(answer, 99)) == ("edge", 2, True)
        (of_dead,), (of_failing,) = told_of(lines, site, dead), told_of(lines, site, failing)
        assert "made to fail" in of_failing
        assert "made to fail" not in of_dead


@pytest.mark.parametrize(("dies", "told"), [(0, ComputeFailed), (1, CloudUnavailable)], ids=["the first", "the second"])
async def test_where_both_fail_the_client_gets_one_error_by_what_came_last(dies: int, told: type[Exception]) -> None:
    async with hedging_site() as site:
        site.cloud_required = True
        connections = {one.replica_id: one for one in await site.usable(2)}
        first, second, task = await both_asked(site)
        asked = connections[f"replica-{site.clouds.index(first)}"]
        first.engine.failing = second.engine.failing = True
        await first.die() if dies == 0 else first.engine.gate.open()
        await eventually(lambda: asked.in_flight == 0)
        await second.die() if dies == 1 else second.engine.gate.open()
        with pytest.raises(told):
            await task


async def test_a_replica_that_failed_is_not_late_besides() -> None:
    async with hedging_site() as site:
        with capture_logs() as lines:
            first, second, task = await both_asked(site)
            first.engine.failing = True
            first.engine.gate.open()
            answer = await task
        assert (answer.finished_by, site.is_right(answer, 99)) == ("edge", True)
        (of_first,) = told_of(lines, site, first)
        assert "made to fail" in of_first
        assert told_of(lines, site, second) == ["no answer in time"]


async def test_beyond_the_budget_requests_wait_for_their_replica() -> None:
    async with hedging_site(2 * REQUESTS_A_HEDGE - 3) as site:
        for cloud in site.clouds:
            cloud.engine.gate.shut()
        tasks = [asyncio.create_task(site.run(seed)) for seed in range(5)]
        await eventually(lambda: site.around.counts.hedged == 2)
        await asyncio.sleep(0.5)
        for cloud in site.clouds:
            cloud.engine.gate.open()
        answers = await asyncio.gather(*tasks)
        assert site.around.counts.hedged == 2
        assert sorted(answer.sendings for answer in answers) == [1, 1, 1, 2, 2]


async def test_a_replica_that_failed_lately_is_not_asked_besides() -> None:
    async with hedging_site() as site:
        for connection in site.around.replicas.connections:
            for _ in range(3):
                connection.gave_up(0.0, late=True)
        await site.usable(2)  # half-open: each lets one probe through
        holder, task = await held(site, 99)
        await asyncio.sleep(0.5)
        holder.engine.gate.open()
        assert ((await task).sendings, site.around.counts.hedged) == (1, 0)


async def test_with_one_replica_nothing_is_sent_twice() -> None:
    async with hedging_site(clouds=1) as site:
        holder, task = await held(site, 99)
        await asyncio.sleep(0.5)
        holder.engine.gate.open()
        assert ((await task).sendings, site.around.counts.hedged) == (1, 0)
