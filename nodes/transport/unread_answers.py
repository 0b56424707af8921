"""What answers hold that their clients have not taken: gRPC keeps each until the connection lets it leave.

Answers of any size are made for a client that asks and does not read, and nothing else counts them: their requests have
been answered. So they count against a budget until they have left, by the client's share of it, each with its request,
which gRPC keeps beside it.
"""

from __future__ import annotations

from isthmus.errors import Overloaded
from nodes.byte_budget import MOST_UNREAD_BYTES, ByteBudget, Share
from nodes.transport.caller import Caller

__all__ = ["UNREAD_FIELD", "CallAnswers", "UnreadAnswers"]

UNREAD_FIELD = "edge.limits.answers"
RETRY_AFTER_S = 1.0
WORDS_BYTES = 1024
"""Of an answer, besides its tensors and its id: names and what became of the request."""


class UnreadAnswers:
    """Of all clients. Used from one event loop. budget: what is held now, and at most."""

    def __init__(self, most_bytes: int = MOST_UNREAD_BYTES) -> None:
        self.budget = ByteBudget(most_bytes, UNREAD_FIELD)
        self._shares: dict[Caller, Share] = {}  # of those who hold anything

    def hold(self, caller: Caller, size_bytes: int) -> None:
        """Raises Overloaded where it is beyond the client's share, or all is held; TooLarge where it never fits."""
        self.budget.check_alone("one answer", size_bytes)
        share = self._shares.get(caller) or Share(self.budget)
        share.take(size_bytes, RETRY_AFTER_S)
        if share.held_bytes:
            self._shares[caller] = share

    def let_go(self, caller: Caller, size_bytes: int) -> None:
        """So much of what was held has left."""
        if size_bytes:
            share = self._shares[caller]
            share.give_back(size_bytes)
            if not share.held_bytes:
                del self._shares[caller]

    def check_room(self, caller: Caller, size_bytes: int) -> None:
        """Raises Overloaded where an answer of so many bytes would find no room: before anything is computed."""
        if size_bytes > self.budget.free_bytes:
            held_bytes, limit_bytes = self.budget.held_bytes, self.budget.limit_bytes
            raise Overloaded(
                f"{UNREAD_FIELD}: {held_bytes} of {limit_bytes} bytes are held by answers that wait for their clients "
                "to read them; try again later, or raise it",
                retry_after_s=RETRY_AFTER_S,
            )
        share = self._shares.get(caller)
        if share is not None:
            share.check_more(size_bytes, RETRY_AFTER_S)


class CallAnswers:
    """Of one call of a client: one answer, or those of a stream. caller: whose share they count in."""

    def __init__(self, caller: Caller, unread: UnreadAnswers) -> None:
        self.caller = caller
        self._unread = unread
        self._held_bytes = 0

    @property
    def crowded(self) -> bool:
        """Whether anything is held, so that there may be no room."""
        return self._unread.budget.held_bytes > 0

    def check_room(self, size_bytes: int) -> None:
        """See UnreadAnswers."""
        self._unread.check_room(self.caller, size_bytes)

    def hold(self, size_bytes: int) -> None:
        """An answer is about to be made. Raises as `UnreadAnswers.hold`."""
        self._unread.hold(self.caller, size_bytes)
        self._held_bytes += size_bytes

    def let_go(self, size_bytes: int) -> None:
        """An answer that was held has left, or comes to nothing."""
        self._unread.let_go(self.caller, size_bytes)
        self._held_bytes -= size_bytes

    def let_all_go(self) -> None:
        """All that was answered has left, or never will."""
        self.let_go(self._held_bytes)
