"""Edge and cloud of different versions: every answer is the whole of one version, never a mixture."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Literal

import grpc
import pytest
import torch

from isthmus.errors import InvalidPlan, Unavailable
from isthmus.v1 import segment_pb2 as pb
from isthmus.v1 import segment_pb2_grpc
from nodes.byte_budget import MOST_KEPT_BYTES
from nodes.chooser_observer import ChooserObserver
from nodes.cloud_node import CloudNode
from nodes.compute_pool import ComputePool
from nodes.edge_node import EdgeNode
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.gateway import InferRequest, InferResult
from nodes.inputs import ModelInputs
from nodes.model_loading import measured_profile
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_builder import PlanBuilder
from nodes.plan_shapes import cut_plan
from nodes.prefix_queue import PrefixQueue
from nodes.protocol.events import PlanDefinition, PlanTimes
from nodes.protocol.version import PROTOCOL_MAJOR
from nodes.transport.segment_client import SegmentClient
from partitioner.model import Model
from partitioner.profiles import DeviceProfile
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import Cloud, edge_site, eventually, inputs_of, nobody_loads, small_model

OLD, NEW = small_model(0), small_model(1)


def answer_of(model: Model, seed: int) -> torch.Tensor:
    with torch.inference_mode():
        return model(inputs_of(seed))[0]


async def ask(node: EdgeNode, seed: int, policy: str = "") -> InferResult:
    inputs = ModelInputs({OLD.graph.inputs[0]: inputs_of(seed)}, 1)
    return await node.infer(InferRequest("small", inputs, 30.0, policy=policy))


@pytest.fixture(scope="module")
def measured() -> DeviceProfile:
    with ComputePool(1) as pool:
        return asyncio.run(measured_profile({"small": OLD}, EagerEngine(threads=1), pool))


@contextlib.asynccontextmanager
async def edge_with(
    clouds: Mapping[str, Cloud], measured: DeviceProfile, model: Model = OLD, kept_bytes: int = MOST_KEPT_BYTES
) -> AsyncIterator[EdgeNode]:
    """An edge of that version, the old one by default, connected to all of these."""
    pool, chooser = ComputePool(1), PlanChooser()
    split = cut_plan(model, tuple(op.name for op in model.graph.ops[:2]), {}, "zstd")
    builder = await pool.run(PlanBuilder, model, EagerEngine(threads=1), 1.0, (split,))
    observer = ChooserObserver(chooser)

    async def dial(endpoint: Endpoint) -> SegmentClient:
        return await SegmentClient.connect(endpoint, "edge", observer, chooser.cloud_queue())

    shelf = ModelShelf({"small": LoadedModel(builder.model, builder)}, nobody_loads)
    queue = PrefixQueue(pool, chooser.edge_queue(), at_once_s=0.0)
    node = EdgeNode(shelf, measured, chooser, queue, dial, kept_bytes)
    await node.start()
    node.replicas.follow(FleetView(1, tuple(Replica(name, Endpoint(cloud.target)) for name, cloud in clouds.items())))
    try:
        await eventually(lambda: len(node.replicas.connections) == len(clouds))
        yield node
    finally:
        for cloud in clouds.values():
            await cloud.stop()
        await node.drain(1.0)
        pool.close()


async def test_beside_replicas_of_another_version_every_answer_is_of_the_edges_own(measured: DeviceProfile) -> None:
    clouds = {"old": await Cloud.start([OLD], "old"), "new": await Cloud.start([NEW], "new")}
    async with edge_with(clouds, measured) as node:
        results = [await ask(node, seed, "fixed:split") for seed in range(20)]
        assert all(torch.equal(result.outputs[0][1], answer_of(OLD, seed)) for seed, result in enumerate(results))
        assert {result.finished_by for result in results} == {"cloud"}
        assert clouds["new"].engine.gate.came == 0
        await clouds["old"].die()
        after = [await ask(node, seed) for seed in range(20)]
        assert all(torch.equal(result.outputs[0][1], answer_of(OLD, seed)) for seed, result in enumerate(after))
        assert {result.finished_by for result in after} == {"edge"}


async def test_an_edge_switches_to_another_version_between_two_requests(measured: DeviceProfile) -> None:
    clouds = {"old": await Cloud.start([OLD], "old"), "new": await Cloud.start([NEW], "new")}
    async with edge_with(clouds, measured) as node:
        clouds["old"].engine.gate.shut()
        before = asyncio.create_task(ask(node, 1, "fixed:split"))
        await eventually(lambda: clouds["old"].engine.gate.came > 0 and node.replicas.in_flight_bytes > 0)
        builder = PlanBuilder(NEW, EagerEngine(threads=1), 1.0)
        await node.switch_model(LoadedModel(NEW, builder))
        results = [await ask(node, seed, "cloud-only") for seed in range(5)]
        assert all(torch.equal(result.outputs[0][1], answer_of(NEW, seed)) for seed, result in enumerate(results))
        assert {result.finished_by for result in results} == {"cloud"}
        clouds["old"].engine.gate.open()
        assert torch.equal((await before).outputs[0][1], answer_of(OLD, 1))
        alone = await ask(node, 2, "edge-only")
        assert torch.equal(alone.outputs[0][1], answer_of(NEW, 2))


@pytest.mark.parametrize("autonomy", ["full", "cloud-required"])
async def test_edges_of_two_versions_share_a_replica_that_holds_one_at_a_time(
    measured: DeviceProfile, autonomy: Literal["full", "cloud-required"]
) -> None:
    versions = [
        replace(model, interface=replace(model.interface, autonomy=autonomy))  # type: ignore[type-var]
        for model in (OLD, NEW)
    ]
    cloud = await Cloud.start(versions, "shared", most_models=1)
    async with contextlib.AsyncExitStack() as stack:
        edges = [
            await stack.enter_async_context(edge_with({"shared": cloud}, measured, version)) for version in versions
        ]
        finished = []
        for seed in range(6):
            for edge, version in zip(edges, versions, strict=True):
                result = await ask(edge, seed, "cloud-only")
                assert torch.equal(result.outputs[0][1], answer_of(version, seed))
                finished.append(result.finished_by)
                assert cloud.node.models.counts().held_bytes <= 1
        if autonomy == "cloud-required":  # each waited until its version was back
            assert set(finished) == {"cloud"}
            assert cloud.node.models.counts().evictions >= 2
        await eventually(lambda: cloud.node.models.counts().held == 1)  # an edge that did not wait: it may load still
        assert cloud.node.models.counts().evictions >= 1


async def test_a_version_that_needs_the_cloud_and_is_on_no_replica_is_refused(measured: DeviceProfile) -> None:
    needs = replace(NEW, interface=replace(NEW.interface, autonomy="cloud-required"))  # type: ignore[type-var]
    async with edge_with({"old": await Cloud.start([OLD], "old")}, measured) as node:
        with pytest.raises(Unavailable, match="roll it out in the cloud first"):
            await node.switch_model(LoadedModel(needs, PlanBuilder(needs, EagerEngine(threads=1), 1.0)))
        assert torch.equal((await ask(node, 3)).outputs[0][1], answer_of(OLD, 3))


class PickyNode(CloudNode):
    """A cloud node that refuses the first split it is offered."""

    refused = ""

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        if offer.edge_ops and self.refused in ("", offer.wire_digest):
            self.refused = offer.wire_digest
            raise InvalidPlan("plan", "is not for this replica")
        return await super().prepare(offer)


async def test_a_replica_that_takes_only_some_plans_gets_only_their_requests(measured: DeviceProfile) -> None:
    cloud = await Cloud.start([OLD], "picky", PickyNode)
    async with edge_with({"picky": cloud}, measured) as node:
        for seed in range(10):
            for policy in ("cloud-only", "latency", "edge-only"):
                result = await ask(node, seed, policy)
                assert torch.equal(result.outputs[0][1], answer_of(OLD, seed))
        assert isinstance(cloud.node, PickyNode)
        assert cloud.node.refused not in node.replicas.prepared()
        assert len(node.replicas.prepared()) > 1


def hello(major: int, minor: int) -> pb.EdgeFrame:
    return pb.EdgeFrame(hello=pb.Hello(protocol_major=major, protocol_minor=minor, edge_id="later"))


async def test_an_edge_of_another_major_version_is_refused_by_name_and_others_are_served() -> None:
    async with edge_site() as site, grpc.aio.insecure_channel(site.clouds[0].target) as channel:
        call = segment_pb2_grpc.SegmentServiceStub(channel).Run()
        await call.write(hello(PROTOCOL_MAJOR + 1, 0))
        with pytest.raises(grpc.aio.AioRpcError, match="upgrade the older side") as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (await site.run(1)).finished_by == "cloud"


async def test_an_edge_of_a_later_minor_version_is_welcomed() -> None:
    async with edge_site() as site, grpc.aio.insecure_channel(site.clouds[0].target) as channel:
        call = segment_pb2_grpc.SegmentServiceStub(channel).Run()
        await call.write(hello(PROTOCOL_MAJOR, 99))
        frame = await call.read()
        assert isinstance(frame, pb.CloudFrame)
        assert frame.welcome.replica_id == "replica-0"
        call.cancel()
