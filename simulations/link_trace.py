"""A recorded link: bandwidth each way and round trips over time, as `isthmus record` writes it and a relay plays it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from statistics import median

from simulations.bandwidth_trace import BandwidthTrace
from simulations.round_trips import RoundTrips

__all__ = ["LinkState", "LinkTrace", "play_trace"]


@dataclass(frozen=True, slots=True)
class LinkState:
    """What the link does at a moment. rtt_s: None where the recording has none."""

    uplink_bps: float
    downlink_bps: float
    rtt_s: float | None


@dataclass(frozen=True, slots=True)
class LinkTrace:
    """Values of one place hold from `times_s` there until the next time, as in a BandwidthTrace.

    A recording of one direction has the same bandwidth both ways. rtts_s: None where it holds no round trips.
    """

    times_s: tuple[float, ...]
    uplink_bps: tuple[float, ...]
    downlink_bps: tuple[float, ...]
    rtts_s: tuple[float, ...] | None = None

    @property
    def uplink(self) -> BandwidthTrace:
        """The way to the cloud."""
        return BandwidthTrace(self.times_s, self.uplink_bps)

    @property
    def downlink(self) -> BandwidthTrace:
        """The way back."""
        return BandwidthTrace(self.times_s, self.downlink_bps)

    @property
    def rtt_s(self) -> float | None:
        """The median round trip, for whoever wants one number; None where the recording has none."""
        return None if self.rtts_s is None else median(self.rtts_s)

    @property
    def round_trips(self) -> RoundTrips | None:
        """Over time; None where the recording has none."""
        if self.rtts_s is None:
            return None
        return RoundTrips(self.times_s, self.rtts_s, median(self.rtts_s))

    def changes(self) -> Iterator[tuple[float, LinkState]]:
        """(seconds after the start, state) of every change, in order; without end where the trace repeats."""
        rtts_s = self.rtts_s if self.rtts_s is not None else (None,) * len(self.times_s)
        rows = list(zip(self.times_s, map(LinkState, self.uplink_bps, self.downlink_bps, rtts_s), strict=True))
        period_s = self.uplink.period_s
        for lap in count():
            for time_s, state in rows:
                yield lap * period_s + time_s if lap else time_s, state
            if math.isinf(period_s):
                return


async def play_trace(trace: LinkTrace, set_state: Callable[[LinkState], None]) -> None:
    """Call `set_state` whenever the trace changes, from now on until cancelled.

    Each change is timed from the start, so that lateness does not add up.
    """
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    for time_s, state in trace.changes():
        await asyncio.sleep(start_s + time_s - loop.time())
        set_state(state)
