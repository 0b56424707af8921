"""How long a message is on its way besides the bytes: half a round trip, with jitter, none overtaking another.

Jitter follows from who sends what, and not from how many sent before: a request that goes elsewhere leaves the delays
of all others as they were (docs/decisions/0037).
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Sequence

from simulations.round_trips import RoundTrips

__all__ = ["LinkDelay"]


class LinkDelay:
    """Of one direction of one edge's link. usual_s: without jitter; of recorded round trips half the usual one."""

    def __init__(
        self, usual_s: float, jitter_s: float = 0.0, seed: str = "", recorded: RoundTrips | None = None
    ) -> None:
        """jitter_s: how far a delay may be off, either way, evenly distributed; by what, `seed` and the message decide.
        recorded: a message's delay is half of what these are when it leaves, and `usual_s` none's."""
        self.usual_s = usual_s
        self._jitter_s, self._seed, self._recorded = jitter_s, hashlib.blake2b(seed.encode(), digest_size=8), recorded
        self._coming_s: deque[float] = deque()

    def mean_s(self, moment_s: float) -> float:
        """Without jitter, of a message that leaves then."""
        return self.usual_s if self._recorded is None else self._recorded.at(moment_s) / 2

    def draw_s(self, moment_s: float, message: Sequence[float] = ()) -> float:
        """The delay of a message that leaves then and that others may overtake, as an echo's. message: which it is;
        left out, one is like another, and their moments tell them apart."""
        mean_s = self.mean_s(moment_s)
        if not self._jitter_s:
            return mean_s
        digest = self._seed.copy()
        told = message or (moment_s,)
        digest.update(struct.pack(f"<{len(told)}d", *told))
        off = int.from_bytes(digest.digest()) / (1 << 63) - 1.0  # from -1 up to 1
        return max(0.0, mean_s + self._jitter_s * off)

    def arrives_s(self, sent_s: float, now_s: float, message: Sequence[float] = ()) -> float:
        """When a message that will have left at `sent_s` is there: after those that left before. message: see
        `draw_s`."""
        coming_s = self._coming_s
        while coming_s and coming_s[0] <= now_s:
            coming_s.popleft()
        there_s = sent_s + self.draw_s(sent_s, message)
        if coming_s:
            there_s = max(there_s, coming_s[-1])
        coming_s.append(there_s)
        return there_s

    def take_back(self, there_s: float) -> None:
        """The message that was to be there then never will be. Nothing to do for one that was."""
        if there_s in self._coming_s:
            self._coming_s.remove(there_s)
