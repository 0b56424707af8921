"""A site for figures on outages: cloud replicas as processes that can be killed, stopped and drained, an emulated link
in a process of its own, and an edge with its gateway in this process. The model is small and real."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch

from benchmarks.judged_requests import MODEL, Asked, ask, made_model, until_usable
from benchmarks.node_process import START_S, NodeProcess
from isthmus.addresses import format_address, parse_address
from isthmus.client import AsyncClient
from isthmus.errors import CloudUnavailable, DeadlineExceeded, NotFound
from isthmus.telemetry import configure_logging
from nodes.chooser import Choice, ChoiceRequest
from nodes.edge_host import EdgeHost
from nodes.plan_shapes import cut_plan
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.link import Link
from partitioner.model import Model
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from scheduler.policies.fixed import FixedPolicy
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess

__all__ = ["OutageSite", "SplitWhereItCan", "outage_site"]


class SplitWhereItCan:
    """The split plan whenever a replica is there, so that outages meet requests; edge-only otherwise."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        with contextlib.suppress(CloudUnavailable, DeadlineExceeded, NotFound):
            return FixedPolicy.of("split").choose(request, link, rng)
        return FixedPolicy.of("edge-only").choose(request, link, rng)


@dataclass(frozen=True)
class OutageSite:
    """What runs. client: asks the edge's gateway over real gRPC."""

    model: Model
    link: LinkEmulatorProcess
    replicas: tuple[NodeProcess, ...]
    edge: EdgeHost
    client: AsyncClient

    async def ask(self, seed: int, deadline_s: float, batch: int = 1) -> Asked:
        """See `judged_requests.ask`."""
        return await ask(self.client, self.model, seed, deadline_s, batch)

    async def usable(self, count: int) -> None:
        """See `judged_requests.until_usable`."""
        await until_usable(self.edge.node.replicas, count, START_S)


@contextlib.asynccontextmanager
async def outage_site(
    boundary: int,
    shape: LinkShape,
    replicas: int,
    *,
    depth: int = 0,
    slowdown: float = 1.0,
    kept_bytes: int = 256_000_000,
) -> AsyncIterator[OutageSite]:
    """boundary: floats an item that cross the cut. depth: layers of the suffix but one. slowdown, kept_bytes: as in
    EdgeSettings."""
    configure_logging("critical")
    torch.set_num_threads(1)
    model = made_model(boundary, depth)
    plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:2]), {}, "raw")
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / MODEL
        save_artifact(model, folder)
        link = stack.enter_context(LinkEmulatorProcess(shape))

        async def relayed(target: str) -> str:
            return format_address(*await asyncio.to_thread(link.relay, "127.0.0.1", 0, *parse_address(target)))

        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0", endpoint_mapper=relayed)
        stack.push_async_callback(registry.stop)
        cloud = CloudSettings((ModelArtifact(MODEL, str(folder)),), "127.0.0.1:0", registry.address, drain_s=5.0)
        started = tuple(NodeProcess("cloud", cloud) for _ in range(replicas))
        for replica in started:
            stack.push_async_callback(replica.end, kill=True)
        await asyncio.gather(*(replica.start() for replica in started))
        artifact = ModelArtifact(MODEL, str(folder), (plan.to_json(),))
        settings = EdgeSettings(
            (artifact,), "127.0.0.1:0", registry.address, slowdown=slowdown, kept_bytes=kept_bytes, drain_s=2.0
        )
        edge = await EdgeHost.start(settings, PlanChooser(f"{__name__}:SplitWhereItCan"))
        stack.push_async_callback(edge.drain)
        client = await stack.enter_async_context(AsyncClient(edge.address))
        site = OutageSite(model, link, started, edge, client)
        await site.usable(replicas)
        yield site
