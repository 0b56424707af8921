"""What several engines hold of weights, together."""

from __future__ import annotations

from collections.abc import Iterable

from nodes.engines.base import Engine

__all__ = ["engines_bytes"]


def engines_bytes(engines: Iterable[Engine]) -> int:
    """Of all of them; one that several models share counts once."""
    return sum(engine.held_bytes for engine in {id(engine): engine for engine in engines}.values())
