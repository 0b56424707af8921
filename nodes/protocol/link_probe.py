"""When to look at an idle link, and with how many bytes, so that a request finds what is believed of it true.

What crosses with requests teaches the link by itself. Where requests stay on the edge because the link was slow, nothing
does, and a link that has recovered would not be noticed. Then, and only then, a padded echo now and then goes up: only
while requests come that could have used the link, as long as nothing crossed lately, and small enough to take the link
for a moment only, by what is believed of it.
"""

from __future__ import annotations

import math

__all__ = ["LEAST_PROBE_BYTES", "MOST_PROBE_BYTES", "LinkProbe"]

# A request's choice rests on what was seen in this time; real transfers come more often wherever requests cross.
FRESH_S = 2.0
# A probe that changed what is believed by more than this factor is repeated at once, in the size that fits by then.
_SURPRISE = 1.5
# The link may be taken for so long.
_PROBE_S = 0.05
MOST_PROBE_BYTES = 32 << 10
# Less says how the receiver was scheduled, not how fast the link is.
LEAST_PROBE_BYTES = 2 << 10


class LinkProbe:
    """Asked whenever an echo is due and nothing is under way. Times are readings of one monotonic clock."""

    def __init__(self) -> None:
        self._stayed_s = -math.inf
        self._seen_s = -math.inf
        self._believed_bps = 0.0
        self._under_way = False
        self._again = False

    def stayed(self, now_s: float) -> None:
        """A request was answered without the link."""
        self._stayed_s = now_s

    def crossed(self, bps: float | None, now_s: float) -> None:
        """Bytes crossed, a probe's or a request's. bps: what is believed since."""
        probed, self._under_way = self._under_way, False
        before, self._believed_bps = self._believed_bps, bps or 0.0
        self._seen_s = now_s
        ratio = self._believed_bps / before if before > 0 else math.inf
        self._again = probed and not 1 / _SURPRISE <= ratio <= _SURPRISE

    def padding_bytes(self, bps: float | None, now_s: float) -> int:
        """How long the echo shall be that goes up now; 0 for a small one, which only times the round trip.

        bps: what is believed of the uplink, None for nothing yet. Taken as sent.
        """
        if self._under_way or self._stayed_s <= self._seen_s:
            return 0
        if not self._again and now_s - self._seen_s < FRESH_S:
            return 0
        self._under_way = True
        return int(min(MOST_PROBE_BYTES, max(LEAST_PROBE_BYTES, (bps or 0.0) * _PROBE_S / 8)))
