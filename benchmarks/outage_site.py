"""A site for figures on outages: cloud replicas as processes that can be killed, stopped and drained, an emulated link
in a process of its own, and an edge with its gateway in this process. The model is small and real."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import grpc
import torch

from benchmarks.judged_requests import Asked, ask, cloud_required, made_model, until_usable
from benchmarks.node_process import START_S, NodeProcess
from isthmus.addresses import format_address, parse_address
from isthmus.client import AsyncClient
from isthmus.errors import CloudUnavailable, DeadlineExceeded, NotFound
from isthmus.telemetry import configure_logging
from isthmus.v1 import segment_pb2, segment_pb2_grpc
from nodes.chooser import Choice, ChoiceRequest
from nodes.chooser_observer import ChooserObserver
from nodes.edge_host import EdgeHost
from nodes.fleet import Endpoint
from nodes.model_runtime import plan_definition
from nodes.plan_shapes import cut_plan
from nodes.protocol.events import PlanDefinition
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from nodes.transport.segment_client import SegmentClient
from partitioner.artifact import artifact_bytes, save_artifact
from partitioner.link import Link
from partitioner.model import Model
from partitioner.plan import Plan
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from scheduler.policies.fixed import FixedPolicy
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess

__all__ = ["OutageSite", "SplitWhereItCan", "outage_site"]

ANSWER_S = 10.0


class SplitWhereItCan:
    """The split plan whenever a replica is there, so that outages meet requests; edge-only otherwise."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        with contextlib.suppress(CloudUnavailable, DeadlineExceeded, NotFound):
            return FixedPolicy.of("split").choose(request, link, rng)
        return FixedPolicy.of("edge-only").choose(request, link, rng)


@dataclass(frozen=True)
class OutageSite:
    """What runs. client: asks the edge's gateway over real gRPC. other: a plan of the model that replicas have room for
    in the place of the edge's; None where they have none."""

    model: Model
    link: LinkEmulatorProcess
    replicas: tuple[NodeProcess, ...]
    edge: EdgeHost
    client: AsyncClient
    other: PlanDefinition | None

    async def ask(self, seed: int, deadline_s: float, batch: int = 1) -> Asked:
        """See `judged_requests.ask`."""
        return await ask(self.client, self.model, seed, deadline_s, batch)

    async def work(self, replica: NodeProcess) -> dict[str, int]:
        """What has become of what arrived at a replica, as it says itself; asked at its port, past the link."""
        async with grpc.aio.insecure_channel(replica.address) as channel:
            stub = segment_pb2_grpc.SegmentServiceStub(channel)
            return dict((await stub.Describe(segment_pb2.DescribeRequest(), timeout=ANSWER_S)).counts)

    async def forget(self, replica: NodeProcess) -> None:
        """Have a replica let go of the edge's model and of its plans, for the other one. Raises an IsthmusError where
        it does not."""
        assert self.other is not None
        chooser = PlanChooser()
        observer, queue = ChooserObserver(chooser), chooser.cloud_queue()
        client = await SegmentClient.connect(Endpoint(replica.address), "another edge", observer, queue)
        try:
            await client.prepare(self.other)
        finally:
            await client.close()

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
    required: bool = False,
) -> AsyncIterator[OutageSite]:
    """boundary: floats an item that cross the cut. depth: layers of the suffix but one. slowdown, kept_bytes: as in
    EdgeSettings. required: the edge cannot finish anything itself, and replicas serve another model of the same size,
    of which they hold one at a time."""
    configure_logging("critical")
    torch.set_num_threads(1)
    model, other = made_model(boundary, depth), None
    served = [model]
    if required:
        served = [cloud_required(model), made_model(boundary, depth, seed=1).renamed("other")]
        model, other = served[0], plan_definition(_split(served[1]))
    plan = _split(model)
    async with contextlib.AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        artifacts = tuple(ModelArtifact(one.name, str(scratch / one.name)) for one in served)
        for one, artifact in zip(served, artifacts, strict=True):
            save_artifact(one, artifact.folder)
        link = stack.enter_context(LinkEmulatorProcess(shape))

        async def relayed(target: str) -> str:
            return format_address(*await asyncio.to_thread(link.relay, "127.0.0.1", 0, *parse_address(target)))

        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0", endpoint_mapper=relayed)
        stack.push_async_callback(registry.stop)
        room_bytes = max(artifact_bytes(artifact.folder) for artifact in artifacts) if required else 0
        cloud = CloudSettings(artifacts, "127.0.0.1:0", registry.address, drain_s=5.0, model_bytes=room_bytes)
        started = tuple(NodeProcess("cloud", cloud) for _ in range(replicas))
        for replica in started:
            stack.push_async_callback(replica.end, kill=True)
        await asyncio.gather(*(replica.start() for replica in started))
        with_plan = replace(artifacts[0], plans=(plan.to_json(),))
        settings = EdgeSettings(
            (with_plan,), "127.0.0.1:0", registry.address, slowdown=slowdown, kept_bytes=kept_bytes, drain_s=2.0
        )
        edge = await EdgeHost.start(settings, PlanChooser("fixed:split" if required else f"{__name__}:SplitWhereItCan"))
        stack.push_async_callback(edge.drain)
        client = await stack.enter_async_context(AsyncClient(edge.address))
        site = OutageSite(model, link, started, edge, client, other)
        await site.usable(replicas)
        yield site


def _split(model: Model) -> Plan:
    return cut_plan(model, tuple(op.name for op in model.graph.ops[:2]), {}, "raw")
