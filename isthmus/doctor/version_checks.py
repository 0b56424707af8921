"""Whether edge, cloud and files are of one version: package, stream protocol, models. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from isthmus.doctor.finding import Finding, fail, ok, warn

__all__ = ["ModelClaim", "NodeVersion", "check_models", "check_packages", "check_protocol"]

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class NodeVersion:
    """What a running node says. package: "" where it does not say; protocol: None where it has none or does not."""

    node: str
    package: str
    protocol: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ModelClaim:
    """Somebody holds that version of a model. digest: whole, or its first characters."""

    who: str
    model: str
    digest: str


def check_packages(here: str, nodes: Sequence[NodeVersion]) -> Iterator[Finding]:
    """here: of this command."""
    other = [f"{node.node} {node.package}" for node in nodes if node.package != here and node.package]
    if other:
        remedy = "upgrade the older side, replicas first; they work together while the protocol's major version is one"
        yield warn("package versions", f"{here} here, {', '.join(other)}", remedy)
    else:
        yield ok("package versions", f"{here} here" + (" and on every node that answers" if nodes else ""))


def check_protocol(here: tuple[int, int], nodes: Sequence[NodeVersion]) -> Iterator[Finding]:
    """Another major version is refused in the handshake; of minor ones the lower is spoken."""
    for node in nodes:
        if node.protocol is None or node.protocol == (0, 0) or node.protocol == here:
            continue
        said = f"{here[0]}.{here[1]} here, {node.node} {node.protocol[0]}.{node.protocol[1]}"
        if node.protocol[0] != here[0]:
            yield fail("protocol versions", f"{said}: they refuse each other", "upgrade the older side")
        else:
            yield warn("protocol versions", f"{said}: the older one's is spoken", "upgrade the older side")


def check_models(claims: Sequence[ModelClaim]) -> Iterator[Finding]:
    """All who hold a model should hold the same version: plans are only used where both sides do."""
    by_model: dict[str, list[ModelClaim]] = {}
    for claim in claims:
        by_model.setdefault(claim.model, []).append(claim)
    for model, held in by_model.items():
        yield _model(model, {claim.who: claim.digest for claim in held})


def _model(model: str, held: Mapping[str, str]) -> Finding:
    digests = sorted(set(held.values()), key=len)
    said = ", ".join(f"{who} {digest[:_SHOWN]}" for who, digest in held.items())
    shortest = min(len(digest) for digest in digests)
    if len({digest[:shortest] for digest in digests}) > 1:
        remedy = "restart the side that has the older model, and make plan files anew with `isthmus partition`"
        return fail(f"model {model}", f"versions differ: {said}", remedy)
    return ok(f"model {model}", said)
