"""The admission of an edge: a bounded number of requests, in fair order, each with what it is promised."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import Shed
from isthmus.units import format_duration
from nodes.admission import DEFAULT_PROBABILITY, AdmissionCounts, Arrived, Arriving, EdgeWork, Outlook
from scheduler.admission.commitments import EdgeCommitments
from scheduler.admission.fair_queue import FairQueue, Waiting
from scheduler.admission.refusal import LEAST_RETRY_S, unreachable

__all__ = ["HOPELESS", "AdmissionControl"]

# On an idle edge only what is this unlikely to end in time is refused: a late answer costs nobody else anything there.
HOPELESS = 0.01
_LEAST_COST_S = 1e-6
_SMOOTHING = 0.2


@dataclass(slots=True)
class _Mean:
    """Smoothed; None before the first."""

    value: float | None = None

    def add(self, value: float) -> None:
        self.value = value if self.value is None else self.value + _SMOOTHING * (value - self.value)


@dataclass(slots=True)
class _Running:
    since_s: float
    on_edge: bool = True  # until the edge has done its part


class AdmissionControl:
    """Implements `nodes.admission.Admission`, without a clock.

    At most `queue` requests are let in at a time. Half of them, at most, run; and of these at most `depth` are still
    to do their part on the edge: so many that it is never idle and can batch, and no more, so that who comes later
    waits for little. The others wait for their turn in a FairQueue.
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
        self._promises = EdgeCommitments()
        self._gap, self._took = _Mean(), _Mean()
        self._turn_s: float | None = None  # when the last turn was, as long as others wait

    @property
    def counts(self) -> AdmissionCounts:
        """See Admission."""
        return AdmissionCounts(len(self._waiting), len(self._running))

    def arrive(self, arriving: Arriving, now_s: float) -> Arrived:
        """See Admission."""
        if len(self._waiting) or not self._room():
            self._check_deadline(arriving, now_s)
        number = next(self._numbers)
        cost_s = max(_LEAST_COST_S, arriving.cost_s)
        deadline_s = math.inf if arriving.deadline_s is None else arriving.deadline_s
        self._waiting.add(Waiting(number, arriving.client, arriving.priority, deadline_s, cost_s))
        if len(self._waiting) + len(self._running) <= self._queue:
            return Arrived(number)
        least = self._waiting.least_valuable(now_s, self._gap.value or 0.0)
        self._waiting.remove(least)
        if least == number:
            raise self.shed_error(now_s)
        return Arrived(number, shed=least)

    def shed_error(self, now_s: float) -> Shed:
        """See Admission."""
        retry_after_s = max(LEAST_RETRY_S, len(self._waiting) * (self._gap.value or 0.0))
        return Shed(
            f"edge.limits.queue: {len(self._waiting) + len(self._running)} requests wait on this edge, {self._queue} "
            f"may, and the others are of more value; try again in {format_duration(retry_after_s)}, or raise it",
            retry_after_s=retry_after_s,
        )

    def _check_deadline(self, arriving: Arriving, now_s: float) -> None:
        """Raises DeadlineUnreachable for a request whose time is over before its turn."""
        if arriving.deadline_s is None:
            return
        wait_s = self._waiting.ahead(arriving.client, arriving.priority) * (self._gap.value or 0.0)
        left_s, takes_s = arriving.deadline_s - now_s, self._took.value or 0.0
        if wait_s + takes_s <= left_s:
            return
        late_by_s = wait_s + takes_s - left_s
        raise unreachable(left_s, wait_s + takes_s, late_by_s if takes_s <= left_s else None)

    def start(self, now_s: float) -> Sequence[int]:
        """See Admission."""
        started = list[int]()
        while len(self._waiting) and self._room():
            number = self._waiting.pop()
            self._running[number] = _Running(now_s)
            self._on_edge += 1
            if self._turn_s is not None:
                self._gap.add(now_s - self._turn_s)
            self._turn_s = now_s
            started.append(number)
        if not len(self._waiting):
            self._turn_s = None  # the time until the next one says nothing of how fast turns come
        return started

    def _room(self) -> bool:
        return self._on_edge < self._depth and len(self._running) < self._most_running

    def outlook(self, deadline_s: float | None, now_s: float, *, idle: bool) -> Outlook:
        """See Admission."""
        spare_s = None if deadline_s is None else self._promises.spare_s(deadline_s, now_s)
        return Outlook(spare_s, HOPELESS if idle and not len(self._waiting) else self._probability)

    def placed(self, number: int, work: EdgeWork, now_s: float) -> None:
        """See Admission."""
        self._promises.add(number, work, now_s)

    def prefix_ended(self, number: int, now_s: float) -> None:
        """See Admission."""
        self._promises.prefix_ended(number, now_s)
        self._left_edge(number)

    def may_finish(self, number: int, work: EdgeWork, now_s: float) -> bool:
        """See Admission."""
        return self._promises.may_finish(number, work, now_s)

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
        if running is not None:
            self._took.add(now_s - running.since_s)
