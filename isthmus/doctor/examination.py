"""Gathers the facts that a configuration asks for, and has them judged."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from isthmus.addresses import EVERYWHERE, parse_address
from isthmus.cache_folder import cache_folder
from isthmus.configuration import CloudConfiguration, Configuration, EdgeConfiguration, files_of
from isthmus.doctor.finding import Finding
from isthmus.doctor.machine_checks import Compute, check_machine
from isthmus.doctor.machine_facts import machine_facts
from isthmus.doctor.model_claims import check_files, file_claims
from isthmus.doctor.network_checks import check_ports, check_registry
from isthmus.doctor.network_facts import RegistryFacts, edge_facts, port_facts, registry_facts
from isthmus.doctor.storage import check_folders, folder_facts
from isthmus.doctor.tls_checks import check_tls
from isthmus.doctor.tls_facts import tls_facts
from isthmus.doctor.version_checks import ModelClaim, NodeVersion, check_models, check_packages, check_protocol
from isthmus.version import VERSION
from nodes.protocol.version import PROTOCOL_MAJOR, PROTOCOL_MINOR
from nodes.transport.fleet_survey import GatewayDescription

__all__ = ["examine"]

# Artifacts and compiled packages of a few models.
_CACHES_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class _Sides:
    """The sides that this machine runs: those that the file has a section for; both where it has none."""

    edge: EdgeConfiguration | None
    cloud: CloudConfiguration | None

    @classmethod
    def of(cls, configuration: Configuration) -> _Sides:
        named = configuration.model_fields_set & {"edge", "cloud"}
        edge = configuration.edge if not named or "edge" in named else None
        return cls(edge, configuration.cloud if not named or "cloud" in named else None)


def examine(configuration: Configuration | None, folder: Path) -> tuple[Finding, ...]:
    """Everything about this machine, and what `configuration` asks of it and of others; None for the machine alone.

    folder: where the configuration lies. Takes a few seconds at most, whoever does not answer.
    """
    if configuration is None:
        return (*check_machine(machine_facts(), ()), *_folders(None))
    sides = _Sides.of(configuration)
    return tuple(_findings(configuration, sides, folder))


def _findings(configuration: Configuration, sides: _Sides, folder: Path) -> Iterator[Finding]:
    yield from check_machine(machine_facts(), tuple(_computes(sides)))
    yield from _tls(sides)
    ports = port_facts(_listens(sides))
    edge, registry = asyncio.run(_others(sides))
    yield from check_ports(ports, _serving(edge, registry))
    to_zero = sides.cloud is not None and sides.cloud.rule.min_replicas == 0
    yield from check_registry(registry, needed_by_edge=sides.edge is not None, scales_to_zero=to_zero)
    yield from _versions(configuration, edge, registry, folder)
    yield from _folders(sides.edge)


def _computes(sides: _Sides) -> Iterator[Compute]:
    if sides.edge is not None:
        yield Compute("edge", sides.edge.threads, 1, sides.edge.limits.connections)
    if sides.cloud is not None:
        yield Compute("cloud", sides.cloud.threads, sides.cloud.rule.max_replicas, sides.cloud.limits.connections)


def _tls(sides: _Sides) -> Iterator[Finding]:
    now = dt.datetime.now(dt.UTC)
    if sides.edge is not None and (files := files_of(sides.edge.tls)) is not None:
        yield from check_tls("edge", tls_facts(files), _dialled({"edge.listen": sides.edge.listen}), now)
    if sides.cloud is not None and (files := files_of(sides.cloud.tls)) is not None:
        yield from check_tls("cloud", tls_facts(files), _cloud_names(sides.cloud), now)


def _cloud_names(cloud: CloudConfiguration) -> Mapping[str, str]:
    """What edges expect in the certificate: at the registry the host that they dial, at a replica perhaps a name."""
    named = cloud.tls.server_name if cloud.tls is not None else ""
    replica = {"cloud.tls.server_name": named} if named else {}
    dialled = {"cloud.registry_listen": cloud.registry_listen}
    if not named:
        dialled |= {"cloud.advertise": cloud.advertise} if cloud.advertise else {"cloud.listen": cloud.listen}
    return {**_dialled(dialled), **replica}


def _dialled(addresses: Mapping[str, str]) -> dict[str, str]:
    """The hosts of those addresses that say under which host they are dialled."""
    hosts = {key: parse_address(address)[0] for key, address in addresses.items()}
    return {key: host for key, host in hosts.items() if host not in EVERYWHERE}


def _listens(sides: _Sides) -> dict[str, str]:
    addresses: dict[str, str | None] = {}
    if sides.edge is not None:
        addresses |= {"edge.listen": sides.edge.listen, "edge.metrics_listen": sides.edge.metrics_listen}
        addresses |= {"edge.page_listen": sides.edge.page_listen}
    if (cloud := sides.cloud) is not None:
        addresses |= {"cloud.registry_listen": cloud.registry_listen, "cloud.listen": cloud.listen}
        addresses |= {"cloud.metrics_listen": cloud.metrics_listen}
    return {key: address for key, address in addresses.items() if address is not None}


async def _others(sides: _Sides) -> tuple[GatewayDescription | None, RegistryFacts]:
    """The edge of this machine, if it runs, and the registry: that which the edge dials, else the cloud's own."""
    if sides.edge is None:
        cloud = sides.cloud or CloudConfiguration()
        return None, await registry_facts(_from_here(cloud.registry_listen), files_of(cloud.tls))
    tls = files_of(sides.edge.tls)
    return await asyncio.gather(
        edge_facts(_from_here(sides.edge.listen), tls), registry_facts(sides.edge.registry, tls)
    )


def _from_here(address: str) -> str:
    host, port = parse_address(address)
    return f"localhost:{port}" if host in EVERYWHERE else address


def _serving(edge: GatewayDescription | None, registry: RegistryFacts) -> frozenset[str]:
    cloud = set() if registry.fault else {"cloud"}
    return frozenset(cloud | (set() if edge is None else {"edge"}))


def _versions(
    configuration: Configuration, edge: GatewayDescription | None, registry: RegistryFacts, folder: Path
) -> Iterator[Finding]:
    nodes = [NodeVersion("this machine's edge", edge.version)] if edge is not None else []
    answered = [one.said for one in registry.replicas if one.said is not None]
    nodes += [NodeVersion(f"replica {said.replica_id}", said.package_version, said.protocol) for said in answered]
    yield from check_packages(VERSION, nodes)
    yield from check_protocol((PROTOCOL_MAJOR, PROTOCOL_MINOR), nodes)
    yield from check_files(configuration.models, folder)
    names = {model.name for model in configuration.models}
    claims = list(file_claims(configuration.models, folder))
    if edge is not None:
        claims += [ModelClaim("edge", name, version) for name, version in edge.models.items() if name in names]
    for said in answered:
        current = {one.name: one.digest for one in said.versions}  # the last one of a name
        claims += [
            ModelClaim(f"replica {said.replica_id}", name, digest) for name, digest in current.items() if name in names
        ]
    yield from check_models(claims)


def _folders(edge: EdgeConfiguration | None) -> Iterator[Finding]:
    folders = [folder_facts("cache", cache_folder("artifacts").parent, _CACHES_BYTES)]
    if edge is not None and (log := edge.decision_log) is not None:
        folders.append(folder_facts("decision log", Path(log.folder), log.max_size))
    yield from check_folders(folders)
