"""How a server ends."""

from __future__ import annotations

import time
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nodes.transport.grpc_server import GrpcServer

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def test_whoever_watches_its_health_is_told_the_end_and_holds_up_no_stop() -> None:
    server = GrpcServer(["a.Service"], lambda _: None)
    async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0", "edge.listen")) as channel:
        await server.set_serving(True)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="a.Service"))
        assert (await watch.read()).status == SERVING
        began_s = time.monotonic()
        await server.stop(30.0)
        assert time.monotonic() - began_s < 5.0
        assert (await watch.read()).status == NOT_SERVING
        assert await watch.read() is grpc.aio.EOF
