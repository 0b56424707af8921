"""The replicas that an edge is connected to: follows the fleet view, reconnects, has one of the healthy
ones chosen for a request."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from random import Random
from typing import TypeVar

from isthmus.errors import IsthmusError
from isthmus.telemetry import get_logger
from nodes.changes import Changes
from nodes.circuit_breaker import CircuitBreaker
from nodes.cloud_connection import CloudConnection
from nodes.fleet import Endpoint, FleetView
from nodes.guarded_connection import GuardedConnection
from nodes.replica_health import Redial, reconnecting, redial
from nodes.replica_lines import Line, is_for, wanted_lines
from nodes.replica_state import ReplicaState, replica_state

__all__ = ["ReplicaSet"]

Dial = Callable[[Endpoint], Awaitable[CloudConnection]]
Welcome = Callable[[GuardedConnection], Awaitable[None]]
ChooseReplica = Callable[[int, Callable[[int], float]], int]
"""See `Chooser.choose_replica`."""
Key = tuple[str, str]
Found = TypeVar("Found")

AGE_SPREAD = (0.8, 1.2)


class ReplicaSet:
    """One task a line keeps one connection alive for as long as the fleet view wants it; see `nodes.replica_lines`.

    changes: told when a replica may have become able to take requests, or has come; that a breaker's wait is
    over tells nobody, see `trial_s`.
    """

    def __init__(self, dial: Dial, welcome: Welcome) -> None:
        """dial: connects to an endpoint. welcome: prepares a fresh connection (offers the plans) before it is used."""
        self._dial = dial
        self._welcome = welcome
        self._tasks: dict[Line, asyncio.Task[None]] = {}
        self._held: dict[Line, str] = {}  # which replica a line is connected to, or prepares
        self._closing: set[asyncio.Task[None]] = set()
        self._rng = Random()
        self._usable: dict[Key, GuardedConnection] = {}
        self._breakers: dict[Key, CircuitBreaker] = {}
        self._late_before = 0
        self._awaited, self._wanted = 0, Changes()  # by so many; told when the first one comes
        self.changes = Changes()
        self._closed = asyncio.Event()
        self._view: FleetView | None = None
        self._log = get_logger("edge")

    @property
    def connections(self) -> tuple[GuardedConnection, ...]:
        """To the replicas that were welcomed, whether or not they take requests now."""
        return tuple(self._usable.values())

    @property
    def seen(self) -> int:
        """Replicas in the fleet view, connected or not."""
        return len(self._tasks)

    @property
    def usable(self) -> int:
        """Replicas that take requests now."""
        return sum(1 for _ in self._open())

    def states(self) -> tuple[ReplicaState, ...]:
        """How every replica of the fleet view stands, by id."""
        named = () if self._view is None else self._view.replicas
        connections = ((each, self._usable.get((each.replica_id, each.endpoint.target))) for each in named)
        return tuple(replica_state(*one) for one in connections)

    @property
    def late_answers(self) -> int:
        """Answers of all replicas, present and past, that came after their request had gone on elsewhere."""
        return self._late_before + sum(connection.late_answers for connection in self._usable.values())

    @property
    def in_flight_bytes(self) -> int:
        """What this edge still has on its way up, at most."""
        return sum(connection.in_flight_bytes for connection in self._usable.values())

    def prepared(self) -> frozenset[str]:
        """The wire digests that some replica can run now."""
        return frozenset().union(*(connection.prepared for connection in self._open()))

    def able(self, wire_digest: str, without: Collection[GuardedConnection] = ()) -> tuple[GuardedConnection, ...]:
        """The replicas that can run that plan now, but for some."""
        return tuple(each for each in self._open() if each.runs(wire_digest) and each not in without)

    def pick(self, wire_digests: Collection[str], choose: ChooseReplica, batch: int = 1) -> GuardedConnection | None:
        """One of the replicas that can run one of these plans now, None without any. choose: see Chooser."""
        able = [each for each in self._open() if not each.prepared.isdisjoint(wire_digests)]
        return able[choose(len(able), lambda place: able[place].finish_s(batch, wire_digests))] if able else None

    @property
    def trial_s(self) -> float:
        """When the next replica may be tried again without anything else happening; infinite for never."""
        return min((connection.trial_s for connection in self._usable.values()), default=math.inf)

    @property
    def closed(self) -> bool:
        """Whether it was told to say goodbye."""
        return self._closed.is_set()

    async def until(
        self, find: Callable[[], Found | None], ends_s: float, looks_s: Callable[[], float] = lambda: math.inf
    ) -> Found | None:
        """What `find` finds among the replicas, as soon as it does; None where that is nothing until `ends_s`, on the
        monotonic clock, or until `close`. looks_s: when time alone may have it find something, besides `trial_s`.
        While somebody waits, replicas that are not connected are dialled sooner."""
        found = find()
        if found is not None:
            return found
        self._awaited += 1
        if self._awaited == 1:
            self._wanted.tell()
        try:
            while found is None and time.monotonic() < ends_s and not self.closed:
                await self.changes.next(min(ends_s, self.trial_s, looks_s()))
                found = find()
        finally:
            self._awaited -= 1
        return found

    def _open(self) -> Iterator[GuardedConnection]:
        return (connection for connection in self._usable.values() if connection.open)

    def follow(self, view: FleetView) -> None:
        """Connect to what is new in the view, let go of what has left it. A draining replica keeps what it answers."""
        is_first, self._view = self._view is None, view
        wanted = wanted_lines(view.serving, self._tasks, self._held)
        for line in self._tasks.keys() - wanted.keys():
            self._tasks.pop(line).cancel()
        for line in wanted.keys() - self._tasks.keys():
            self._tasks[line] = asyncio.create_task(self._keep_connected(line, wanted[line], at_once=is_first))
        there = {(replica.replica_id, replica.endpoint.target) for replica in view.serving}
        self._breakers = {key: breaker for key, breaker in self._breakers.items() if key in there}
        self.changes.tell()

    async def close(self) -> None:
        """Say goodbye to all, whatever they still have to answer."""
        self._closed.set()
        self.changes.tell()
        tasks = tuple(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._closing, return_exceptions=True)

    async def _keep_connected(self, line: Line, endpoint: Endpoint, *, at_once: bool) -> None:
        """at_once: else it waits a moment first, since every edge of a fleet sees a new replica in the same one."""
        if not at_once:
            await self._rest(redial(reconnecting()))
        waits = reconnecting()
        while True:
            try:
                connection = await self._reached(line, endpoint)
                if connection is not None and await self._use(line, endpoint, connection):
                    waits.succeeded()
            except Exception:  # what nobody planned must not cost the replica for ever
                self._log.exception("connecting to a replica failed", target=endpoint.target)
            await self._rest(redial(waits))

    async def _rest(self, dial: Redial) -> None:
        """Until it is time to dial."""
        began_s = time.monotonic()
        while time.monotonic() < (ends_s := began_s + (dial.wanted_s if self._awaited else dial.wait_s)):
            await self._wanted.next(ends_s)

    async def _reached(self, line: Line, endpoint: Endpoint) -> GuardedConnection | None:
        """A fresh connection; None where nobody answers, or another replica than this line is for."""
        try:
            connection = await self._dial(endpoint)
        except IsthmusError as error:
            self._log.info("replica not reachable", target=endpoint.target, reason=str(error))
            return None
        if not is_for(line, connection.replica_id, self._held):
            self._log.info("another replica answered", wanted=line.replica_id or "one without a stream",
                           replica=connection.replica_id, target=endpoint.target)  # fmt: skip
            await connection.close()
            return None
        breaker = self._breakers.setdefault((connection.replica_id, endpoint.target), CircuitBreaker())
        return GuardedConnection(connection, breaker, self.changes.tell)

    async def _use(self, line: Line, endpoint: Endpoint, connection: GuardedConnection) -> bool:
        """Prepare a connection, offer it for use, and return once it is broken or drained; whether it was of use. One
        of a blind line is replaced by a fresh one when it is old, which is offered before the old one goes."""
        of_use = False
        try:
            await self._offer(line, connection)
            of_use = True
            while not await _unusable_within(connection, self._age_s(endpoint)):
                fresh = await self._reached(line, endpoint)
                if fresh is not None:
                    connection = await self._renewed(line, connection, fresh)
        except IsthmusError as error:
            self._log.warning("replica could not be prepared", replica=connection.replica_id, reason=str(error))
        finally:
            self._withdraw(line, connection)
            with contextlib.suppress(IsthmusError):
                await asyncio.shield(self._close_when_answered(connection))
        return of_use

    async def _offer(self, line: Line, connection: GuardedConnection) -> None:
        """Raises what preparing it does."""
        self._held[line] = connection.replica_id
        await self._welcome(connection)
        self._usable[connection.replica_id, line.target] = connection
        self.changes.tell()
        self._log.info("replica ready", replica=connection.replica_id, target=line.target)

    async def _renewed(self, line: Line, old: GuardedConnection, fresh: GuardedConnection) -> GuardedConnection:
        """The one that serves from now on: the fresh one, or the old one where that cannot be prepared."""
        try:
            await self._welcome(fresh)
        except BaseException as error:
            await asyncio.shield(fresh.close())
            if not isinstance(error, IsthmusError):
                raise
            self._log.warning("connection not renewed", replica=fresh.replica_id, reason=str(error))
            return old
        if not is_for(line, fresh.replica_id, self._held):  # another line has reached it meanwhile
            await asyncio.shield(fresh.close())
            return old
        self._withdraw(line, old)
        self._held[line] = fresh.replica_id
        self._usable[fresh.replica_id, line.target] = fresh
        self.changes.tell()
        closing = asyncio.create_task(self._close_when_answered(old))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return fresh

    async def _close_when_answered(self, connection: CloudConnection) -> None:
        """Or when all are closed."""
        waits = [asyncio.ensure_future(each) for each in (connection.wait_until_answered(), self._closed.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        await connection.close()

    def _withdraw(self, line: Line, connection: GuardedConnection) -> None:
        """Offer it no longer."""
        self._held.pop(line, None)
        key = connection.replica_id, line.target
        if self._usable.get(key) is connection:
            del self._usable[key]
            self._late_before += connection.late_answers

    def _age_s(self, endpoint: Endpoint) -> float | None:
        """Edges that connected in one moment do not dial anew in one."""
        return endpoint.blind_age_s * self._rng.uniform(*AGE_SPREAD) if endpoint.blind else None


async def _unusable_within(connection: CloudConnection, seconds: float | None) -> bool:
    try:
        await asyncio.wait_for(connection.wait_until_unusable(), seconds)
    except TimeoutError:
        return False
    return True
