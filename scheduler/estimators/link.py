"""The link as now believed: bandwidth each way and round trip, with how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.chooser import Transfer
from partitioner.link import Link
from scheduler.estimators.bandwidth import BandwidthEstimate, BandwidthEstimator
from scheduler.estimators.round_trip import RoundTripEstimator

__all__ = ["ASSUMED_RTT_S", "LinkEstimate", "LinkEstimator"]

# Used only until the first echo is back, for a link whose bandwidth is known already.
ASSUMED_RTT_S = 0.02


@dataclass(frozen=True, slots=True)
class LinkEstimate:
    """uplink, downlink: None for a direction in which nothing of use was seen. rtt_s: None before the first echo."""

    uplink: BandwidthEstimate | None
    downlink: BandwidthEstimate | None
    rtt_s: float | None

    @property
    def link(self) -> Link | None:
        """The believed link: a direction that was never seen is taken to be like the other. None without either."""
        uplink, downlink = self.uplink or self.downlink, self.downlink or self.uplink
        if uplink is None or downlink is None:
            return None
        return Link(uplink.bps, downlink.bps, ASSUMED_RTT_S if self.rtt_s is None else self.rtt_s)


class LinkEstimator:
    """Learns one link from transfers and echoes. Deterministic and without a clock: times are handed in.

    Nothing that is observed raises: a peer's numbers that make no sense are ignored.
    """

    def __init__(self) -> None:
        self._directions = {"up": BandwidthEstimator(), "down": BandwidthEstimator()}
        self._round_trip = RoundTripEstimator()

    def observe_transfer(self, transfer: Transfer, now_s: float) -> None:
        """Learn from bytes that arrived."""
        self._directions[transfer.direction].observe(transfer.size_bytes, transfer.span_s, now_s)

    def observe_rtt(self, rtt_s: float, now_s: float) -> None:
        """Learn from a small echo."""
        self._round_trip.observe(rtt_s, now_s)

    def estimate(self, now_s: float) -> LinkEstimate:
        """What is believed now, with its uncertainty."""
        return LinkEstimate(
            uplink=self._directions["up"].estimate(now_s),
            downlink=self._directions["down"].estimate(now_s),
            rtt_s=self._round_trip.estimate_s(),
        )
