"""What a replica says of itself, on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isthmus.v1 import segment_pb2 as pb
from isthmus.version import VERSION
from nodes.cloud_connection import ReplicaDescription
from nodes.edge_use import EdgeUse
from nodes.fleet import ModelVersion
from nodes.protocol.version import PROTOCOL_MAJOR, PROTOCOL_MINOR

__all__ = ["description_from_message", "description_message"]


def description_message(
    said: ReplicaDescription, use: Mapping[str, int], edges: Iterable[EdgeUse]
) -> pb.DescribeResponse:
    """The message that says it, with the versions of what runs here. use: counts of the port itself. edges: one for
    each stream, where that was asked."""
    return pb.DescribeResponse(
        replica_id=said.replica_id,
        models=[pb.ServedModel(name=one.name, digest=one.digest) for one in said.versions],
        device_profile_json=said.device_profile_json,
        counts={**said.counts, **use},
        package_version=VERSION,
        protocol_major=PROTOCOL_MAJOR,
        protocol_minor=PROTOCOL_MINOR,
        edges=[pb.EdgeUse(edge_id=one.edge_id, models=sorted(one.models), settled=one.settled) for one in edges],
    )


def description_from_message(message: pb.DescribeResponse) -> ReplicaDescription:
    """What `message` says."""
    return ReplicaDescription(
        replica_id=message.replica_id,
        versions=tuple(ModelVersion(model.name, model.digest) for model in message.models),
        device_profile_json=message.device_profile_json,
        counts=dict(message.counts),
        package_version=message.package_version,
        protocol=(message.protocol_major, message.protocol_minor),
        edges=tuple(EdgeUse(one.edge_id, frozenset(one.models), one.settled) for one in message.edges),
    )
