"""What an edge serves of each model: loaded, switched, unloaded, its plans prepared with every replica that has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable

from isthmus.errors import CloudUnavailable, IsthmusError, Unavailable
from isthmus.telemetry import get_logger
from nodes.background import to_its_end
from nodes.backoff import Backoff
from nodes.cloud_connection import ReplicaDescription
from nodes.edge_times import QuietTimer, measure_edge_times, with_edge_times
from nodes.guarded_connection import GuardedConnection
from nodes.model_runtime import ModelRuntime, ReadyPlan
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_builder import with_cloud_times
from nodes.plan_offers import cloud_times
from nodes.plan_source import PlanSource
from nodes.replica_set import Dial, ReplicaSet
from partitioner.profiles import DeviceProfile

__all__ = ["ModelPlanning"]

AGAIN_S = 60.0, 600.0
"""The first and the longest wait before a replica is offered a model again of which it could not prepare every plan."""


class ModelPlanning:
    """`start` it, feed `replicas` with fleet views, `close` it. planned: set once some replica's plans are on offer.

    What is measured and offered here changes under a lock, which is never held while a replica prepares: one that hangs
    holds up nobody. So whoever comes back from a replica looks whether the model is still the one that it left.
    """

    def __init__(self, shelf: ModelShelf, plans: PlanSource, dial: Dial) -> None:
        self._shelf = shelf
        self.plans = plans
        self.replicas = ReplicaSet(dial, self._welcome)
        self.planned = asyncio.Event()
        self._building = asyncio.Lock()
        self._welcoming: set[GuardedConnection] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._log = get_logger("edge")

    async def start(self) -> None:
        """Measure and offer the plans that need no cloud."""
        for name, runtime in self._shelf.runtimes.items():
            runtime.offer(await self.plans.edge_only(self._shelf.builders[name]))

    async def close(self) -> None:
        """Plan no more, let go of the cloud."""
        for planning in self._under_way:
            planning.cancel()
        await self.replicas.close()

    # ---- models ------------------------------------------------------------------------------------------------

    async def load(self, name: str) -> None:
        """It serves by itself at first, and with the replicas once its plans are prepared there. Raises NotFound for a
        model that is not configured, InvalidModel."""
        self._shelf.check_configured(name)
        async with self._building:
            if name in self._shelf.runtimes:
                return
            await self._shelf.put_back(name, self.plans.edge_only)
        for connection in self._connections():
            self._plan_beside(connection, (name,))

    async def switch(self, loaded: LoadedModel) -> None:
        """Serve this version of a model from the next request on: when its plans are measured, and prepared by the
        replicas that have it. Requests under way end with the version that they began with. One that is unloaded stays
        so, and is of this version when it is loaded.

        Raises NotFound for a name that is not configured, Unavailable for a cloud-required model that no replica has
        and for one that was loaded or unloaded meanwhile, and why where all replicas that have it cannot prepare it.
        """
        name = loaded.model.name
        self._shelf.check_configured(name)
        runtime = ModelRuntime(loaded.model)
        async with self._building:
            before = self._shelf.runtimes.get(name)
            if before is None:
                self._shelf.expect(loaded.model)
                return
        try:
            async with self._building:
                runtime.offer(await self.plans.edge_only(loaded.builder))
            settled = await self._prepared_by(self._connections(), loaded, runtime, before)
            async with self._building:
                if self._shelf.runtimes.get(name) is not before:
                    raise Unavailable(f"model {name}: was loaded, unloaded or switched meanwhile; try again")
                if not runtime.plans:
                    raise Unavailable(f"model {name}: no replica has its new version; roll it out in the cloud first")
                self._shelf.replace(loaded, runtime)
                self.plans.forget(name, but=loaded.model.digest)
        except BaseException:
            self.plans.forget(name, but=before.model.digest)
            raise
        for connection in self._connections():
            if connection not in settled:
                self._plan_beside(connection, (name,))

    async def _prepared_by(
        self, connections: Iterable[GuardedConnection], loaded: LoadedModel, runtime: ModelRuntime,
        before: ModelRuntime | None,
    ) -> set[GuardedConnection]:  # fmt: skip
        """Have the replicas that have it prepare a version that is not served yet; those of which no more is to be
        asked. before: what is served. Raises what the last one failed with where none of them could."""
        settled, prepared, failure = set[GuardedConnection](), False, None
        for connection in connections:
            try:
                said = await connection.describe()
                if said.serves(loaded.model.name, loaded.model.digest):
                    if await self._prepare(loaded, runtime, before, connection, said):
                        self._plan_beside(connection, (loaded.model.name,), at_once=False)
                    prepared = True
                settled.add(connection)
            except IsthmusError as error:
                self._not_planned(loaded.model.name, connection, error)
                failure = error
        if failure is not None and not prepared:
            raise failure
        return settled

    async def unload(self, name: str) -> None:
        """It is served no longer at once; what it holds goes when no planning is under way, also where whoever asked
        for it has left by then. Raises NotFound for a model that is not configured."""
        self._shelf.check_configured(name)
        self._shelf.take_down(name)
        await to_its_end(self._let_go(name))

    async def _let_go(self, name: str) -> None:
        async with self._building:
            self._shelf.forget(name)  # a loading that was under way may have put it back
            self.plans.forget(name)

    async def time_again(self, timer: QuietTimer, offered: Callable[[Collection[str]], None]) -> None:
        """Measure the edge's side of every plan on offer again, and offer them with what was found. Takes as long as
        there are requests; models and replicas come and go meanwhile. offered: is told the ids of plans whose costs are
        fresh from now on."""
        for name, runtime in tuple(self._shelf.runtimes.items()):
            times = {
                one.entry.plan.plan_id: await measure_edge_times(one, runtime.model, timer) for one in runtime.plans
            }
            async with self._building:
                if self._shelf.runtimes.get(name) is not runtime:  # unloaded, or another version
                    continue
                runtime.offer(with_edge_times(runtime.plans, times))
                offered(times)
                edge_only = [plan for plan in runtime.plans if plan.entry.plan.kind == "edge-only"]
                await self.plans.timed_again(self._shelf.builders[name], edge_only, times)

    # ---- with a replica ----------------------------------------------------------------------------------------

    def _connections(self) -> tuple[GuardedConnection, ...]:
        """To the replicas that were welcomed, and those that are being."""
        return (*self.replicas.connections, *self._welcoming)

    async def _welcome(self, connection: GuardedConnection) -> None:
        """Prepare a fresh connection for every loaded model; what it cannot prepare is offered again later. Raises why
        not where it can prepare none of them, and what breaks the connection."""
        self._welcoming.add(connection)
        try:
            left = await self._plan(connection, self._shelf.names)
        finally:
            self._welcoming.discard(connection)
        self.planned.set()
        if left:
            self._plan_beside(connection, left, at_once=False)

    def _plan_beside(self, connection: GuardedConnection, names: Collection[str], *, at_once: bool = True) -> None:
        """In the background, until the replica has prepared all that it takes of each, or is gone."""
        planning = asyncio.create_task(self._keep_planning(connection, names, at_once))
        self._under_way.add(planning)
        planning.add_done_callback(self._under_way.discard)

    async def _keep_planning(self, connection: GuardedConnection, names: Collection[str], at_once: bool) -> None:
        waits = Backoff(*AGAIN_S)
        await asyncio.sleep(0.0 if at_once else waits.next_s())
        while names and connection.connected:
            try:
                with contextlib.suppress(IsthmusError):  # told where it happened
                    names = await self._plan(connection, names)
            except Exception:  # what nobody planned must not leave them unplanned for ever
                self._log.exception("planning with a replica failed", replica=connection.replica_id)
            if names:
                await asyncio.sleep(waits.next_s())

    async def _plan(self, connection: GuardedConnection, names: Collection[str]) -> tuple[str, ...]:
        """Have the replica prepare those of the models that it has, and offer their plans; of which of them there are
        plans that it could not prepare now. Raises as `_welcome`."""
        said = await connection.describe()
        prepared, failed, more_later = list[str](), dict[str, IsthmusError](), list[str]()
        for name in names:
            runtime = self._shelf.runtimes.get(name)
            if runtime is None:
                continue
            if not said.serves(name, runtime.model.digest):
                self._log.warning("replica serves another version", model=name, replica=said.replica_id)
                continue
            loaded = LoadedModel(runtime.model, self._shelf.builders[name])
            try:
                if await self._prepare(loaded, runtime, runtime, connection, said):
                    more_later.append(name)
                prepared.append(name)
            except IsthmusError as error:
                self._not_planned(name, connection, error)
                if not connection.connected:
                    raise
                failed[name] = error
        if failed and not prepared:
            raise failed.popitem()[1]
        return (*failed, *more_later)

    async def _prepare(
        self, loaded: LoadedModel, runtime: ModelRuntime, served: ModelRuntime | None, connection: GuardedConnection,
        said: ReplicaDescription,
    ) -> bool:  # fmt: skip
        """Measure this side once for each kind of replica, have the replica prepare every plan, offer them all at
        `runtime`; whether it may prepare more of them later. served: what of the model must be served still, or nothing
        is offered."""
        name, cloud = loaded.model.name, DeviceProfile.from_json(said.device_profile_json)
        async with self._building:
            if self._shelf.runtimes.get(name) is not served:
                return False
            ready = await self.plans.with_cloud(loaded.builder, cloud)
        every = {plan.entry.plan.wire_digest: plan.entry.plan for plan in ready}
        there = connection.prepared & runtime.wire_digests  # on offer with this replica already
        times, more_later = await cloud_times(connection.prepare, {d: every[d] for d in every if d not in there})
        if not (times or there):
            raise CloudUnavailable("no plan could be prepared")
        async with self._building:
            if self._shelf.runtimes.get(name) is not served:
                return False
            ready = await self.plans.with_cloud(loaded.builder, cloud)  # may have been timed again meanwhile
            found = ((plan, times.get(plan.entry.plan.wire_digest)) for plan in ready)
            self._offer(runtime, [with_cloud_times(plan, measured) for plan, measured in found if measured])
        return more_later

    def _offer(self, runtime: ModelRuntime, with_cloud: Collection[ReadyPlan]) -> None:
        """These, and those that other replicas alone have prepared, or that need none. One whose breaker is open counts
        too, and one that forgot a plan and is offered it again: it is asked again soon, and nobody would plan with it
        anew."""
        elsewhere = frozenset[str]().union(*(one.prepared | one.offered_again for one in self._connections()))
        elsewhere -= {plan.entry.plan.wire_digest for plan in with_cloud}
        others = (plan for plan in runtime.plans if _is_one_of(plan, elsewhere))
        runtime.offer((*others, *with_cloud))
        self.replicas.changes.tell()  # who waits for a replica may have waited for these

    def _not_planned(self, name: str, connection: GuardedConnection, error: IsthmusError) -> None:
        replica = connection.replica_id
        self._log.warning("model not planned with replica", model=name, replica=replica, reason=str(error))


def _is_one_of(ready: ReadyPlan, digests: frozenset[str]) -> bool:
    return ready.entry.plan.kind == "edge-only" or ready.entry.plan.wire_digest in digests
