"""What clients' messages hold on an edge: each request from when it is read, with its answer until that has left.

A few hundred requests that wait may be large ones, and answers of any size are made for a client that asks and does not
read: gRPC keeps each, with its request beside it, until the connection lets it leave. So they count against a budget,
by the client's share of it.
"""

from __future__ import annotations

from nodes.byte_budget import MOST_CLIENT_BYTES, ByteBudget, Share
from nodes.transport.caller import Caller

__all__ = ["CLIENT_FIELD", "WORDS_BYTES", "CallBytes", "ClientBytes"]

CLIENT_FIELD = "edge.limits.memory"
RETRY_AFTER_S = 1.0
WORDS_BYTES = 1024
"""Of an answer, besides its tensors and its id: names and what became of the request."""


class ClientBytes:
    """Of all clients. Used from one event loop. budget: what is held now, and at most."""

    def __init__(self, most_bytes: int = MOST_CLIENT_BYTES) -> None:
        self.budget = ByteBudget(most_bytes, CLIENT_FIELD)
        self._shares: dict[Caller, Share] = {}  # of those who hold anything

    def hold(self, caller: Caller, size_bytes: int, part_of_bytes: int = 0) -> None:
        """part_of_bytes: what is held of the same request already. Raises Overloaded where it is beyond the client's
        share, or all is held; TooLarge where it never fits."""
        self.budget.check_alone("one request with its answer", size_bytes + part_of_bytes)
        share = self._shares.get(caller) or Share(self.budget)
        share.take(size_bytes, RETRY_AFTER_S, part_of_bytes)
        if share.held_bytes:
            self._shares[caller] = share

    def let_go(self, caller: Caller, size_bytes: int) -> None:
        """So much of what was held has left."""
        if size_bytes:
            share = self._shares[caller]
            share.give_back(size_bytes)
            if not share.held_bytes:
                del self._shares[caller]

    def has_room(self, caller: Caller, size_bytes: int) -> bool:
        """Whether `hold` would take so much."""
        share = self._shares.get(caller)
        return size_bytes <= self.budget.free_bytes if share is None else share.has_room(size_bytes)


class CallBytes:
    """Of one call of a client: one request, or those of a stream. caller: whose share they count in."""

    def __init__(self, caller: Caller, clients: ClientBytes) -> None:
        self.caller = caller
        self._clients = clients
        self._held_bytes = self._largest_bytes = 0

    def has_room(self) -> bool:
        """Whether there is room for another one as large as the largest so far."""
        return self._clients.has_room(self.caller, self._largest_bytes)

    def hold(self, size_bytes: int) -> None:
        """A request was read, which takes so much with its answer. Raises as `ClientBytes.hold`."""
        self._clients.hold(self.caller, size_bytes)
        self._held_bytes += size_bytes
        self._largest_bytes = max(self._largest_bytes, size_bytes)

    def resize(self, held_bytes: int, size_bytes: int) -> None:
        """It takes so much instead, as the answer is known. Raises likewise, and then holds what it did."""
        if size_bytes <= held_bytes:
            self.let_go(held_bytes - size_bytes)
        else:
            self._clients.hold(self.caller, size_bytes - held_bytes, held_bytes)
            self._held_bytes += size_bytes - held_bytes
            self._largest_bytes = max(self._largest_bytes, size_bytes)

    def let_go(self, size_bytes: int) -> None:
        """What was held has left, or comes to nothing."""
        self._clients.let_go(self.caller, size_bytes)
        self._held_bytes -= size_bytes

    def let_all_go(self) -> None:
        """All that was answered has left, or never will."""
        self.let_go(self._held_bytes)
