"""The replicas that an edge is connected to: follows the fleet view, reconnects, has one of the healthy
ones chosen for a request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator

from isthmus.errors import IsthmusError
from isthmus.telemetry import get_logger
from nodes.backoff import Backoff
from nodes.circuit_breaker import CircuitBreaker
from nodes.cloud_connection import CloudConnection
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.guarded_connection import GuardedConnection
from nodes.replica_state import ReplicaState, replica_state

__all__ = ["ReplicaSet"]

Dial = Callable[[Endpoint], Awaitable[CloudConnection]]
Welcome = Callable[[GuardedConnection], Awaitable[None]]
ChooseReplica = Callable[[int, Callable[[int], float]], int]
"""See `Chooser.choose_replica`."""
Key = tuple[str, str]

# The first wait already spreads all edges of a replica that died over most of a second.
FIRST_RETRY_S = 0.8
LONGEST_RETRY_S = 10.0


class ReplicaSet:
    """One task a replica keeps one connection alive for as long as the fleet view holds it."""

    def __init__(self, dial: Dial, welcome: Welcome) -> None:
        """dial: connects to an endpoint. welcome: prepares a fresh connection (offers the plans) before it is used."""
        self._dial = dial
        self._welcome = welcome
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._usable: dict[Key, GuardedConnection] = {}
        self._breakers: dict[Key, CircuitBreaker] = {}
        self._late_before = 0
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

    @property
    def heard_of(self) -> bool:
        """Whether the registry has named any replicas, or that there are none."""
        return self._view is not None

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
        return able[choose(len(able), lambda place: able[place].finish_s(batch))] if able else None

    def _open(self) -> Iterator[GuardedConnection]:
        return (connection for connection in self._usable.values() if connection.open)

    def follow(self, view: FleetView) -> None:
        """Connect to what is new in the view, let go of what has left it. A draining replica keeps what it answers."""
        self._view = view
        wanted = {(replica.replica_id, replica.endpoint.target): replica for replica in view.serving}
        for key in self._tasks.keys() - wanted.keys():
            self._tasks.pop(key).cancel()
            self._breakers.pop(key, None)
        for key in wanted.keys() - self._tasks.keys():
            self._tasks[key] = asyncio.create_task(self._keep_connected(key, wanted[key]))

    async def close(self) -> None:
        """Say goodbye to all."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_connected(self, key: Key, replica: Replica) -> None:
        waits = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while True:
            try:
                connection = await self._dial(replica.endpoint)
            except IsthmusError as error:
                self._log.info("replica not reachable", target=replica.endpoint.target, reason=str(error))
            else:
                breaker = self._breakers.setdefault(key, CircuitBreaker())
                if await self._use(key, GuardedConnection(connection, breaker)):
                    waits.succeeded()
            await asyncio.sleep(waits.next_s())

    async def _use(self, key: Key, connection: GuardedConnection) -> bool:
        """Prepare a connection, offer it for use, and return once it is broken or drained; whether it was of use."""
        try:
            await self._welcome(connection)
            self._usable[key] = connection
            self._log.info("replica ready", replica=key[0], target=key[1])
            await connection.wait_until_unusable()
            return True
        except IsthmusError as error:
            self._log.warning("replica could not be prepared", replica=key[0], reason=str(error))
            return False
        finally:
            if self._usable.pop(key, None) is not None:
                self._late_before += connection.late_answers
            with contextlib.suppress(IsthmusError):
                await asyncio.shield(_close_when_answered(connection))


async def _close_when_answered(connection: CloudConnection) -> None:
    await connection.wait_until_answered()
    await connection.close()
