"""What `isthmus up`, `cloud` and `edge` run: models exported once, then registry, emulated link and nodes."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from isthmus.addresses import format_address, parse_address
from isthmus.cache_folder import cache_folder
from isthmus.checked_policies import checked_policies
from isthmus.configuration import Configuration, LinkConfiguration, TlsConfiguration
from nodes.background import run_together
from nodes.configured_policies import LATENCY_FOR_ALL, ConfiguredPolicies
from nodes.settings import (
    COMPILING_ENGINES,
    CloudSettings,
    EdgeSettings,
    JournalSettings,
    ModelArtifact,
    start_timeout_s,
)
from nodes.tls_files import TlsFiles
from nodes.transport.fleet_service import EndpointMapper
from nodes.transport.registry_server import RegistryServer
from scheduler.fleet_registry import FleetRegistry
from scheduler.process_runtime import ProcessRuntime
from scheduler.runtime import Runtime
from scheduler.serve.ray_runtime import RayRuntime
from simulations.link_emulator import LinkShape
from simulations.link_thread import LinkEmulatorThread

__all__ = ["Deployment", "Sides", "cloud_settings", "deploy", "running_registry"]

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
    are for a deployment with an edge.
    """

    gateway: str
    registry: str
    link: LinkEmulatorThread | None
    planned: bool
    artifacts: tuple[ModelArtifact, ...]
    policies: ConfiguredPolicies
    configure: Callable[[ConfiguredPolicies], Awaitable[None]]


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
    async with contextlib.AsyncExitStack() as stack:
        link = _emulated(configuration.link) if sides.cloud else None
        if link is not None:
            stack.enter_context(link)
        registry = configuration.edge.registry
        if sides.cloud:
            registry = await stack.enter_async_context(running_registry(configuration, link))
            progress(f"fleet registry at {registry}")
        runtimes = _Runtimes(stack)
        runtimes_started = [runtime.start() for runtime in runtimes.all_of(configuration, sides)]
        with warnings.catch_warnings():
            # torch's export and Ray's start each ignore warnings for their time, in two threads: what the first to end
            # puts back would be what the other one sees.
            warnings.simplefilter("ignore")
            artifacts, *_ = await run_together(asyncio.to_thread(export), *runtimes_started)
        engines = _engines(configuration, sides)
        if engines & COMPILING_ENGINES:
            progress("compiling the models' segments: minutes the first time")
        # Both sides on one machine are for trying things out: each start measures what it compares.
        memory = "" if sides.cloud else str(cache_folder("edge"))
        starting = _Starting(configuration, artifacts, registry, runtimes, progress, policies, memory)
        # Both at once: most of a start is importing. They take turns at measuring (`nodes.measure.turn`).
        sides_started = [starting.cloud()] if sides.cloud else []
        sides_started += [starting.edge()] if sides.edge else []
        gateway = (await run_together(*sides_started))[-1] if sides.edge else ""
        planned = False
        runtime = runtimes.of(configuration.edge.runtime)
        if sides.edge and sides.cloud:
            planned = await runtime.wait_until_planned(max(map(start_timeout_s, engines)))
        yield Deployment(gateway, registry, link, planned, artifacts, policies, runtime.configure)


@contextlib.asynccontextmanager
async def running_registry(configuration: Configuration, link: LinkEmulatorThread | None = None) -> AsyncIterator[str]:
    """The address of a registry that runs in the block. Raises PortInUse, InvalidConfiguration for a TLS file."""
    tls = configuration.cloud.tls
    server = await RegistryServer.start(
        FleetRegistry(),
        configuration.cloud.registry_listen,
        endpoint_mapper=_mapper(link),
        tls=_tls_files(tls),
        require_clients=_required(tls, by_default=True),
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
    runtimes: _Runtimes
    progress: Progress
    policies: ConfiguredPolicies
    memory_folder: str

    async def cloud(self) -> str:
        """The replicas; "" for where they serve, which edges learn from the registry."""
        cloud = self.configuration.cloud
        settings = cloud_settings(self.configuration, self.artifacts, self.registry)
        await self.runtimes.of(cloud.runtime).start_cloud(settings, cloud.replicas)
        self.progress(f"{cloud.replicas} cloud replica(s) serve ({cloud.runtime})")
        return ""

    async def edge(self) -> str:
        """The address of the gateway."""
        edge = self.configuration.edge
        settings = _edge_settings(self.configuration, self.artifacts, self.registry, self.policies)
        settings = replace(settings, memory_folder=self.memory_folder)
        gateway = await self.runtimes.of(edge.runtime).start_edge(settings)
        self.progress(f"edge serves at {gateway} ({edge.runtime})")
        return gateway


def _engines(configuration: Configuration, sides: Sides) -> set[str]:
    cloud = {configuration.cloud.engine} if sides.cloud else set()
    return cloud | ({configuration.edge.engine} if sides.edge else set())


class _Runtimes:
    """One runtime of each kind, made when first needed, stopped with the stack."""

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack = stack
        self._made: dict[str, Runtime] = {}

    def all_of(self, configuration: Configuration, sides: Sides) -> list[Runtime]:
        """The runtimes that the sides of a configuration need, each once."""
        kinds = [configuration.cloud.runtime] if sides.cloud else []
        kinds += [configuration.edge.runtime] if sides.edge else []
        return [self.of(kind) for kind in dict.fromkeys(kinds)]

    def of(self, kind: str) -> Runtime:
        """The runtime of that kind."""
        if kind not in self._made:
            runtime: Runtime = RayRuntime() if kind == "ray" else ProcessRuntime()
            self._stack.push_async_callback(runtime.stop)
            self._made[kind] = runtime
        return self._made[kind]


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


def cloud_settings(configuration: Configuration, artifacts: tuple[ModelArtifact, ...], registry: str) -> CloudSettings:
    """What each replica is started with. registry: where it registers."""
    cloud = configuration.cloud
    return CloudSettings(
        tuple(replace(artifact, plans=()) for artifact in artifacts),  # it learns plans from those who offer them
        cloud.listen,
        registry,
        cloud.advertise or "",
        engine=cloud.engine,
        device=cloud.device,
        threads=cloud.threads,
        tls=_tls_files(cloud.tls),
        require_clients=_required(cloud.tls, by_default=True),
        tls_server_name=cloud.tls.server_name if cloud.tls else "",
        batching=cloud.batching.limits,
        limits=cloud.limits.of_node,
        metrics_listen=cloud.metrics_listen or "",
        log=configuration.logs.settings,
    )


def _edge_settings(
    configuration: Configuration, artifacts: tuple[ModelArtifact, ...], registry: str, policies: ConfiguredPolicies
) -> EdgeSettings:
    edge, log = configuration.edge, configuration.edge.decision_log
    return EdgeSettings(
        artifacts,
        edge.listen,
        registry,
        policies=policies,
        engine=edge.engine,
        device=edge.device,
        threads=edge.threads,
        slowdown=edge.emulate_slowdown,
        tls=_tls_files(edge.tls),
        require_clients=_required(edge.tls, by_default=False),
        batching=edge.batching.limits,
        limits=edge.limits.of_node,
        kept_bytes=edge.kept_memory,
        decision_log=None if log is None else JournalSettings(log.folder, log.max_size),
        hedge_percentile=edge.hedge_percentile,
        metrics_listen=edge.metrics_listen or "",
        log=configuration.logs.settings,
    )


def _tls_files(tls: TlsConfiguration | None) -> TlsFiles | None:
    return None if tls is None else TlsFiles(tls.authority, tls.certificate, tls.key)


def _required(tls: TlsConfiguration | None, *, by_default: bool) -> bool:
    """Whether clients must show a certificate; where the system's authorities are trusted, only when told so."""
    if tls is None or tls.require_clients is None:
        return by_default and tls is not None and bool(tls.authority)
    return tls.require_clients
