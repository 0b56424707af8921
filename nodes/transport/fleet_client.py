"""Both users of the fleet registry: a replica that keeps itself registered, an edge that watches the fleet."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import grpc

from isthmus.errors import IsthmusError
from isthmus.telemetry import get_logger
from isthmus.v1 import fleet_pb2 as pb
from isthmus.v1 import fleet_pb2_grpc
from nodes.backoff import Backoff
from nodes.fleet import FleetView, Replica
from nodes.protocol.periods import WANT_PERIOD_S
from nodes.tls_files import TlsFiles
from nodes.transport.credentials import open_channel
from nodes.transport.fleet_messages import replica_message, view_from_message
from nodes.transport.status import error_of
from nodes.view_keeper import VIEW_GRACE_S, ViewKeeper

__all__ = ["FleetWatch", "ReplicaRegistration"]

CALL_TIMEOUT_S = 5.0
LEAVE_TIMEOUT_S = 1.0
HEARTBEATS_PER_LEASE = 3
SHORTEST_PERIOD_S, LONGEST_PERIOD_S = 0.02, 60.0


class ReplicaRegistration:
    """Keeps one replica in the registry at `target`, whatever happens to it: heartbeats, registers again when the
    registry was restarted or was away, and says goodbye. A registry that is not there is no error. Every attempt dials
    anew, with the TLS files as they are by then."""

    def __init__(self, target: str, replica: Replica, tls: TlsFiles | None = None) -> None:
        self._target = target
        self._tls = tls
        self._replica = replica
        self._wake = asyncio.Event()
        self._registered = asyncio.Event()
        self._backoff = Backoff()
        self._away = _AwayLog("cloud", target)
        self._channel: grpc.aio.Channel | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def wait_registered(self) -> None:
        """Returns once the registry has taken the replica in for the first time."""
        await self._registered.wait()

    def set_draining(self) -> None:
        """Tell the registry now that this replica takes nothing new."""
        self._replica = replace(self._replica, draining=True)
        self._wake.set()

    async def close(self) -> None:
        """Leave the registry (if it answers within a second) and let go."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        if self._channel is None:
            return  # the registry is away: the lease ends by itself
        with contextlib.suppress(grpc.RpcError):
            leaving = pb.HeartbeatRequest(replica_id=self._replica.replica_id, draining=True, leaving=True)
            await fleet_pb2_grpc.FleetServiceStub(self._channel).Heartbeat(leaving, timeout=LEAVE_TIMEOUT_S)
        await self._channel.close()

    async def _run(self) -> None:
        while True:
            try:
                self._channel = open_channel(self._target, self._tls)
                await self._stay_registered(fleet_pb2_grpc.FleetServiceStub(self._channel))
            except Exception as error:  # whatever it is: a replica that is not registered serves nobody
                self._away.failed(error)
            if self._channel is not None:
                channel, self._channel = self._channel, None
                await channel.close()
            await asyncio.sleep(self._backoff.next_s())

    async def _stay_registered(self, stub: fleet_pb2_grpc.FleetServiceAsyncStub) -> None:
        while True:
            period_s = _period_s(await self._register(stub))
            while await self._heartbeat_after(stub, period_s):
                pass

    async def _register(self, stub: fleet_pb2_grpc.FleetServiceAsyncStub) -> float:
        request = pb.RegisterRequest(replica=replica_message(self._replica))
        response = await stub.Register(request, timeout=CALL_TIMEOUT_S)
        self._backoff.succeeded()
        self._away.answered()
        self._registered.set()
        return response.lease_s

    async def _heartbeat_after(self, stub: fleet_pb2_grpc.FleetServiceAsyncStub, period_s: float) -> bool:
        """Whether the registry still knows this replica."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), period_s)
        self._wake.clear()
        beat = pb.HeartbeatRequest(replica_id=self._replica.replica_id, draining=self._replica.draining)
        return (await stub.Heartbeat(beat, timeout=CALL_TIMEOUT_S)).known


class FleetWatch:
    """Follows the fleet view of the registry at `target`, and keeps the last one while the registry is away."""

    def __init__(
        self,
        target: str,
        edge_id: str,
        on_view: Callable[[FleetView], None] | None = None,
        *,
        tls: TlsFiles | None = None,
        grace_s: float = VIEW_GRACE_S,
    ) -> None:
        """on_view: called on the event loop with the first view, also an empty one, and every one that differs. tls:
        read anew for every attempt. grace_s: see `ViewKeeper`."""
        self._target = target
        self._edge_id = edge_id
        self._on_view = on_view
        self._tls = tls
        self._keeper = ViewKeeper(grace_s)
        self._backoff = Backoff()
        self._away = _AwayLog("edge", target)
        self._view, self._published = FleetView(0), False
        self._changed = asyncio.Event()
        self._settling: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._stub: fleet_pb2_grpc.FleetServiceAsyncStub | None = None
        self._wanted_s = -WANT_PERIOD_S
        self._wanting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._task = asyncio.create_task(self._run())

    def want(self) -> None:
        """Tell the registry, now and then, that there are requests here and no replica in the view. Returns at once."""
        now_s = time.monotonic()
        if self._stub is not None and now_s - self._wanted_s >= WANT_PERIOD_S:
            self._wanted_s = now_s
            self._wanting = asyncio.create_task(self._want(self._stub))

    async def _want(self, stub: fleet_pb2_grpc.FleetServiceAsyncStub) -> None:
        with contextlib.suppress(grpc.RpcError):  # a registry of before, or one that is away: the watch tells
            await stub.Want(pb.WantRequest(edge_id=self._edge_id), timeout=CALL_TIMEOUT_S)

    @property
    def heard(self) -> bool:
        """Whether the registry was ever there."""
        return self._away.heard

    @property
    def away_s(self) -> float | None:
        """For how long the registry has not been there, also before it ever was; None while it is."""
        return None if self._away.since_s is None else time.monotonic() - self._away.since_s

    @property
    def view(self) -> FleetView:
        """What is believed now; an empty view before the registry answered for the first time."""
        return self._view

    async def views(self) -> AsyncIterator[FleetView]:
        """The view now, then after every change; a slow reader misses views in between, never the newest."""
        while True:
            changed = self._changed
            yield self._view
            await changed.wait()

    async def close(self) -> None:
        """Stop watching. The last view stays readable."""
        self._settle_never()
        for task in filter(None, (self._wanting, self._task)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._task = None

    async def _run(self) -> None:
        while True:
            try:
                async with open_channel(self._target, self._tls) as channel:
                    self._stub = fleet_pb2_grpc.FleetServiceStub(channel)
                    await self._follow(self._stub.Watch(pb.WatchRequest(edge_id=self._edge_id)))
            except Exception as error:  # whatever it is: an edge that follows nobody finds no new replica
                self._away.failed(error)
            self._stub = None
            await asyncio.sleep(self._backoff.next_s())

    async def _follow(self, call: grpc.aio.UnaryStreamCall[pb.WatchRequest, pb.FleetView]) -> None:
        opened = False
        try:
            async for message in call:
                now_s = time.monotonic()
                if not opened:
                    self._keeper.opened(now_s)
                    self._backoff.succeeded()
                    self._away.answered()
                    opened = True
                self._publish(self._keeper.received(view_from_message(message), now_s))
                self._settle_later(now_s)
        finally:
            self._settle_never()  # a registry that is away again says nothing of who is gone

    def _settle_later(self, now_s: float) -> None:
        self._settle_never()
        wait_s = self._keeper.settles_in_s(now_s)
        self._settling = None if wait_s is None else asyncio.get_running_loop().call_later(wait_s, self._settle)

    def _settle_never(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    def _settle(self) -> None:
        self._publish(self._keeper.settled())

    def _publish(self, view: FleetView) -> None:
        if view == self._view and self._published:
            return
        self._view, self._published = view, True
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if self._on_view is not None:
            try:
                self._on_view(view)
            except Exception as error:  # the watch must outlive whoever listens
                get_logger("edge").error("fleet view not followed", error=repr(error))


class _AwayLog:
    """Says once that the registry went away, and once that it is back, not at every attempt. since_s: since when it is
    not there (monotonic), at first since this was made; None while it is. heard: it ever was."""

    def __init__(self, component: str, target: str) -> None:
        self._log = get_logger(component).bind(registry=target)
        self._target = target
        self._is_away = False
        self.heard = False
        self.since_s: float | None = time.monotonic()

    def failed(self, error: Exception) -> None:
        if self.since_s is None:
            self.since_s = time.monotonic()
        if not isinstance(error, grpc.RpcError | IsthmusError):
            self._log.error("registry not followed, trying on", exc_info=error)
        elif not self._is_away:
            reason = error if isinstance(error, IsthmusError) else error_of(error, self._target)
            self._log.warning("registry does not answer, trying on", reason=str(reason))
        self._is_away = True

    def answered(self) -> None:
        if self._is_away:
            self._log.info("registry answers again")
        self._is_away, self.since_s, self.heard = False, None, True


def _period_s(lease_s: float) -> float:
    wanted_s = lease_s / HEARTBEATS_PER_LEASE if math.isfinite(lease_s) else LONGEST_PERIOD_S
    return min(LONGEST_PERIOD_S, max(SHORTEST_PERIOD_S, wanted_s))
