"""What each of several clients that are alike is called, and what its draws are called: one rule for fleet and load."""

from __future__ import annotations

__all__ = ["client_name", "drawn_as"]


def client_name(name: str, count: int, number: int) -> str:
    """What its edge knows it by. number: from 0, of `count`."""
    return name if count == 1 else f"{name}#{number}"


def drawn_as(name: str, number: int) -> str:
    """The name that its draws are seeded by. The first has those that it has alone: where there are more of them, those
    that there were ask the same."""
    return f"{name}#{number}" if number else name
