"""Bytes that are no message, on the ports of replicas and of the registry: refused in words, with no traceback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from isthmus.errors import RemoteProtocolError
from isthmus.v1 import segment_pb2 as pb
from nodes.chooser_observer import ChooserObserver
from nodes.fleet import Endpoint
from nodes.protocol.edge_stream import EdgeStream
from nodes.protocol.version import PROTOCOL_MAJOR, PROTOCOL_MINOR
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.registry_server import RegistryServer
from nodes.transport.segment_client import SegmentClient
from nodes.transport.segment_server import SERVICE, SegmentService
from scheduler.estimators.load import CloudQueueEstimator
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from tests.nodes.transport.test_limits import Answering, hello

JUNK = b"\xff" * 10
UNARY = (
    "isthmus.v1.SegmentService/Describe", "isthmus.v1.FleetService/Register", "isthmus.v1.FleetService/Heartbeat",
    "isthmus.v1.FleetService/Want", "grpc.health.v1.Health/Check",
)  # fmt: skip
WATCHES = ("isthmus.v1.FleetService/Watch", "grpc.health.v1.Health/Watch")
STREAMS = ("isthmus.v1.SegmentService/Run", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")


@pytest.fixture
async def addresses() -> AsyncIterator[dict[str, str]]:
    """Of a replica, for its own service and those that every port has, and of a registry."""
    server, registry = SegmentService(Answering()).server(), await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
    replica = await server.start("127.0.0.1:0", "cloud.listen")
    yield {"isthmus.v1.FleetService": registry.address, "": replica}
    await server.stop(0)
    await registry.stop()


@pytest.fixture
def tracebacks(caplog: pytest.LogCaptureFixture) -> Iterator[list[object]]:
    """What gRPC and the nodes have logged with one."""
    found: list[object] = []
    with capture_logs() as ours, caplog.at_level(logging.DEBUG):
        yield found
    found += [record.message for record in caplog.records if record.exc_info]
    found += [line for line in ours if line.get("exc_info")]
    assert found == []


@asynccontextmanager
async def calling(addresses: dict[str, str], method: str) -> AsyncIterator[tuple[Any, str]]:
    """A channel, whose stubs know no calls of bytes, and the path."""
    target = addresses.get(method.partition("/")[0], addresses[""])
    async with grpc.aio.insecure_channel(target) as channel, asyncio.timeout(20):
        yield channel, f"/{method}"


async def check_refused(call: grpc.aio.Call) -> None:
    """It ends in its caller's fault, and says why."""
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be read" in await call.details()


@pytest.mark.usefixtures("tracebacks")
@pytest.mark.parametrize("method", UNARY)
async def test_a_call_ends_in_the_callers_fault(addresses: dict[str, str], method: str) -> None:
    async with calling(addresses, method) as (channel, path):
        call: grpc.aio.UnaryUnaryCall[bytes, bytes] = channel.unary_unary(path)(JUNK)
        await check_refused(call)


@pytest.mark.usefixtures("tracebacks")
@pytest.mark.parametrize("method", WATCHES)
async def test_so_does_a_watch(addresses: dict[str, str], method: str) -> None:
    async with calling(addresses, method) as (channel, path):
        call: grpc.aio.UnaryStreamCall[bytes, bytes] = channel.unary_stream(path)(JUNK)
        await check_refused(call)


@pytest.mark.usefixtures("tracebacks")
@pytest.mark.parametrize("method", STREAMS)
async def test_so_does_a_stream(addresses: dict[str, str], method: str) -> None:
    async with calling(addresses, method) as (channel, path):
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(path)()
        await call.write(hello().SerializeToString() if method.startswith(SERVICE) else b"")
        await call.write(JUNK)
        with pytest.raises(grpc.aio.AioRpcError):
            [answer async for answer in call]
        await check_refused(call)


@pytest.mark.usefixtures("tracebacks")
async def test_what_is_a_message_is_answered_as_before(addresses: dict[str, str]) -> None:
    async with calling(addresses, "isthmus.v1.FleetService/Watch") as (channel, path):
        assert isinstance(await channel.unary_stream(path)(b"").read(), bytes)
    async with calling(addresses, "grpc.health.v1.Health/Watch") as (channel, path):
        assert isinstance(await channel.unary_stream(path)(b"").read(), bytes)
    async with calling(addresses, "isthmus.v1.SegmentService/Describe") as (channel, path):
        assert pb.DescribeResponse.FromString(await channel.unary_unary(path)(b"")).replica_id == "replica"


async def test_a_replica_that_sends_what_is_no_frame_is_left_in_clear_words() -> None:
    welcome = pb.Welcome(protocol_major=PROTOCOL_MAJOR, protocol_minor=PROTOCOL_MINOR, replica_id="replica")

    async def babbling(requests: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
        yield pb.CloudFrame(welcome=welcome).SerializeToString()
        yield JUNK
        await asyncio.Event().wait()

    handler: Any = grpc.stream_stream_rpc_method_handler(babbling)
    server = GrpcServer(
        [SERVICE],
        lambda made: made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Run": handler}),)),
    )
    target = await server.start("127.0.0.1:0", "cloud.listen")
    observer = ChooserObserver(PlanChooser())
    with capture_logs() as lines:
        client = await SegmentClient.connect(Endpoint(target), "edge", observer, CloudQueueEstimator())
        async with asyncio.timeout(20):
            await client.wait_until_unusable()
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["replica broke the protocol"]
    assert not [line for line in lines if line.get("exc_info")]
    await client.close()
    await server.stop(0)


def test_the_error_says_what_was_wrong() -> None:
    with pytest.raises(RemoteProtocolError, match="a frame that cannot be read"):
        EdgeStream("edge").receive(None, 0.0)
