"""What an edge serves of each model: loaded, switched, unloaded, its plans prepared with every replica that has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from isthmus.errors import CloudUnavailable, IsthmusError, Unavailable
from isthmus.telemetry import get_logger
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


class ModelPlanning:
    """`start` it, feed `replicas` with fleet views, `close` it. planned: set once some replica's plans are on offer."""

    def __init__(self, shelf: ModelShelf, plans: PlanSource, dial: Dial) -> None:
        self._shelf = shelf
        self.plans = plans
        self.replicas = ReplicaSet(dial, self._welcome)
        self.planned = asyncio.Event()
        self._building = asyncio.Lock()
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
        for connection in self.replicas.connections:
            planning = asyncio.create_task(self._plan_again(connection, name))
            self._under_way.add(planning)
            planning.add_done_callback(self._under_way.discard)

    async def _plan_again(self, connection: GuardedConnection, name: str) -> None:
        try:
            await self._plan(connection, (name,))
        except IsthmusError as error:
            self._log.warning("model not planned with replica", model=name, reason=str(error))

    async def switch(self, loaded: LoadedModel) -> None:
        """Serve this version of a model from the next request on: when its plans are measured, and prepared by the
        replicas that have it. Requests under way end with the version that they began with.

        Raises NotFound for a name that is not configured, Unavailable for a cloud-required model that no replica has.
        """
        name = loaded.model.name
        self._shelf.check_configured(name)
        async with self._building:
            runtime = ModelRuntime(loaded.model)
            runtime.offer(await self.plans.edge_only(loaded.builder))
            for connection in self.replicas.connections:
                said = await connection.describe()
                if said.serves(name, loaded.model.digest):
                    cloud = DeviceProfile.from_json(said.device_profile_json)
                    ready = await self.plans.with_cloud(loaded.builder, cloud)
                    await self._prepare(runtime, connection, ready)
            if not runtime.plans:
                raise Unavailable(f"model {name}: no replica has its new version; roll it out in the cloud first")
            self._shelf.replace(loaded, runtime)
            self.plans.forget(name, but=loaded.model.digest)

    async def unload(self, name: str) -> None:
        """It is served no longer at once; what it holds goes when no planning is under way. Raises NotFound for a model
        that is not configured."""
        self._shelf.check_configured(name)
        self._shelf.take_down(name)
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

    async def _welcome(self, connection: GuardedConnection) -> None:
        """Prepare a fresh connection for every loaded model."""
        await self._plan(connection, self._shelf.names)
        self.planned.set()

    async def _plan(self, connection: GuardedConnection, names: Iterable[str]) -> None:
        """Measure this side once for each kind of replica, have the replica prepare every plan, offer them all."""
        said = await connection.describe()
        cloud = DeviceProfile.from_json(said.device_profile_json)
        async with self._building:
            for name in names:
                runtime = self._shelf.runtimes.get(name)
                if runtime is None:
                    continue
                if not said.serves(name, runtime.model.digest):
                    self._log.warning("replica serves another version", model=name, replica=said.replica_id)
                    continue
                ready = await self.plans.with_cloud(self._shelf.builders[name], cloud)
                await self._prepare(runtime, connection, ready)

    async def _prepare(
        self, runtime: ModelRuntime, connection: GuardedConnection, ready: tuple[ReadyPlan, ...]
    ) -> None:
        offers = {plan.entry.plan.wire_digest: plan.entry.plan for plan in ready}
        times = await cloud_times(connection.prepare, offers)
        with_cloud = [with_cloud_times(plan, found) for plan in ready if (found := times[plan.entry.plan.wire_digest])]
        if not with_cloud:
            raise CloudUnavailable("no plan could be prepared")
        digests = {plan.entry.plan.wire_digest for plan in with_cloud}
        elsewhere = self.replicas.prepared() - digests  # plans that only other replicas run stay on offer
        others = (plan for plan in runtime.plans if _is_one_of(plan, elsewhere))
        runtime.offer((*others, *with_cloud))


def _is_one_of(ready: ReadyPlan, digests: frozenset[str]) -> bool:
    return ready.entry.plan.kind == "edge-only" or ready.entry.plan.wire_digest in digests
