"""Requests that were cancelled after they had left: what tells a late answer from one that nobody asked for."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["GivenUp"]

# More are never in flight on one stream.
MOST_REMEMBERED = 4096


class GivenUp:
    """The latest of them."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()

    def remember(self, request_id: int) -> None:
        """It was cancelled, and the replica may answer it yet."""
        self._ids[request_id] = None
        if len(self._ids) > MOST_REMEMBERED:
            self._ids.popitem(last=False)

    def forget(self, request_id: int) -> bool:
        """An answer is here; whether it is the first to a request that was cancelled."""
        known = request_id in self._ids
        self._ids.pop(request_id, None)
        return known
