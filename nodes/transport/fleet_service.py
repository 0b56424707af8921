"""The fleet registry over gRPC: keeps a book of replicas and tells every watching edge what changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import grpc

from isthmus.errors import IsthmusError, Overloaded, Unavailable
from isthmus.telemetry import get_logger
from isthmus.v1 import fleet_pb2 as pb
from isthmus.v1 import fleet_pb2_grpc
from nodes.awake_clock import BEAT_S, AwakeClock
from nodes.fleet import FleetView, Replica
from nodes.transport.fleet_messages import replica_from_message, view_message
from nodes.transport.status import abort

__all__ = ["EndpointMapper", "FleetBook", "FleetService"]

EndpointMapper = Callable[[str], Awaitable[str]]
"""From the target that a replica advertises to the one that edges shall dial."""

MAX_WATCHERS = 4096
# None ends a watch.
_Views = asyncio.Queue[FleetView | None]
_Context = grpc.aio.ServicerContext[Any, Any]


class FleetBook(Protocol):
    """What the service needs of a registry; times are readings of one monotonic clock. See `FleetRegistry`."""

    @property
    def lease_s(self) -> float:
        """How long a lease lasts without a heartbeat."""

    def register(self, replica: Replica, now_s: float) -> float:
        """Take a replica in; returns its lease. Raises InvalidRequest or Overloaded."""

    def heartbeat(self, replica_id: str, draining: bool, now_s: float) -> bool:
        """Prolong a lease; whether the replica is known."""

    def leave(self, replica_id: str, now_s: float) -> bool:
        """Forget a replica; whether it was known."""

    def expire(self, now_s: float) -> tuple[str, ...]:
        """Forget the replicas whose lease has run out; their ids."""

    def next_expiry_s(self) -> float | None:
        """When the next lease runs out."""

    def view(self) -> FleetView:
        """All replicas. Its version differs whenever they do."""


class FleetService(fleet_pb2_grpc.FleetServiceServicer):
    """The servicer. `start` it on the event loop that serves, `close` it before the server stops."""

    def __init__(
        self,
        book: FleetBook,
        *,
        endpoint_mapper: EndpointMapper | None = None,
        on_want: Callable[[], None] | None = None,
        emulated_link: str = "",
        max_watchers: int = MAX_WATCHERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """endpoint_mapper: asked once for each target, as it may open a listener; its answer is kept. emulated_link:
        what it leads through, in words for people. on_want: called on the event loop whenever an edge has requests and
        sees no replica. A lease does not run out while the registry itself stands still: see AwakeClock."""
        self._book = book
        self._mapper, self._emulated_link = endpoint_mapper, emulated_link
        self._mapped: dict[str, asyncio.Future[str]] = {}
        self._on_want = on_want
        self._max_watchers = max_watchers
        self._clock = AwakeClock(clock)
        self._watchers: set[_Views] = set()
        self._told = book.view().version
        self._closed = False
        self._sweeper: asyncio.Task[None] | None = None
        self._log = get_logger("registry")

    def start(self) -> None:
        """Begin to look for leases that run out."""
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """End every watch. Later calls are refused as unavailable."""
        self._closed = True
        for views in self._watchers:
            views.put_nowait(None)  # behind the newest view
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    async def Register(self, request: pb.RegisterRequest, context: _Context) -> pb.RegisterResponse:  # noqa: N802
        """Take a replica in, at the target that edges shall dial."""
        try:
            replica = replica_from_message(request.replica).checked()
            replica = replica.at(await self._target_for_edges(replica.endpoint.target), self._emulated_link)
            lease_s = self._book.register(replica, self._clock())
        except IsthmusError as error:
            await abort(context, error)
        self._log.info("replica registered", replica=replica.replica_id, target=replica.endpoint.target)
        self._tell_changes()
        return pb.RegisterResponse(lease_s=lease_s)

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: _Context) -> pb.HeartbeatResponse:  # noqa: N802
        """Prolong a lease, or end it."""
        if request.leaving:
            known = self._book.leave(request.replica_id, self._clock())
        else:
            known = self._book.heartbeat(request.replica_id, request.draining, self._clock())
        self._tell_changes()
        return pb.HeartbeatResponse(known=known)

    async def Watch(self, request: pb.WatchRequest, context: _Context) -> AsyncIterator[pb.FleetView]:  # noqa: N802
        """The view at once, and again after each change."""
        try:
            views = self._new_watcher()
        except IsthmusError as error:
            await abort(context, error)
        try:
            while (view := await views.get()) is not None:
                yield view_message(view)
        finally:
            self._watchers.discard(views)

    async def Want(self, request: pb.WantRequest, context: _Context) -> pb.WantResponse:  # noqa: N802
        """An edge has requests and sees no replica. Nothing to say where one has registered meanwhile."""
        if self._on_want is not None and not self._book.view().serving:
            self._log.info("replicas wanted", edge=request.edge_id)
            self._on_want()
        return pb.WantResponse()

    def _new_watcher(self) -> _Views:
        if self._closed:
            raise Unavailable("fleet registry: is closing; try again")
        if len(self._watchers) >= self._max_watchers:
            raise Overloaded(f"fleet registry: {self._max_watchers} edges are watching already; run another registry")
        self._book.expire(self._clock())
        self._tell_changes()
        views: _Views = asyncio.Queue()
        views.put_nowait(self._book.view())
        self._watchers.add(views)
        return views

    async def _target_for_edges(self, target: str) -> str:
        if self._mapper is None:
            return target
        if target not in self._mapped:
            self._mapped[target] = asyncio.ensure_future(self._mapper(target))
        mapping = self._mapped[target]
        try:
            # Shielded: two replicas may wait for one mapping, and one of the calls may be cancelled.
            return await asyncio.shield(mapping)
        except Exception as error:
            self._mapped.pop(target, None)
            raise Unavailable(f"fleet registry: no way to {target} could be opened: {error}") from error

    def _tell_changes(self) -> None:
        view = self._book.view()
        if view.version == self._told:
            return
        self._told = view.version
        for views in self._watchers:
            _put_newest(views, view)

    async def _sweep(self) -> None:
        while True:
            due_s = self._book.next_expiry_s()
            await asyncio.sleep(BEAT_S if due_s is None else min(BEAT_S, max(0.001, due_s - self._clock())))
            self._clock.beat()
            for replica_id in self._book.expire(self._clock()):
                self._log.warning("lease ran out", replica=replica_id)
            self._tell_changes()


def _put_newest(views: _Views, view: FleetView) -> None:
    """A watcher that reads slowly loses older ones: each is complete."""
    while not views.empty():
        views.get_nowait()
    views.put_nowait(view)
