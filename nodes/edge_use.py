"""What an edge has of a replica that it has a stream to."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EdgeUse"]


@dataclass(frozen=True, slots=True)
class EdgeUse:
    """edge_id: as the edge calls itself, "" before its hello. models: the names of those of which it has plans prepared
    there. settled: whether it has none under way there, and has offered none lately."""

    edge_id: str
    models: frozenset[str] = frozenset()
    settled: bool = False
