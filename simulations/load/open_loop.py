"""Requests that leave at their times, whatever became of those before them.

A request's latency is measured from the moment at which it was meant to leave. A generator that waits for answers, or
that measures from when it got round to sending, leaves out just the requests that a queue would have delayed
(coordinated omission). Closed loops are there too, for users who do wait; theirs is measured from when they ask.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from isthmus.errors import DeadlineExceeded, IsthmusError
from scheduler.admission.refusal import LEAST_RETRY_S
from simulations.fine_timer import FineTimer
from simulations.load.client_kind import Client
from simulations.load.lateness import Lateness
from simulations.workload.closed_loop import ClosedLoop

__all__ = ["Answer", "Ask", "OpenLoop", "Outcome"]

# What a machine that sends load can hold; a server that is that far behind has failed the test already.
MOST_UNDER_WAY = 5000


@dataclass(frozen=True, slots=True)
class Answer:
    """size_bytes: of the outputs. edge_s: how long it took by the edge's own clock. finished_by: edge or cloud."""

    size_bytes: int
    edge_s: float
    plan_id: str
    finished_by: str


Ask = Callable[[Client, float | None], Awaitable[Answer]]
"""Sends one request of a client with so many seconds left. Raises IsthmusError."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request. due_s: when it was meant to leave, since its client began. took_s: from then to the
    answer, or to the error; None for one that never left. error: "" for none."""

    client: str
    due_s: float
    took_s: float | None
    answer: Answer | None
    error: str


@dataclass(slots=True)
class _Stream:
    client: Client
    began_s: float
    times: Iterator[float]
    over: bool = False
    users: list[asyncio.Task[None]] = field(default_factory=list)


class OpenLoop:
    """Made and used inside one running event loop; the clock is time.monotonic, as uvloop's own counts milliseconds.

    until_s: arrivals of each client end so long after it began. warm_up_s: what is meant to leave before is asked, but
    neither reported nor counted.
    """

    def __init__(
        self, ask: Ask, report: Callable[[Outcome], None], *, seed: int, until_s: float, warm_up_s: float = 0.0
    ) -> None:
        self._ask, self._report = ask, report
        self._seed, self._until_s, self._warm_up_s = seed, until_s, warm_up_s
        self._loop = asyncio.get_running_loop()
        self._timer = FineTimer(self._send_due)
        self._due: list[tuple[float, int, _Stream]] = []
        self._numbers = count()
        self._streams: dict[str, _Stream] = {}
        self._under_way: set[asyncio.Task[bool]] = set()
        self.lateness = Lateness()

    def begin(self, client: Client) -> None:
        """A client's arrivals begin now."""
        source, arrivals = client.arrivals_source(self._seed), client.kind.arrivals
        now_s = time.monotonic()
        if isinstance(arrivals, ClosedLoop):
            stream = _Stream(client, now_s, iter(()))
            use = partial(self._use, stream, arrivals, source)
            stream.users = [self._loop.create_task(use()) for _ in range(arrivals.users)]
        else:
            stream = _Stream(client, now_s, arrivals.times(source, self._until_s))
            self._expect_next(stream)
            self._arm()
        self._streams[client.name] = stream

    def end(self, client: Client) -> None:
        """No more of its arrivals. What is under way goes on."""
        stream = self._streams.pop(client.name, None)
        if stream is not None:
            stream.over = True

    async def finish(self, patience_s: float) -> None:
        """End all arrivals, wait for answers no longer than that; what is without one then has failed."""
        for stream in self._streams.values():
            stream.over = True
        self._timer.close()
        users = [user for stream in self._streams.values() for user in stream.users]
        pending: set[asyncio.Task[Any]] = {*self._under_way, *users}
        if pending:
            _, pending = await asyncio.wait(pending, timeout=patience_s)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _expect_next(self, stream: _Stream) -> None:
        time_s = next(stream.times, None)
        if time_s is not None:
            heapq.heappush(self._due, (stream.began_s + time_s, next(self._numbers), stream))

    def _arm(self) -> None:
        if self._due:
            self._timer.arm(self._due[0][0])

    def _send_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            due_s, _, stream = heapq.heappop(self._due)
            if not stream.over:
                self._send(stream, due_s)
                self._expect_next(stream)
        self._arm()

    def _send(self, stream: _Stream, due_s: float) -> None:
        if len(self._under_way) >= MOST_UNDER_WAY:
            if self._counts(stream, due_s):
                self.lateness.not_sent()
                error = f"not sent: {MOST_UNDER_WAY} requests are under way"
                self._report(Outcome(stream.client.kind.name, due_s - stream.began_s, None, None, error))
            return
        task = self._loop.create_task(self._one(stream, due_s))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _use(self, stream: _Stream, loop: ClosedLoop, source: random.Random) -> None:
        answered = True
        while True:
            # Who was refused asks again no sooner than a refusal says at least, as in a simulation.
            await asyncio.sleep(max(0.0 if answered else LEAST_RETRY_S, loop.pause_s(source)))
            now_s = time.monotonic()
            if stream.over or now_s - stream.began_s >= self._until_s:
                return
            answered = await self._one(stream, now_s)

    async def _one(self, stream: _Stream, due_s: float) -> bool:
        """Whether it was answered."""
        counts, kind = self._counts(stream, due_s), stream.client.kind
        late_s = time.monotonic() - due_s
        if counts:
            self.lateness.sent(late_s)
        answer, error = None, ""
        try:
            answer = await self._ask(stream.client, self._left_s(kind.deadline_s, late_s))
        except IsthmusError as failure:
            error = f"{type(failure).__name__}: {failure}"
        except asyncio.CancelledError:
            error = "without an answer when the load ended"
        if not counts:
            return answer is not None
        took_s = time.monotonic() - due_s
        if answer is not None:
            self.lateness.answered(took_s - late_s - answer.edge_s)
        self._report(Outcome(kind.name, due_s - stream.began_s, took_s, answer, error))
        return answer is not None

    def _left_s(self, deadline_s: float | None, late_s: float) -> float | None:
        if deadline_s is None:
            return None
        if late_s >= deadline_s:
            raise DeadlineExceeded("the generator itself sent it too late")
        return deadline_s - late_s

    def _counts(self, stream: _Stream, due_s: float) -> bool:
        return due_s - stream.began_s >= self._warm_up_s
