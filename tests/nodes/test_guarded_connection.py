"""Which replicas are asked: what a connection remembers of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

from nodes.circuit_breaker import FAILURES_TO_OPEN, CircuitBreaker
from nodes.cloud_connection import CloudConnection
from nodes.guarded_connection import GuardedConnection


@dataclass
class Heard:
    """As much of a connection as is looked at."""

    heard_s: float
    open: bool = True


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
