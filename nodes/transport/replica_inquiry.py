"""One question to a replica, on a channel of its own."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from isthmus.v1 import segment_pb2, segment_pb2_grpc
from nodes.fleet import Endpoint
from nodes.tls_files import TlsFiles
from nodes.transport.credentials import open_channel
from nodes.transport.status import error_of

__all__ = ["replica_counts"]

ANSWER_S = 5.0


async def replica_counts(endpoint: Endpoint, tls: TlsFiles | None) -> Mapping[str, int]:
    """What the replica there counts; see `ReplicaDescription.counts`. Raises the IsthmusError that came instead."""
    async with open_channel(endpoint.target, tls, endpoint.tls_server_name) as channel:
        describe = segment_pb2_grpc.SegmentServiceStub(channel).Describe
        try:
            said = await describe(segment_pb2.DescribeRequest(), timeout=ANSWER_S, metadata=endpoint.metadata)
        except grpc.aio.AioRpcError as error:
            raise error_of(error, endpoint.target) from error
        return dict(said.counts)
