"""The requests that failed last, and why: also those that were refused before anything was decided for them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from isthmus.errors import grpc_status_name

__all__ = ["CLIENTS_FAULTS", "KEPT_FAILURES", "Failure", "RecentFailures"]

KEPT_FAILURES = 32
CLIENTS_FAULTS = frozenset({"CANCELLED", "INVALID_ARGUMENT", "NOT_FOUND"})
"""What clients do wrong, or of their own will: nobody is called at night for it, as in the alert rules."""
# A message may quote what a client sent, and be as long: it is cut before anything else is done with it.
_MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """One of them. at_s: on the monotonic clock. model: "" where none of the name asked for is served. status:
    gRPC's. request_id: as `explain` takes it."""

    at_s: float
    model: str
    status: str
    message: str
    request_id: str = ""


class RecentFailures:
    """Used on the gateway's event loop. Costs nothing where nothing fails."""

    def __init__(self) -> None:
        self._failed = self._mistaken = 0
        self._kept: deque[Failure] = deque(maxlen=KEPT_FAILURES)

    @property
    def failed(self) -> int:
        """Requests that failed, but for `mistaken`; all of them since the start."""
        return self._failed

    @property
    def mistaken(self) -> int:
        """Requests that failed for what their clients did."""
        return self._mistaken

    @property
    def kept(self) -> tuple[Failure, ...]:
        """Oldest first."""
        return tuple(self._kept)

    def record(self, model: str, error: BaseException, request_id: str = "") -> None:
        """One more; a client that left has failed its request too."""
        left, status = isinstance(error, asyncio.CancelledError), grpc_status_name(error)
        message = "the client took it back" if left else " ".join(str(error)[:_MOST_CHARACTERS].split())
        if status in CLIENTS_FAULTS:
            self._mistaken += 1
        else:
            self._failed += 1
        self._kept.append(Failure(time.monotonic(), model, status, message, request_id))
