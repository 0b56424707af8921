"""Waiting for something to change, where nobody knows when it will: no polling, and nothing is missed."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterator

__all__ = ["Changes"]


class Changes:
    """`tell` wakes all who wait; what has changed they see for themselves. Used from one event loop."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[], None]] = {}

    def tell(self) -> None:
        """Something has changed. Cheap where nobody listens."""
        for listener in tuple(self._listeners.values()):
            listener()

    @contextlib.contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """`listener` is called at each change meanwhile, at once; it must not wait."""
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
