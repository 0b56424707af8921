"""A cloud replica on a simulated clock: what waits there and what runs next are decided by the live queue.

Suffixes take t(B) as it was measured, times a factor that is the run's: a batch has one draw, that of its most urgent
member, as what makes runs differ is the machine and not the items.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

from isthmus.errors import CloudUnavailable, DeadlineExceeded, Draining, IsthmusError, Overloaded
from nodes.batching import Hold, Start, WaitingRequest
from nodes.engine_queue import BatchCounts, EngineQueue
from nodes.protocol.periods import LOAD_PERIOD_S
from simulations.busy_time import BusyTime
from simulations.faults import Fault
from simulations.kernel import Event, Simulation
from simulations.load_history import Load, LoadHistory
from simulations.replica_kind import PlanSuffix, ReplicaKind

__all__ = ["SimulatedReplica", "Suffix", "SuffixRan"]


class SuffixRan(NamedTuple):
    """A suffix has run. own_s: what it took of the replica, as if alone. queue_s: all else of its time there: the wait,
    and the part of its batch that was its companions'."""

    queue_s: float
    own_s: float


class Suffix(NamedTuple):  # made for each request
    """Work for a replica. factor: the run's time over the measured one. deadline_s, priority, rest_s: see
    WaitingRequest. ran: called when it has run. refused: called where its deadline passed before its turn, or it had to
    go for what is more urgent. Neither is called of work that is lost or withdrawn."""

    plan: PlanSuffix
    factor: float
    ran: Callable[[SuffixRan], None]
    refused: Callable[[IsthmusError], None]
    deadline_s: float | None = None
    priority: int = 0
    items: int = 1
    rest_s: float = 0.0

    @property
    def alone_s(self) -> float:
        """What it takes by itself."""
        return self.plan.times.at(self.items) * self.factor


class _Run(NamedTuple):
    members: tuple[WaitingRequest, ...]
    expected_s: float
    factor: float
    began_s: float

    @property
    def took_s(self) -> float:
        return self.expected_s * self.factor

    @property
    def ends_s(self) -> float:
        return self.began_s + self.took_s


class SimulatedReplica:
    """Any number of edges may send it work. offered_s: of work that has come, at the pace of the best batch, also what
    was refused. faults: when it was down; the last one is without end as long as it lasts. drains_s: from when on it
    takes nothing new."""

    def __init__(
        self,
        simulation: Simulation,
        kind: ReplicaKind | None = None,
        number: int = 0,
        report_every_s: float = LOAD_PERIOD_S,
        counted_s: tuple[float, float] = (0.0, math.inf),
    ) -> None:
        """counted_s: from when until when its work counts as such."""
        self._simulation = simulation
        self.kind, self.number = kind or ReplicaKind(), number
        self._numbers = itertools.count(1)
        self._suffixes: dict[int, Suffix] = {}  # those that wait or run, and are wanted
        self._queue = EngineQueue(self.kind.batching)
        self._run: _Run | None = None
        self._awaited: Event | None = None  # the end of the run, or of a hold
        self._waiting_s = 0.0
        self.history = LoadHistory(self._load, report_every_s)
        self._busy = BusyTime(*counted_s)
        self.offered_s = 0.0
        self.faults: list[Fault] = []
        self._drained: Callable[[], None] | None = None
        self.drains_s = math.inf
        self._gone = False

    @property
    def up(self) -> bool:
        """Whether it answers, were it only that it drains."""
        return not self._gone and (not self.faults or self.faults[-1].until_s <= self._simulation.now_s)

    def last_fault(self, moment_s: float) -> Fault | None:
        """The last one that had begun at a moment that is past."""
        return next((one for one in reversed(self.faults) if one.at_s <= moment_s), None)

    @property
    def busy_s(self) -> float:
        """How long it has worked, of the time that counts."""
        run = self._run
        running_s = 0.0 if run is None else self._busy.counted_s(run.began_s, self._simulation.now_s)
        return self._busy.seconds + running_s

    @property
    def waiting_s(self) -> float:
        """Seconds of work that wait here, but for what runs."""
        return self._queue.waiting_s()

    @property
    def queued_s(self) -> float:
        """Seconds of work that wait or run, as a live replica counts them: by the measured t(B) and its pace."""
        return self._queue.wait_s(self._simulation.now_s)

    @property
    def free_s(self) -> float:
        """When it will have done what it has, run one by one: what nobody can know who is not told each run's time."""
        return (self._simulation.now_s if self._run is None else self._run.ends_s) + self._waiting_s

    @property
    def requests(self) -> int:
        """How many wait or run."""
        return self._queue.requests

    @property
    def batch_counts(self) -> BatchCounts:
        """The batches that have run since it was last started."""
        return self._queue.counts

    def submit(self, suffix: Suffix) -> int:
        """Work came; its number. Raises CloudUnavailable where the replica is down, Draining where it takes nothing
        new, Overloaded where it has too much and nothing of it is less urgent."""
        if not self.up:
            raise CloudUnavailable(f"replica {self.number} is down")
        if self._drained is not None:
            raise Draining("this replica is draining")
        now_s, times = self._simulation.now_s, suffix.plan.times
        self.history.note(now_s)
        self.offered_s += times.least_s(suffix.items)
        number = next(self._numbers)
        request = WaitingRequest(
            number, suffix.plan.group, suffix.items, times, now_s, suffix.deadline_s, suffix.priority,
            rest_s=suffix.rest_s,
        )  # fmt: skip
        self._make_room(request, now_s)
        self._suffixes[number] = suffix
        self._waiting_s += suffix.alone_s
        self._queue.add(request)
        self._next()
        return number

    def _make_room(self, request: WaitingRequest, now_s: float) -> None:
        """Where it has too much already: less urgent work goes, or this raises."""
        try:
            self.kind.limits.check_queue(self._queue.requests, lambda: self._queue.wait_s(now_s))
        except Overloaded as full:
            gone = self._queue.make_way(request)
            if gone is None:
                raise
            suffix = self._suffixes.pop(gone.request_id)
            self._left(suffix)
            suffix.refused(full)

    def withdraw(self, number: int) -> None:
        """Nobody wants it any more: it does not run, if it has not begun. Nothing to do for what has ended."""
        suffix = self._suffixes.pop(number, None)
        if suffix is None:
            return
        self.history.note(self._simulation.now_s)
        if self._queue.withdraw(number):
            self._left(suffix)
            self._go_if_drained()

    def fail(self) -> None:
        """It dies, and all that it has is lost. One that drains is gone for good."""
        now_s = self._simulation.now_s
        self.history.note(now_s)
        if self._run is not None:
            self._busy.add(self._run.began_s, now_s)
        self._await(None)
        self._run, self._waiting_s = None, 0.0
        self._suffixes.clear()
        self._queue = EngineQueue(self.kind.batching)
        self.faults.append(Fault(now_s, math.inf))
        self._go_if_drained()

    def recover(self) -> bool:
        """It is there again, and has nothing to do. False where it was not down, or is gone for good."""
        if self.up or self._gone:
            return False
        self.faults[-1] = Fault(self.faults[-1].at_s, self._simulation.now_s)
        return True

    def drain(self, drained: Callable[[], None]) -> None:
        """It takes nothing new, answers what it has, and is gone. drained: called then, perhaps at once."""
        self._drained, self.drains_s = drained, self._simulation.now_s
        self._go_if_drained()

    def _go_if_drained(self) -> None:
        if self._drained is not None and not self._gone and not self._queue.requests:
            self._gone = True
            self._drained()

    # ---- its engine ------------------------------------------------------------------------------------------------

    def _load(self) -> Load:
        return Load(self._queue.requests, self._queue.waiting_s(), self._queue.running_until_s)

    def _left(self, suffix: Suffix) -> None:
        """It waits no longer. Sums of what comes and goes drift: at nothing they start anew."""
        self._waiting_s = self._waiting_s - suffix.alone_s if self._queue.waiting else 0.0

    def _await(self, event: Event | None) -> None:
        if self._awaited is not None:
            self._simulation.cancel(self._awaited)
        self._awaited = event

    def _next(self) -> None:
        if self._run is not None:
            return
        now_s = self._simulation.now_s
        expired, decision = self._queue.next(now_s)
        if isinstance(decision, Start):
            self._begin(decision, now_s)
        elif isinstance(decision, Hold):
            self._await(self._simulation.at(decision.until_s, self._held))
        else:
            self._await(None)
        for one in expired:
            suffix = self._suffixes.pop(one.request_id)
            self._left(suffix)
            suffix.refused(DeadlineExceeded("the deadline passed before its turn; nothing was computed"))
        self._go_if_drained()

    def _held(self) -> None:
        self.history.note(self._simulation.now_s)
        self._next()

    def _begin(self, start: Start, now_s: float) -> None:
        members = [self._suffixes[one.request_id] for one in start.members]
        for member in members:
            self._left(member)
        self._queue.began(len(members), start.expected_s, now_s)
        self._run = run = _Run(start.members, start.expected_s, members[0].factor, now_s)
        self._await(self._simulation.after(run.took_s, self._ended, run))

    def _ended(self, run: _Run) -> None:
        now_s = self._simulation.now_s
        self.history.note(now_s)
        self._run = None
        self._busy.add(run.began_s, now_s)
        self._queue.ended(len(run.members), run.expected_s, run.took_s)
        ended = [(one, self._suffixes.pop(one.request_id, None)) for one in run.members]
        self._next()
        for one, suffix in ended:
            if suffix is not None:
                own_s = one.times.at(one.items) * run.factor
                suffix.ran(SuffixRan(max(0.0, now_s - one.arrived_s - own_s), own_s))
        self._go_if_drained()
