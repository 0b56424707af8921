"""Proof that nothing runs after its time: every piece of work passes a gate, and what became of it is counted."""

from __future__ import annotations

import enum
import threading
from dataclasses import asdict, dataclass

from isthmus.errors import Cancelled, DeadlineExceeded

__all__ = ["ExecutionCounts", "ExecutionLedger", "Ticket"]


@dataclass(slots=True)
class ExecutionCounts:
    """What became of work: each ended in one of the first three.

    executed: begun, also in a batch that failed for somebody else's sake. executed_after_deadline: of the executed,
    those whose deadline was over by the clock as the work itself started, read anew behind the gate. It stays 0.
    """

    executed: int = 0
    expired_unexecuted: int = 0
    cancelled_unexecuted: int = 0
    executed_after_deadline: int = 0

    def to_dict(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


class _State(enum.Enum):
    WAITING = "waiting"
    BEGUN = "begun"
    OVER = "over"


class ExecutionLedger:
    """One stage's counts. Its tickets may be used from any thread."""

    def __init__(self) -> None:
        self.counts = ExecutionCounts()
        self.lock = threading.Lock()

    def admit(self, deadline_s: float | None) -> Ticket:
        """A ticket for one piece of work. deadline_s: on the clock that `begin` is given, None without one."""
        return Ticket(self, deadline_s)


class Ticket:
    """One piece of work: `begin` right before it runs, `withdraw` where nobody wants it any more."""

    def __init__(self, ledger: ExecutionLedger, deadline_s: float | None) -> None:
        self._ledger = ledger
        self._deadline_s = deadline_s
        self._state = _State.WAITING

    def begin(self, now_s: float) -> None:
        """The worker is about to run it. Raises DeadlineExceeded or Cancelled: then it must not."""
        with self._ledger.lock:
            if self._state is not _State.WAITING:
                raise Cancelled("the request was taken back before it began; nothing was computed")
            if self._over(now_s):
                self._end_unexecuted(now_s)
                raise DeadlineExceeded("the deadline passed before the work began; nothing was computed")
            self._state = _State.BEGUN
            self._ledger.counts.executed += 1

    def begin_again(self, now_s: float) -> None:
        """The worker is about to run it once more, as a batch that it was in failed. It counts as executed already.
        Raises DeadlineExceeded or Cancelled: then it must not."""
        with self._ledger.lock:
            if self._state is not _State.BEGUN:
                raise Cancelled("the request was taken back before it ran by itself")
            if self._over(now_s):
                raise DeadlineExceeded("the deadline passed before it ran by itself, after a batch that failed")

    def runs(self, now_s: float) -> None:
        """It is being run: the proof that the gate held, whatever happened between the two."""
        if self._over(now_s):
            with self._ledger.lock:
                self._ledger.counts.executed_after_deadline += 1

    def withdraw(self, now_s: float) -> None:
        """Nobody waits for it: it will not begin, nor, once it has, begin again."""
        with self._ledger.lock:
            if self._state is _State.WAITING:
                self._end_unexecuted(now_s)
            self._state = _State.OVER

    def _over(self, now_s: float) -> bool:
        return self._deadline_s is not None and now_s >= self._deadline_s

    def _end_unexecuted(self, now_s: float) -> None:
        self._state = _State.OVER
        if self._over(now_s):
            self._ledger.counts.expired_unexecuted += 1
        else:
            self._ledger.counts.cancelled_unexecuted += 1
