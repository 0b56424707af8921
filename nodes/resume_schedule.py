"""When the edge must stop waiting for the cloud so that it can still finish by itself, all requests together.

If the cloud falls silent, every request that waits for it needs the edge's compute, one after the other. Served in the
order of their deadlines, the last moment at which each may begin follows from the end backwards: a request must leave
room for itself and for those after it (the latest-start schedule of one machine; earliest deadline first is optimal
there, Liu and Layland 1973).

What the edge could not finish anyhow is not insured: else a busy, healthy cloud would be left for fear of its end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
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


class ResumeSchedule:
    """Keeps the insured requests and tells each when its last moment moves. Without a clock."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._waiting: dict[int, Waiting] = {}
        self._on_change: dict[int, Callable[[float], None]] = {}
        self._told: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, one: Waiting, on_change: Callable[[float], None], *, promised: bool = False) -> int | None:
        """Insure a request; `on_change` hears its last moment, now and whenever it moves. None where it cannot be:
        somebody would have to leave the cloud before its answer is expected. promised: insured whatever that means for
        others, as admission has seen to it that all can be finished."""
        number = next(self._ids)
        order = self._ordered({**self._waiting, number: one})
        moments = latest_starts([each for _, each in order])
        if not promised and any(moment < each.expected_s for moment, (_, each) in zip(moments, order, strict=True)):
            return None
        self._waiting[number] = one
        self._on_change[number] = on_change
        self._tell(order, moments)
        return number

    def follow(self, deadline_s: float, work_s: float) -> int:
        """Other work of the edge that is due then: whoever must be done before it begins so much sooner. Returns its
        number, to `leave` by."""
        number = next(self._ids)
        self._waiting[number] = Waiting(deadline_s, work_s, -math.inf)
        self._tell_all()
        return number

    def needed_s(self, due_s: float) -> float:
        """The earliest last moment of those whose deadline is before that one: other work that is due then and would
        still run at that moment must wait, as nothing is interrupted. Infinite where there is none."""
        moments = [told for number, told in self._told.items() if self._waiting[number].deadline_s < due_s]
        return min(moments, default=math.inf)

    def leave(self, number: int) -> None:
        """Answered, given up, done or gone: the others have more time."""
        del self._waiting[number]
        self._on_change.pop(number, None)
        self._told.pop(number, None)
        self._tell_all()

    def _tell_all(self) -> None:
        order = self._ordered(self._waiting)
        self._tell(order, latest_starts([each for _, each in order]))

    def _tell(self, order: Sequence[tuple[int, Waiting]], moments: Sequence[float]) -> None:
        for (number, _), moment in zip(order, moments, strict=True):
            if number in self._on_change and self._told.get(number) != moment:
                self._told[number] = moment
                self._on_change[number](moment)

    @staticmethod
    def _ordered(waiting: dict[int, Waiting]) -> list[tuple[int, Waiting]]:
        return sorted(waiting.items(), key=lambda item: (item[1].deadline_s, item[0]))
