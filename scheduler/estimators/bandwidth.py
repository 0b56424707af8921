"""The bandwidth of one direction of a link, from transfers of any size.

Method: exponentially forgotten sums of bytes and of seconds, so that a transfer weighs as much as it carried and a
tiny one hardly moves the estimate; a transfer far off the estimate counts only up to a limit (as in Huber's
M-estimators); and a change detector in the manner of CUSUM: when enough transfers in a row are far off on the same
side, the link has changed, and they become the estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["MIN_TRANSFER_BYTES", "BandwidthEstimate", "BandwidthEstimator"]

# Below this a transfer fits one or two packets, and its span says how the receiver was scheduled.
MIN_TRANSFER_BYTES = 1024
# From this size on, a transfer forgets the past at the full rate: three transfers of equal size leave 6 % of it.
_FULL_WEIGHT_BYTES = 16 * 1024
_KEPT = 0.4
# A transfer counts as at most this factor faster or slower than the estimate...
_LIMIT = 1.5
# ...until so many in a row were beyond it, on one side, with this share of the evidence in bytes or in seconds.
_CHANGE_TRANSFERS = 2
_CHANGE_SHARE = 0.25
_EVIDENCE_CAP_BYTES = 256 * 1024
# The least doubt after one transfer, and how fast doubt grows when nothing is seen: a factor of e^0.3 after 10 s.
_FIRST_SPREAD = 0.3
_DRIFT_PER_S = 0.03
_MIN_BPS, _MAX_BPS = 1.0, 1e13

_Side = Literal["faster", "slower", "near"]


class BandwidthEstimate(NamedTuple):  # made at each request
    """bps: bits per second. uncertainty: one standard deviation of log(bps). age_s: since the last transfer."""

    bps: float
    uncertainty: float
    age_s: float


@dataclass(slots=True)
class _Evidence:
    """Forgotten sums: what arrived, and how long it took."""

    size_bytes: float = 0.0
    span_s: float = 0.0
    transfers: int = 0

    def add(self, size_bytes: float, span_s: float, kept: float = 1.0) -> None:
        self.size_bytes = self.size_bytes * kept + size_bytes
        self.span_s = self.span_s * kept + span_s
        self.transfers += 1


class BandwidthEstimator:
    """Learns one direction. Transfers that are too small, not finite or without a span are ignored, never an error:
    they come from the peer."""

    def __init__(self) -> None:
        self._seen = _Evidence()
        self._off = _Evidence()
        self._off_side: _Side = "near"
        self._variance = _FIRST_SPREAD**2
        self._last_s = -math.inf

    def observe(self, size_bytes: int, span_s: float, now_s: float) -> None:
        """`size_bytes` arrived over `span_s` seconds, seen now."""
        if size_bytes < MIN_TRANSFER_BYTES or not _credible(size_bytes, span_s):
            return
        if now_s > self._last_s:
            self._last_s = now_s
        seen = self._seen
        if not seen.transfers:
            seen.add(size_bytes, span_s)
            return
        believed = seen.span_s / seen.size_bytes
        ratio = span_s / size_bytes / believed
        side = _side(ratio)
        # Nearly every transfer is near what is believed, after one that was.
        if (side != "near" or self._off_side != "near") and self._changed(size_bytes, span_s, side):
            self._restart()
            return
        self._blend(size_bytes, believed, ratio)

    def observe_unfinished(self, size_bytes: int, span_s: float, now_s: float) -> None:
        """No more than `size_bytes` had arrived after `span_s` seconds, and more was to come: the direction is no
        faster. That says nothing where it is believed to be slower anyhow."""
        seen = self._seen
        if seen.transfers and span_s * seen.size_bytes > size_bytes * seen.span_s:
            self.observe(size_bytes, span_s, now_s)

    def estimate(self, now_s: float) -> BandwidthEstimate | None:
        """What is believed now; None before the first transfer."""
        seen = self._seen
        if not seen.transfers:
            return None
        age_s = now_s - self._last_s if now_s > self._last_s else 0.0
        uncertainty = math.sqrt(self._variance) + _DRIFT_PER_S * age_s
        return BandwidthEstimate(8.0 * seen.size_bytes / seen.span_s, uncertainty, age_s)

    def _changed(self, size_bytes: int, span_s: float, side: _Side) -> bool:
        """Note on which side of what is believed this transfer is, and say whether that makes a change of the link."""
        if side != self._off_side:
            self._off, self._off_side = _Evidence(), side
        if side == "near":
            return False
        self._off.add(size_bytes, span_s)
        return self._off.transfers >= _CHANGE_TRANSFERS and self._off_outweighs()

    def _off_outweighs(self) -> bool:
        # Seconds as well as bytes: small slow transfers are strong evidence of a slow link, small fast ones are weak.
        held_bytes = min(self._seen.size_bytes, _EVIDENCE_CAP_BYTES)
        return (
            self._off.size_bytes >= _CHANGE_SHARE * held_bytes or self._off.span_s >= _CHANGE_SHARE * self._seen.span_s
        )

    def _restart(self) -> None:
        self._seen, self._off, self._off_side = self._off, _Evidence(), "near"
        self._variance = _FIRST_SPREAD**2

    def _blend(self, size_bytes: int, believed: float, ratio: float) -> None:
        weight = min(1.0, size_bytes / _FULL_WEIGHT_BYTES)
        kept = _KEPT**weight
        self._variance = self._variance * kept + (1 - kept) * math.log(ratio) ** 2
        self._seen.add(size_bytes, size_bytes * believed * min(max(ratio, 1 / _LIMIT), _LIMIT), kept)


def _credible(size_bytes: int, span_s: float) -> bool:
    # A span that is no number is in no range, and an infinite one is below it.
    return span_s > 0 and _MIN_BPS <= 8.0 * size_bytes / span_s <= _MAX_BPS


def _side(ratio: float) -> _Side:
    if ratio > _LIMIT:
        return "slower"
    return "faster" if ratio < 1 / _LIMIT else "near"
