"""Which replicas are asked: what a connection remembers of its own."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import pytest

from isthmus.errors import CloudUnavailable
from nodes.circuit_breaker import FAILURES_TO_OPEN, FIRST_OPEN_S, CircuitBreaker
from nodes.cloud_connection import CloudConnection
from nodes.fleet import Endpoint, Replica
from nodes.guarded_connection import GuardedConnection
from nodes.protocol.events import PlanDefinition, PlanTimes
from nodes.replica_state import ReplicaState, replica_state, standings_told


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


async def test_whoever_waits_for_an_offer_hears_that_the_connection_was_closed() -> None:
    connection = GuardedConnection(cast(CloudConnection, Preparing()), CircuitBreaker())
    waiting = asyncio.create_task(connection.offer_again(PlanDefinition("w", "d", (), (), ())))
    await asyncio.sleep(0)
    await connection.close()
    with pytest.raises(CloudUnavailable):
        await waiting
