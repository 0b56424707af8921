"""An edge's compute on a simulated clock, as `nodes.prefix_queue` over `nodes.compute_pool` is live.

One worker takes jobs, first come, first served. Of the requests' pieces, prefixes and suffixes, one turn at a time is
among the jobs, and the live queue says whose it is: the most urgent one's, and of those that are to run with it. The
worker goes on by itself: whoever hears that something has run finds the next piece begun.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nodes.batching import BatchLimits, Hold, Start, WaitingRequest
from nodes.engine_queue import EngineQueue
from nodes.queues import EdgeQueue
from simulations.busy_time import BusyTime
from simulations.kernel import Simulation

__all__ = ["UNBATCHED", "EdgeWorker"]

UNBATCHED = BatchLimits(max_batch=1, max_delay_s=0.0)


Done = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class _Work:
    """seconds: that it really takes, by itself. done: called when it has run, with its own part of the time. piece: as
    the queue knows it, None for a job."""

    seconds: float
    done: Done
    piece: WaitingRequest | None = None


class EdgeWorker:
    """Work has the caller's numbers, one piece at a time by each."""

    def __init__(
        self,
        simulation: Simulation,
        estimate: EdgeQueue,
        busy: BusyTime | None = None,
        batching: BatchLimits = UNBATCHED,
    ) -> None:
        """estimate: is told of jobs; how long pieces wait is known here. busy: takes down when it computes."""
        self._simulation, self._estimate, self._busy = simulation, estimate, busy or BusyTime()
        self._pieces = EngineQueue(batching)
        self._jobs: deque[int | None] = deque()  # by number; None: the turn of the pieces
        self._turn_asked = False
        self._works: dict[int, _Work] = {}  # that wait or run, and are wanted
        self._running: tuple[int, ...] = ()  # one job, or the pieces of a batch
        self._until_s = 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs, so that there is nothing to wait for."""
        return not self._works and not self._running

    def wait_s(self, now_s: float) -> float:
        """Seconds until work submitted now would start, as a live edge believes."""
        return self._estimate.wait_s(now_s) + self._pieces.wait_s(now_s)

    def free_s(self, piece: WaitingRequest, now_s: float) -> float:
        """When a piece that came now would begin, if nothing else came and those that wait ran one by one: what nobody
        can know who is not told each piece's time."""
        waiting = {number: work for number, work in self._works.items() if number not in self._running}
        ahead = [one for one in waiting.values() if one.piece is not None and one.piece.urgency <= piece.urgency]
        jobs = list(self._jobs)
        if not ahead and None in jobs:  # the turn that was asked for is its own; every later one is behind all jobs
            jobs = jobs[: jobs.index(None)]
        ahead += [waiting[number] for number in jobs if number in waiting]
        return max(now_s, self._until_s) + sum(one.seconds for one in ahead)

    # ---- what comes and goes -----------------------------------------------------------------------------------

    def submit_piece(self, piece: WaitingRequest, seconds: float, done: Done) -> None:
        """It waits for its turn, by its urgency. Its number is the request's id. seconds: that it really takes by
        itself."""
        self._works[piece.request_id] = _Work(seconds, done, piece)
        self._pieces.add(piece)
        self._ask_turn()
        self._next()

    def submit(self, number: int, expected_s: float, seconds: float, done: Callable[[], None]) -> None:
        """A job. expected_s: what it is predicted to take."""
        self._works[number] = _Work(seconds, lambda own_s: done())
        self._estimate.submitted(number, expected_s, self._simulation.now_s)
        self._jobs.append(number)
        self._next()

    def withdraw(self, number: int) -> None:
        """Nobody wants it any more: it is not begun, and `done` not called. What runs goes on to its end."""
        work = self._works.pop(number, None)
        if work is None:
            return
        if work.piece is None:
            self._estimate.finished(number, self._simulation.now_s)
        else:
            self._pieces.withdraw(number)

    # ---- the worker --------------------------------------------------------------------------------------------

    def _ask_turn(self) -> None:
        """One turn for the pieces, unless there will be one anyway."""
        if not self._turn_asked and self._pieces.waiting:
            self._turn_asked = True
            self._jobs.append(None)

    def _next(self) -> None:
        while self._jobs and not self._running:
            number = self._jobs.popleft()
            if number is None:
                self._begin_pieces()
            elif number in self._works:  # else it was withdrawn
                self._run((number,), self._works[number].seconds, partial(self._job_ended, number))

    def _begin_pieces(self) -> None:
        now_s = self._simulation.now_s
        decision = self._pieces.next(now_s).decision  # whose deadline has passed is withdrawn at that very moment
        self._turn_asked = isinstance(decision, Start)
        if isinstance(decision, Start):
            numbers = tuple([one.request_id for one in decision.members])
            self._pieces.began(len(numbers), decision.expected_s, now_s)
            took_s = self._took_s(decision)
            self._run(numbers, took_s, partial(self._pieces_ended, decision, took_s))
        elif isinstance(decision, Hold):
            self._simulation.at(decision.until_s, self._held)

    def _took_s(self, start: Start) -> float:
        """What it really takes: a batch differs from what was measured as its most urgent member by itself does."""
        lead = start.members[0]
        alone_s, seconds = lead.times.at(lead.items), self._works[lead.request_id].seconds
        return seconds if len(start.members) == 1 or not alone_s else seconds / alone_s * start.expected_s

    def _held(self) -> None:
        """Nobody came to join what was held, or it has run with who did."""
        self._ask_turn()
        self._next()

    def _run(self, numbers: tuple[int, ...], took_s: float, ended: Callable[[], None]) -> None:
        now_s = self._simulation.now_s
        self._running, self._until_s = numbers, now_s + took_s
        self._busy.add(now_s, self._until_s)
        self._simulation.at(self._until_s, ended)

    def _pieces_ended(self, start: Start, took_s: float) -> None:
        works = [(one, self._works.pop(one.request_id, None)) for one in start.members]
        self._running = ()
        self._pieces.ended(len(works), start.expected_s, took_s)
        self._turn_asked = False
        self._ask_turn()
        self._next()
        pace = took_s / start.expected_s if start.expected_s else 0.0
        for one, work in works:
            if work is not None:
                work.done(took_s if len(works) == 1 else one.times.at(one.items) * pace)

    def _job_ended(self, number: int) -> None:
        self._running = ()
        work = self._works.pop(number, None)
        self._next()
        if work is not None:
            self._estimate.finished(number, self._simulation.now_s)
            work.done(work.seconds)
