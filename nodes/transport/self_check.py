"""A node asks itself at its own port: a process that lives is no proof that what clients dial answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.addresses import EVERYWHERE, format_address, parse_address
from isthmus.errors import InvalidConfiguration, Unavailable
from isthmus.v1 import segment_pb2, segment_pb2_grpc
from nodes.tls_files import TlsFiles
from nodes.transport.credentials import own_channel, served_certificate

__all__ = ["SelfCheck"]

# What takes longer is of no use to clients either. Whoever checks may allow more for the whole check.
ANSWER_S = 3.0
# No connection that is open already: whether a new client gets in is part of the question.
_FRESH = (("grpc.use_local_subchannel_pool", 1),)


class SelfCheck:
    """Of the node that listens at `address`, in TLS where it has files for it.

    server_name: what others expect in its certificate, "" for a name that it holds. The certificate that was served
    last is remembered: while only half of a renewal is there, the port goes on serving it.
    """

    def __init__(self, address: str, tls: TlsFiles | None, server_name: str = "") -> None:
        self._address, self._tls, self._server_name = address, tls, server_name
        self._served: x509.Certificate | None = None

    async def replica(self) -> None:
        """Ask a cloud replica whether it serves, and what. Raises Unavailable."""
        async with self._asking() as channel:
            await _check_serving(channel, segment_pb2.DESCRIPTOR.services_by_name["SegmentService"].full_name)
            await segment_pb2_grpc.SegmentServiceStub(channel).Describe(segment_pb2.DescribeRequest(), timeout=ANSWER_S)

    async def gateway(self) -> None:
        """Ask an edge's gateway whether it serves. Raises Unavailable."""
        async with self._asking() as channel:
            await _check_serving(channel, "")

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[grpc.aio.Channel]:
        host, port = parse_address(self._address)
        target = format_address(EVERYWHERE.get(host, host), port)
        try:
            async with own_channel(target, self._certificate(), self._server_name, _FRESH) as channel:
                yield channel
        except grpc.RpcError as error:
            said = f"{error.code().name} {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else error
            raise Unavailable(f"own port {self._address}: does not answer: {said}") from error

    def _certificate(self) -> x509.Certificate | None:
        if self._tls is not None:
            try:
                self._served = served_certificate(self._tls)
            except InvalidConfiguration:
                if self._served is None:
                    raise
        return self._served


async def _check_serving(channel: grpc.aio.Channel, service: str) -> None:
    asked = health_pb2.HealthCheckRequest(service=service)
    answer = await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=ANSWER_S)  # type: ignore[attr-defined]
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise Unavailable("own port: says that it does not serve")
