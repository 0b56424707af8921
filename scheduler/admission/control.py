"""The admission of an edge: a bounded number of requests, in fair order, each with what it is promised."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from isthmus.errors import Shed
from isthmus.units import format_duration
from nodes.admission import DEFAULT_PROBABILITY, AdmissionCounts, Arrived, Arriving, EdgeWork, Outlook
from nodes.resumption import WORK_MARGIN
from scheduler.admission.commitments import EdgeCommitments
from scheduler.admission.crowded_out import CrowdedOut
from scheduler.admission.fair_queue import FairQueue, Waiting
from scheduler.admission.refusal import LEAST_RETRY_S, unreachable

__all__ = ["AdmissionControl"]

_LEAST_COST_S = 1e-6
_SMOOTHING = 0.2
# Who has to leave room for others lets the edge be sure to work for so much of its time, and no more.
_TAKEN = 0.5


@dataclass(slots=True)
class _Mean:
    """Smoothed; None before the first."""

    value: float | None = None

    def add(self, value: float) -> None:
        self.value = value if self.value is None else self.value + _SMOOTHING * (value - self.value)


@dataclass(slots=True)
class _Took:
    """What requests of one model took from their turn on, and what they cost."""

    seconds: _Mean = field(default_factory=_Mean)
    cost: _Mean = field(default_factory=_Mean)

    def of(self, cost_s: float) -> float:
        """Of one that costs so much, at least: a smaller one takes a smaller part, a larger one is seen at its turn."""
        if self.seconds.value is None or self.cost.value is None:
            return 0.0
        return self.seconds.value * min(1.0, cost_s / self.cost.value)


@dataclass(slots=True)
class _Running:
    request: Waiting
    since_s: float
    on_edge: bool = True  # until the edge has done its part
    placed: bool = False  # once a plan was chosen for it


class AdmissionControl:
    """Implements `nodes.admission.Admission`, without a clock.

    At most `queue` requests are let in at a time. Half of them, at most, run; and of these at most `depth` are still
    to do their part on the edge: so many that it is never idle and can batch, and no more, so that who comes later
    waits for little. The others wait for their turn in a FairQueue. Those that have stepped aside, half of all at most,
    are not among the half that may run: a model whose only replica is gone keeps no other model from its turns. What
    the edge may be asked for by a request whose turn it is leaves room for those who were CrowdedOut lately and have
    more right.
    """

    def __init__(self, queue: int, depth: int, probability: float = DEFAULT_PROBABILITY) -> None:
        """queue, depth: at least 1. probability: of ending in time, that a request must have while others are under
        way; 0 to 1."""
        self._queue, self._depth, self._probability = queue, depth, probability
        self._most_running = max(1, math.ceil(queue / 2))
        self._numbers = itertools.count(1)
        self._waiting = FairQueue()
        self._running: dict[int, _Running] = {}
        self._on_edge = 0
        self._aside = set[int]()  # of those that run
        self._promises, self._crowded_out = EdgeCommitments(), CrowdedOut()
        self._gap = _Mean()
        self._took: dict[str, _Took] = {}  # by model
        self._turn_s: float | None = None  # when the last turn was, as long as others wait

    @property
    def counts(self) -> AdmissionCounts:
        """See Admission."""
        return AdmissionCounts(len(self._waiting), len(self._running), self._wait_s(len(self._waiting)))

    def _wait_s(self, turns: int) -> float:
        """Until so many have passed, at the pace of late."""
        return turns * (self._gap.value or 0.0)

    # ---- arrival -----------------------------------------------------------------------------------------------

    def arrive(self, arriving: Arriving, now_s: float) -> Arrived:
        """See Admission."""
        number, cost_s = next(self._numbers), max(_LEAST_COST_S, arriving.cost_s)
        deadline_s = math.inf if arriving.deadline_s is None else arriving.deadline_s
        request = Waiting(number, arriving.client, arriving.priority, deadline_s, cost_s, arriving.model)
        if not arriving.forced and (len(self._waiting) or not self._room()):
            self._check_deadline(request, now_s)
        self._waiting.add(request)
        if len(self._waiting) + len(self._running) <= self._queue:
            return Arrived(number)
        least = self._waiting.least_valuable(now_s, self._gap.value or 0.0)
        self._waiting.remove(least)
        if least == number:
            raise self.shed_error(now_s)
        return Arrived(number, shed=least)

    def shed_error(self, now_s: float) -> Shed:
        """See Admission."""
        retry_after_s = max(LEAST_RETRY_S, self._wait_s(len(self._waiting)))
        return Shed(
            f"edge.limits.queue: {len(self._waiting) + len(self._running)} requests wait on this edge, {self._queue} "
            f"may, and the others are of more value; try again in {format_duration(retry_after_s)}, or raise it",
            retry_after_s=retry_after_s,
        )

    def _check_deadline(self, request: Waiting, now_s: float) -> None:
        """Raises DeadlineUnreachable for a request whose time is over before its turn."""
        if math.isinf(request.deadline_s):
            return
        took = self._took.get(request.model)
        wait_s, takes_s = self._wait_s(self._waiting.ahead(request)), 0.0 if took is None else took.of(request.cost_s)
        left_s = request.deadline_s - now_s
        if wait_s + takes_s <= left_s:
            return
        late_by_s = wait_s + takes_s - left_s
        raise unreachable(left_s, wait_s + takes_s, late_by_s if takes_s <= left_s else None)

    # ---- turns -------------------------------------------------------------------------------------------------

    def start(self, now_s: float) -> Sequence[int]:
        """See Admission."""
        started: list[int] = []
        while len(self._waiting) and self._room():
            request = self._waiting.pop()
            self._running[request.number] = _Running(request, now_s)
            self._on_edge += 1
            if self._turn_s is not None:
                self._gap.add(now_s - self._turn_s)
            self._turn_s = now_s
            started.append(request.number)
        if not len(self._waiting) and self._room():
            self._turn_s = None  # the time until the next one says nothing of how fast turns come
        return started

    def _room(self) -> bool:
        return self._on_edge < self._depth and len(self._running) - len(self._aside) < self._most_running

    def outlook(self, number: int, due_s: float | None, now_s: float, *, idle: bool) -> Outlook:
        """See Admission."""
        spare_s = None if due_s is None else self._spare_s(number, due_s, now_s)
        alone = len(self._running) == 1 and not len(self._waiting)
        return Outlook(spare_s, self._probability, idle and alone)

    def _spare_s(self, number: int, due_s: float, now_s: float) -> float:
        """What keeps every promise and leaves room. An edge with nothing to do does not wait for who might come."""
        spare_s = self._promises.spare_s(due_s, now_s)
        if not self._crowded_out.claim_room(self._running[number].request, self._others(number), now_s):
            return spare_s
        certain_s = self._promises.certain_s(now_s)
        return min(spare_s, (_TAKEN * (due_s - now_s) - certain_s) / WORK_MARGIN) if certain_s > 0 else spare_s

    def _others(self, number: int) -> Iterator[Waiting]:
        """All under way but one."""
        return (running.request for other, running in self._running.items() if other != number)

    def crowded_out(self, number: int, now_s: float) -> None:
        """See Admission."""
        self._crowded_out.add(self._running[number].request, self._others(number), now_s)

    def steps_aside(self, number: int, now_s: float) -> bool:
        """See Admission. It goes on without another turn, so for a while there may be more than `depth`."""
        if number not in self._aside:
            if len(self._aside) >= self._most_running:
                return False
            self._aside.add(number)
            self._left_edge(number)
        return True

    def placed(self, number: int, work: EdgeWork, now_s: float) -> None:
        """See Admission."""
        self._promises.add(number, work, now_s)
        running = self._running[number]
        if not running.on_edge:  # it stepped aside: what it waited for says nothing of how long its model takes
            running.since_s = now_s
        self._aside.discard(number)
        self._on_edge += not running.on_edge
        running.on_edge = running.placed = True

    # ---- under way ---------------------------------------------------------------------------------------------

    def prefix_ended(self, number: int, now_s: float) -> None:
        """See Admission."""
        self._promises.prefix_ended(number, now_s)
        self._left_edge(number)

    def finishes(self, number: int, work: EdgeWork, now_s: float) -> bool:
        """See Admission."""
        return self._promises.finishes(number, work, now_s)

    def _left_edge(self, number: int) -> None:
        running = self._running.get(number)
        if running is not None and running.on_edge:
            running.on_edge = False
            self._on_edge -= 1

    def ended(self, number: int, now_s: float) -> None:
        """See Admission."""
        if number in self._waiting:
            self._waiting.remove(number)
            return
        self._left_edge(number)
        self._promises.left(number, now_s)
        running = self._running.pop(number, None)
        stayed = number in self._aside  # what it waited for says nothing of how long its model takes
        self._aside.discard(number)
        if running is not None and running.placed and not stayed:
            self._learn(running.request, now_s - running.since_s)

    def _learn(self, request: Waiting, took_s: float) -> None:
        took = self._took.setdefault(request.model, _Took())
        took.seconds.add(took_s)
        took.cost.add(request.cost_s)
