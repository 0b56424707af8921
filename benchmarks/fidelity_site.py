"""A scenario's fleet live on this machine: one edge and its replicas as processes, the link emulated in another.

What a scenario may say and this machine cannot do is refused, so that nothing is compared that was not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

from benchmarks.fidelity_subjects import Installed
from benchmarks.node_process import NodeProcess
from isthmus.addresses import format_address, parse_address
from isthmus.checked_policies import checked_policies
from isthmus.client import AsyncClient
from isthmus.configuration import Configuration, ModelConfiguration
from isthmus.errors import InvalidConfiguration
from nodes.configured_policies import ConfiguredPolicies
from nodes.limits import CLOUD_LIMITS, EDGE_LIMITS
from nodes.settings import CloudSettings, EdgeSettings, JournalSettings
from nodes.transport.operator_client import OperatorClient
from nodes.transport.registry_server import RegistryServer
from scheduler.exploration import DEFAULT_SHARE
from scheduler.fleet_registry import FleetRegistry
from simulations.bandwidth_trace import BandwidthTrace
from simulations.fleet_links import recorded_round_trips
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess
from simulations.scenario.links import Capacity, LinkSection, TraceRate
from simulations.scenario.scenario import Scenario
from simulations.trace_files.reading import read_link_trace

__all__ = ["LiveSite", "changes", "check_runnable", "live_site", "shape_at_start"]

JOURNAL_BYTES = 64 << 20
_NOT_AT_TIMES = ("closed-loop", "logged")
READY_S, LOOK_S = 60.0, 0.05


@dataclass(frozen=True)
class LiveSite:
    """What runs. started_s: how long a replica took from its settings to serving."""

    edge: NodeProcess
    replicas: list[NodeProcess]
    link: LinkEmulatorProcess
    client: AsyncClient
    cloud: CloudSettings
    started_s: float

    async def ready(self, count: int) -> None:
        """Returns once the edge would send requests to so many replicas. Raises TimeoutError."""
        operator = OperatorClient(self.edge.address)
        try:
            async with asyncio.timeout(READY_S):
                while await self._ready(operator) < count:  # noqa: ASYNC110 (no event to await)
                    await asyncio.sleep(LOOK_S)
        finally:
            await operator.close()

    async def _ready(self, operator: OperatorClient) -> int:
        usable: int = json.loads(await operator.sight())["now"]["replicas_usable"]
        return usable


def check_runnable(scenario: Scenario) -> None:
    """Raises InvalidConfiguration naming what cannot be run live here."""
    (edge, *others), cloud = scenario.edges, scenario.cloud
    link = link_of(scenario)
    limits = {
        "edges": len(others) or edge.count > 1,
        "models": len(scenario.models) > 1,
        "clients": any(client.count > 1 or client.arrivals.kind in _NOT_AT_TIMES for client in scenario.clients),
        "edges.slowdown": edge.slowdown != 1.0,
        "edges.explore": edge.explore != DEFAULT_SHARE,
        "cloud.speed": cloud.speed != 1.0,
        "cloud.autoscaling": cloud.autoscaling is not None,
        "cloud.failures": not isinstance(cloud.failures, tuple),
        "links.outages": bool(link.outages),
        "links": any(not isinstance(rate, float) and not _plays(rate) for rate in (link.uplink, link.downlink)),
    }
    for field, beyond in limits.items():
        if beyond:
            raise InvalidConfiguration(field, "is not what a site on this machine runs", remedy="only simulate it")


def _plays(rate: Capacity) -> bool:
    return isinstance(rate, TraceRate) and rate.start != "random"


def link_of(scenario: Scenario) -> LinkSection:
    """The edge's."""
    return next(link for link in scenario.links if link.name == scenario.edges[0].link)


def directions(scenario: Scenario) -> tuple[BandwidthTrace, BandwidthTrace]:
    """The link's bandwidth over a run, up and down."""
    link = link_of(scenario)
    return _direction(link.uplink, "uplink"), _direction(link.downlink, "downlink")


def _direction(rate: Capacity, way: Literal["uplink", "downlink"]) -> BandwidthTrace:
    if not isinstance(rate, TraceRate):
        assert isinstance(rate, float)
        return BandwidthTrace((0.0,), (rate,))
    both = read_link_trace(Path(rate.trace))
    read = both.uplink if way == "uplink" else both.downlink
    assert rate.start == 0.0, "play it from its start"
    return replace(read, bandwidths_bps=tuple(bps * rate.scale for bps in read.bandwidths_bps))


@contextlib.asynccontextmanager
async def live_site(
    installed: Installed, scenario: Scenario, folder: Path, journal: Path | None = None
) -> AsyncIterator[LiveSite]:
    """folder: where the edge keeps what it measured for its next start. journal: of its decisions."""
    check_runnable(scenario)
    async with contextlib.AsyncExitStack() as stack:
        link = stack.enter_context(LinkEmulatorProcess(shape_at_start(scenario), seed=scenario.seed))

        async def relayed(target: str) -> str:
            return format_address(*await asyncio.to_thread(link.relay, "127.0.0.1", 0, *parse_address(target)))

        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0", endpoint_mapper=relayed)
        stack.push_async_callback(registry.stop)
        cloud = _cloud_settings(installed, scenario, registry.address)
        replicas = [NodeProcess("cloud", cloud) for _ in range(scenario.cloud.replicas)]
        stack.push_async_callback(_end, replicas)
        for replica in replicas:
            replica.spawn()
        edge = NodeProcess("edge", _edge_settings(installed, scenario, registry.address, folder, journal))
        stack.push_async_callback(edge.end, kill=False)
        edge.spawn()
        for replica in replicas:
            began_s = asyncio.get_running_loop().time()
            await replica.start()
        started_s = asyncio.get_running_loop().time() - began_s
        await edge.start()
        await edge.planned()
        client = await stack.enter_async_context(AsyncClient(edge.address))
        site = LiveSite(edge, replicas, link, client, cloud, started_s)
        await site.ready(len(replicas))
        yield site


async def _end(replicas: list[NodeProcess]) -> None:
    """Those that are there now: others may have taken the places of those that were started."""
    for replica in replicas:
        await replica.end(kill=True)


def shape_at_start(scenario: Scenario) -> LinkShape:
    """The link as a run begins."""
    link = link_of(scenario)
    up, down = directions(scenario)
    return LinkShape(up.bandwidths_bps[0], down.bandwidths_bps[0], _round_trips(link)(0.0), link.jitter)


def changes(scenario: Scenario, until_s: float) -> Iterator[tuple[float, LinkShape]]:
    """Seconds after the start, and what the link does from then on."""
    link = link_of(scenario)
    rtt_s = _round_trips(link)
    up, down = directions(scenario)
    moments = sorted({time_s for trace in (up, down) for time_s in _moments(trace, until_s)})
    for time_s in moments:
        yield time_s, LinkShape(up.at(time_s), down.at(time_s), rtt_s(time_s), link.jitter)


def _round_trips(link: LinkSection) -> Callable[[float], float]:
    """By moment. Those of a recording change when its bandwidth does."""
    recorded = recorded_round_trips(link)
    return (lambda _: link.rtt or 0.0) if recorded is None else recorded.round_trips.at


def _moments(trace: BandwidthTrace, until_s: float) -> Iterator[float]:
    for lap in count():
        for step_s in trace.times_s:
            time_s = lap * trace.period_s + step_s if lap else step_s
            if time_s > until_s:
                return
            yield time_s
        if len(trace.times_s) == 1:
            return


def policies_of(installed: Installed, scenario: Scenario, folder: Path) -> ConfiguredPolicies:
    """As an edge takes them."""
    (edge,) = scenario.edges
    model = ModelConfiguration(name=installed.name, source=installed.artifact.folder, policy=scenario.models[0].policy)
    given = Configuration(models=(model,), policy=edge.policy, request_classes=dict(edge.request_classes))
    return checked_policies(given, folder)


def _cloud_settings(installed: Installed, scenario: Scenario, registry: str) -> CloudSettings:
    cloud = scenario.cloud
    return CloudSettings(
        (installed.artifact,),
        "127.0.0.1:0",
        registry,
        engine="paced" if installed.paced_by else installed.subject.engine,
        paced_by=installed.paced_by,
        drain_s=2.0,
        batching=cloud.batching.limits,
        limits=replace(CLOUD_LIMITS, queue=cloud.queue),
    )


def _edge_settings(
    installed: Installed, scenario: Scenario, registry: str, folder: Path, journal: Path | None
) -> EdgeSettings:
    (edge,) = scenario.edges
    return EdgeSettings(
        (installed.artifact,),
        "127.0.0.1:0",
        registry,
        policies=policies_of(installed, scenario, folder),
        engine=installed.subject.engine,
        slowdown=installed.subject.slowdown,
        drain_s=2.0,
        batching=edge.batching.limits,
        limits=replace(EDGE_LIMITS, queue=edge.queue),
        decision_log=None if journal is None else JournalSettings(str(journal), JOURNAL_BYTES),
        admission_probability=edge.admission.probability,
        memory_folder=str(folder / "memory"),
    )
