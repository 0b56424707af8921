"""A link between edge and cloud, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isthmus.errors import InvalidQuantity
from isthmus.units import format_bandwidth, format_duration, parse_bandwidth_bps, parse_duration_s

__all__ = ["Link"]

# What a person asks for; beyond it times would lose their digits. Estimates may be anything.
_LEAST_BPS, _MOST_BPS, _MOST_RTT_S = 1.0, 1e15, 1e6


@dataclass(frozen=True, slots=True)
class Link:
    """Bits per second each way and the round-trip time in seconds (half of it each way).

    Raises InvalidQuantity naming the field on NaN, infinite or negative values and on a bandwidth of zero.
    """

    uplink_bps: float
    downlink_bps: float
    rtt_s: float

    def __post_init__(self) -> None:
        # One is made for nearly every request: what is plainly a link needs no parsing.
        if type(self.uplink_bps) is type(self.downlink_bps) is type(self.rtt_s) is float and (
            0.0 < self.uplink_bps < math.inf and 0.0 < self.downlink_bps < math.inf and 0.0 <= self.rtt_s < math.inf
        ):
            return
        object.__setattr__(self, "uplink_bps", parse_bandwidth_bps(self.uplink_bps, "link.uplink"))
        object.__setattr__(self, "downlink_bps", parse_bandwidth_bps(self.downlink_bps, "link.downlink"))
        object.__setattr__(self, "rtt_s", parse_duration_s(self.rtt_s, "link.rtt"))

    @classmethod
    def of(
        cls,
        bandwidth: str | float | None = None,
        rtt: str | float = 0.0,
        *,
        uplink: str | float | None = None,
        downlink: str | float | None = None,
    ) -> Link:
        """`Link.of("20mbps", "30ms")`; `uplink` and `downlink` override `bandwidth` one way. Raises InvalidQuantity."""
        up, down = (bandwidth if way is None else way for way in (uplink, downlink))
        if up is None or down is None:
            raise InvalidQuantity("link.bandwidth", "is missing", remedy="give bandwidth, or uplink and downlink")
        return cls(
            _asked_bps(up, "link.bandwidth" if uplink is None else "link.uplink"),
            _asked_bps(down, "link.bandwidth" if downlink is None else "link.downlink"),
            _asked_rtt_s(rtt),
        )

    def uplink_s(self, size_bytes: float) -> float:
        """Seconds that the uplink is busy with `size_bytes`, without propagation."""
        return size_bytes * 8.0 / self.uplink_bps

    def downlink_s(self, size_bytes: float) -> float:
        """Seconds that the downlink is busy with `size_bytes`, without propagation."""
        return size_bytes * 8.0 / self.downlink_bps

    def __str__(self) -> str:
        up, down = format_bandwidth(self.uplink_bps), format_bandwidth(self.downlink_bps)
        both = up if up == down else f"{up} up, {down} down"
        return f"{both}, RTT {format_duration(self.rtt_s)}"


def _asked_bps(given: str | float, field: str) -> float:
    bps = parse_bandwidth_bps(given, field)
    if not _LEAST_BPS <= bps <= _MOST_BPS:
        raise InvalidQuantity(field, "is no bandwidth of a link", value=given, remedy="use 1bps to 1000000gbps")
    return bps


def _asked_rtt_s(given: str | float) -> float:
    rtt_s = parse_duration_s(given, "link.rtt")
    if rtt_s > _MOST_RTT_S:
        raise InvalidQuantity("link.rtt", "is longer than any", value=given, remedy="use 1000000s or less, like 30ms")
    return rtt_s
