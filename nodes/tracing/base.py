"""What a node tells of its requests' spans. `None` in its place is tracing turned off, at the cost of a comparison."""

from __future__ import annotations

from typing import Protocol

from nodes.gateway import InferResult
from nodes.protocol.events import CloudTimings

__all__ = ["RequestSpan", "Tracing"]


class RequestSpan(Protocol):
    """One request at an edge's gateway, from its arrival on. Ended once."""

    @property
    def traceparent(self) -> str:
        """What travels to the cloud (W3C Trace Context): its spans go below this one."""

    def answered(self, result: InferResult) -> None:
        """The stages become spans below it, one after the other, as they are disjoint."""

    def failed(self, error: BaseException) -> None:
        """It ended so."""


class Tracing(Protocol):
    """Makes spans of what happened. Nothing raises, nothing waits: spans are sent by a thread of their own, and
    dropped where nobody takes them."""

    def request(self, model: str, traceparent: str) -> RequestSpan:
        """A request has arrived. traceparent: as its client sent it, "" where it did not."""

    def suffix(self, traceparent: str, timings: CloudTimings) -> None:
        """A replica has just answered an edge's request, after these stages."""

    def close(self) -> None:
        """Send what is left, for a few seconds at most. Blocking."""
