"""Messages that are no messages, or too long: without this, gRPC ends the calls of the first with UNKNOWN and a
traceback in the log, and those of the others in words that name no limit."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.errors import InvalidInput

__all__ = ["Unreadable"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What arrived instead of a message."""

    error: InvalidInput
