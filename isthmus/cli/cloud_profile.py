"""The profile that a cloud measured of itself, asked of it over the network: what `profile --from` writes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from isthmus.addresses import parse_address
from isthmus.errors import CloudUnavailable, InvalidInput, InvalidProfile, IsthmusError, Unsupported

if TYPE_CHECKING:
    from nodes.cloud_connection import ReplicaDescription
    from nodes.tls_files import TlsFiles
    from partitioner.model import Model
    from partitioner.profiles import DeviceProfile

__all__ = ["cloud_profile"]

TIMEOUT_S = 10.0
_OPTION = "--from"
_REMEDY = "give the HOST:PORT of the fleet registry or of a replica that runs"


def cloud_profile(address: str, tls: TlsFiles | None, model: Model | None = None) -> DeviceProfile:
    """What a replica measured of its device and its models at its start, and of the codecs by now. address: of the
    fleet registry, whose first replica that answers is asked, or of one replica.

    model: must be among those that were measured there. Raises InvalidInput naming the option where nobody answers, no
    replica is there, or what it says is no such profile.
    """
    parse_address(address, _OPTION)
    try:
        said = asyncio.run(_description(address, tls))
    except InvalidInput:  # a TLS file
        raise
    except IsthmusError as error:
        raise InvalidInput(_OPTION, f"no profile comes from there: {error}", value=address, remedy=_REMEDY) from error
    return _checked(said, address, model)


async def _description(address: str, tls: TlsFiles | None) -> ReplicaDescription:
    from nodes.fleet import Endpoint
    from nodes.transport.fleet_survey import look_at_registry, look_at_replica

    try:
        replicas = (await look_at_registry(address, tls, TIMEOUT_S)).serving
    except Unsupported:  # no registry: a replica, perhaps
        return await look_at_replica(Endpoint(address), tls, TIMEOUT_S, every_codec=True)
    failure: IsthmusError = CloudUnavailable("no replica is registered")
    for replica in replicas:
        try:
            return await look_at_replica(replica.endpoint, tls, TIMEOUT_S, every_codec=True)
        except IsthmusError as error:
            failure = error
    raise failure


def _checked(said: ReplicaDescription, address: str, model: Model | None) -> DeviceProfile:
    from partitioner.profiles import DeviceProfile

    try:
        profile = DeviceProfile.from_json(said.device_profile_json)
    except InvalidProfile as error:
        problem = f"replica {said.replica_id} tells no profile: {error.field}: {error.problem}"
        raise InvalidInput(_OPTION, problem, value=address, remedy="run the same version of isthmus there") from error
    if model is not None and not profile.has_op_times(model.digest):
        problem = f"replica {said.replica_id} has not measured {model.name}, digest {model.digest[:12]}"
        raise InvalidInput(_OPTION, problem, value=address, remedy="serve this very model there, or leave MODEL out")
    return profile
