"""A request of a model that needs the cloud comes while replicas are there and take none."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from isthmus.errors import CloudUnavailable
from nodes.admission import depth_of
from nodes.circuit_breaker import FAILURES_TO_OPEN
from nodes.compute_pool import ComputePool
from nodes.edge_node import REPLICA_WAIT_S, EdgeNode
from nodes.engines.eager import EagerEngine
from nodes.fleet import FleetView
from nodes.gateway import InferRequest, InferResult
from nodes.inputs import ModelInputs
from nodes.model_loading import measured_profile
from partitioner.profiles import DeviceProfile
from tests.nodes.sites import Cloud, eventually, inputs_of, small_model
from tests.nodes.test_version_skew import edge_with

WHOLE = small_model()
MODEL = replace(WHOLE, interface=replace(WHOLE.interface, autonomy="cloud-required"))  # type: ignore[type-var]


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    with ComputePool(1) as pool:
        return asyncio.run(measured_profile({"small": MODEL}, EagerEngine(threads=1), pool))


@contextlib.asynccontextmanager
async def set_aside(profile: DeviceProfile) -> AsyncIterator[EdgeNode]:
    """An edge whose only replica was late too often."""
    async with edge_with({"only": await Cloud.start([MODEL], "only")}, profile, MODEL) as node:
        (connection,) = node.replicas.connections
        for _ in range(FAILURES_TO_OPEN):
            connection.gave_up(time.monotonic(), late=True)
        assert not connection.open
        yield node


@contextlib.asynccontextmanager
async def unreachable(profile: DeviceProfile) -> AsyncIterator[EdgeNode]:
    """An edge whose only replica has died, which its registry does not know yet."""
    cloud = await Cloud.start([MODEL], "only")
    async with edge_with({"only": cloud}, profile, MODEL) as node:
        await cloud.die()
        await eventually(lambda: not node.replicas.connections)
        yield node


async def ask(node: EdgeNode, timeout_s: float | None) -> InferResult:
    inputs = ModelInputs({MODEL.graph.inputs[0]: inputs_of(1)}, 1)
    return await node.infer(InferRequest("small", inputs, timeout_s, policy="cloud-only"))


async def refused_after_s(node: EdgeNode, timeout_s: float | None, why: str) -> float:
    began_s = time.monotonic()
    with pytest.raises(CloudUnavailable, match=rf"needs the cloud, and no replica is reachable \({why}\); try again"):
        await ask(node, timeout_s)
    return time.monotonic() - began_s


async def test_a_request_waits_for_a_replica_that_was_set_aside_and_is_answered(profile: DeviceProfile) -> None:
    async with set_aside(profile) as node:
        results = await asyncio.gather(*(ask(node, 10.0) for _ in range(8)))
        assert {result.finished_by for result in results} == {"cloud"}


async def test_without_a_deadline_it_is_told_at_once(profile: DeviceProfile) -> None:
    async with set_aside(profile) as node:
        assert await refused_after_s(node, None, "only set aside") < REPLICA_WAIT_S


async def test_where_no_replica_is_in_the_view_it_is_told_at_once(profile: DeviceProfile) -> None:
    async with set_aside(profile) as node:
        node.replicas.follow(FleetView(2))
        assert await refused_after_s(node, 10.0, "no replica in the fleet view") < REPLICA_WAIT_S


async def test_it_waits_no_longer_than_it_is_good_for(profile: DeviceProfile) -> None:
    async with unreachable(profile) as node:
        assert 0.4 <= await refused_after_s(node, 0.5, "only connecting") < REPLICA_WAIT_S
        assert REPLICA_WAIT_S <= await refused_after_s(node, 60.0, "only connecting") < 10.0


async def test_who_leaves_while_waiting_is_among_those_without_a_decision(profile: DeviceProfile) -> None:
    async with unreachable(profile) as node:
        seen = list[object]()
        node._chooser.observe_refusal = seen.append  # type: ignore[method-assign, assignment]
        task = asyncio.create_task(ask(node, 10.0))
        await eventually(lambda: node.waiting == 1 and node.gate.counts.running == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(seen) == 1


async def test_those_that_wait_keep_no_turn_from_others(profile: DeviceProfile) -> None:
    async with unreachable(profile) as node:
        waiting = [asyncio.create_task(ask(node, 0.5)) for _ in range(2 * depth_of(node.queue.most_batched))]
        await eventually(lambda: node.waiting == len(waiting))
        assert (node.gate.counts.waiting, node.gate.counts.running) == (0, len(waiting))
        await asyncio.gather(*waiting, return_exceptions=True)
        assert node.gate.counts.running == 0
