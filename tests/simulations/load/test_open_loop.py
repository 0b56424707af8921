"""Requests leave at their times, and their latency counts from there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from isthmus.errors import Overloaded
from simulations.load import open_loop
from simulations.load.client_kind import Client, ClientKind
from simulations.load.open_loop import Answer, OpenLoop, Outcome
from simulations.workload.arrival_process import ArrivalProcess
from simulations.workload.closed_loop import ClosedLoop
from simulations.workload.recorded import Recorded

ANSWER = Answer(10, 0.0, "plan", "edge")
Asking = Callable[[Client, float | None], Awaitable[Answer]]


def client(arrivals: ArrivalProcess | ClosedLoop, deadline_s: float | None = None) -> Client:
    return Client(ClientKind("cameras", "shop", "m", 1, arrivals, deadline_s, 0, "", False), 0)


async def after(seconds: float) -> Answer:
    await asyncio.sleep(seconds)
    return ANSWER


def stand_still_after(seconds: float) -> None:
    """The whole process does, for 0.2 s, as a generator that is too slow or that waits for answers."""
    loop = asyncio.get_running_loop()

    def stand_still() -> None:
        over_s = loop.time() + 0.2
        while loop.time() < over_s:
            pass

    loop.call_later(seconds, stand_still)


async def loaded(
    ask: Asking, one: Client, *, until_s: float = 0.3, patience_s: float = 5.0, warm_up_s: float = 0.0
) -> tuple[list[Outcome], OpenLoop]:
    """What became of that client's requests."""
    outcomes: list[Outcome] = []
    load = OpenLoop(ask, outcomes.append, seed=1, until_s=until_s, warm_up_s=warm_up_s)
    load.begin(one)
    await asyncio.sleep(until_s)
    await load.finish(patience_s)
    return outcomes, load


async def test_requests_leave_while_earlier_ones_are_unanswered() -> None:
    began_s, asked_s = asyncio.get_running_loop().time(), list[float]()

    async def ask(one: Client, left_s: float | None) -> Answer:
        asked_s.append(asyncio.get_running_loop().time() - began_s)
        return await after(0.5)

    outcomes, load = await loaded(ask, client(Recorded((0.0, 0.05, 0.1))))
    assert asked_s == pytest.approx([0.0, 0.05, 0.1], abs=0.04)
    assert [outcome.due_s for outcome in outcomes] == pytest.approx([0.0, 0.05, 0.1])
    assert load.lateness.summary().meant == 3


async def test_a_server_that_stands_still_shows_in_the_requests_that_were_due_meanwhile() -> None:
    """Those that were due then have waited since their time, although they left only afterwards."""

    async def ask(one: Client, left_s: float | None) -> Answer:
        return ANSWER

    stand_still_after(0.02)
    outcomes, load = await loaded(ask, client(Recorded((0.05, 0.1))))
    assert [outcome.took_s for outcome in outcomes] == pytest.approx([0.17, 0.12], abs=0.05)
    assert load.lateness.summary().late == 2
    assert not load.lateness.summary().kept


async def test_a_deadline_counts_from_the_arrival() -> None:
    left: list[float | None] = []

    async def ask(one: Client, left_s: float | None) -> Answer:
        left.append(left_s)
        return ANSWER

    stand_still_after(0.02)
    await loaded(ask, client(Recorded((0.05, 0.1)), deadline_s=0.5))
    assert left == pytest.approx([0.33, 0.38], abs=0.05)


async def test_what_is_refused_is_told_with_its_reason() -> None:
    async def ask(one: Client, left_s: float | None) -> Answer:
        raise Overloaded("full")

    outcomes, _ = await loaded(ask, client(Recorded((0.0,))))
    assert outcomes[0].error == "Overloaded: full"
    assert outcomes[0].answer is None


async def test_what_has_no_answer_at_the_end_has_failed() -> None:
    outcomes, _ = await loaded(lambda one, left_s: after(60.0), client(Recorded((0.0,))), patience_s=0.05)
    assert outcomes[0].error == "without an answer when the load ended"
    assert (outcomes[0].took_s or 0.0) > 0.3


async def test_a_warm_up_is_asked_and_not_reported() -> None:
    asked = 0

    async def ask(one: Client, left_s: float | None) -> Answer:
        nonlocal asked
        asked += 1
        return ANSWER

    outcomes, load = await loaded(ask, client(Recorded((0.0, 0.05, 0.2))), warm_up_s=0.1)
    assert asked == 3
    assert [outcome.due_s for outcome in outcomes] == pytest.approx([0.2])
    assert load.lateness.summary().meant == 1


async def test_a_client_that_ends_asks_no_more() -> None:
    outcomes: list[Outcome] = []
    one = client(Recorded((0.0, 0.05, 0.2)))
    load = OpenLoop(lambda one, left_s: after(0.0), outcomes.append, seed=1, until_s=1.0)
    load.begin(one)
    await asyncio.sleep(0.1)
    load.end(one)
    await asyncio.sleep(0.15)
    await load.finish(1.0)
    assert len(outcomes) == 2


async def test_too_many_under_way_is_told_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "MOST_UNDER_WAY", 2)
    outcomes, load = await loaded(lambda one, left_s: after(0.4), client(Recorded((0.0, 0.01, 0.02, 0.03))))
    assert [outcome.took_s is None for outcome in outcomes] == ["not sent" in outcome.error for outcome in outcomes]
    assert sum(outcome.took_s is None for outcome in outcomes) == 2
    assert load.lateness.summary().unsent == 2


async def test_users_of_a_closed_loop_wait_for_their_answers() -> None:
    under_way, most = 0, 0

    async def ask(one: Client, left_s: float | None) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return ANSWER

    outcomes, _ = await loaded(ask, client(ClosedLoop(2, 0.0)))
    assert most == 2
    assert 10 < len(outcomes) <= 30
    assert all((outcome.took_s or 0.0) >= 0.02 for outcome in outcomes)
