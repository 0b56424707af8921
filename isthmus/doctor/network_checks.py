"""Whether the ports can be bound and the others reached. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from isthmus.addresses import parse_address
from isthmus.doctor.finding import Finding, fail, ok, warn
from isthmus.doctor.network_facts import PortFacts, RegistryFacts, ReplicaFacts

__all__ = ["check_ports", "check_registry"]


def check_ports(ports: Mapping[str, PortFacts], serving: frozenset[str]) -> Iterator[Finding]:
    """ports: by configuration key. serving: the sides ("edge", "cloud") that answer already, so theirs are taken."""
    for key, port in ports.items():
        number = parse_address(port.address)[1]
        if not port.fault:
            yield ok(f"{key} port", f"{port.address} is free")
        elif port.in_use and key.partition(".")[0] in serving:
            yield ok(f"{key} port", f"{port.address} is in use, by a node of this configuration that serves")
        elif port.in_use:
            remedy = f"end what has it (`ss -ltnp 'sport = :{number}'` says what), or set {key} to another port"
            yield fail(f"{key} port", f"{port.address} is taken by another program", remedy)
        else:
            remedy = f"set {key} to an address of this machine, and a port that its user may bind (1024 and above)"
            yield fail(f"{key} port", f"{port.address} cannot be bound: {port.fault}", remedy)


def check_registry(
    registry: RegistryFacts, *, needed_by_edge: bool, scales_to_zero: bool = False
) -> Iterator[Finding]:  # fmt: skip
    """needed_by_edge: an edge of this machine dials it; a cloud's own that is not running yet is no fault.
    scales_to_zero: the file's cloud does, so that none is registered while no edge asks."""
    if registry.fault and needed_by_edge:
        remedy = "start `isthmus cloud` there; if it runs, see edge.registry, firewalls and TLS of both sides"
        message = f"{registry.address} does not answer ({registry.fault}): an edge serves by itself meanwhile"
        yield warn("registry", message, remedy)
    elif registry.fault:
        yield ok("registry", f"{registry.address} does not answer: the cloud side is not running")
    elif not registry.replicas and scales_to_zero:
        yield ok("registry", f"{registry.address} answers, and no replica is registered: a request wakes one")
    elif not registry.replicas:
        remedy = (
            "nothing, where that cloud scales to zero (cloud.autoscaling.min_replicas: 0); else see the log of "
            "`isthmus cloud`: replicas register once they have measured themselves"
        )
        yield warn("registry", f"{registry.address} answers, and no replica is registered", remedy)
    else:
        yield ok("registry", f"{registry.address} answers, {len(registry.replicas)} replica(s) registered")
    for one in registry.replicas:
        yield _replica(one)


def _replica(one: ReplicaFacts) -> Finding:
    check, target = f"replica {one.replica.replica_id}", one.replica.endpoint.target
    if one.said is None:
        remedy = "set cloud.advertise to an address that edges reach, open its port, see TLS of both sides"
        return fail(check, f"{target} is registered and does not answer from here ({one.fault})", remedy)
    if one.replica.draining:
        return warn(check, f"{target} answers and drains", "nothing, where it is being replaced")
    return ok(check, f"{target} answers")
