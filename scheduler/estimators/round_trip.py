"""The round-trip time of a link, from small echoes.

A low quantile of a sliding window, because whatever delays an echo (a queue, a busy receiver) only adds to it. A few
echoes in a row far off on one side mean that the path has changed: they become the window.
"""

from __future__ import annotations

import math
from collections import deque

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
        self._echoes: deque[tuple[float, float]] = deque(maxlen=_WINDOW_ECHOES)
        self._estimate_s: float | None = None

    def observe(self, rtt_s: float, now_s: float) -> None:
        """A small echo took `rtt_s` seconds, seen now."""
        if not (math.isfinite(rtt_s) and rtt_s >= 0):
            return
        self._echoes.append((now_s, rtt_s))
        # What is older than the window goes, but never the last few: an old value is better than none.
        while len(self._echoes) > _CHANGE_ECHOES and self._echoes[0][0] < now_s - _WINDOW_S:
            self._echoes.popleft()
        if self._changed():
            self._echoes = deque(list(self._echoes)[-_CHANGE_ECHOES:], _WINDOW_ECHOES)
        self._estimate_s = _low_quantile([rtt_s for _, rtt_s in self._echoes])  # asked for far oftener than it changes

    def estimate_s(self) -> float | None:
        """The round trip without queues; None before the first echo."""
        return self._estimate_s

    def _changed(self) -> bool:
        times = [rtt_s for _, rtt_s in self._echoes]
        earlier, latest = times[:-_CHANGE_ECHOES], times[-_CHANGE_ECHOES:]
        if not earlier:
            return False
        base_s = _low_quantile(earlier)
        return _far_above(min(latest), base_s) or _far_above(base_s, max(latest))


def _low_quantile(times: list[float]) -> float:
    return sorted(times)[int(_QUANTILE * (len(times) - 1))]


def _far_above(high_s: float, low_s: float) -> bool:
    return high_s > _CHANGE_FACTOR * low_s + _CHANGE_FLOOR_S
