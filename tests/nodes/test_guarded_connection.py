"""Which replicas are asked: what a connection remembers of its own."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import pytest

from isthmus.errors import CloudUnavailable, InvalidPlan, IsthmusError, Overloaded
from nodes.circuit_breaker import FAILURES_TO_OPEN, FIRST_OPEN_S, BreakerState, CircuitBreaker
from nodes.cloud_connection import CloudConnection
from nodes.fleet import Endpoint, Replica
from nodes.guarded_connection import GuardedConnection
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import MeasuredBatch, PlanDefinition, PlanTimes, ResponseArrived
from nodes.replica_state import ReplicaState, replica_state, standings_told
from nodes.tensor_feed import TensorFeed
from tests.nodes.sites import eventually


@dataclass
class Heard:
    """As much of a connection as is looked at."""

    heard_s: float
    open: bool = True
    cloud_queue_s: float = 0.25
    in_flight: int = 2
    in_flight_bytes: int = 300
    speak: Callable[[], None] | None = None

    def when_heard(self, listener: Callable[[], None]) -> None:
        self.speak = listener


def guarded(heard: Heard) -> GuardedConnection:
    return GuardedConnection(cast(CloudConnection, heard), CircuitBreaker())


def test_outrun_a_replica_that_said_nothing_since_is_not_asked_before_it_does() -> None:
    heard = Heard(time.monotonic())
    connection = guarded(heard)
    connection.outrun(heard.heard_s + 1e-6)
    assert not connection.open
    heard.heard_s = time.monotonic() + 1e-3
    assert connection.open


def test_outrun_a_replica_that_has_said_something_since_stays_in_use() -> None:
    heard = Heard(time.monotonic())
    connection = guarded(heard)
    connection.outrun(heard.heard_s - 1e-6)
    assert connection.open


def test_what_a_silent_replica_says_first_may_make_it_able_and_what_it_says_then_does_not() -> None:
    heard, told = Heard(time.monotonic()), list[str]()
    connection = GuardedConnection(cast(CloudConnection, heard), CircuitBreaker(), lambda: told.append("changed"))
    assert heard.speak is not None
    heard.speak()
    assert told == []
    connection.gave_up(heard.heard_s, late=True)
    for _ in range(2):
        heard.speak()
    assert told == ["changed"]


def test_a_replica_that_failed_so_often_may_be_tried_at_a_time_that_is_known() -> None:
    heard = Heard(time.monotonic())
    connection = guarded(heard)
    assert connection.trial_s == math.inf
    for _ in range(FAILURES_TO_OPEN):
        connection.at_fault()
    assert time.monotonic() < connection.trial_s <= time.monotonic() + FIRST_OPEN_S
    heard.open = False
    assert connection.trial_s == math.inf


def test_to_be_outrun_is_no_failure() -> None:
    heard = Heard(time.monotonic())
    connection = guarded(heard)
    for _ in range(2 * FAILURES_TO_OPEN):
        connection.outrun(heard.heard_s + 1e-6)
        heard.heard_s = time.monotonic() + 1e-3
    assert connection.healthy


def test_a_replica_that_failed_so_often_is_not_healthy() -> None:
    heard = Heard(time.monotonic())
    connection = guarded(heard)
    for _ in range(FAILURES_TO_OPEN):
        connection.gave_up(heard.heard_s, late=True)
    heard.heard_s = time.monotonic() + 60.0
    assert not connection.healthy


def test_a_replica_stands_as_it_can_be_asked() -> None:
    replica, heard = Replica("c1", Endpoint("10.0.0.1:1", emulated_link="slow")), Heard(time.monotonic())
    connection = guarded(heard)
    ready = replica_state(replica, connection)
    assert (ready.standing, ready.cloud_queue_s, ready.in_flight, ready.in_flight_bytes) == ("ready", 0.25, 2, 300)
    assert (ready.replica_id, ready.target, ready.emulated_link) == ("c1", "10.0.0.1:1", "slow")
    connection.gave_up(heard.heard_s, late=True)
    assert replica_state(replica, connection).standing == "set aside"
    assert replica_state(replica, None).standing == "connecting"
    assert replica_state(replace(replica, draining=True), connection).standing == "draining"


def test_how_replicas_stand_is_told_of_the_first_few() -> None:
    states = [ReplicaState(f"c{number}", "10.0.0.1:1", (), "", "set aside") for number in range(6)]
    assert standings_told(states[:1]) == "c0 set aside"
    assert standings_told(states) == "c0 set aside, c1 set aside, c2 set aside, c3 set aside and 2 more"
    assert standings_told(()) == "no replica in the fleet view"


class Losing(Heard):
    """Answers nothing until its stream ends, or refuses each request by itself."""

    def __init__(self) -> None:
        super().__init__(time.monotonic())
        self.ends = asyncio.Event()

    async def run(self, request: WireRequest, feed: TensorFeed | None = None) -> ResponseArrived:
        await self.ends.wait()
        raise CloudUnavailable("ended")


def wire_requests(count: int) -> list[WireRequest]:
    return [WireRequest(number, "w", 1, ()) for number in range(count)]


async def lost_with(requests: int, breaker: CircuitBreaker, *, stream_ends: bool = True) -> None:
    """A connection whose requests, so many at once, are all lost."""
    losing = Losing()
    connection = GuardedConnection(cast(CloudConnection, losing), breaker)
    running = [asyncio.create_task(connection.run(each)) for each in wire_requests(requests)]
    await asyncio.sleep(0)
    losing.open = not stream_ends
    losing.ends.set()
    assert {type(one) for one in await asyncio.gather(*running, return_exceptions=True)} == {CloudUnavailable}


async def test_the_end_of_a_stream_is_one_failure_however_many_requests_were_on_it() -> None:
    breaker = CircuitBreaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        await lost_with(2 * FAILURES_TO_OPEN, breaker)
        assert breaker.state(time.monotonic()) is BreakerState.CLOSED
    await lost_with(1, breaker)
    assert breaker.state(time.monotonic()) is BreakerState.OPEN


async def test_what_fails_on_a_stream_that_goes_on_is_a_failure_each() -> None:
    breaker = CircuitBreaker()
    await lost_with(FAILURES_TO_OPEN, breaker, stream_ends=False)
    assert breaker.state(time.monotonic()) is BreakerState.OPEN


class Answering(Heard):
    """Answers each request."""

    async def run(self, request: WireRequest, feed: TensorFeed | None = None) -> ResponseArrived:
        return cast(ResponseArrived, object())


async def test_who_waits_hears_that_a_probe_has_been_answered_and_that_its_answer_was_none() -> None:
    breaker, told = CircuitBreaker(), list[str]()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(time.monotonic() - 60.0)  # so that it takes a probe now
    connection = GuardedConnection(
        cast(CloudConnection, Answering(time.monotonic())), breaker, lambda: told.append("changed")
    )
    await connection.run(wire_requests(1)[0])
    assert connection.open
    assert told == ["changed"]
    connection.at_fault()
    assert not connection.open
    assert told == ["changed", "changed"]


class Preparing:
    """Prepares a plan for ever, until it is closed."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def when_heard(self, listener: Callable[[], None]) -> None:
        """It never says anything."""

    async def prepare(self, plan: PlanDefinition) -> PlanTimes:
        await self._closed.wait()
        raise CloudUnavailable("closed")

    async def close(self) -> None:
        self._closed.set()
        await asyncio.sleep(0)


class Refusing(Preparing):
    """Raises these before it prepares a plan."""

    def __init__(self, *errors: IsthmusError) -> None:
        super().__init__()
        self.errors, self.open = list(errors), True

    async def prepare(self, plan: PlanDefinition) -> PlanTimes:
        if self.errors:
            raise self.errors.pop(0)
        one, two = (MeasuredBatch(batch, 0.1 * batch, 0.0, 0.0) for batch in (1, 2))
        return PlanTimes((one, two), ((1, 0.1),))


async def test_a_plan_that_a_replica_has_no_room_for_just_then_is_offered_again() -> None:
    plan, told = PlanDefinition("w", "d", (), (), ()), list[bool]()
    connection = GuardedConnection(
        cast(CloudConnection, Refusing(Overloaded("no room"), CloudUnavailable("no answer"))),
        CircuitBreaker(),
        lambda: told.append(connection.runs("w") and not connection.offers("w")),
    )
    connection.prepared = frozenset({"w"})  # its model was away
    connection.offer_soon(plan)
    await eventually(lambda: told == [False])
    assert not connection.runs("w")
    await eventually(lambda: bool(told) and told[-1])
    await connection.close()


async def test_a_plan_that_a_replica_refuses_for_good_is_not_offered_again() -> None:
    refusing = Refusing(InvalidPlan("plan", "is none"))
    connection = GuardedConnection(cast(CloudConnection, refusing), CircuitBreaker())
    with pytest.raises(InvalidPlan):
        await connection.offer_again(PlanDefinition("w", "d", (), (), ()))
    await asyncio.sleep(1.2)  # longer than the first wait
    assert not connection.runs("w")


async def test_a_plan_of_which_a_replica_tells_no_times_is_not_run_there() -> None:
    class Silent(Preparing):
        async def prepare(self, plan: PlanDefinition) -> PlanTimes:
            return PlanTimes((), ())

    connection = GuardedConnection(cast(CloudConnection, Silent()), CircuitBreaker())
    assert await connection.prepare(PlanDefinition("w", "d", (), (), ())) == PlanTimes((), ())
    assert not connection.runs("w")


async def test_whoever_waits_for_an_offer_hears_that_the_connection_was_closed() -> None:
    connection = GuardedConnection(cast(CloudConnection, Preparing()), CircuitBreaker())
    waiting = asyncio.create_task(connection.offer_again(PlanDefinition("w", "d", (), (), ())))
    await asyncio.sleep(0)
    await connection.close()
    with pytest.raises(CloudUnavailable):
        await waiting
