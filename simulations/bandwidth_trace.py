"""Bandwidth of one direction over time: what a link could do on a bus, on a ferry, in a living room."""

from __future__ import annotations

from dataclasses import dataclass

from simulations.trace_steps import period_of, step_at

__all__ = ["DEAD_BPS", "BandwidthTrace"]

DEAD_BPS = 1000.0
"""What a recording's zero is held as: a rate cannot be zero, and at this one no request is there before the recording
goes on. Nothing small gets through at it either, whatever its bytes would take: the link was dead."""


@dataclass(frozen=True, slots=True)
class BandwidthTrace:
    """`bandwidths_bps[i]` holds from `times_s[i]` on, over and over: see `trace_steps`."""

    times_s: tuple[float, ...]
    bandwidths_bps: tuple[float, ...]

    @property
    def period_s(self) -> float:
        """How long one run through the trace takes; infinite where it has a single value."""
        return period_of(self.times_s)

    def at(self, time_s: float) -> float:
        """Bits per second at `time_s` after the start."""
        return self.bandwidths_bps[step_at(self.times_s, time_s)]

    def scaled(self, factor: float) -> BandwidthTrace:
        """With so many times the bandwidth; where the link was dead it stays so."""
        scaled = (bps if bps <= DEAD_BPS else factor * bps for bps in self.bandwidths_bps)
        return BandwidthTrace(self.times_s, tuple(scaled))
