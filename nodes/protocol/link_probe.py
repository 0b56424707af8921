"""When to look at an idle link, and with how many bytes, so that a request finds what is believed of it true.

What crosses with requests teaches the link by itself. Where requests stay on the edge because the link was slow, or
send so little that it shows no more than how slow the link is not, nothing does, and a link that has recovered would
not be noticed. Then, and only then, a padded echo now and then goes up: only while requests come that could have used
the link, as long as nothing longer crossed lately, and a small one first:
what is believed is what may be wrong, and a long one would take a link that has become slow for a minute. One goes,
too, after a request that crossed and was waited for past its patience, which teaches nothing of the link. In the mean
no more than `PROBE_BYTES_PER_S` go up: 7 MB an hour while requests stay, are short or late, nothing while none come.
"""

from __future__ import annotations

import math

__all__ = ["LEAST_PROBE_BYTES", "MOST_PROBE_BYTES", "PROBE_BYTES_PER_S", "SHORT_BYTES", "LinkProbe", "told_span_s"]

# A request's choice rests on what was seen in this time; real transfers come more often wherever requests cross.
FRESH_S = 1.0
# A probe that is off what was believed by more than this factor is followed by one twice as long, at once: one short
# transfer is weak evidence, and the longest that fits the link is not known yet. So is one that only shows how slow the
# link is not: a fast one would be taken for as fast as the shortest can show.
_SURPRISE = 1.5
MOST_PROBE_BYTES = 32 << 10
PROBE_BYTES_PER_S = 2 << 10
# Less says how the receiver was scheduled, not how fast the link is.
LEAST_PROBE_BYTES = 2 << 10
SHORT_BYTES = 2 * LEAST_PROBE_BYTES
"""A request that sends less tells as little as a probe that is to be followed by a longer one."""
# Of the time of an echo, this much may be round trip and scheduling.
_UNSURE_RTT_SHARE, _UNSURE_S = 0.1, 0.001


class LinkProbe:
    """Asked whenever an echo is due and nothing is under way, and at once where `again` says so. Times are readings of
    one monotonic clock; rates are bits per second."""

    def __init__(self) -> None:
        self._stayed_s = -math.inf
        self._seen_s = -math.inf
        self._rest_until_s = -math.inf
        self._under_way_bytes = 0
        self._next_bytes = 0

    def stayed(self, now_s: float) -> None:
        """A request was answered or refused without the link."""
        self._stayed_s = now_s

    def crossed(self, up_bytes: int, now_s: float) -> None:
        """A request's bytes crossed: they say more than a probe, unless they are few."""
        if up_bytes < SHORT_BYTES:
            self._stayed_s = now_s
        else:
            self._seen_s, self._under_way_bytes, self._next_bytes = now_s, 0, 0

    def doubted(self, now_s: float) -> None:
        """A request that crossed was waited for past its patience, most likely for its replica: a probe tells, at once,
        whether it was for the link."""
        if now_s >= self._rest_until_s:
            self._next_bytes = LEAST_PROBE_BYTES

    def returned(self, bps: float, believed_bps: float | None, now_s: float) -> None:
        """A probe is back. bps: what it saw, infinite where it only shows how slow the link is not. believed_bps:
        before."""
        self._seen_s = now_s
        size, self._under_way_bytes = self._under_way_bytes, 0
        near = believed_bps is not None and 1 / _SURPRISE <= bps / believed_bps <= _SURPRISE
        self._next_bytes = 0 if near or size >= MOST_PROBE_BYTES else 2 * size

    @property
    def again(self) -> bool:
        """Whether the next probe is due now."""
        return self._next_bytes > 0

    def wants(self, now_s: float) -> bool:
        """Whether an echo that goes up now shall be padded: for whom what is believed is dear to find out."""
        return not self._under_way_bytes and (self.again or self._is_due(now_s))

    def _is_due(self, now_s: float) -> bool:
        return self._stayed_s > self._seen_s and now_s >= max(self._seen_s + FRESH_S, self._rest_until_s)

    def padding_bytes(self, now_s: float) -> int:
        """How long the echo shall be that goes up now; 0 for a small one, which only times the round trip. Taken as
        sent."""
        if self._under_way_bytes:
            return 0
        wanted, self._next_bytes = self._next_bytes, 0
        if not wanted and self._is_due(now_s):
            wanted = LEAST_PROBE_BYTES
        size = self._under_way_bytes = min(MOST_PROBE_BYTES, wanted)
        if size:
            self._rest_until_s = max(self._rest_until_s, now_s) + size / PROBE_BYTES_PER_S
        return size


def told_span_s(size_bytes: int, span_s: float, rtt_s: float, believed_bps: float | None) -> float | None:
    """The seconds on the wire that a probe shows which took `span_s` more than a small echo. Of a short one some of it
    may be round trip and scheduling: it took no longer than what can be told from these, and says nothing, None, where
    it is believed to be as quick anyhow. The longest must do."""
    told_s = 2 * (_UNSURE_RTT_SHARE * rtt_s + _UNSURE_S)
    if size_bytes >= MOST_PROBE_BYTES or span_s > told_s or math.isinf(rtt_s):
        return span_s
    return None if (believed_bps or 0.0) * told_s >= 8 * size_bytes else told_s
