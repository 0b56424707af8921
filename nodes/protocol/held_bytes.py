"""What the requests of one stream hold of the bytes that a replica holds for all of its streams."""

from __future__ import annotations

from nodes.byte_budget import ByteBudget, Share

__all__ = ["HeldBytes"]

RETRY_AFTER_S = 1.0
"""An edge that is refused is told no time: it goes on elsewhere at once."""


class HeldBytes:
    """By request: from its announcement, whatever of it has arrived, until its answer has left or it ends otherwise.

    Invariant: the sum over all streams of a budget is what the budget holds. A stream has its share of it, see `Share`:
    an edge that announces much and sends it slowly leaves room for others.
    """

    def __init__(self, budget: ByteBudget) -> None:
        """budget: shared with other streams."""
        self._share = Share(budget)
        self._sizes: dict[int, int] = {}

    def __contains__(self, request_id: object) -> bool:
        """Whether it is under way, be it with no bytes."""
        return request_id in self._sizes

    def announced(self, request_id: int, size_bytes: int) -> None:
        """So much of a request is here or will come, besides what was announced before.

        Raises TooLarge where the request is beyond the budget by itself, Overloaded; nothing more is held then.
        """
        here_bytes = self._sizes.get(request_id, 0)
        self._share.check_alone("one request", here_bytes + size_bytes)
        self._share.take(size_bytes, RETRY_AFTER_S, part_of_bytes=here_bytes)
        self._sizes[request_id] = here_bytes + size_bytes

    def answered(self, request_id: int, size_bytes: int) -> None:
        """Its answer is here now, in its place. Raises as `announced`, and what was held is held still."""
        self._share.check_alone("one answer", size_bytes)
        here_bytes = self._sizes[request_id]
        if size_bytes > here_bytes:  # beyond the share, too: the work is done
            self._share.take(size_bytes - here_bytes, RETRY_AFTER_S, part_of_bytes=self._share.held_bytes)
        else:
            self._share.give_back(here_bytes - size_bytes)
        self._sizes[request_id] = size_bytes

    def let_go(self, request_id: int) -> None:
        """Nothing of it is here any more. Ignored where nothing was."""
        self._share.give_back(self._sizes.pop(request_id, 0))

    def let_all_go(self) -> None:
        """The stream has gone."""
        self._share.give_back(sum(self._sizes.values()))
        self._sizes.clear()
