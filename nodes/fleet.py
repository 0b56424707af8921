"""The fleet as nodes see it: which cloud replicas exist, where they answer, what they serve. Values only, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

from isthmus.errors import InvalidRequest

__all__ = ["MAX_METADATA", "MAX_MODELS", "MAX_NAME_CHARACTERS", "Endpoint", "FleetView", "ModelVersion", "Replica"]

# Bounds on what a replica may claim: the registry keeps it and sends it to every edge.
MAX_NAME_CHARACTERS = 512
MAX_METADATA = 32
MAX_MODELS = 256


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a replica answers.

    target: what to dial ("10.0.0.7:9000"). metadata: what routes a call to it behind a proxy, sorted by key.
    tls_server_name: the name to expect in its certificate, "" without TLS. emulated_link: the emulated link on the way
    there, in words; "" for a real one. blind_age_s: above 0 where a balancer at the target picks one of several
    replicas by itself: the handshake names it, and an edge dials anew after about so long.
    """

    target: str
    metadata: tuple[tuple[str, str], ...] = ()
    tls_server_name: str = ""
    emulated_link: str = ""
    blind_age_s: float = 0.0

    @property
    def blind(self) -> bool:
        """Whether any of several replicas may answer."""
        return self.blind_age_s > 0


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model by name, and the digest of its contents."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Replica:
    """One cloud replica. draining: it answers what it has and takes nothing new."""

    replica_id: str
    endpoint: Endpoint
    models: tuple[ModelVersion, ...] = ()
    draining: bool = False

    def at(self, target: str, emulated_link: str = "") -> Self:
        """The same replica, answering at another target, behind such a link."""
        return replace(self, endpoint=replace(self.endpoint, target=target, emulated_link=emulated_link))

    def checked(self) -> Self:
        """Itself. Raises InvalidRequest when a name is missing or too long, or a list is."""
        _check_name("replica_id", self.replica_id)
        _check_name("endpoint.target", self.endpoint.target)
        _check_name("endpoint.tls_server_name", self.endpoint.tls_server_name, required=False)
        if not (math.isfinite(self.endpoint.blind_age_s) and self.endpoint.blind_age_s >= 0):
            raise InvalidRequest("endpoint.blind_age_s", "is no duration", value=self.endpoint.blind_age_s)
        _check_count("endpoint.metadata", len(self.endpoint.metadata), MAX_METADATA)
        _check_count("models", len(self.models), MAX_MODELS)
        for key, value in self.endpoint.metadata:
            _check_name("endpoint.metadata", key)
            _check_name("endpoint.metadata", value, required=False)
        for model in self.models:
            _check_name("models.name", model.name)
            _check_name("models.digest", model.digest, required=False)
        return self


@dataclass(frozen=True, slots=True)
class FleetView:
    """All replicas at one moment, by id. version grows with every change, and starts again with the registry."""

    version: int
    replicas: tuple[Replica, ...] = ()

    @property
    def serving(self) -> tuple[Replica, ...]:
        """The replicas that take new requests."""
        return tuple(replica for replica in self.replicas if not replica.draining)


def _check_name(field: str, name: str, *, required: bool = True) -> None:
    if required and not name:
        raise InvalidRequest(field, "is empty", remedy="set it")
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidRequest(field, f"has more than {MAX_NAME_CHARACTERS} characters", value=name)


def _check_count(field: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidRequest(field, f"has more than {most} entries", value=count)
