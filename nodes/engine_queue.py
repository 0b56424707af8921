"""What waits before one engine, what it does next and how long that will take: pure, for nodes and simulator.

The batcher says what a free engine does; here is besides what it is doing, and its pace: how long batches lately took
over what was measured, which what is said of the wait goes by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from nodes.batching import Batcher, BatchLimits, Decision, WaitingRequest

__all__ = ["BatchCounts", "EngineQueue", "RunningBatch", "Turn"]

PACE_SMOOTHING = 0.2
# The pace is one for all that waits, of whatever length: a batch shorter than this teaches by its length, as what a
# scheduler's turn adds to it says little of how long other work takes.
WHOLE_LESSON_S = 0.002
# One batch counts as at most so many times slower than those before: a machine that stood still for a second is not a
# thousand times slower from then on. One that is much slower is learned within some batches all the same.
MOST_SLOWER = 4.0


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """What has run since the start: batches, their requests, and how long the worker was busy with them."""

    batches: int = 0
    requests: int = 0
    busy_s: float = 0.0


class RunningBatch(NamedTuple):
    """What the engine does now. expected_s: how long it shall take, by the pace of late."""

    requests: int
    since_s: float
    expected_s: float


class Turn(NamedTuple):
    """What a free engine does now. expired: their deadline has passed, so they must not run and wait no longer."""

    expired: tuple[WaitingRequest, ...]
    decision: Decision


class EngineQueue:
    """One batch runs at a time: `next` says which, then come `began` and `ended`. Not thread-safe. Moments are readings
    of the caller's clock that never go back."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits, self._batcher = limits, Batcher(limits)
        self._running: RunningBatch | None = None
        self._pace = 1.0
        self.counts = BatchCounts()

    @property
    def requests(self) -> int:
        """How many wait or run."""
        return len(self._batcher) + (self._running.requests if self._running is not None else 0)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._batcher)

    @property
    def running(self) -> RunningBatch | None:
        """The batch that runs, None where none does."""
        return self._running

    def add(self, request: WaitingRequest) -> None:
        """A request came. Its id must not wait already."""
        self._batcher.add(request)

    def withdraw(self, request_id: int) -> bool:
        """Take back a request, cancelled. False where it does not wait (any more)."""
        return self._batcher.withdraw(request_id)

    def make_way(self, request: WaitingRequest) -> WaitingRequest | None:
        """Of a full queue: take back the least urgent, whose deadline or, where that is the same, priority comes after
        that of `request`, which does not wait yet. None where there is no such one: then `request` has to go."""
        last = self._batcher.least_urgent()
        if last is None or last.urgency[:2] <= request.urgency[:2]:
            return None
        self._batcher.withdraw(last.request_id)
        return last

    def clear(self) -> None:
        """Nothing waits any more, nor are arrivals remembered; what runs goes on."""
        self._batcher = Batcher(self._limits)

    def next(self, now_s: float) -> Turn:
        """To be asked while nothing runs. The members of a `Start` wait no longer."""
        return Turn(self._batcher.drop_expired(now_s), self._batcher.next(now_s))

    def began(self, requests: int, expected_s: float, now_s: float) -> None:
        """So many requests of a `Start` run now."""
        self._running = RunningBatch(requests, now_s, expected_s * self._pace)

    def ended(self, requests: int, expected_s: float, took_s: float, *, counted: bool = True) -> None:
        """They have run. counted: as a batch."""
        self._running = None
        if counted:
            self.ran(requests, took_s)
        if expected_s > 0:
            self._learn_pace(expected_s, took_s)

    def held_back(self) -> None:
        """None of them has run: by then they were over."""
        self._running = None

    def _learn_pace(self, expected_s: float, took_s: float) -> None:
        weight = PACE_SMOOTHING * min(1.0, expected_s / WHOLE_LESSON_S)
        most = MOST_SLOWER * max(1.0, self._pace)  # what failed at once says nothing of how long work takes
        self._pace += weight * (min(took_s / expected_s, most) - self._pace)

    def ran(self, requests: int, took_s: float) -> None:
        """So many requests ran as one, here or beside the queue."""
        past = self.counts
        self.counts = BatchCounts(past.batches + 1, past.requests + requests, past.busy_s + took_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds of work here: what is left of the running batch, and all that waits, as batches are made of it."""
        return max(0.0, self.running_until_s - now_s) + self.waiting_s()

    def waiting_s(self) -> float:
        """Of `wait_s`, what waits."""
        return self._batcher.work_s() * self._pace

    @property
    def running_until_s(self) -> float:
        """When what runs is expected to end; -inf where nothing does."""
        return -math.inf if self._running is None else self._running.since_s + self._running.expected_s
