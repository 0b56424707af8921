"""A wait that ends at a moment which moves while it lasts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["MovingEnd"]


class MovingEnd:
    """Raises TimeoutError where its body lasts too long, as asyncio.timeout does: `async with MovingEnd(...) as end`.
    Moments are readings of the monotonic clock."""

    def __init__(self, ends_s: float, late_s: Callable[[], float]) -> None:
        """ends_s: when the wait ends in any case; infinite for never. late_s: when it ends as things are now. That is
        asked again when the moment has come, so what puts it off tells nobody."""
        self._latest_s = self._ends_s = ends_s
        self._late_s = late_s
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        await self._limit.__aexit__(kind, error, trace)

    def end_by(self, moment_s: float) -> None:
        """The wait has to end by then, whatever was said before; no later than `ends_s`. Ignored once it has ended."""
        if self._timer is not None:
            self._stop()
            self._ends_s = min(self._latest_s, moment_s)
            self._set()

    def _set(self) -> None:
        # The event loop has a clock of its own.
        in_s = min(self._ends_s, self._late_s()) - time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(in_s, self._due)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        if time.monotonic() < min(self._ends_s, self._late_s()):
            self._set()
        else:
            self._limit.reschedule(asyncio.get_running_loop().time())
