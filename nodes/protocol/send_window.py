"""How much one side may have under way on its direction of the stream."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.protocol.flight import Flight
from nodes.protocol.path_model import PathModel
from nodes.protocol.receipts import ACK_EVERY_BYTES

__all__ = ["SMALL_FRAME_BYTES", "Credit", "SendWindow"]

SMALL_FRAME_BYTES = 16 << 10
"""A frame up to this size may exceed the window by as much, so that it need not wait for a chunk's acknowledgement."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What is under way, and what may be; a little more where the frame is small (see SMALL_FRAME_BYTES)."""

    under_way_bytes: int
    window_bytes: int


class SendWindow:
    """One direction of one stream. capped: the peer acknowledges; otherwise there is always room, as before 2.2."""

    def __init__(self) -> None:
        self.capped = False
        self._flight = Flight()
        self._path = PathModel()
        self._expected_bps: float | None = None

    @property
    def bps(self) -> float | None:
        """What the direction is believed to carry, None before anything is known."""
        return self._path.bps if self.capped else self._expected_bps

    @property
    def credit(self) -> Credit | None:
        """None where the peer does not acknowledge, so that nobody knows."""
        return Credit(self._flight.in_flight_bytes, self._path.window_bytes) if self.capped else None

    @property
    def sent_bytes(self) -> int:
        """In all."""
        return self._flight.sent_bytes

    @property
    def acknowledged_bytes(self) -> int:
        """What the peer has said that it has, of those."""
        return self._flight.acknowledged_bytes

    @property
    def largest_frame_bytes(self) -> int:
        """Half a window, or nothing else would be under way; at first less, to see the round trip of a small frame."""
        parts = 2 if self._path.bps else 8
        return self._path.window_bytes // parts if self.capped else 1 << 62

    def expect(self, bps: float | None, rtt_s: float) -> None:
        """What others believe of the direction. rtt_s: 0.0 for unknown."""
        self._expected_bps = bps
        self._path.expect(bps, rtt_s)

    def has_room(self, size_bytes: int) -> bool:
        """Whether a frame of so many tensor bytes may leave now."""
        under_way = self._flight.in_flight_bytes
        if not self.capped or under_way < ACK_EVERY_BYTES:  # so little may never be acknowledged
            return True
        spare_bytes = SMALL_FRAME_BYTES if size_bytes <= SMALL_FRAME_BYTES else 0
        return under_way + size_bytes <= self._path.window_bytes + spare_bytes

    def sent(self, size_bytes: int, now_s: float) -> None:
        """A frame leaves."""
        if not self.capped:
            self._flight.sent_bytes += size_bytes
            return
        if self._flight.in_flight_bytes < ACK_EVERY_BYTES:
            self._path.rested(now_s)
        self._flight.sent(size_bytes, now_s)

    def ran_dry(self) -> None:
        """There is nothing to send."""
        if self.has_room(ACK_EVERY_BYTES):
            self._flight.ran_dry()

    def acknowledged(self, total_bytes: int, now_s: float) -> None:
        """The peer says how many bytes it has in all. Raises RemoteProtocolError for more than were sent."""
        delivery = self._flight.acknowledged(total_bytes, now_s)
        if delivery is not None:
            self._path.learn(delivery, self._flight.acknowledged_bytes, now_s)
