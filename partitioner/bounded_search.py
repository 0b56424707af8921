"""The best cut for what no minimum cut can say: the dearest of several stages, and budgets. With a bound, so with a
gap.

Heavy load and budgets make the problem NP-hard (Hu et al., DADS, INFOCOM 2019). But any mixture of the stages, and of
the budgets with prices for going over them, is one minimum cut and bounds the best from below (Lagrange; Geoffrion
1974). The best mixture is found by cutting planes (Kelley 1960): a small linear program over the cuts seen so far, then
one minimum cut, in turns. Branch and bound closes what gap is left: it fixes an op to either side, or a tensor's codec,
where the cuts that make up the bound disagree. Best bound first, so that the gap is known whenever the search is
stopped.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from isthmus.errors import InfeasibleCut
from partitioner.branching import Branching
from partitioner.lagrange import Bound, Lagrangian
from partitioner.parametric_problem import CutChoice
from partitioner.weighted_cuts import NO_PINS, Pins

__all__ = ["SearchResult", "search"]

_RELATIVE_ERROR = 1e-9


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best found (None: nothing allowed was), its value, and a value that nothing allowed is below."""

    choice: CutChoice | None
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """How much better the best could be, as a share of the value; 0.0: proven best."""
        if self.choice is None or self.bound >= self.value * (1 - _RELATIVE_ERROR):
            return 0.0 if self.bound >= self.value * (1 - _RELATIVE_ERROR) else math.inf
        return (self.value - self.bound) / self.value


@dataclass(frozen=True, slots=True)
class Task:
    """What is searched: bounds, where to branch, what a finished cut must pass, what a partial one can no longer."""

    lagrangian: Lagrangian
    branching: Branching
    is_allowed: Callable[[CutChoice], bool]
    is_hopeless: Callable[[Pins], bool]


def search(task: Task, is_over: Callable[[], bool], known: CutChoice | None = None) -> SearchResult:
    """The cut of least value that is allowed. is_over: asked before each step; the first step is always made. known: an
    allowed one to begin with."""
    found = _Best() if known is None else _Best(known, task.lagrangian.value(known))
    waiting: list[tuple[float, int, Pins, Bound]] = []
    numbers = itertools.count()

    def consider(pins: Pins) -> None:
        """Bound the cuts within `pins`; keep what may hold a better one."""
        if task.is_hopeless(pins):
            return
        try:
            bound = task.lagrangian.bound(pins, found.value)
        except InfeasibleCut:
            return
        for choice in bound.seen:
            value = task.lagrangian.value(choice)
            if value < found.value and task.is_allowed(choice):
                found.choice, found.value = choice, value
        if bound.value < found.value * (1 - _RELATIVE_ERROR):
            heapq.heappush(waiting, (bound.value, next(numbers), pins, bound))

    consider(NO_PINS)
    while waiting and waiting[0][0] < found.value * (1 - _RELATIVE_ERROR) and not is_over():
        _, _, pins, bound = heapq.heappop(waiting)
        for narrower in task.branching.split(pins, bound):
            consider(narrower)
    least = min([found.value, *(bound for bound, *_ in waiting)])
    return SearchResult(found.choice, found.value, least)


@dataclass(slots=True)
class _Best:
    choice: CutChoice | None = None
    value: float = math.inf
