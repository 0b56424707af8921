"""A bound on the clients that a server serves at once."""

from __future__ import annotations

from nodes.limits import NodeLimits

__all__ = ["ConnectionLimit"]


class ConnectionLimit:
    """Counts the connections that have calls under way. One without holds next to nothing, and is not counted."""

    def __init__(self, limits: NodeLimits) -> None:
        self._limits = limits
        self._calls: dict[str, int] = {}  # under way, by connection

    def enter(self, peer: str) -> None:
        """A call of that connection begins. Raises Overloaded while as many others as may be have calls under way."""
        calls = self._calls.get(peer, 0)
        if not calls:
            self._limits.check_connections(len(self._calls))
        self._calls[peer] = calls + 1

    def leave(self, peer: str) -> None:
        """It has ended."""
        self._calls[peer] -= 1
        if not self._calls[peer]:
            del self._calls[peer]
