"""What connections see of the link, told to the chooser with the time at which it was seen."""

from __future__ import annotations

import time

from nodes.chooser import Chooser, Exchange, Transfer

__all__ = ["ChooserObserver"]


class ChooserObserver:
    """Hands what a connection learns about the link to the chooser, with the time."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser

    def uplink_bps(self) -> float | None:
        """See LinkObserver."""
        link = self._chooser.link()
        return None if link is None else link.uplink_bps

    def downlink_bps(self) -> float | None:
        """See LinkObserver."""
        link = self._chooser.link()
        return None if link is None else link.downlink_bps

    def rtt_measured(self, rtt_s: float) -> None:
        """See LinkObserver."""
        self._chooser.observe_rtt(rtt_s, time.monotonic())

    def transfer_measured(self, direction: str, size_bytes: int, span_s: float) -> None:
        """See LinkObserver."""
        self._chooser.observe_transfer(
            Transfer("up" if direction == "up" else "down", size_bytes, span_s), time.monotonic()
        )

    def exchange_measured(self, up_bytes: int, down_bytes: int, wire_s: float) -> None:
        """See LinkObserver."""
        self._chooser.observe_exchange(Exchange(up_bytes, down_bytes, wire_s), time.monotonic())
