"""One look at who answers where: a registry, a replica, an edge. For launchers and diagnosis; nodes keep their
connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc

from isthmus.errors import CloudUnavailable
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from isthmus.v1 import fleet_pb2 as fleet
from isthmus.v1 import fleet_pb2_grpc, segment_pb2_grpc
from isthmus.v1 import segment_pb2 as segment
from nodes.cloud_connection import ReplicaDescription
from nodes.fleet import Endpoint, FleetView
from nodes.tls_files import TlsFiles
from nodes.transport.channel_options import OWN_CONNECTION
from nodes.transport.credentials import open_channel
from nodes.transport.description_messages import description_from_message
from nodes.transport.fleet_messages import view_from_message
from nodes.transport.status import error_of

__all__ = ["GatewayDescription", "look_at_edge", "look_at_registry", "look_at_replica"]

T = TypeVar("T")
SURVEYOR = "isthmus-doctor"
# Of a balancer for each replica behind it; each is a new connection. One that picks at random misses a replica in one
# of 20,000 looks then.
PICKS_EACH = 10


@dataclass(frozen=True, slots=True)
class GatewayDescription:
    """name: of the server, as it says. models: what it serves and which version of each (the start of its digest)."""

    name: str
    version: str
    models: dict[str, str]


async def look_at_registry(target: str, tls: TlsFiles | None, timeout_s: float) -> FleetView:
    """The fleet as it is now. Raises CloudUnavailable where nothing answers, InvalidConfiguration for the files."""

    async def ask(channel: grpc.aio.Channel) -> FleetView:
        request = fleet.WatchRequest(edge_id=SURVEYOR)
        async for message in fleet_pb2_grpc.FleetServiceStub(channel).Watch(request, timeout=timeout_s):
            return view_from_message(message)
        raise CloudUnavailable(f"{target}: ended the call without a view of the fleet")

    return await _asked(Endpoint(target), tls, ask)


async def look_at_replica(
    endpoint: Endpoint,
    tls: TlsFiles | None,
    timeout_s: float,
    replica_id: str = "",
    *,
    every_codec: bool = False,
    behind: int = 1,
) -> ReplicaDescription:
    """What it says of itself. replica_id: which one has to answer, "" for any: a balancer is asked until it picks that
    one. behind: how many there are behind it. every_codec: it first times the codecs that its profile lacks, which
    takes some seconds once. Raises as `look_at_registry` does, CloudUnavailable also where another one answers."""
    for _ in range(PICKS_EACH * behind if endpoint.blind else 1):
        said = await _look_once(endpoint, tls, timeout_s, every_codec)
        if replica_id in ("", said.replica_id):
            return said
    raise CloudUnavailable(f"{endpoint.target}: {said.replica_id} answers in place of {replica_id}")


async def _look_once(
    endpoint: Endpoint, tls: TlsFiles | None, timeout_s: float, every_codec: bool
) -> ReplicaDescription:

    async def ask(channel: grpc.aio.Channel) -> ReplicaDescription:
        stub = segment_pb2_grpc.SegmentServiceStub(channel)
        request = segment.DescribeRequest(every_codec=every_codec, every_edge=True)
        return description_from_message(await stub.Describe(request, timeout=timeout_s, metadata=endpoint.metadata))

    return await _asked(endpoint, tls, ask)


async def look_at_edge(target: str, tls: TlsFiles | None, timeout_s: float) -> GatewayDescription:
    """Its version and its models'. Raises as `look_at_registry` does."""

    async def ask(channel: grpc.aio.Channel) -> GatewayDescription:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        server = await stub.ServerMetadata(oip.ServerMetadataRequest(), timeout=timeout_s)
        index = await stub.RepositoryIndex(oip.RepositoryIndexRequest(), timeout=timeout_s)
        models = {model.name: model.version for model in index.models if model.version}
        return GatewayDescription(server.name, server.version, models)

    return await _asked(Endpoint(target), tls, ask)


async def _asked(endpoint: Endpoint, tls: TlsFiles | None, ask: Callable[[grpc.aio.Channel], Awaitable[T]]) -> T:
    async with open_channel(endpoint.target, tls, endpoint.tls_server_name, OWN_CONNECTION) as channel:
        try:
            return await ask(channel)
        except grpc.RpcError as error:
            raise error_of(error, endpoint.target) from error
