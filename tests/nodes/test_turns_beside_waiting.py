"""Two models on one edge: requests of one wait for a replica that is gone, and those of the other have their turns."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from isthmus.errors import CloudUnavailable
from nodes.chooser_observer import ChooserObserver
from nodes.compute_pool import ComputePool
from nodes.edge_node import EdgeNode
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.gateway import InferRequest, InferResult
from nodes.inputs import ModelInputs
from nodes.limits import EDGE_LIMITS
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.onward import REPLICA_WAIT_S
from nodes.plan_builder import PlanBuilder
from nodes.prefix_queue import PrefixQueue
from nodes.transport.segment_client import SegmentClient
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import Cloud, eventually, inputs_of, nobody_loads, profile, small_model

WHOLE, ALONE = small_model(1, "needs"), small_model()
NEEDS = replace(WHOLE, interface=replace(WHOLE.interface, autonomy="cloud-required"))  # type: ignore[type-var]
QUEUE = 8


@contextlib.asynccontextmanager
async def edge(cloud: Cloud) -> AsyncIterator[EdgeNode]:
    """Of QUEUE places, half of which may run."""
    pool, chooser = ComputePool(1), PlanChooser()
    observer, engine = ChooserObserver(chooser), EagerEngine(threads=1)
    builders = {model.name: await pool.run(PlanBuilder, model, engine, 1.0) for model in (NEEDS, ALONE)}

    async def dial(endpoint: Endpoint) -> SegmentClient:
        return await SegmentClient.connect(endpoint, "edge", observer, chooser.cloud_queue())

    shelf = ModelShelf({name: LoadedModel(one.model, one) for name, one in builders.items()}, nobody_loads)
    queue = PrefixQueue(pool, chooser.edge_queue(), at_once_s=0.0)
    node = EdgeNode(shelf, profile(), chooser, queue, dial, limits=replace(EDGE_LIMITS, queue=QUEUE))
    await node.start()
    node.replicas.follow(FleetView(1, (Replica("only", Endpoint(cloud.target)),)))
    try:
        await eventually(lambda: bool(node.replicas.connections))
        yield node
    finally:
        await cloud.stop()
        await node.drain(0.1)
        pool.close()


async def ask(node: EdgeNode, model: str, timeout_s: float) -> InferResult:
    given = NEEDS if model == "needs" else ALONE
    policy = "cloud-only" if model == "needs" else "edge-only"
    inputs = ModelInputs({given.graph.inputs[0]: inputs_of(1)}, 1)
    return await node.infer(InferRequest(model, inputs, timeout_s, policy=policy))


async def held_at(cloud: Cloud, node: EdgeNode) -> list[asyncio.Task[InferResult]]:
    """As many requests as may run, all at the only replica, which answers none of them."""
    cloud.engine.gate.shut()
    tasks = [asyncio.create_task(ask(node, "needs", 60.0)) for _ in range(QUEUE // 2)]
    await eventually(lambda: node.replicas.connections[0].in_flight == len(tasks))
    return tasks


async def test_requests_that_wait_for_a_replica_until_their_deadline_keep_no_other_model_from_the_edge() -> None:
    cloud = await Cloud.start([NEEDS], "only")
    async with edge(cloud) as node:
        waiting = await held_at(cloud, node)
        await cloud.die()
        await eventually(lambda: not node.replicas.connections)
        results = [await ask(node, "small", 10.0) for _ in range(3)]
        assert {result.finished_by for result in results} == {"edge"}
        began_s = time.monotonic()
        with pytest.raises(CloudUnavailable, match="no replica is reachable"):  # no place is left among those that wait
            await ask(node, "needs", 60.0)
        assert time.monotonic() - began_s < REPLICA_WAIT_S
        assert not any(task.done() for task in waiting)


async def test_those_that_are_late_at_the_only_replica_beyond_that_end_by_patience() -> None:
    cloud = await Cloud.start([NEEDS], "only")
    async with edge(cloud) as node:
        first = await held_at(cloud, node)
        beyond = asyncio.create_task(ask(node, "needs", 60.0))  # has its turn once those stay
        with pytest.raises(CloudUnavailable, match="no replica answers"):
            await asyncio.wait_for(beyond, 15.0)
        assert not any(task.done() for task in first)
        cloud.engine.gate.open()
        assert {(await task).finished_by for task in first} == {"cloud"}
