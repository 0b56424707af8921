"""Round trips of a link as they were recorded."""

from __future__ import annotations

from dataclasses import dataclass

from simulations.trace_steps import step_at

__all__ = ["RoundTrips"]


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """`rtts_s[i]` holds from `times_s[i]` on, over and over: see `trace_steps`. usual_s: for whoever wants one number.
    start_s: where in the recording a run begins."""

    times_s: tuple[float, ...]
    rtts_s: tuple[float, ...]
    usual_s: float
    start_s: float = 0.0

    def at(self, moment_s: float) -> float:
        """There and back, of what leaves at that moment of the run."""
        return self.rtts_s[step_at(self.times_s, self.start_s + moment_s)]
