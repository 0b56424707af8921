"""What the edge has promised: the work that is left to it if the cloud falls silent, by when each piece is due.

One machine that works in the order of due times keeps every due time if and only if, for each of them, what is due by
then fits into the time until then (Jackson 1955; Liu and Layland 1973); what runs already is not interrupted, so it
comes first. A request via the cloud counts with its prefix and with its suffix, which the edge then runs only where
the answer does not come: the promise is held for the time that the cloud takes, not until the deadline.
"""

from __future__ import annotations

import bisect
import math
from typing import NamedTuple

from nodes.admission import EdgeWork
from nodes.resumption import WORK_MARGIN

__all__ = ["EdgeCommitments"]


class _Promise(NamedTuple):  # made twice for each request; sorts by urgency, which its first two fields are
    """prefix_s: what the edge will do. finish_s: what it might have to do. Both with the margin."""

    due_s: float
    number: int
    prefix_s: float
    finish_s: float


class EdgeCommitments:
    """`add` a request, `left` once. O(n) a question. Who runs is not told but follows: the most urgent one, from when
    the one before it ended."""

    def __init__(self) -> None:
        self._ordered: list[_Promise] = []  # most urgent first
        self._by_number: dict[int, _Promise] = {}
        self._running: int | None = None
        self._since_s = 0.0

    def add(self, number: int, work: EdgeWork, now_s: float) -> None:
        """It was placed."""
        due_s = math.inf if work.due_s is None else work.due_s
        self._put(_Promise(due_s, number, WORK_MARGIN * work.prefix_s, WORK_MARGIN * work.finish_s))
        self._run_next(now_s)

    def prefix_ended(self, number: int, now_s: float) -> None:
        """What the edge does of it for certain is done. Nothing to do for one not known."""
        known = self._by_number.get(number)
        if known is None:
            return
        rest = _Promise(known.due_s, number, 0.0, known.finish_s)
        self._ordered[self._place(known)] = self._by_number[number] = rest
        self._stopped(number, now_s)

    def finishes(self, number: int, rest: EdgeWork, now_s: float) -> bool:
        """The edge does the rest of one, too. Whether by its due time: always where that was promised; else where all
        that was promised keeps its own. Where not, all that has a due time goes before it."""
        known = self._by_number.get(number)
        self.left(number, now_s)
        promised = known is not None and known.finish_s > 0
        fits = promised or rest.due_s is None or rest.finish_s <= self.spare_s(rest.due_s, now_s)
        self.add(number, EdgeWork(rest.due_s if fits else None, rest.finish_s, 0.0), now_s)
        return fits

    def left(self, number: int, now_s: float) -> None:
        """It is over. Nothing to do for one not known."""
        known = self._by_number.pop(number, None)
        if known is not None:
            del self._ordered[self._place(known)]
            self._stopped(number, now_s)

    def spare_s(self, due_s: float, now_s: float) -> float:
        """How many seconds of work, due at that moment, would still leave every promise kept; below 0 where one is
        broken already."""
        demand_s = self._left_s(now_s)
        least_s, own = math.inf, False
        for promise in self._ordered:
            if promise.due_s > due_s and not own:
                own, least_s = True, due_s - now_s - demand_s
            demand_s += promise.finish_s + (0.0 if promise.number == self._running else promise.prefix_s)
            if own:
                least_s = min(least_s, promise.due_s - now_s - demand_s)
        if not own:
            least_s = due_s - now_s - demand_s
        return least_s / WORK_MARGIN

    def certain_s(self, now_s: float) -> float:
        """How many seconds of work the edge will do whatever the cloud does."""
        waits_s = sum(one.prefix_s for one in self._ordered if one.number != self._running)
        return self._left_s(now_s) + waits_s

    def _left_s(self, now_s: float) -> float:
        """Of what runs."""
        if self._running is None:
            return 0.0
        return max(0.0, self._by_number[self._running].prefix_s - (now_s - self._since_s))

    def _put(self, promise: _Promise) -> None:
        self._by_number[promise.number] = promise
        bisect.insort(self._ordered, promise)

    def _place(self, promise: _Promise) -> int:
        return bisect.bisect_left(self._ordered, promise)

    def _stopped(self, number: int, now_s: float) -> None:
        if self._running == number:
            self._running = None
        self._run_next(now_s)

    def _run_next(self, now_s: float) -> None:
        if self._running is None:
            runs = next((one for one in self._ordered if one.prefix_s > 0), None)
            self._running, self._since_s = (None if runs is None else runs.number), now_s
