"""When to look at an idle link, and with how many bytes, so that a request finds what is believed of it true.

What crosses with requests teaches the link by itself. Where requests stay on the edge because the link was slow,
nothing does, and a link that has recovered would not be noticed. Then, and only then, a padded echo now and then goes
up: only while requests come that could have used the link, as long as nothing crossed lately, and small enough to take
the link for a moment only, by what is believed of it. In the mean no more than `PROBE_BYTES_PER_S` go up: 7 MB an hour
while requests stay, nothing while none come.
"""

from __future__ import annotations

import math

__all__ = ["LEAST_PROBE_BYTES", "MOST_PROBE_BYTES", "PROBE_BYTES_PER_S", "LinkProbe"]

# A request's choice rests on what was seen in this time; real transfers come more often wherever requests cross.
FRESH_S = 1.0
# A probe that is off what was believed by more than this factor is followed by one twice as long, at once: one short
# transfer is weak evidence, and the longest that fits the link is not known yet.
_SURPRISE = 1.5
# The link may be taken for so long, by what is believed of it.
_PROBE_S = 0.05
MOST_PROBE_BYTES = 32 << 10
PROBE_BYTES_PER_S = 2 << 10
# Less says how the receiver was scheduled, not how fast the link is.
LEAST_PROBE_BYTES = 2 << 10


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

    def crossed(self, now_s: float) -> None:
        """A request's bytes crossed: they say more than a probe."""
        self._seen_s, self._under_way_bytes, self._next_bytes = now_s, 0, 0

    def returned(self, bps: float, believed_bps: float | None, now_s: float) -> None:
        """A probe is back. bps: what it saw. believed_bps: before."""
        self._seen_s = now_s
        size, self._under_way_bytes = self._under_way_bytes, 0
        near = believed_bps is not None and 1 / _SURPRISE <= bps / believed_bps <= _SURPRISE
        self._next_bytes = 0 if near or size >= MOST_PROBE_BYTES else 2 * size

    @property
    def again(self) -> bool:
        """Whether the next probe is due now."""
        return self._next_bytes > 0

    def padding_bytes(self, believed_bps: float | None, now_s: float) -> int:
        """How long the echo shall be that goes up now; 0 for a small one, which only times the round trip. Taken as
        sent. believed_bps: of the uplink, None for nothing yet."""
        if self._under_way_bytes:
            return 0
        wanted, self._next_bytes = self._next_bytes, 0
        if not wanted and self._stayed_s > self._seen_s and now_s >= max(self._seen_s + FRESH_S, self._rest_until_s):
            wanted = int((believed_bps or 0.0) * _PROBE_S / 8)
            wanted = max(LEAST_PROBE_BYTES, wanted)
        size = self._under_way_bytes = min(MOST_PROBE_BYTES, wanted)
        if size:
            self._rest_until_s = max(self._rest_until_s, now_s) + size / PROBE_BYTES_PER_S
        return size
