"""An edge's compute on a simulated clock, as `nodes.prefix_queue` over `nodes.compute_pool` is live.

One worker takes jobs, first come, first served. Of the prefixes one turn at a time is among the jobs, and the live
queue says whose it is: the most urgent one's. The worker goes on by itself: whoever hears that something has run finds
the next piece begun.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nodes.batching import BatchLimits, Start, WaitingRequest
from nodes.engine_queue import EngineQueue
from nodes.queues import EdgeQueue
from simulations.busy_time import BusyTime
from simulations.kernel import Simulation

__all__ = ["UNBATCHED", "EdgeWorker"]

UNBATCHED = BatchLimits(max_batch=1, max_delay_s=0.0)


@dataclass(frozen=True, slots=True)
class _Work:
    """seconds: that it really takes. done: called when it has run. prefix: as the queue knows it, None for a job."""

    seconds: float
    done: Callable[[], None]
    prefix: WaitingRequest | None = None


class EdgeWorker:
    """Work has the caller's numbers, one piece at a time by each."""

    def __init__(self, simulation: Simulation, estimate: EdgeQueue, busy: BusyTime | None = None) -> None:
        """estimate: is told of jobs; how long prefixes wait is known here. busy: takes down when it computes."""
        self._simulation, self._estimate, self._busy = simulation, estimate, busy or BusyTime()
        self._prefixes = EngineQueue(UNBATCHED)
        self._jobs: deque[int | None] = deque()  # by number; None: the turn of the prefixes
        self._turn_asked = False
        self._works: dict[int, _Work] = {}  # that wait or run, and are wanted
        self._running: int | None = None
        self._until_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds until work submitted now would start, as a live edge believes."""
        return self._estimate.wait_s(now_s) + self._prefixes.wait_s(now_s)

    def free_s(self, prefix: WaitingRequest, now_s: float) -> float:
        """When a prefix that came now would begin, if nothing else came: what nobody can know who is not told each
        piece's time."""
        waiting = {number: work for number, work in self._works.items() if number != self._running}
        ahead = [one for one in waiting.values() if one.prefix is not None and one.prefix.urgency <= prefix.urgency]
        jobs = list(self._jobs)
        if not ahead and None in jobs:  # the turn that was asked for is its own; every later one is behind all jobs
            jobs = jobs[: jobs.index(None)]
        ahead += [waiting[number] for number in jobs if number in waiting]
        return max(now_s, self._until_s) + sum(one.seconds for one in ahead)

    # ---- what comes and goes -----------------------------------------------------------------------------------

    def submit_prefix(self, prefix: WaitingRequest, seconds: float, done: Callable[[], None]) -> None:
        """It waits for its turn, by its urgency. Its number is the request's id."""
        self._works[prefix.request_id] = _Work(seconds, done, prefix)
        self._prefixes.add(prefix)
        self._ask_turn()
        self._next()

    def submit(self, number: int, expected_s: float, seconds: float, done: Callable[[], None]) -> None:
        """A job. expected_s: what it is predicted to take."""
        self._works[number] = _Work(seconds, done)
        self._estimate.submitted(number, expected_s, self._simulation.now_s)
        self._jobs.append(number)
        self._next()

    def withdraw(self, number: int) -> None:
        """Nobody wants it any more: it is not begun, and `done` not called. What runs goes on to its end."""
        work = self._works.pop(number, None)
        if work is None:
            return
        if work.prefix is None:
            self._estimate.finished(number, self._simulation.now_s)
        else:
            self._prefixes.withdraw(number)

    # ---- the worker --------------------------------------------------------------------------------------------

    def _ask_turn(self) -> None:
        """One turn for the prefixes, unless there will be one anyway."""
        if not self._turn_asked and self._prefixes.waiting:
            self._turn_asked = True
            self._jobs.append(None)

    def _next(self) -> None:
        while self._jobs and self._running is None:
            number = self._jobs.popleft()
            if number is None:
                self._begin_prefix()
            elif number in self._works:  # else it was withdrawn
                self._run(number, partial(self._job_ended, number))

    def _begin_prefix(self) -> None:
        now_s = self._simulation.now_s
        decision = self._prefixes.next(now_s).decision  # whose deadline has passed is withdrawn at that very moment
        self._turn_asked = isinstance(decision, Start)
        if isinstance(decision, Start):
            number, expected_s = decision.members[0].request_id, decision.expected_s
            self._prefixes.began(1, expected_s, now_s)
            self._run(number, partial(self._prefix_ended, number, expected_s, self._works[number].seconds))

    def _run(self, number: int, ended: Callable[[], None]) -> None:
        now_s = self._simulation.now_s
        self._running, self._until_s = number, now_s + self._works[number].seconds
        self._busy.add(now_s, self._until_s)
        self._simulation.at(self._until_s, ended)

    def _prefix_ended(self, number: int, expected_s: float, took_s: float) -> None:
        self._running = None
        work = self._works.pop(number, None)
        self._prefixes.ended(1, expected_s, took_s)
        self._turn_asked = False
        self._ask_turn()
        self._next()
        if work is not None:
            work.done()

    def _job_ended(self, number: int) -> None:
        self._running = None
        work = self._works.pop(number, None)
        self._next()
        if work is not None:
            self._estimate.finished(number, self._simulation.now_s)
            work.done()
