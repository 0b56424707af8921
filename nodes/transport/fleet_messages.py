"""The fleet on the wire: between the values of `nodes.fleet` and the messages of `isthmus.v1`."""

from __future__ import annotations

from isthmus.v1 import fleet_pb2 as pb
from nodes.fleet import Endpoint, FleetView, ModelVersion, Replica

__all__ = ["replica_from_message", "replica_message", "view_from_message", "view_message"]


def replica_message(replica: Replica) -> pb.Replica:
    """The message that says `replica`."""
    endpoint = replica.endpoint
    return pb.Replica(
        replica_id=replica.replica_id,
        endpoint=pb.Endpoint(
            target=endpoint.target,
            metadata=dict(endpoint.metadata),
            tls_server_name=endpoint.tls_server_name,
            emulated_link=endpoint.emulated_link,
            blind_age_s=endpoint.blind_age_s,
        ),
        models=[pb.ModelVersion(name=model.name, digest=model.digest) for model in replica.models],
        draining=replica.draining,
    )


def replica_from_message(message: pb.Replica) -> Replica:
    """What `message` says, not checked: see `Replica.checked`."""
    said = message.endpoint
    metadata = tuple(sorted(said.metadata.items()))
    return Replica(
        replica_id=message.replica_id,
        endpoint=Endpoint(said.target, metadata, said.tls_server_name, said.emulated_link, said.blind_age_s),
        models=tuple(ModelVersion(model.name, model.digest) for model in message.models),
        draining=message.draining,
    )


def view_message(view: FleetView) -> pb.FleetView:
    """The message that says `view`."""
    return pb.FleetView(version=view.version, replicas=[replica_message(replica) for replica in view.replicas])


def view_from_message(message: pb.FleetView) -> FleetView:
    """What `message` says, replicas sorted by id."""
    replicas = sorted(map(replica_from_message, message.replicas), key=lambda replica: replica.replica_id)
    return FleetView(message.version, tuple(replicas))
