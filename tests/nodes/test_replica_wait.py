"""A request of a model that needs the cloud comes while replicas are there and take none."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from isthmus.addresses import format_address, parse_address
from isthmus.errors import CloudUnavailable, DeadlineExceeded, Overloaded
from nodes.admission import depth_of
from nodes.byte_budget import MOST_KEPT_BYTES
from nodes.circuit_breaker import FAILURES_TO_OPEN
from nodes.compute_pool import ComputePool
from nodes.edge_node import EdgeNode
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.gateway import InferRequest, InferResult
from nodes.inputs import ModelInputs
from nodes.model_loading import measured_profile
from nodes.onward import REPLICA_WAIT_S
from partitioner.profiles import DeviceProfile
from simulations.link_emulator import LinkShape
from simulations.link_thread import LinkEmulatorThread
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
async def unreachable(profile: DeviceProfile, kept_bytes: int = MOST_KEPT_BYTES) -> AsyncIterator[EdgeNode]:
    """An edge whose only replica has died, which its registry does not know yet."""
    cloud = await Cloud.start([MODEL], "only")
    async with edge_with({"only": cloud}, profile, MODEL, kept_bytes) as node:
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


async def test_without_a_deadline_it_waits_for_as_long_as_a_replica_is_mostly_set_aside(profile: DeviceProfile) -> None:
    async with set_aside(profile) as node:
        results = await asyncio.gather(*(ask(node, None) for _ in range(8)))  # it lets one of them through at first
        assert {result.finished_by for result in results} == {"cloud"}


async def test_without_a_deadline_it_is_told_soon(profile: DeviceProfile) -> None:
    async with unreachable(profile) as node:
        assert REPLICA_WAIT_S <= await refused_after_s(node, None, "only connecting") < 10.0


async def test_where_no_replica_is_in_the_view_it_is_told_at_once(profile: DeviceProfile) -> None:
    async with set_aside(profile) as node:
        node.replicas.follow(FleetView(2))
        assert await refused_after_s(node, 10.0, "no replica in the fleet view") < REPLICA_WAIT_S


async def test_it_waits_no_longer_than_it_is_good_for(profile: DeviceProfile) -> None:
    async with unreachable(profile) as node:
        assert 0.4 <= await refused_after_s(node, 0.5, "only connecting") < REPLICA_WAIT_S


async def test_it_waits_for_as_long_as_it_is_good_for(profile: DeviceProfile) -> None:
    async with unreachable(profile) as node:
        task = asyncio.create_task(ask(node, 60.0))
        await asyncio.sleep(REPLICA_WAIT_S + 0.2)  # for which nobody answers
        later = await Cloud.start([MODEL], "later")
        node.replicas.follow(FleetView(2, (Replica("later", Endpoint(later.target)),)))
        assert (await task).finished_by == "cloud"
        await later.stop()


async def test_one_that_comes_before_the_first_replica_is_ready_is_answered_by_it(profile: DeviceProfile) -> None:
    async with edge_with({}, profile, MODEL) as node:
        cloud = await Cloud.start([MODEL], "first")
        node.replicas.follow(FleetView(2, (Replica("first", Endpoint(cloud.target)),)))
        assert (await ask(node, 60.0)).finished_by == "cloud"
        await cloud.stop()


async def test_a_replica_that_says_nothing_until_a_deadline_is_asked_by_nobody_else(profile: DeviceProfile) -> None:
    cloud = await Cloud.start([MODEL], "only")
    with LinkEmulatorThread(LinkShape(1e9, 1e9, 0.0)) as link:
        relayed = format_address(*link.relay("127.0.0.1", 0, *parse_address(cloud.target)))
        async with edge_with({"only": cloud}, profile, MODEL) as node:
            (direct,) = node.replicas.connections
            node.replicas.follow(FleetView(2, (Replica("only", Endpoint(relayed)),)))
            await eventually(lambda: len(node.replicas.connections) == 1 and direct not in node.replicas.connections)
            (connection,) = node.replicas.connections
            assert (await ask(node, 10.0)).finished_by == "cloud"
            with pytest.raises(DeadlineExceeded):
                await ask(node, 1e-4)
            assert connection.open  # it had no time to say anything
            link.stall(10.0)
            for _ in range(4):
                if connection.open:
                    with pytest.raises(DeadlineExceeded):
                        await ask(node, 0.5)
            assert connection.connected
            assert not connection.open


async def test_a_replica_that_only_computes_until_a_deadline_is_asked_again(profile: DeviceProfile) -> None:
    cloud = await Cloud.start([MODEL], "only")
    async with edge_with({"only": cloud}, profile, MODEL) as node:
        (connection,) = node.replicas.connections
        cloud.engine.gate.shut()
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(DeadlineExceeded):
                await ask(node, 0.2)
            assert connection.open
        cloud.engine.gate.open()
        assert (await ask(node, 10.0)).finished_by == "cloud"


async def test_where_no_replica_is_left_in_the_view_it_is_told_then(profile: DeviceProfile) -> None:
    async with unreachable(profile) as node:
        refused = asyncio.create_task(refused_after_s(node, 60.0, "no replica in the fleet view"))
        await eventually(lambda: node.waiting == 1 and node.gate.counts.running == 1)
        node.replicas.follow(FleetView(2))
        assert await refused < 30.0


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


async def test_one_that_waits_is_counted_when_it_begins_and_once(profile: DeviceProfile) -> None:
    async with unreachable(profile) as node:
        before, wanted = node.without_replica, list[str]()
        node.want_cloud = lambda: wanted.append("one")
        waiting = asyncio.create_task(ask(node, 60.0))
        await eventually(lambda: node.waiting == 1 and node.gate.counts.running == 1)
        assert (node.without_replica, wanted) == (before + 1, [])
        node.replicas.follow(FleetView(2))
        await asyncio.gather(waiting, return_exceptions=True)
        assert (node.without_replica, wanted) == (before + 1, ["one"])  # none is left: one is to be started


async def test_one_that_is_too_large_to_wait_may_try_again(profile: DeviceProfile) -> None:
    """It is served by a replica that takes it at once."""
    async with unreachable(profile, inputs_of(1).nbytes - 1) as node:
        assert await refused_after_s(node, 60.0, "only connecting") < 30.0


async def test_what_waits_is_within_the_bytes_that_an_edge_may_keep(profile: DeviceProfile) -> None:
    size_bytes = inputs_of(1).nbytes
    async with unreachable(profile, 2 * size_bytes) as node:
        waiting = [asyncio.create_task(ask(node, 60.0)) for _ in range(2)]
        await eventually(lambda: node.kept.held_bytes == 2 * size_bytes)
        with pytest.raises(Overloaded, match=r"edge\.kept_memory: 128 of 128 bytes") as refused:
            await ask(node, 60.0)
        assert refused.value.retry_after_s == REPLICA_WAIT_S
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        assert node.kept.held_bytes == size_bytes
        await refused_after_s(node, 0.1, "only connecting")  # there is room for another one
        node.replicas.follow(FleetView(2))
        await asyncio.gather(*waiting, return_exceptions=True)
        assert node.kept.held_bytes == 0
