"""Who answers where, and which ports are free. Every look is bounded in time; what does not answer is a fact."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.addresses import parse_address
from isthmus.errors import IsthmusError
from nodes.cloud_connection import ReplicaDescription
from nodes.fleet import Replica
from nodes.tls_files import TlsFiles
from nodes.transport.fleet_survey import GatewayDescription, look_at_edge, look_at_registry, look_at_replica

__all__ = ["PortFacts", "RegistryFacts", "ReplicaFacts", "edge_facts", "port_facts", "registry_facts"]

TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class PortFacts:
    """An address to listen on. fault: why it cannot be bound now, "" where it can. in_use: because somebody has it."""

    address: str
    fault: str
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaFacts:
    """One replica of the registry's view. said: None where it does not answer, and then `fault` says why."""

    replica: Replica
    said: ReplicaDescription | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """fault: why it does not answer, "" where it does."""

    address: str
    fault: str
    replicas: tuple[ReplicaFacts, ...] = ()


def port_facts(addresses: Mapping[str, str]) -> Mapping[str, PortFacts]:
    """Whether each could be bound now; by configuration key. Nothing stays bound."""
    return {key: _port(address) for key, address in addresses.items()}


def _port(address: str) -> PortFacts:
    host, port = parse_address(address)
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has just ended is no hindrance
            probe.bind(where)
            probe.listen(1)
    except socket.gaierror as error:
        return PortFacts(address, f"{host}: {error.strerror}")
    except OSError as error:
        return PortFacts(address, os.strerror(error.errno or 0), in_use=error.errno == errno.EADDRINUSE)
    return PortFacts(address, "")


async def edge_facts(address: str, tls: TlsFiles | None) -> GatewayDescription | None:
    """The edge that serves at `address`, None where none does."""
    try:
        return await look_at_edge(address, tls, TIMEOUT_S)
    except IsthmusError:
        return None


async def registry_facts(address: str, tls: TlsFiles | None) -> RegistryFacts:
    """The registry there, and each replica that it names."""
    try:
        view = await look_at_registry(address, tls, TIMEOUT_S)
    except IsthmusError as error:
        return RegistryFacts(address, _one_line(error))
    replicas = await asyncio.gather(*(_replica(replica, tls) for replica in view.replicas))
    return RegistryFacts(address, "", tuple(replicas))


async def _replica(replica: Replica, tls: TlsFiles | None) -> ReplicaFacts:
    try:
        return ReplicaFacts(replica, await look_at_replica(replica.endpoint, tls, TIMEOUT_S))
    except IsthmusError as error:
        return ReplicaFacts(replica, None, _one_line(error))


def _one_line(error: IsthmusError) -> str:
    return " ".join(str(error).split())
