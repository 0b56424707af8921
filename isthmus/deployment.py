"""What `isthmus up`, `cloud` and `edge` run: models exported once, then registry, emulated link and nodes."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from isthmus.addresses import format_address, parse_address
from isthmus.cache_folder import cache_folder
from isthmus.checked_policies import checked_policies
from isthmus.configuration import CloudConfiguration, Configuration, LinkConfiguration, files_of
from isthmus.edge_life import while_edge_lives
from isthmus.errors import InvalidConfiguration
from isthmus.model_export import check_on_every_node, export_models
from isthmus.node_settings import clients_required, cloud_settings, edge_settings, of_edge
from isthmus.runtimes import Runtimes
from nodes.background import run_together
from nodes.configured_policies import LATENCY_FOR_ALL, ConfiguredPolicies
from nodes.fleet import FleetView, Replica
from nodes.settings import COMPILING_ENGINES, CloudSettings, ModelArtifact, start_timeout_s
from nodes.tls_files import TlsFiles
from nodes.transport.fleet_service import EndpointMapper
from nodes.transport.fleet_survey import look_at_replica
from nodes.transport.registry_server import RegistryServer
from scheduler.fleet_registry import FleetRegistry
from scheduler.roll_out import EdgeMove, Moved, ReplicaUse, RollOut
from scheduler.runtime import Runtime
from simulations.link_emulator import LinkShape
from simulations.link_thread import LinkEmulatorThread

__all__ = ["Deployment", "Sides", "deploy", "running_registry"]

ANSWER_S = 5.0  # of a replica that is asked how it is used

Progress = Callable[[str], None]
Export = Callable[[], tuple[ModelArtifact, ...]]
"""Makes the models' artifacts."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Which sides to run."""

    cloud: bool
    edge: bool


@dataclass(frozen=True, slots=True)
class Deployment:
    """What runs: the gateway's address ("" without an edge), the registry's, the emulated link (None without one), the
    models.

    policies: those that the edge started with. configure: puts others in force on it, see `Runtime.configure`; both
    are for a deployment with an edge. watch_edge: until cancelled; raises Unavailable when the edge has died and nobody
    starts it again. roll_out: has the models and replicas of another configuration take the place of those that serve,
    see `scheduler.roll_out`, and tells how many edges of others have moved; raises why not, then all is as it was.
    """

    gateway: str
    registry: str
    link: LinkEmulatorThread | None
    planned: bool
    artifacts: tuple[ModelArtifact, ...]
    policies: ConfiguredPolicies
    configure: Callable[[ConfiguredPolicies], Awaitable[None]]
    roll_out: Callable[[Configuration], Awaitable[Moved]]
    watch_edge: Callable[[], Coroutine[object, object, None]]


@contextlib.asynccontextmanager
async def deploy(
    configuration: Configuration, sides: Sides, export: Export, progress: Progress, folder: Path | None = None
) -> AsyncIterator[Deployment]:
    """Run the sides until the block ends, then drain: the edge first, then the replicas, the registry, the link.

    export: runs in a thread while the runtimes start. folder: where the configuration lies, the current one without.
    Raises what `export` raises (`isthmus.model_export`), NotFound and InvalidConfiguration for a policy, PortInUse,
    DeviceUnavailable, InvalidModel, Unavailable.
    """
    # Here, where a mistake ends the command with its one line, and where files that options name are.
    policies = checked_policies(configuration, folder or Path.cwd()) if sides.edge else LATENCY_FOR_ALL
    _check_cluster(configuration, sides)
    async with contextlib.AsyncExitStack() as stack:
        link = _emulated(configuration.link) if sides.cloud else None
        if link is not None:
            stack.enter_context(link)
        registry, book = configuration.edge.registry, FleetRegistry()
        runtimes = Runtimes(stack, configuration.cloud if sides.cloud else None)
        if sides.cloud:
            wake = partial(_wake, runtimes, configuration)
            registry = await stack.enter_async_context(running_registry(configuration, link, book, wake))
            progress(f"fleet registry at {registry}")
        runtimes_started = [runtimes.of(kind).start() for kind in _kinds(configuration, sides)]
        with warnings.catch_warnings():
            # torch's export and Ray's start each ignore warnings for their time, in two threads: what the first to end
            # puts back would be what the other one sees.
            warnings.simplefilter("ignore")
            artifacts, *_ = await run_together(asyncio.to_thread(export), *runtimes_started)
        registry = await asyncio.to_thread(runtimes.reached_from_replicas, registry)
        engines = _engines(configuration, sides)
        if engines & COMPILING_ENGINES:
            progress("compiling the models' segments: minutes the first time")
        # Both sides on one machine are for trying things out: each start measures what it compares.
        memory = "" if sides.cloud else str(cache_folder("edge"))
        starting = _Starting(configuration, artifacts, registry, runtimes, progress, policies, memory, book)
        told = (configuration.edge.start_timeout or 0.0, configuration.cloud.start_timeout or 0.0)
        gateway, planned = await starting.run(sides, max(*map(start_timeout_s, engines), *told))
        runtime = runtimes.of(configuration.edge.runtime)
        rolling = _Rolling(sides, starting, folder or Path.cwd())
        yield Deployment(
            gateway, registry, link, planned, artifacts, policies, runtime.configure, rolling.roll_out,
            runtime.watch_edge,
        )  # fmt: skip


def _check_cluster(configuration: Configuration, sides: Sides) -> None:
    """Raises InvalidConfiguration for what does not go with a Ray cluster that runs already."""
    if not sides.cloud or configuration.cloud.address is None:
        return
    if sides.edge and configuration.edge.runtime == "ray":
        remedy = "set edge.runtime: process, or run `isthmus edge` by itself"
        raise InvalidConfiguration("edge.runtime", "cannot be a Ray of its own beside cloud.address", remedy=remedy)
    for model in configuration.models:
        check_on_every_node(model)


def _wake(runtimes: Runtimes, configuration: Configuration) -> None:
    runtimes.of(configuration.cloud.runtime).wake()


@contextlib.asynccontextmanager
async def running_registry(
    configuration: Configuration,
    link: LinkEmulatorThread | None = None,
    book: FleetRegistry | None = None,
    on_want: Callable[[], None] | None = None,
) -> AsyncIterator[str]:
    """The address of a registry that runs in the block. book: what it serves, an empty one without. on_want: see
    FleetService. Raises PortInUse, InvalidConfiguration for a TLS file."""
    tls = configuration.cloud.tls
    server = await RegistryServer.start(
        book or FleetRegistry(),
        configuration.cloud.registry_listen,
        endpoint_mapper=_mapper(link),
        on_want=on_want,
        emulated_link="" if configuration.link is None else configuration.link.said,
        tls=files_of(tls),
        require_clients=clients_required(tls, by_default=True),
    )
    try:
        yield server.address
    finally:
        await server.stop()


@dataclass(frozen=True, slots=True)
class _Starting:
    """Starts the nodes of a configuration, and says when they serve."""

    configuration: Configuration
    artifacts: tuple[ModelArtifact, ...]
    registry: str
    runtimes: Runtimes
    progress: Progress
    policies: ConfiguredPolicies
    memory_folder: str
    book: FleetRegistry

    async def run(self, sides: Sides, planning_s: float) -> tuple[str, bool]:
        """The edge's gateway, "" without one, and whether it offers plans that use the cloud. planning_s: how long to
        wait for these. Raises Unavailable also when the edge has died meanwhile."""
        if not sides.edge:
            await self.cloud()
            return "", False
        if not sides.cloud:
            return await self.edge(), False
        runtime, serves = self.runtimes.of(self.configuration.edge.runtime), asyncio.Event()

        async def cloud() -> None:
            await self.cloud()
            serves.set()

        async def edge() -> str:
            gateway = await self.edge()
            await while_edge_lives(runtime, serves.wait())
            return gateway

        # Both at once: most of a start is importing. They take turns at measuring (`nodes.measure.turn`).
        _, gateway = await run_together(cloud(), edge())
        return gateway, await while_edge_lives(runtime, runtime.wait_until_planned(planning_s))

    async def cloud(self) -> None:
        """The replicas; where they serve is what edges learn from the registry."""
        cloud = self.configuration.cloud
        settings = cloud_settings(self.configuration, self.artifacts, self.registry)
        runtime = self.runtimes.of(cloud.runtime)
        if await runtime.takes_over(settings):
            self.progress("replicas of a launcher that is gone serve: the new ones take their place")
            moved = await self.roll_out(runtime, settings, cloud, EdgeMove(_nothing, _nothing))
            if moved.left:
                self.progress(str(moved))
        else:
            await runtime.start_cloud(settings, cloud.rule, cloud.rule.at_start)
        self.progress(f"{cloud.rule.at_start} cloud replica(s) serve ({cloud.runtime})")

    async def roll_out(
        self, runtime: Runtime, settings: CloudSettings, cloud: CloudConfiguration, edges: EdgeMove
    ) -> Moved:
        """See RollOut."""
        rolling = RollOut(runtime, self.book.view, partial(_use, settings.tls, self.book.view))
        return await rolling.run(settings, cloud.rule, cloud.overlap, edges)

    async def edge(self) -> str:
        """The address of the gateway."""
        edge = self.configuration.edge
        settings = edge_settings(self.configuration, self.artifacts, self.registry, self.policies)
        settings = replace(settings, memory_folder=self.memory_folder)
        gateway = await self.runtimes.of(edge.runtime).start_edge(settings)
        self.progress(f"edge serves at {gateway} ({edge.runtime})")
        if edge.page_listen and parse_address(edge.page_listen)[1]:  # a free one is told by the edge itself
            self.progress(f"page at {'https' if edge.tls else 'http'}://{edge.page_listen}")
        return gateway


class _Rolling:
    """Rolls out one configuration after the other."""

    def __init__(self, sides: Sides, started: _Starting, folder: Path) -> None:
        self._sides, self._started, self._folder = sides, started, folder
        self._artifacts = started.artifacts

    async def roll_out(self, configuration: Configuration) -> Moved:
        """See Deployment."""
        _check_cluster(configuration, self._sides)
        progress, runtimes = self._started.progress, self._started.runtimes
        artifacts = await asyncio.to_thread(export_models, configuration.models, self._folder, progress)
        edge = runtimes.of(self._started.configuration.edge.runtime)  # of the one that runs

        async def switch(now: Sequence[ModelArtifact], before: Sequence[ModelArtifact]) -> None:
            changed = [one for one in of_edge(now) if one not in of_edge(before)]
            if self._sides.edge and changed:
                await edge.switch_models(changed)

        move = EdgeMove(partial(switch, artifacts, self._artifacts), partial(switch, self._artifacts, artifacts))
        if self._sides.cloud:
            cloud = configuration.cloud
            settings = cloud_settings(configuration, artifacts, self._started.registry)
            moved = await self._started.roll_out(runtimes.of(cloud.runtime), settings, cloud, move)
        else:
            async with move.made():
                moved = Moved()
        self._artifacts = artifacts
        return moved


async def _nothing() -> None:
    """Edges of other launchers move by themselves."""


async def _use(tls: TlsFiles | None, view: Callable[[], FleetView], replica: Replica) -> ReplicaUse:
    behind = sum(one.endpoint.target == replica.endpoint.target for one in view().replicas)
    said = await look_at_replica(replica.endpoint, tls, ANSWER_S, replica.replica_id, behind=max(1, behind))
    models = frozenset(one.name for one in said.versions)
    return ReplicaUse(models, said.edges, said.counts.get("streams", 0), said.counts.get("settled_streams", 0))


def _kinds(configuration: Configuration, sides: Sides) -> Iterable[str]:
    """Of the runtimes that the sides need, each once."""
    kinds = [configuration.cloud.runtime] if sides.cloud else []
    kinds += [configuration.edge.runtime] if sides.edge else []
    return dict.fromkeys(kinds)


def _engines(configuration: Configuration, sides: Sides) -> set[str]:
    cloud = {configuration.cloud.engine} if sides.cloud else set()
    return cloud | ({configuration.edge.engine} if sides.edge else set())


def _emulated(link: LinkConfiguration | None) -> LinkEmulatorThread | None:
    return None if link is None else LinkEmulatorThread(LinkShape(link.uplink_bps, link.downlink_bps, link.rtt))


def _mapper(link: LinkEmulatorThread | None) -> EndpointMapper | None:
    """With an emulated link, edges dial a relay of it instead of the replica."""
    if link is None:
        return None

    async def relayed(target: str) -> str:
        relay = await asyncio.to_thread(link.relay, "127.0.0.1", 0, *parse_address(target))
        return format_address(*relay)

    return relayed
