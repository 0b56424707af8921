"""When a request that waits for one replica is sent to a second one as well, without the first having failed.

This is the hedged request of J. Dean and L. A. Barroso ("The Tail at Scale", CACM 56(2), 2013): the second sending
waits until the first is later than most are. What "most" means is measured: the times that cloud answers lately took
over what was predicted for them. Of a request that was sent twice the first replica's time is known only to be longer
than it was waited for; it counts with that, which is above the percentile and so leaves it where it is.

Hedges add load when there is much of it already, so they are a bounded share of requests: each request earns a part of
one, and little is saved up.
"""

from __future__ import annotations

import bisect
import math
from collections import deque

from isthmus.errors import InvalidConfiguration

__all__ = ["MOST_PERCENTILE", "REQUESTS_A_HEDGE", "Hedging"]

REQUESTS_A_HEDGE = 20
"""At most one of so many requests that are sent to the cloud is sent twice: 5 %."""
# So many hedges may follow each other after a quiet time.
_MOST_SAVED = 5
_REMEMBERED = 500
MOST_PERCENTILE = 99.99
_LEAST_SEEN = 20


class Hedging:
    """One edge's. Without a clock."""

    def __init__(self, percentile: float | None = None) -> None:
        """percentile: of the times that answers take over their prediction; None for no hedging.

        Raises InvalidConfiguration unless it is above 50 and at most 99.99: more answers are not remembered.
        """
        if percentile is not None and not 50 < percentile <= MOST_PERCENTILE:
            remedy = "95 sends again what is later than 95 of 100 are; leave it out for no hedging"
            problem = f"must be above 50 and at most {MOST_PERCENTILE}"
            raise InvalidConfiguration("edge.hedge_percentile", problem, value=percentile, remedy=remedy)
        self._share = None if percentile is None else percentile / 100
        self._least_seen = _LEAST_SEEN if self._share is None else max(_LEAST_SEEN, round(1 / (1 - self._share)))
        self._in_order: deque[float] = deque()
        self._sorted: list[float] = []
        self._earned = 0  # requests that no hedge has used up

    def sent(self) -> None:
        """A request was sent to the cloud for the first time."""
        self._earned = min(_MOST_SAVED * REQUESTS_A_HEDGE, self._earned + 1)

    def after_s(self, expected_s: float) -> float | None:
        """How long to wait for an answer expected in so many seconds before another replica is asked too; None for
        as long as it takes: hedging is off, nothing is expected, or too few answers were seen to tell that percentile.
        """
        if self._share is None or not (0 < expected_s < math.inf):
            return None
        if len(self._sorted) < self._least_seen:
            return None
        return expected_s * self._sorted[math.ceil(self._share * len(self._sorted)) - 1]

    def spend(self) -> bool:
        """Whether one more may be sent twice now; if so it is accounted for."""
        if self._earned < REQUESTS_A_HEDGE:
            return False
        self._earned -= REQUESTS_A_HEDGE
        return True

    def answered(self, expected_s: float, took_s: float) -> None:
        """The first replica answered after so long, or had not yet when another one did."""
        if self._share is None or not (0 < expected_s < math.inf and 0 <= took_s < math.inf):
            return
        ratio = took_s / expected_s
        self._in_order.append(ratio)
        bisect.insort(self._sorted, ratio)
        if len(self._in_order) > max(_REMEMBERED, self._least_seen):
            del self._sorted[bisect.bisect_left(self._sorted, self._in_order.popleft())]
