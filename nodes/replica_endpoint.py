"""Where edges reach a replica: at an address of its own (direct), through a proxy that picks it by metadata (routed),
or through a balancer that picks any (blind)."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.errors import InvalidConfiguration
from nodes.fleet import Endpoint
from nodes.outward_address import outward_address
from nodes.settings import CloudSettings

__all__ = ["check_route", "replica_endpoint"]

_PLACES = ("address", "replica")


def replica_endpoint(settings: CloudSettings, replica_id: str, bound: str) -> Endpoint:
    """What the registry is told. bound: the address that it listens at, with the port that it took.

    settings.route: metadata, in whose values {address} is this replica's own address, as the proxy reaches it, and
    {replica} its id, drawn at its start. settings.connection_age_s: above 0 for a balancer. Neither: direct.
    """
    own = outward_address(bound, settings.registry)
    metadata = {key: _filled(value, {"address": own, "replica": replica_id}) for key, value in settings.route.items()}
    return Endpoint(
        settings.advertise or own,
        tuple(sorted(metadata.items())),
        settings.tls_server_name,
        blind_age_s=settings.connection_age_s,
    )


def check_route(value: str) -> None:
    """Raises InvalidConfiguration for a value with a place that there is not."""
    _filled(value, dict.fromkeys(_PLACES, ""))


def _filled(value: str, facts: Mapping[str, str]) -> str:
    """No format string: what stands in a file shall not reach into objects."""
    for place in _PLACES:
        value = value.replace("{" + place + "}", facts[place])
    if "{" in value or "}" in value:
        raise InvalidConfiguration(
            "cloud.route", "has a place that there is not", value=value, remedy="write {address} or {replica}"
        )
    return value
