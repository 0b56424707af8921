"""How many bytes may be under way on a path: what it holds, and a little more.

The method is that of BBR (Cardwell, Cheng, Gunn, Yeganeh, Jacobson: "BBR: Congestion-Based Congestion Control", ACM
Queue 14(5), 2016), with a window alone and no pacing: the path holds its bandwidth, the highest rate of the last
rounds, times its round trip, the least that was seen. Where nobody knows anything the window is 2.89 times that at
the start, so that it grows until three rounds bring less than a quarter more; from a belief of others it doubles until
a round trip has grown by an eighth or 4 ms (as in HyStart++, RFC 9406). Later every eighth round allows 1.25 times, and
so does the round after one that was faster: a low estimate always finds out that there is more. A least round trip
older than 10 s is measured anew at half the window for a round, as in BBRv2
(draft-cardwell-iccrg-bbr-congestion-control-02).

The little more keeps the link busy between an acknowledgement and the next chunk: most of a small one, and 4 ms,
which is what a busy process sleeps. It is also all that a new urgent frame waits for.
"""

from __future__ import annotations

import math
from collections import deque

from nodes.protocol.flight import Delivery

__all__ = ["FIRST_WINDOW_BYTES", "LEAST_WINDOW_BYTES", "PathModel"]

FIRST_WINDOW_BYTES = 256 << 10
"""Until the path is known: 0.1 s at 20 Mbit/s."""
LEAST_WINDOW_BYTES = 64 << 10
_SPARE_BYTES, _SPARE_S = 12 << 10, 0.004
_START_GAIN, _PROBE_GAIN, _CYCLE_ROUNDS = 2.89, 1.25, 8
_GROWTH, _GROWTHLESS_ROUNDS = 1.25, 3
# A round that was so much faster than all before shows that there is more than was believed.
_FASTER = 1.1
_RATE_KEPT_S = 1.0
_RISE_GAIN, _QUEUE_S, _QUEUE_SHARE = 2.0, 0.004, 1 / 8
_RTT_KEPT_S, _RTT_SHARE = 10.0, 0.5


class PathModel:
    """Learns one direction of one stream. Times are readings of one monotonic clock, handed in."""

    def __init__(self) -> None:
        self._expected_bps, self._expected_rtt_s = 0.0, math.inf
        self._rates: deque[tuple[float, float]] = deque()  # when a round ended, and its highest rate
        self._round_bps, self._round_limited = 0.0, True
        self._round_ends_bytes = 0
        self._rounds = 0
        self._gain = _START_GAIN
        self._starting, self._rising = True, False
        self._plateau_bps, self._growthless = 0.0, 0
        self._rtt_s, self._rtt_seen_s = math.inf, 0.0
        self._rested = False
        self._fresh_rtt_s: float | None = None  # while it is measured anew

    @property
    def _best_bps(self) -> float:
        return max((bps for _, bps in self._rates), default=0.0)

    @property
    def bps(self) -> float | None:
        """What the path is believed to carry; None before anything is known."""
        bps = max(self._best_bps, self._round_bps) if self._rates else max(self._round_bps, self._expected_bps)
        return bps or None

    @property
    def window_bytes(self) -> int:
        """How many bytes may be under way."""
        least = FIRST_WINDOW_BYTES if self._starting else LEAST_WINDOW_BYTES
        bps, rtt_s = self.bps, min(self._rtt_s, math.inf if self._rates else self._expected_rtt_s)
        if bps is None or math.isinf(rtt_s):
            return least
        held = bps * rtt_s / 8
        if self._fresh_rtt_s is not None:
            return max(LEAST_WINDOW_BYTES // 2, int(held * _RTT_SHARE))
        return max(least, int(held + max(_SPARE_BYTES + bps * _SPARE_S / 8, (self._gain - 1) * held)))

    def expect(self, bps: float | None, rtt_s: float) -> None:
        """What others believe, used until this stream has found out itself. rtt_s: 0.0 for unknown.

        Where there is a belief the start is left out: what it sends too much would delay what is urgent.
        """
        self._expected_bps = bps or 0.0
        self._expected_rtt_s = rtt_s or math.inf
        if self._starting and bps and rtt_s and not self._rates:
            self._starting, self._rising, self._gain = False, True, _PROBE_GAIN

    def learn(self, delivery: Delivery, acknowledged_bytes: int, now_s: float) -> None:
        """From one acknowledgement. acknowledged_bytes: in all."""
        self._learn_rtt(delivery.round_trip_s, now_s)
        if not delivery.limited or delivery.rate_bps > (self.bps or 0.0):
            self._round_bps = max(self._round_bps, delivery.rate_bps)
        self._round_limited &= delivery.limited
        if delivery.sent_at_bytes >= self._round_ends_bytes:
            self._end_round(delivery, now_s)
            self._round_ends_bytes = acknowledged_bytes

    def rested(self, now_s: float) -> None:
        """Nothing is under way just now: the next round trip meets no queue, so it may replace an old one."""
        self._rested |= now_s - self._rtt_seen_s > _RTT_KEPT_S

    def _learn_rtt(self, rtt_s: float, now_s: float) -> None:
        if rtt_s <= self._rtt_s or self._rested:
            self._rtt_s, self._rtt_seen_s, self._rested = rtt_s, now_s, False
        if self._fresh_rtt_s is not None:
            self._fresh_rtt_s = min(self._fresh_rtt_s, rtt_s)

    def _end_round(self, last: Delivery, now_s: float) -> None:
        before_bps = self._best_bps
        if self._round_bps:
            self._rates.append((now_s, self._round_bps))
            self._forget_rates(now_s)
        if self._starting:
            self._look_for_the_plateau()
        else:
            self._rounds += 1
            faster = self._round_bps > _FASTER * before_bps
            self._gain = _PROBE_GAIN if faster or self._rounds % _CYCLE_ROUNDS == 0 else 1.0
            self._rise(last)
        self._round_bps, self._round_limited = 0.0, True
        self._renew_rtt(now_s)

    def _forget_rates(self, now_s: float) -> None:
        # By time, too: behind a queue that a slower link has left, eight rounds would be many seconds.
        oldest_s = now_s - max(_RATE_KEPT_S, _CYCLE_ROUNDS * self._rtt_s)
        while len(self._rates) > _CYCLE_ROUNDS or (len(self._rates) > 2 and self._rates[0][0] < oldest_s):
            self._rates.popleft()

    def _rise(self, last: Delivery) -> None:
        """Grow from a belief that may be low, until a round trip shows that there is a queue."""
        if not self._rising or last.sent_at_bytes == 0:  # the first frame of all met no queue in any case
            return
        self._rising = last.round_trip_s - self._rtt_s < max(_QUEUE_S, _QUEUE_SHARE * self._rtt_s)
        if self._rising:
            self._gain = _RISE_GAIN

    def _look_for_the_plateau(self) -> None:
        if self._round_bps > _GROWTH * self._plateau_bps:
            self._plateau_bps, self._growthless = self._round_bps, 0
        elif not self._round_limited:
            self._growthless += 1
        if self._growthless >= _GROWTHLESS_ROUNDS:
            self._starting, self._gain = False, 1.0

    def _renew_rtt(self, now_s: float) -> None:
        if self._fresh_rtt_s is not None and math.isfinite(self._fresh_rtt_s):
            self._rtt_s, self._rtt_seen_s, self._fresh_rtt_s = self._fresh_rtt_s, now_s, None
        elif self._fresh_rtt_s is None and now_s - self._rtt_seen_s > _RTT_KEPT_S:
            self._fresh_rtt_s = math.inf
