"""A bound on what a node keeps: bytes are reserved before they are made, and given back. Of one that many share none
may take all bit by bit."""

from __future__ import annotations

from isthmus.errors import Overloaded
from nodes.limits import check_size

__all__ = ["MOST_CLIENT_BYTES", "MOST_HELD_BYTES", "MOST_KEPT_BYTES", "ByteBudget", "Share"]

MOST_KEPT_BYTES = 256_000_000
"""Of boundary tensors that wait for their answers, unless an edge is configured otherwise."""

MOST_HELD_BYTES = 4 << 30
"""Of requests and answers, encoded, unless a replica is configured otherwise: four of the largest messages."""

MOST_CLIENT_BYTES = 512 << 20
"""Of clients' requests and answers, unless an edge is configured otherwise: eight of the largest messages."""


class ByteBudget:
    """At most `limit_bytes` at once. Used from one thread."""

    def __init__(self, limit_bytes: int, field: str) -> None:
        """field: what the limit is called in the configuration, for the error."""
        self.limit_bytes = limit_bytes
        self.field = field
        self.held_bytes = 0
        self.peak_bytes = 0

    @property
    def free_bytes(self) -> int:
        """What nobody holds."""
        return self.limit_bytes - self.held_bytes

    def check_alone(self, what: str, size_bytes: int) -> None:
        """Raises TooLarge where so much does not fit with nothing else held: trying again does not help."""
        check_size(self.field, self.limit_bytes, what, size_bytes)

    def reserve(self, size_bytes: int, retry_after_s: float) -> None:
        """Take so much. Raises Overloaded, and takes nothing, where it does not fit; TooLarge where it never will."""
        self.check_alone("what one request holds", size_bytes)
        if self.held_bytes + size_bytes > self.limit_bytes:
            raise Overloaded(
                f"{self.field}: {self.held_bytes} of {self.limit_bytes} bytes are held and {size_bytes} more are "
                "needed; try again later, or raise it",
                retry_after_s=retry_after_s,
            )
        self.held_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.held_bytes)

    def resize(self, held_bytes: int, size_bytes: int, retry_after_s: float) -> None:
        """Hold so much in place of what was reserved. Raises as `reserve`, and changes nothing then."""
        self.check_alone("what one request holds", size_bytes)
        if size_bytes > held_bytes:
            self.reserve(size_bytes - held_bytes, retry_after_s)
        else:
            self.release(held_bytes - size_bytes)

    def release(self, size_bytes: int) -> None:
        """Give back what was reserved."""
        self.held_bytes -= size_bytes


class Share:
    """What one of many holds of a budget, so that others find room beside it.

    A holder may take more while it would then hold no more than is left free: one alone has half of the budget, two a
    third each (A. Choudhury, E. Hahne, Dynamic queue length thresholds for shared-memory packet switches, IEEE/ACM
    Transactions on Networking, 1998). The first thing that a holder has may be of any size that fits: things that are
    large beside the budget can still fill it.
    """

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held_bytes = 0

    def check_alone(self, what: str, size_bytes: int) -> None:
        """See ByteBudget."""
        self._budget.check_alone(what, size_bytes)

    def has_room(self, more_bytes: int) -> bool:
        """Whether so much more, besides what it holds, is within its share."""
        return self.held_bytes + more_bytes <= self._budget.free_bytes - more_bytes

    def check_more(self, more_bytes: int, retry_after_s: float) -> None:
        """Raises Overloaded where so much more, besides what it holds, would be beyond its share."""
        if not self.has_room(more_bytes):
            free_bytes = max(0, self._budget.free_bytes - more_bytes)
            field, limit_bytes = self._budget.field, self._budget.limit_bytes
            raise Overloaded(
                f"{field}: {self.held_bytes} of {limit_bytes} bytes are held for this peer, {free_bytes} would "
                f"be left for all others with {more_bytes} more; read what was answered, try again later, or raise it",
                retry_after_s=retry_after_s,
            )

    def take(self, more_bytes: int, retry_after_s: float, part_of_bytes: int = 0) -> None:
        """Hold so much more. part_of_bytes: what is held of the same thing already. Raises Overloaded, and takes
        nothing, where it is beyond the share or does not fit; TooLarge where it never will."""
        if self.held_bytes > part_of_bytes:
            self.check_more(more_bytes, retry_after_s)
        self._budget.reserve(more_bytes, retry_after_s)
        self.held_bytes += more_bytes

    def give_back(self, size_bytes: int) -> None:
        """Hold so much less."""
        self._budget.release(size_bytes)
        self.held_bytes -= size_bytes
