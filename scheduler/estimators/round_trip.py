"""The round-trip time of a link, from small echoes.

A low quantile of a sliding window, because whatever delays an echo (a queue, a busy receiver) only adds to it. A few
echoes in a row far off on one side mean that the path has changed: they become the window.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Sequence

__all__ = ["RoundTripEstimator"]

_WINDOW_ECHOES = 32
_WINDOW_S = 60.0
_QUANTILE = 0.2
_CHANGE_ECHOES = 3
_CHANGE_FACTOR = 1.5
_CHANGE_FLOOR_S = 0.001  # below this much, a difference is scheduling


class RoundTripEstimator:
    """Learns the round trip. Values that are negative or not finite are ignored."""

    def __init__(self) -> None:
        self._latest: deque[tuple[float, float]] = deque()  # when, and how long
        self._earlier: deque[tuple[float, float]] = deque()
        self._earlier_sorted: list[float] = []
        self._estimate_s: float | None = None
        self._changed_since = False

    def observe(self, rtt_s: float, now_s: float) -> None:
        """A small echo took `rtt_s` seconds, seen now."""
        if not (math.isfinite(rtt_s) and rtt_s >= 0):
            return
        self._latest.append((now_s, rtt_s))
        if len(self._latest) > _CHANGE_ECHOES:
            self._grow_earlier(self._latest.popleft())
        # What is older than the window goes, but never the latest: an old value is better than none.
        while self._earlier and self._earlier[0][0] < now_s - _WINDOW_S:
            self._drop_oldest()
        latest = [rtt_s for _, rtt_s in self._latest]
        if self._earlier and self._changed(latest):
            self._earlier.clear()
            self._earlier_sorted.clear()
        self._changed_since = True

    def estimate_s(self) -> float | None:
        """The round trip without queues; None before the first echo."""
        if self._changed_since:  # several echoes may come before anybody asks, and many ask before the next one
            self._changed_since = False
            self._estimate_s = _low_quantile(sorted((*self._earlier_sorted, *(rtt_s for _, rtt_s in self._latest))))
        return self._estimate_s

    def _grow_earlier(self, echo: tuple[float, float]) -> None:
        if len(self._earlier) == _WINDOW_ECHOES - _CHANGE_ECHOES:
            self._drop_oldest()
        self._earlier.append(echo)
        bisect.insort(self._earlier_sorted, echo[1])

    def _drop_oldest(self) -> None:
        _, rtt_s = self._earlier.popleft()
        del self._earlier_sorted[bisect.bisect_left(self._earlier_sorted, rtt_s)]

    def _changed(self, latest: Sequence[float]) -> bool:
        base_s = _low_quantile(self._earlier_sorted)
        return _far_above(min(latest), base_s) or _far_above(base_s, max(latest))


def _low_quantile(ordered: Sequence[float]) -> float:
    return ordered[int(_QUANTILE * (len(ordered) - 1))]


def _far_above(high_s: float, low_s: float) -> bool:
    return high_s > _CHANGE_FACTOR * low_s + _CHANGE_FLOOR_S
