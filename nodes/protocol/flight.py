"""What was sent and not acknowledged yet, and what each acknowledgement shows of the path.

The rate is measured as in "Delivery Rate Estimation" (Cheng, Cardwell, Yeganeh, Jacobson;
draft-cheng-iccrg-delivery-rate-estimation): the bytes that were acknowledged between a frame's sending and its
acknowledgement, over that time or the time in which they were sent, whichever is longer. O(1) a frame.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from isthmus.errors import RemoteProtocolError

__all__ = ["Delivery", "Flight"]


class Delivery(NamedTuple):
    """One acknowledgement, by the last frame that it covers.

    rate_bps: 0.0 where it took no time that can be told. round_trip_s: from the frame's sending. sent_at_bytes: what
    had been acknowledged then. limited: there was less to send than could be.
    """

    rate_bps: float
    round_trip_s: float
    sent_at_bytes: int
    limited: bool


class _Sent(NamedTuple):
    end_bytes: int
    sent_s: float
    acknowledged_bytes: int
    acknowledged_s: float
    first_sent_s: float
    limited: bool


class Flight:
    """One direction of a stream. Bytes are counted from its start."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.acknowledged_bytes = 0
        self._frames: deque[_Sent] = deque()
        self._acknowledged_s = 0.0
        self._first_sent_s = 0.0
        self._limited_until_bytes = 0  # the first frames of all meet an empty path

    @property
    def in_flight_bytes(self) -> int:
        """Sent and not acknowledged."""
        return self.sent_bytes - self.acknowledged_bytes

    def sent(self, size_bytes: int, now_s: float) -> None:
        """A frame with so many tensor bytes leaves now."""
        if not self._frames:  # after a pause the clocks start anew, or the pause would count as slowness
            self._acknowledged_s = self._first_sent_s = now_s
        self.sent_bytes += size_bytes
        limited = self.acknowledged_bytes <= self._limited_until_bytes
        self._frames.append(
            _Sent(
                self.sent_bytes, now_s, self.acknowledged_bytes, self._acknowledged_s, self._first_sent_s, limited
            )
        )  # fmt: skip

    def ran_dry(self) -> None:
        """There is nothing to send although more could be: until more than this is acknowledged, rates may be low."""
        self._limited_until_bytes = self.sent_bytes

    def acknowledged(self, total_bytes: int, now_s: float) -> Delivery | None:
        """The peer has so many bytes in all. None where that completes no frame. Raises RemoteProtocolError."""
        if total_bytes > self.sent_bytes:
            raise RemoteProtocolError(f"{total_bytes} bytes acknowledged, {self.sent_bytes} were sent")
        last: _Sent | None = None
        while self._frames and self._frames[0].end_bytes <= total_bytes:
            last = self._frames.popleft()
        self.acknowledged_bytes = max(self.acknowledged_bytes, total_bytes)
        self._acknowledged_s = now_s
        if last is None:
            return None
        self._first_sent_s = last.sent_s
        return self._delivery(last, now_s)

    def _delivery(self, frame: _Sent, now_s: float) -> Delivery:
        span_s = max(now_s - frame.acknowledged_s, frame.sent_s - frame.first_sent_s)
        delivered = self.acknowledged_bytes - frame.acknowledged_bytes
        return Delivery(
            rate_bps=8 * delivered / span_s if span_s > 0 else 0.0,
            round_trip_s=now_s - frame.sent_s,
            sent_at_bytes=frame.acknowledged_bytes,
            limited=frame.limited,
        )
