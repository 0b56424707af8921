"""One client's stream of inference requests: several under way at once, each answered as soon as it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["MOST_IN_FLIGHT", "InferStream"]

Request = TypeVar("Request")
Response = TypeVar("Response")

MOST_IN_FLIGHT = 32
"""Requests of one stream under way at once: a quarter of what an edge lets wait, so that no client fills it alone."""


class InferStream(Generic[Request, Response]):
    """Reads a request only while fewer than `most` are under way, an answer that is not yet sent included, and there is
    room for another one, or none is under way.

    A client that sends faster than it is answered, or does not read, is held back by its connection's flow control.
    """

    def __init__(
        self,
        requests: AsyncIterator[Request],
        answer: Callable[[Request], Awaitable[Response]],
        send: Callable[[Response], Awaitable[None]],
        most: int = MOST_IN_FLIGHT,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """answer: raises nothing; what goes wrong with a request is an answer. send: called by one task at a time."""
        self._requests = requests
        self._answer = answer
        self._send = send
        self._most, self._has_room = most, has_room
        self._reading: asyncio.Task[Request | None] | None = None
        self._running: set[asyncio.Task[Response]] = set()

    async def run(self, draining: asyncio.Event) -> bool:
        """Answer until the client has ended its side and has every answer; returns whether it did.

        False when draining ended it instead: what was read is answered then, and nothing more is read. Cancelled, when
        the client leaves, it cancels what is under way.
        """
        drained = asyncio.create_task(draining.wait())
        ended = False
        try:
            while not (ended or draining.is_set()) or self._running:
                if not (ended or draining.is_set() or self._reading) and self._may_read():
                    self._reading = asyncio.create_task(self._next())
                ended = await self._step(drained) or ended
            return ended
        finally:
            await _cancelled((drained, *self._running, *((self._reading,) if self._reading else ())))

    def _may_read(self) -> bool:
        return not self._running or (len(self._running) < self._most and self._has_room())

    async def _step(self, drained: asyncio.Task[bool]) -> bool:
        """Wait for whatever comes first and deal with it. Returns whether the client ended its side."""
        waiting: set[asyncio.Task[object]] = {*self._running}
        waiting |= {self._reading} if self._reading else set()
        waiting |= set() if drained.done() else {drained}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        ended = False
        if self._reading is not None and self._reading.done():
            request, self._reading = self._reading.result(), None
            ended = request is None
            if request is not None:
                self._running.add(asyncio.create_task(_as_coroutine(self._answer(request))))
                await asyncio.sleep(0)  # it takes its room before the next one is looked for
        for task in [task for task in self._running if task.done()]:
            await self._send(task.result())
            self._running.discard(task)
        return ended

    async def _next(self) -> Request | None:
        return await anext(self._requests, None)


async def _as_coroutine(awaitable: Awaitable[Response]) -> Response:
    return await awaitable


async def _cancelled(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
