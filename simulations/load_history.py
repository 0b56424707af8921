"""What a simulated replica said of its load at past moments, so that an edge can read what it would have been told.

Live, each edge hears of each replica every half second, at moments of its own. Told one by one, a thousand replicas and
ten thousand edges would be events without end, most of them for edges that do not ask. So a replica notes its load as
it changes, and an edge that chooses reads what its last report said. Reports are made at moments of a grid, and an
edge's come at one of the grid's `PHASES`, so that a fleet does not hear all at once: changes between two moments of the
grid need no note.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["PHASES", "Load", "LoadHistory"]

PHASES = 16
# The longest way from a replica to an edge that an old report is kept for.
_LONGEST_WAY_S = 2.0


class Load(NamedTuple):
    """Of a replica while nothing comes or ends. waiting_s: seconds of work that wait. until_s: when what runs will have
    ended, as it believes; past where nothing runs."""

    waiting_s: float
    until_s: float

    def at(self, moment_s: float) -> float:
        """Seconds of work that wait or run."""
        return self.waiting_s + max(0.0, self.until_s - moment_s)


class LoadHistory:
    """Of one replica. Moments are simulated seconds."""

    def __init__(self, load: Callable[[], Load], every_s: float) -> None:
        """load: now. every_s: between two reports to one edge."""
        self._load, self._step_s = load, every_s / PHASES
        self._kept_steps = PHASES + 1 + int(_LONGEST_WAY_S / self._step_s)
        self._notes: deque[tuple[int, Load]] = deque()  # of the steps after the one before, up to this
        self._last = -1

    def note(self, now_s: float) -> None:
        """The load is about to change: what it was since the last change is noted."""
        step = int(now_s / self._step_s)
        if step == self._last:
            return
        self._notes.append((step, self._load()))
        self._last = step
        while self._notes[0][0] < step - self._kept_steps:
            self._notes.popleft()

    def reported(self, moment_s: float, phase: int) -> tuple[float, float] | None:
        """When the last report before that moment was made, and the seconds of work that it told; None before the
        first. phase: of the edge, from 0 to PHASES - 1. moment_s: no later than now."""
        step = (math.floor(moment_s / self._step_s) - phase) // PHASES * PHASES + phase
        if step < 0:
            return None
        made_s = step * self._step_s
        if step > self._last:
            return made_s, self._load().at(made_s)
        found = self._notes[-1][1]
        for last, load in reversed(self._notes):
            if last < step:
                break
            found = load
        return made_s, found.at(made_s)
