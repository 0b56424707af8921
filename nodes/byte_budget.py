"""A bound on what a node keeps: bytes are reserved before they are made, and given back."""

from __future__ import annotations

from isthmus.errors import Overloaded
from nodes.limits import check_size

__all__ = ["MOST_HELD_BYTES", "MOST_KEPT_BYTES", "ByteBudget"]

MOST_KEPT_BYTES = 256_000_000
"""Of boundary tensors that wait for their answers, unless an edge is configured otherwise."""

MOST_HELD_BYTES = 4 << 30
"""Of requests and answers, encoded, unless a replica is configured otherwise: four of the largest messages."""


class ByteBudget:
    """At most `limit_bytes` at once. Used from one thread."""

    def __init__(self, limit_bytes: int, field: str) -> None:
        """field: what the limit is called in the configuration, for the error."""
        self.limit_bytes = limit_bytes
        self._field = field
        self.held_bytes = 0
        self.peak_bytes = 0

    def check_alone(self, what: str, size_bytes: int) -> None:
        """Raises TooLarge where so much does not fit with nothing else held: trying again does not help."""
        check_size(self._field, self.limit_bytes, what, size_bytes)

    def reserve(self, size_bytes: int, retry_after_s: float) -> None:
        """Take so much. Raises Overloaded, and takes nothing, where it does not fit; TooLarge where it never will."""
        self.check_alone("what one request keeps", size_bytes)
        if self.held_bytes + size_bytes > self.limit_bytes:
            raise Overloaded(
                f"{self._field}: {self.held_bytes} of {self.limit_bytes} bytes are held for requests under way and "
                f"{size_bytes} more are needed; try again later, or raise it",
                retry_after_s=retry_after_s,
            )
        self.held_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.held_bytes)

    def resize(self, held_bytes: int, size_bytes: int, retry_after_s: float) -> None:
        """Hold so much in place of what was reserved. Raises as `reserve`, and changes nothing then."""
        self.check_alone("what one request keeps", size_bytes)
        if size_bytes > held_bytes:
            self.reserve(size_bytes - held_bytes, retry_after_s)
        else:
            self.release(held_bytes - size_bytes)

    def release(self, size_bytes: int) -> None:
        """Give back what was reserved."""
        self.held_bytes -= size_bytes
