"""Times echoes: the round trip from small ones, a first bandwidth from a padded one, and when to ask again at once."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nodes.cloud_connection import LinkObserver
from nodes.protocol.link_probe import MOST_PROBE_BYTES, told_span_s

__all__ = ["EchoTimer"]

# An echo this far from the one before it is a surprise: the path may have changed.
SURPRISE_FACTOR, SURPRISE_FLOOR_S = 1.5, 0.001
BESIDE_S = 0.01
"""A small echo that was sent no longer before a padded one took the same path."""
# The round trip is the least of so many small echoes, those of four idle seconds: some may have waited for others. The
# least of a whole life would stay that of a path which is no longer there, and what a padded echo takes beyond it would
# make a fast link slow.
RECENT_ECHOES = 8


@dataclass(frozen=True, slots=True)
class _Echo:
    sent_s: float
    padding_bytes: int


class EchoTimer:
    """Echoes under way on one stream, and what they teach the observer. untold: the last padded one came back as
    quickly as small ones do, which says nothing."""

    def __init__(self, observer: LinkObserver, clock: Callable[[], float] = time.monotonic) -> None:
        self.surprised, self.untold = asyncio.Event(), False
        self._observer = observer
        self._clock = clock
        self._under_way: dict[int, _Echo] = {}
        self._tokens = itertools.count(1)
        self._recent_s: deque[float] = deque(maxlen=RECENT_ECHOES)
        self._last_small = _Echo(-math.inf, 0), 0.0  # that came back, and what it took

    @property
    def one_way_s(self) -> float:
        """Half of the least round trip seen lately; 0.0 before the first."""
        return min(self._recent_s, default=0.0) / 2

    def sent(self, padding_bytes: int) -> int:
        """An echo leaves now. Returns its token."""
        token = next(self._tokens)
        self._under_way[token] = _Echo(self._clock(), padding_bytes)
        self.untold = self.untold and not padding_bytes
        return token

    def untimed(self) -> int:
        """The token of an echo that only tells that what was sent before it is there."""
        return next(self._tokens)

    def returned(self, token: int) -> float | None:
        """An echo is back; the bits a second that a padded one saw, infinite where it only shows how slow the link is
        not, None for a small one. A token that was never sent is ignored."""
        echo = self._under_way.pop(token, None)
        if echo is None:
            return None
        elapsed_s = self._clock() - echo.sent_s
        if not echo.padding_bytes:
            self._last_small = echo, elapsed_s
            self._learn_rtt(elapsed_s)
            return None
        # The padding went up only: what it took beyond a small echo is its time on the wire.
        rtt_s, believed_bps = min(self._recent_s, default=math.inf), self._observer.uplink_bps()
        told_bytes, (small, took_s) = echo.padding_bytes, self._last_small
        if echo.sent_s - small.sent_s <= BESIDE_S and _is_surprising(took_s, rtt_s):
            # The path has grown longer since. Or both waited for a process that stood still: they came at once then,
            # and say little.
            rtt_s, told_bytes = took_s, min(told_bytes, MOST_PROBE_BYTES - 1)
        beyond_s = elapsed_s - rtt_s
        span_s = told_span_s(told_bytes, beyond_s, rtt_s, believed_bps)
        if span_s is None:
            return believed_bps
        if span_s <= 0:
            self.untold = True
            return math.inf
        self._observer.transfer_measured("up", echo.padding_bytes, span_s)
        return 8 * echo.padding_bytes / span_s if span_s == beyond_s else math.inf

    async def surprise_within(self, period_s: float) -> bool:
        """Wait for a surprising echo. Returns False once the period is over without one."""
        self.surprised.clear()
        try:
            async with asyncio.timeout(period_s):
                return await self.surprised.wait()
        except TimeoutError:
            return False

    def _learn_rtt(self, rtt_s: float) -> None:
        last_s = self._recent_s[-1] if self._recent_s else rtt_s
        if _is_surprising(rtt_s, last_s):
            self.surprised.set()
        self._recent_s.append(rtt_s)
        self._observer.rtt_measured(rtt_s)


def _is_surprising(rtt_s: float, last_s: float) -> bool:
    return max(rtt_s, last_s) > SURPRISE_FACTOR * min(rtt_s, last_s) + SURPRISE_FLOOR_S
