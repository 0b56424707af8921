"""The link as now believed: bandwidth each way and round trip, with how sure that is."""

from __future__ import annotations

from typing import NamedTuple

from nodes.chooser import Exchange, Transfer
from partitioner.link import Link
from scheduler.estimators.bandwidth import BandwidthEstimate, BandwidthEstimator
from scheduler.estimators.round_trip import RoundTripEstimator

__all__ = ["ASSUMED_RTT_S", "LinkEstimate", "LinkEstimator"]

# Used only until the first echo is back, for a link whose bandwidth is known already.
ASSUMED_RTT_S = 0.02
# Of a small request's time on the way, this much may be round trip and scheduling; only the rest is bytes on the link.
_UNCERTAIN_RTT_SHARE = 0.1
_UNCERTAIN_S = 0.001


class LinkEstimate(NamedTuple):  # made at each request
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

    @property
    def uplink_spread(self) -> float:
        """One standard deviation of the uplink's rate, as a share of it; 0 where nothing is believed."""
        estimate = self.uplink or self.downlink
        return 0.0 if estimate is None else estimate.uncertainty

    @property
    def downlink_spread(self) -> float:
        """The same of the downlink."""
        estimate = self.downlink or self.uplink
        return 0.0 if estimate is None else estimate.uncertainty


class LinkEstimator:
    """Learns one link from transfers and echoes. Deterministic and without a clock: times are handed in.

    Nothing that is observed raises: a peer's numbers that make no sense are ignored.
    """

    def __init__(self) -> None:
        self._up, self._down = BandwidthEstimator(), BandwidthEstimator()
        self._round_trip = RoundTripEstimator()

    def observe_transfer(self, transfer: Transfer, now_s: float) -> None:
        """Learn from bytes that arrived, or of which no more had."""
        direction = self._up if transfer.direction == "up" else self._down
        learn = direction.observe if transfer.finished else direction.observe_unfinished
        learn(transfer.size_bytes, transfer.span_s, now_s)

    def observe_exchange(self, exchange: Exchange, now_s: float) -> None:
        """Learn both directions from a small request. Where its bytes took no time that can be told from the round
        trip, it shows no more than how slow the link is not."""
        rtt_s = self._round_trip.estimate_s()
        if rtt_s is None:
            return
        spare_s, doubt_s = exchange.wire_s - rtt_s, _UNCERTAIN_RTT_SHARE * rtt_s + _UNCERTAIN_S
        if spare_s > 2 * doubt_s:
            self._observe_both(exchange, spare_s, now_s)
        elif self._slower_than(exchange, 2 * doubt_s, now_s):
            self._observe_both(exchange, 2 * doubt_s, now_s)

    def _observe_both(self, exchange: Exchange, bytes_s: float, now_s: float) -> None:
        """Share the time between the directions as the believed rates do."""
        up_s, down_s = self._believed_s(exchange, now_s)
        share = up_s / (up_s + down_s) if up_s + down_s > 0 else 1.0
        self._up.observe(exchange.up_bytes, bytes_s * share, now_s)
        if self._down.estimate(now_s) is not None:
            self._down.observe(exchange.down_bytes, bytes_s * (1 - share), now_s)

    def _slower_than(self, exchange: Exchange, bytes_s: float, now_s: float) -> bool:
        return self.estimate(now_s).link is not None and sum(self._believed_s(exchange, now_s)) > bytes_s

    def _believed_s(self, exchange: Exchange, now_s: float) -> tuple[float, float]:
        """What the bytes take each way by what is believed; by size alone where nothing is."""
        link = self.estimate(now_s).link or Link(1e6, 1e6, 0.0)
        return link.uplink_s(exchange.up_bytes), link.downlink_s(exchange.down_bytes)

    def observe_rtt(self, rtt_s: float, now_s: float) -> None:
        """Learn from a small echo."""
        self._round_trip.observe(rtt_s, now_s)

    def estimate(self, now_s: float) -> LinkEstimate:
        """What is believed now, with its uncertainty."""
        uplink, downlink = self._up.estimate(now_s), self._down.estimate(now_s)
        return LinkEstimate(uplink, downlink, self._round_trip.estimate_s())
