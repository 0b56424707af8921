"""Blue-green: the next version of the cloud starts beside the one that serves, edges move, then the old one drains.

Serve itself replaces old before new, and all at once. Here nothing is taken away before its successor answers; whatever
goes wrong before, the next version is dropped and the old one has never stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from isthmus.errors import IsthmusError, Unavailable
from nodes.fleet import FleetView, Replica
from nodes.settings import CloudSettings
from scheduler.autoscaling import AutoscalingRule
from scheduler.runtime import Runtime

__all__ = ["EdgeMove", "ReplicaUse", "RollOut", "edges_have_moved"]

# A replica registers as soon as it serves, which `Runtime.start_cloud` has waited for.
REGISTER_S = 15.0
LOOK_S = 0.5
# A new replica that does not answer so often in a row is not healthy.
MOST_SILENT = 3


@dataclass(frozen=True, slots=True)
class ReplicaUse:
    """Edges with a stream to a replica, and those of them that have plans prepared there and are preparing none."""

    streams: int
    settled: int


def edges_have_moved(old: Sequence[ReplicaUse], new: Sequence[ReplicaUse]) -> bool:
    """Whether every new replica is ready for as many edges as use any old one: nobody loses by the end of these."""
    edges = max((one.streams for one in old), default=0)
    return bool(new) and all(one.settled >= edges for one in new)


@dataclass(frozen=True)
class EdgeMove:
    """there: has edges serve the new version; where it raises an IsthmusError some of their models may serve it. back:
    undoes it, as far as it went."""

    there: Callable[[], Awaitable[None]]
    back: Callable[[], Awaitable[None]]

    @contextlib.asynccontextmanager
    async def made(self) -> AsyncIterator[None]:
        """Edges serve the new version in the block and from then on. What raises on the way there, or in the block,
        takes them back; where they do not go back, it is said in an Unavailable."""
        try:
            await self.there()
            yield
        except BaseException as error:
            try:
                await self.back()
            except IsthmusError as stuck:
                raise Unavailable(f"{error}; the edge may serve some of it, it does not go back: {stuck}") from error
            raise


@dataclass(frozen=True)
class RollOut:
    """view: of the registry that all replicas register with. ask: how a replica is used; raises IsthmusError."""

    runtime: Runtime
    view: Callable[[], FleetView]
    ask: Callable[[Replica], Awaitable[ReplicaUse]]

    async def run(self, settings: CloudSettings, rule: AutoscalingRule, overlap_s: float, edges: EdgeMove) -> None:
        """Replace the cloud that serves by this one. overlap_s: how long to wait for all edges to have moved. edges:
        those of this launcher, moved when both versions serve.

        Raises why the new version does not serve, or why an edge does not take it; then it is gone, and the old one
        serves on.
        """
        # Its replicas are known by it: an old one that starts meanwhile, or again, or registers late is no new one.
        prefix = f"{uuid.uuid4().hex[:6]}-"
        # As many as the load has made of the old version: the new one gets all of it at once.
        replicas = min(rule.max_replicas, max(rule.at_start, len(self.view().serving)))
        await self.runtime.start_cloud(replace(settings, id_prefix=prefix), rule, replicas)
        try:
            await self._registered(prefix, replicas)
            async with edges.made():
                await self._moved(prefix, overlap_s, may_sleep=rule.min_replicas == 0)
        except BaseException:
            await asyncio.shield(self.runtime.drop_cloud())
            raise
        await self.runtime.retire_clouds()

    async def _registered(self, prefix: str, wanted: int) -> None:
        over_s = time.monotonic() + REGISTER_S
        while len(self._new(prefix)) < wanted:
            if time.monotonic() > over_s:
                raise Unavailable(f"new replicas: {len(self._new(prefix))} of {wanted} registered in {REGISTER_S:g} s")
            await asyncio.sleep(LOOK_S)

    async def _moved(self, prefix: str, overlap_s: float, *, may_sleep: bool) -> None:
        """Return when all edges have moved, or the overlap is over. may_sleep: new replicas that nobody uses yet go as
        their rule says, and come back for a request. Raises Unavailable when a new replica is silent."""
        over_s, silent = time.monotonic() + overlap_s, 0
        while True:
            new = self._new(prefix)
            try:
                used = [await self.ask(replica) for replica in new]
                silent = 0 if new or may_sleep else silent + 1
            except IsthmusError as error:
                used, silent = [], silent + 1
                if silent >= MOST_SILENT:
                    raise Unavailable(f"new replicas: do not stay healthy: {error}") from error
            if silent >= MOST_SILENT:
                raise Unavailable("new replicas: all are gone from the registry")
            if not silent and (time.monotonic() >= over_s or edges_have_moved(await self._old(prefix), used)):
                return
            await asyncio.sleep(LOOK_S)

    async def _old(self, prefix: str) -> list[ReplicaUse]:
        used = []
        for replica in self.view().serving:
            if not replica.replica_id.startswith(prefix):
                try:
                    used.append(await self.ask(replica))
                except IsthmusError:
                    continue  # one that is gone has no edges to lose
        return used

    def _new(self, prefix: str) -> list[Replica]:
        return [replica for replica in self.view().serving if replica.replica_id.startswith(prefix)]
