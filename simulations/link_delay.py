"""How long a message is on its way besides the bytes: half a round trip, with jitter, none overtaking another."""

from __future__ import annotations

from collections import deque
from random import Random

from simulations.round_trips import RoundTrips

__all__ = ["LinkDelay"]


class LinkDelay:
    """Of one direction of one edge's link. usual_s: without jitter; of recorded round trips half the usual one."""

    def __init__(
        self, usual_s: float, jitter_s: float = 0.0, rng: Random | None = None, recorded: RoundTrips | None = None
    ) -> None:
        """jitter_s: how far a delay may be off, either way, evenly distributed. rng: needed where that is not 0.
        recorded: a message's delay is half of what these are when it leaves, and `usual_s` none's."""
        self.usual_s = usual_s
        self._jitter_s, self._rng, self._recorded = jitter_s, rng, recorded
        self._coming_s: deque[float] = deque()

    def mean_s(self, moment_s: float) -> float:
        """Without jitter, of a message that leaves then."""
        return self.usual_s if self._recorded is None else self._recorded.at(moment_s) / 2

    def draw_s(self, moment_s: float) -> float:
        """The delay of a message that leaves then and that others may overtake, as an echo's."""
        mean_s = self.mean_s(moment_s)
        if self._rng is None:
            return mean_s
        return max(0.0, mean_s + self._rng.uniform(-self._jitter_s, self._jitter_s))

    def arrives_s(self, sent_s: float, now_s: float) -> float:
        """When a message that will have left at `sent_s` is there: after those that left before."""
        coming_s = self._coming_s
        while coming_s and coming_s[0] <= now_s:
            coming_s.popleft()
        there_s = sent_s + self.draw_s(sent_s)
        if coming_s:
            there_s = max(there_s, coming_s[-1])
        coming_s.append(there_s)
        return there_s

    def take_back(self, there_s: float) -> None:
        """The message that was to be there then never will be. Nothing to do for one that was."""
        if there_s in self._coming_s:
            self._coming_s.remove(there_s)
