"""A node asks itself at its own port: a process that lives is no proof that what clients dial answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.addresses import EVERYWHERE, format_address, parse_address
from isthmus.errors import Unavailable
from isthmus.v1 import segment_pb2, segment_pb2_grpc
from nodes.tls_files import TlsFiles
from nodes.transport.credentials import certified_name, open_channel

__all__ = ["check_gateway", "check_replica"]

# What takes longer is of no use to clients either. Whoever checks may allow more for the whole check.
ANSWER_S = 3.0
# No connection that is open already: whether a new client gets in is part of the question.
_FRESH = (("grpc.use_local_subchannel_pool", 1),)


async def check_replica(address: str, tls: TlsFiles | None, server_name: str = "") -> None:
    """Ask a cloud replica that listens at `address` whether it serves, and what. Raises Unavailable.

    server_name: what edges expect in its certificate, "" for a name that it holds.
    """
    async with _asking(address, tls, server_name) as channel:
        await _check_serving(channel, segment_pb2.DESCRIPTOR.services_by_name["SegmentService"].full_name)
        await segment_pb2_grpc.SegmentServiceStub(channel).Describe(segment_pb2.DescribeRequest(), timeout=ANSWER_S)


async def check_gateway(address: str, tls: TlsFiles | None) -> None:
    """Ask an edge whose gateway listens at `address` whether it serves. Raises Unavailable."""
    async with _asking(address, tls, "") as channel:
        await _check_serving(channel, "")


@contextlib.asynccontextmanager
async def _asking(address: str, tls: TlsFiles | None, server_name: str) -> AsyncIterator[grpc.aio.Channel]:
    host, port = parse_address(address)
    name = server_name or ("" if tls is None else certified_name(tls))
    try:
        async with open_channel(format_address(EVERYWHERE.get(host, host), port), tls, name, _FRESH) as channel:
            yield channel
    except grpc.RpcError as error:
        said = f"{error.code().name} {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else error
        raise Unavailable(f"own port {address}: does not answer: {said}") from error


async def _check_serving(channel: grpc.aio.Channel, service: str) -> None:
    asked = health_pb2.HealthCheckRequest(service=service)
    answer = await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=ANSWER_S)  # type: ignore[attr-defined]
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise Unavailable("own port: says that it does not serve")
