"""Waiting for something to change, where nobody knows when it will: no polling, and nothing is missed."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterator

__all__ = ["Changes"]


class Changes:
    """`tell` wakes all who wait; what has changed they see for themselves. Used from one event loop.

    Listeners are called at the loop's next turn, once for all that was told until then: who listens may tell something
    itself, and a thousand who do so in one moment neither call each other nor are called a thousand times.
    """

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[], None]] = {}
        self._told = False  # and not yet passed on

    def tell(self) -> None:
        """Something has changed. Cheap where nobody listens."""
        if self._listeners and not self._told:
            self._told = True
            asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        self._told = False
        for listener in tuple(self._listeners.values()):
            listener()

    @contextlib.contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """`listener` is called soon after each change meanwhile; it must not wait."""
        key = object()
        self._listeners[key] = listener
        try:
            yield
        finally:
            del self._listeners[key]

    async def next(self, until_s: float = math.inf) -> None:
        """Return after the next change, or at that moment of the monotonic clock. Whoever looks before it calls this
        misses no change, as nothing else runs in between."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def listener() -> None:
            if not told.done():
                told.set_result(None)

        with self.heard_by(listener):
            await asyncio.wait([told], timeout=None if math.isinf(until_s) else max(0.0, until_s - time.monotonic()))
