"""An edge's compute on a simulated clock: one piece of work at a time, the earliest due next, none begun too late."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from simulations.kernel import Simulation

__all__ = ["EdgeWorker", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work. due_s: sorts those that wait; equal ones go in the order in which they came. begin_by_s: the
    last moment at which it may begin. can_wait: for what is needed sooner. done, dropped: called when it has ended, or
    when its turn came too late."""

    due_s: float
    seconds: float
    begin_by_s: float
    can_wait: bool
    done: Callable[[], None]
    dropped: Callable[[], None]


class EdgeWorker:
    """`submit` work."""

    def __init__(self, simulation: Simulation, needed_s: Callable[[float], float]) -> None:
        """needed_s: when work due before that moment may have to begin; what can wait and would run until then does."""
        self._simulation = simulation
        self._needed_s = needed_s
        self._numbers = itertools.count(1)
        self._waiting: list[tuple[float, int, Work]] = []
        self._busy = False
        self.until_s = 0.0

    def free_s(self, due_s: float, now_s: float) -> float:
        """When work due then that comes now would begin, if nothing else came."""
        return max(now_s, self.until_s) + sum(work.seconds for due, _, work in self._waiting if due <= due_s)

    def submit(self, work: Work) -> None:
        """It waits for its turn."""
        heapq.heappush(self._waiting, (work.due_s, next(self._numbers), work))
        self.begin_next()

    def begin_next(self) -> None:
        """See whether something can begin: to be called when what `needed_s` says has changed."""
        while self._waiting and not self._busy:
            now_s, work = self._simulation.now_s, self._waiting[0][2]
            if work.can_wait and now_s < self._needed_s(work.due_s) < now_s + work.seconds:
                return
            heapq.heappop(self._waiting)
            if now_s >= work.begin_by_s:
                work.dropped()
                continue
            self._busy, self.until_s = True, now_s + work.seconds
            self._simulation.at(self.until_s, self._ended, work)

    def _ended(self, work: Work) -> None:
        self._busy = False
        work.done()
        self.begin_next()
