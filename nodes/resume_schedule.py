"""When the edge must stop waiting for the cloud so that it can still finish by itself, all requests together.

If the cloud falls silent, every request that waits for it needs the edge's compute, one after the other. Served in the
order of their deadlines, the last moment at which each may begin follows from the end backwards: a request must leave
room for itself and for those after it (the latest-start schedule of one machine; earliest deadline first is optimal
there, Liu and Layland 1973).

What the edge could not finish anyhow is not insured: else a busy, healthy cloud would be left for fear of its end.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["ResumeSchedule", "Waiting", "latest_starts"]


class Waiting(NamedTuple):
    """A request that waits for the cloud, in readings of one clock and seconds.

    finish_s: what the edge needs to finish it. expected_s: when the cloud is expected to have answered.
    """

    deadline_s: float
    finish_s: float
    expected_s: float


def latest_starts(waiting: Sequence[Waiting]) -> list[float]:
    """For each request the last moment at which the edge may begin to finish it; `waiting` is ordered by deadline.

    O(n). Invariant: run in this order from these moments on, each ends by its deadline and before the next begins.
    """
    starts: list[float] = []
    after_s = math.inf
    for one in reversed(waiting):
        after_s = min(one.deadline_s, after_s) - one.finish_s
        starts.append(after_s)
    return starts[::-1]


@dataclass(slots=True)
class _Entry:
    """told_s: what it heard last."""

    waiting: Waiting
    on_change: Callable[[float], None]
    told_s: float = math.nan

    def is_driven_out(self, moment_s: float) -> bool:
        """Whether it would have to leave the cloud then, before its answer is expected, and not by what it heard."""
        return moment_s < self.waiting.expected_s and moment_s != self.told_s


class ResumeSchedule:
    """Keeps the insured requests and tells each when its last moment moves. Without a clock."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._ordered: list[tuple[float, int, _Entry]] = []  # by deadline, then number
        self._by_number: dict[int, tuple[float, int, _Entry]] = {}

    def __len__(self) -> int:
        return len(self._ordered)

    def enter(self, one: Waiting, on_change: Callable[[float], None], *, promised: bool = False) -> int | None:
        """Insure a request; `on_change` hears its last moment, now and whenever it moves. None where it cannot be:
        because of it somebody would have to leave the cloud before its answer is expected. promised: insured whatever
        that means for others, as admission has seen to it that all can be finished."""
        number = next(self._ids)
        item = self._by_number[number] = (one.deadline_s, number, _Entry(one, on_change))
        bisect.insort(self._ordered, item)
        moments = self._moments()
        told = zip(moments, self._ordered, strict=True)
        if not promised and any(entry.is_driven_out(moment) for moment, (_, _, entry) in told):
            self._remove(number)
            return None
        self._tell(moments)
        return number

    def leave(self, number: int) -> None:
        """Answered, given up, done or gone: the others have more time."""
        self._remove(number)
        self._tell(self._moments())

    def _remove(self, number: int) -> None:
        del self._ordered[bisect.bisect_left(self._ordered, self._by_number.pop(number))]

    def _moments(self) -> list[float]:
        return latest_starts([entry.waiting for _, _, entry in self._ordered])

    def _tell(self, moments: Sequence[float]) -> None:
        for moment, (_, _, entry) in zip(moments, tuple(self._ordered), strict=True):
            if entry.told_s != moment:
                entry.told_s = moment
                entry.on_change(moment)
