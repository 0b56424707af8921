"""Which connections an edge wants, of the replicas that the registry names. Pure.

A line is one wanted connection. Where an address is one replica's (direct) or metadata picks it (routed), a line is for
that replica. Behind a balancer that picks by itself (blind) nobody can ask for one: there are as many lines as
replicas, and each is for whichever replica no other line has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nodes.fleet import Endpoint, Replica

__all__ = ["Line", "is_for", "wanted_lines"]


@dataclass(frozen=True, slots=True)
class Line:
    """replica_id: "" for a blind one, which then has a number."""

    target: str
    replica_id: str
    number: int = 0


def wanted_lines(serving: Sequence[Replica], lines: Collection[Line], held: Mapping[Line, str]) -> dict[Line, Endpoint]:
    """All lines that there should be, those of `lines` that stay among them. held: which replica a line has.

    Of blind lines that are too many those go first that have a replica which serves no longer or that another line
    has too, then those without one.
    """
    wanted = {Line(one.endpoint.target, one.replica_id): one.endpoint for one in serving if not one.endpoint.blind}
    blind: dict[str, list[Replica]] = {}
    for one in serving:
        if one.endpoint.blind:
            blind.setdefault(one.endpoint.target, []).append(one)
    for target, replicas in blind.items():
        old = sorted((line for line in lines if line.target == target and not line.replica_id), key=_by_number)
        holders = {held[line]: line for line in reversed(old) if line in held}  # of several, the lowest number
        useful = {holders[one.replica_id] for one in replicas if one.replica_id in holders}
        kept = sorted(old, key=lambda line: 0 if line in useful else 2 if line in held else 1)[: len(replicas)]
        free = (number for number in range(len(old) + len(replicas)) if Line(target, "", number) not in old)
        fresh = [Line(target, "", next(free)) for _ in range(len(replicas) - len(kept))]
        wanted |= dict.fromkeys((*kept, *fresh), replicas[0].endpoint)
    return wanted


def is_for(line: Line, replica_id: str, held: Mapping[Line, str]) -> bool:
    """Whether a connection that this replica answered is one that the line wants. held: as above."""
    if line.replica_id:
        return line.replica_id == replica_id
    return all(one.target != line.target or one == line or other != replica_id for one, other in held.items())


def _by_number(line: Line) -> int:
    return line.number
