"""What a node asks of whoever estimates waits, before its own compute and on a replica; the scheduler answers."""

from __future__ import annotations

from typing import Protocol

__all__ = ["CloudQueue", "EdgeQueue", "WayUp"]


class EdgeQueue(Protocol):
    """The expected wait for this device's compute. Times are readings of the caller's monotonic clock."""

    def submitted(self, work_id: int, expected_s: float, now_s: float) -> None:
        """Work was queued that is predicted to take `expected_s`."""

    def finished(self, work_id: int, now_s: float) -> None:
        """Work ended, or was dropped."""

    def wait_s(self, now_s: float) -> float:
        """Seconds until work submitted now would start."""


class CloudQueue(Protocol):
    """The expected wait before a suffix starts on one replica."""

    def reported(self, queued_s: float, now_s: float, delay_s: float = 0.0) -> None:
        """The replica said how much work waits there; the report travelled for `delay_s`."""

    def sent(self, request_id: int, expected_s: float, now_s: float) -> None:
        """An own request left, its suffix predicted to take `expected_s`."""

    def finished(self, request_id: int) -> None:
        """An own request was answered, failed or was cancelled."""

    def wait_s(self, now_s: float) -> float:
        """Seconds that a suffix sent now is expected to wait."""


class WayUp(Protocol):
    """The expected wait for a link that requests share. Times are readings of the caller's monotonic clock."""

    def sent(self, size_bytes: int, uplink_bps: float | None, expected_s: float, now_s: float) -> int:
        """A request left whose answer is predicted in `expected_s`; returns its number. uplink_bps: as believed."""

    def finished(self, number: int, now_s: float) -> None:
        """It was answered, failed or was given up."""

    def stays(self, number: int) -> None:
        """It is late and waited for all the same: its bytes go on, but it says no more of how long others will wait."""

    def crossing_s(self, now_s: float) -> float:
        """Seconds until the bytes that were sent before have crossed, at the rate that is believed."""

    def wait_s(self, now_s: float) -> float:
        """Seconds that a request sent now is expected to wait before its bytes cross: until those before it have, or
        for as long as what is overdue has been, whichever is longer."""
