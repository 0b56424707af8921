"""Where requests wait for their turn: an `Admission` on the real clock and the event loop."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from nodes.admission import Admission, AdmissionCounts, Arriving, EdgeWork, Outlook

__all__ = ["AdmissionGate", "Admitted"]


class AdmissionGate:
    """`enter`, then `Admitted.leave` once, whatever became of the request."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._turns: dict[int, asyncio.Future[None]] = {}

    @property
    def counts(self) -> AdmissionCounts:
        """How many wait and run."""
        return self._admission.counts

    async def enter(self, arriving: Arriving) -> Admitted:
        """Wait for the request's turn; to be left even when cancelled afterwards.

        Raises Shed where it is not let in or had to go for another one, DeadlineUnreachable.
        """
        now_s = time.monotonic()
        arrived = self._admission.arrive(arriving, now_s)
        if arrived.shed is not None:
            turn = self._turns.pop(arrived.shed)
            if not turn.done():
                turn.set_exception(self._admission.shed_error(now_s))
        admitted = Admitted(self, arrived.number)
        mine = self._turns[arrived.number] = asyncio.get_running_loop().create_future()
        self.open()
        if not mine.done():
            try:
                await mine
            except BaseException:
                admitted.leave()
                raise
        return admitted

    def open(self) -> None:
        """Let go on whose turn it is."""
        for number in self._admission.start(time.monotonic()):
            turn = self._turns.pop(number)
            if not turn.done():  # else its client has left, and it leaves too
                turn.set_result(None)

    def outlook(self, number: int, due_s: float | None, *, idle: bool) -> Outlook:
        """See Admission."""
        return self._admission.outlook(number, due_s, time.monotonic(), idle=idle)

    def crowded_out(self, number: int) -> None:
        """See Admission."""
        self._admission.crowded_out(number, time.monotonic())

    def steps_aside(self, number: int) -> bool:
        """See Admission."""
        may = self._admission.steps_aside(number, time.monotonic())
        self.open()
        return may

    def placed(self, number: int, work: EdgeWork) -> None:
        """See Admission."""
        self._admission.placed(number, work, time.monotonic())

    def prefix_ended(self, number: int) -> None:
        """See Admission."""
        self._admission.prefix_ended(number, time.monotonic())
        self.open()

    def finishes(self, number: int, work: EdgeWork) -> bool:
        """See Admission."""
        return self._admission.finishes(number, work, time.monotonic())

    def leave(self, number: int) -> None:
        """It ended."""
        self._turns.pop(number, None)
        self._admission.ended(number, time.monotonic())
        self.open()


@dataclass(slots=True)
class Admitted:
    """A request that was let in. promised: whether the edge has the time to finish it, whatever the cloud does. due_s:
    what its prefix's order goes by, None without a deadline."""

    gate: AdmissionGate
    number: int
    promised: bool = False
    due_s: float | None = None

    def outlook(self, due_s: float | None, *, idle: bool) -> Outlook:
        """How it stands, as its turn has come."""
        return self.gate.outlook(self.number, due_s, idle=idle)

    def crowded_out(self) -> None:
        """No plan ends it in time, because of others."""
        self.gate.crowded_out(self.number)

    def steps_aside(self) -> bool:
        """It waits for a replica, before its plan is chosen or after; whether it may."""
        return self.gate.steps_aside(self.number)

    def placed(self, work: EdgeWork) -> None:
        """Its plan was chosen."""
        self.promised, self.due_s = work.promised, work.due_s
        self.gate.placed(self.number, work)

    def prefix_ended(self) -> None:
        """The edge has done its part."""
        self.gate.prefix_ended(self.number)

    def finishes(self, due_s: float | None, finish_s: float) -> bool:
        """The edge does the rest, too. Whether by then, all promises being kept."""
        return self.gate.finishes(self.number, EdgeWork(due_s, 0.0, finish_s))

    def leave(self) -> None:
        """It ended."""
        self.gate.leave(self.number)
