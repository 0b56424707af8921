"""The replicas that an edge is connected to: follows the fleet view, reconnects, picks the least busy one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from isthmus.errors import IsthmusError
from isthmus.telemetry import get_logger
from nodes.cloud_connection import CloudConnection
from nodes.fleet import Endpoint, FleetView, Replica

__all__ = ["ReplicaSet"]

Dial = Callable[[Endpoint], Awaitable[CloudConnection]]
Welcome = Callable[[CloudConnection], Awaitable[None]]

FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 5.0


class ReplicaSet:
    """One task a replica keeps one connection alive for as long as the fleet view holds it."""

    def __init__(self, dial: Dial, welcome: Welcome) -> None:
        """dial: connects to an endpoint. welcome: prepares a fresh connection (offers the plans) before it is used."""
        self._dial = dial
        self._welcome = welcome
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._usable: dict[tuple[str, str], CloudConnection] = {}
        self._log = get_logger("edge")

    @property
    def reachable(self) -> bool:
        """Whether some replica takes requests now."""
        return self.pick() is not None

    @property
    def usable(self) -> tuple[CloudConnection, ...]:
        """The prepared connections that take requests now."""
        return tuple(connection for connection in self._usable.values() if connection.open)

    def pick(self) -> CloudConnection | None:
        """The open connection with the least of this edge's own work in flight."""
        return min(self.usable, key=lambda connection: (connection.in_flight, connection.cloud_queue_s), default=None)

    def follow(self, view: FleetView) -> None:
        """Connect to what is new in the view, let go of what has left it. A draining replica keeps what it answers."""
        wanted = {(replica.replica_id, replica.endpoint.target): replica for replica in view.serving}
        for key in self._tasks.keys() - wanted.keys():
            self._tasks.pop(key).cancel()
        for key in wanted.keys() - self._tasks.keys():
            self._tasks[key] = asyncio.create_task(self._keep_connected(key, wanted[key]))

    async def close(self) -> None:
        """Say goodbye to all."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_connected(self, key: tuple[str, str], replica: Replica) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                connection = await self._dial(replica.endpoint)
            except IsthmusError as error:
                self._log.info("replica not reachable", target=replica.endpoint.target, reason=str(error))
            else:
                retry_s = FIRST_RETRY_S
                await self._use(key, connection)
            await asyncio.sleep(retry_s)
            retry_s = min(LONGEST_RETRY_S, 2 * retry_s)

    async def _use(self, key: tuple[str, str], connection: CloudConnection) -> None:
        """Prepare a connection, offer it for use, and return once it is broken or drained."""
        try:
            await self._welcome(connection)
            self._usable[key] = connection
            self._log.info("replica ready", replica=key[0], target=key[1])
            await connection.wait_until_unusable()
        except IsthmusError as error:
            self._log.warning("replica could not be prepared", replica=key[0], reason=str(error))
        finally:
            self._usable.pop(key, None)
            with contextlib.suppress(IsthmusError):
                await asyncio.shield(_close_when_answered(connection))


async def _close_when_answered(connection: CloudConnection) -> None:
    await connection.wait_until_answered()
    await connection.close()
