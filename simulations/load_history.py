"""What a simulated replica said of its load at past moments, so that an edge can read what it would have been told.

Live, each edge hears of each replica every half second, at moments of its own. Told one by one, a thousand replicas and
ten thousand edges would be events without end, most of them for edges that do not ask. So a replica notes its load as
it changes, and an edge that chooses reads what its last report said. Reports are made at moments of a grid, and an
edge's come at one of the grid's `PHASES`, so that a fleet does not hear all at once: changes between two moments of the
grid need no note.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from scheduler.estimators.load import REPORT_LIFETIME_S

__all__ = ["PHASES", "Load", "LoadHistory", "Report", "ToldLoad"]

PHASES = 16
# The longest way from a replica to an edge that an old report is kept for.
_LONGEST_WAY_S = 2.0


class Load(NamedTuple):
    """Of a replica while nothing comes or ends. requests: that wait or run. waiting_s: seconds of work that wait.
    until_s: when what runs will have ended, as it believes; past where nothing runs."""

    requests: int
    waiting_s: float
    until_s: float

    def told(self, moment_s: float) -> ToldLoad:
        """As it is reported then."""
        return ToldLoad(self.requests, self.waiting_s + max(0.0, self.until_s - moment_s))


class ToldLoad(NamedTuple):
    """What a report says. queued_s: of work that waits or runs."""

    requests: int
    queued_s: float


class Report(NamedTuple):
    """made_s: when."""

    made_s: float
    queued_s: float


class _Said(NamedTuple):
    """told: what a report at that step of the grid would say. report: the last one made by then; None where that was
    longer ago than it says anything."""

    step: int
    told: ToldLoad
    report: Report | None


_NOTHING = ToldLoad(0, 0.0)


class LoadHistory:
    """Of one replica. Moments are simulated seconds."""

    def __init__(self, load: Callable[[], Load], every_s: float) -> None:
        """load: now. every_s: between two reports to one edge."""
        self._load, self._step_s = load, every_s / PHASES
        self._kept_steps = PHASES + 1 + int((_LONGEST_WAY_S + REPORT_LIFETIME_S) / self._step_s)
        # What each note says of the steps after the one before, up to its own.
        self._noted_steps, self._noted_loads = list[int](), list[Load]()
        self._last = -1
        self._said: list[_Said | None] = [None] * PHASES  # by phase, worked out last: most requests ask for it again

    def note(self, now_s: float) -> None:
        """The load is about to change: what it was since the last change is noted."""
        step = int(now_s / self._step_s)
        if step == self._last:
            return
        self._noted_steps.append(step)
        self._noted_loads.append(self._load())
        self._last = step
        while self._noted_steps[0] < step - self._kept_steps:
            del self._noted_steps[0], self._noted_loads[0]

    def reported(self, moment_s: float, phase: int) -> Report | None:
        """The last report made before that moment; None before the first, and where it is so old that it says nothing.
        As live, none is made of an idle replica that would say the same as the one before. phase: of the edge, from 0
        to PHASES - 1. moment_s: no later than now."""
        step = (math.floor(moment_s / self._step_s) - phase) // PHASES * PHASES + phase
        if step < 0:
            return None
        said = self._said[phase]
        if said is None or said.step != step:
            said = self._said[phase] = self._say(step, said)
        report = said.report
        return report if report is not None and moment_s - report.made_s <= REPORT_LIFETIME_S else None

    def _say(self, step: int, known: _Said | None) -> _Said:
        """Of that step. known: of an earlier one of its phase."""
        now = said = self._told_at(step)
        if now.queued_s > 0:
            return _Said(step, now, self._report(step, now))
        made = step
        while made >= 0 and (step - made) * self._step_s <= REPORT_LIFETIME_S:
            if known is not None and known.step == made - PHASES:
                return _Said(step, now, self._report(made, said) if known.told != said else known.report)
            before = self._told_at(made - PHASES) if made >= PHASES else _NOTHING
            if before != said:
                return _Said(step, now, self._report(made, said))
            made, said = made - PHASES, before
        return _Said(step, now, None)

    def _report(self, step: int, said: ToldLoad) -> Report:
        return Report(step * self._step_s, said.queued_s)

    def _told_at(self, step: int) -> ToldLoad:
        """What a report at that step of the grid would say."""
        place = bisect_left(self._noted_steps, step)
        load = self._noted_loads[place] if place < len(self._noted_loads) else self._load()
        return load.told(step * self._step_s)
