"""Counts, while a run goes, which requests keep the promise, by windows of their arrival; and where time goes of those
that do and of those that do not."""

from __future__ import annotations

from simulations.answers.ratio import Counted
from simulations.answers.slo import Slo
from simulations.run_record import STAGES
from simulations.site_request import Arrival, Served

__all__ = ["SloWindows"]


class SloWindows:
    """Of one run. `arrived` and `ended` are called with each request. requests: that count, so far. kept_s, broken_s,
    refused_s: the stages of those that keep the promise, of those that do not, and of those that were refused, as they
    were foreseen; sums."""

    def __init__(self, slo: Slo, from_s: float, until_s: float, windows: int) -> None:
        """from_s, until_s: when what arrives counts."""
        self._slo, self._from_s, self._until_s = slo, from_s, until_s
        self.length_s = (until_s - from_s) / windows
        self._arrived, self._kept = [0] * windows, [0] * windows
        self.requests = 0
        self.kept_s, self.broken_s, self.refused_s = ([0.0] * len(STAGES) for _ in range(3))
        self.kept = self.refused = self.broken = 0

    def window(self, time_s: float) -> int | None:
        """In which something that comes then is counted."""
        if not self._from_s <= time_s < self._until_s:
            return None
        return min(len(self._kept) - 1, int((time_s - self._from_s) / self.length_s))

    def arrived(self, arrival: Arrival) -> None:
        """A request came."""
        window = self.window(arrival.time_s)
        if window is not None:
            self._arrived[window] += 1
            self.requests += 1

    def ended(self, served: Served) -> None:
        """It was answered, or will not be."""
        window = self.window(served.arrival.time_s)
        if window is None:
            return
        keeps = served.answered and served.took_s <= self._slo.within_s
        self._kept[window] += keeps
        self.kept += keeps
        if served.refused:
            self.refused += 1
            sums, stages = self.refused_s, served.foreseen
        else:
            self.broken += not keeps
            sums, stages = self.kept_s if keeps else self.broken_s, served.stages
        for place, name in enumerate(STAGES):
            sums[place] += getattr(stages, name)

    def settled_s(self, windows: int) -> float:
        """When so many windows can be judged: who came in them was answered in time by then, or was not."""
        return self._from_s + windows * self.length_s + self._slo.within_s

    def counts(self, windows: int) -> list[Counted]:
        """Of the first so many: how many of each window's requests kept the promise."""
        return list(map(Counted, self._kept[:windows], self._arrived[:windows]))
