"""Blue-green: the next version of the cloud starts beside the one that serves, edges move, then the old one drains.

Serve itself replaces old before new, and all at once. Here nothing is taken away before its successor answers; whatever
goes wrong before, the next version is dropped and the old one has never stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from isthmus.errors import IsthmusError, Unavailable
from nodes.edge_use import EdgeUse
from nodes.fleet import FleetView, Replica
from nodes.settings import CloudSettings
from scheduler.autoscaling import AutoscalingRule
from scheduler.runtime import Runtime

__all__ = ["EdgeMove", "Moved", "ReplicaUse", "RollOut", "moved_edges"]

# A replica registers as soon as it serves, which `Runtime.start_cloud` has waited for.
REGISTER_S = 15.0
LOOK_S = 0.5
# A new replica that does not answer so often in a row is not healthy.
MOST_SILENT = 3


@dataclass(frozen=True, slots=True)
class ReplicaUse:
    """models: the names of those that a replica serves. edges: what each stream's edge has of it. streams, settled: how
    many there are, and how many of their edges have plans prepared there and are preparing none: all that a replica of
    an older version says, whose `edges` are none."""

    models: frozenset[str]
    edges: tuple[EdgeUse, ...] = ()
    streams: int = 0
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """edges: that have plans on old replicas. left: those of them that would lose some by the end of these."""

    edges: int = 0
    left: int = 0

    def __str__(self) -> str:
        """What is to be said of it, "" for nothing."""
        return f"{self.left} of {self.edges} edges had not moved when cloud.overlap was over" if self.left else ""


def moved_edges(old: Sequence[ReplicaUse], new: Sequence[ReplicaUse]) -> Moved:
    """An edge has moved when every new replica has plans prepared for it of every model of which an old one has, and it
    is preparing no more there. One that uses a model that no new replica serves has the whole overlap for it.

    By a model's name, as its next version has another digest; by an edge's id, of which several may have the same.
    """
    needs, edges = dict[str, frozenset[str]](), Counter[str]()
    for replica in old:
        using = [one for one in replica.edges if one.models]
        for one in using:
            needs[one.edge_id] = needs.get(one.edge_id, frozenset()) | one.models
        edges |= Counter(one.edge_id for one in using)
    ready = {edge_id: min((_ready(one, edge_id, needs[edge_id]) for one in new), default=0) for edge_id in edges}
    left = sum(max(0, count - ready[edge_id]) for edge_id, count in edges.items())
    nameless = max((one.streams for one in old if not one.edges), default=0)
    settled = min((one.settled for one in new), default=0)
    return Moved(edges.total() + nameless, left + max(0, nameless - settled))


def _ready(replica: ReplicaUse, edge_id: str, models: frozenset[str]) -> int:
    """How many edges of that id it is ready for."""
    return sum(one.edge_id == edge_id and one.settled and models <= one.models for one in replica.edges)


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

    async def run(self, settings: CloudSettings, rule: AutoscalingRule, overlap_s: float, edges: EdgeMove) -> Moved:
        """Replace the cloud that serves by this one; how many edges have moved by then. overlap_s: how long to wait
        for all of them. edges: those of this launcher, moved when both versions serve.

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
                moved = await self._moved(prefix, overlap_s, may_sleep=rule.min_replicas == 0)
        except BaseException:
            await asyncio.shield(self.runtime.drop_cloud())
            raise
        await self.runtime.retire_clouds()
        return moved

    async def _registered(self, prefix: str, wanted: int) -> None:
        over_s = time.monotonic() + REGISTER_S
        while len(self._new(prefix)) < wanted:
            if time.monotonic() > over_s:
                raise Unavailable(f"new replicas: {len(self._new(prefix))} of {wanted} registered in {REGISTER_S:g} s")
            await asyncio.sleep(LOOK_S)

    async def _moved(self, prefix: str, overlap_s: float, *, may_sleep: bool) -> Moved:
        """Return when all edges have moved, or the overlap is over: edges may be there whose files nobody changes, so
        that none that has not moved holds up the others' version for longer. may_sleep: new replicas that nobody uses
        yet go as their rule says, and come back for a request. Raises Unavailable when a new replica is silent."""
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
            if not silent:
                moved, over = moved_edges(await self._old(prefix), used), time.monotonic() >= over_s
                if over or (used and not moved.left):
                    return moved
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
