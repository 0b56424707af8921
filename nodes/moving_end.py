"""A wait that ends at a moment which moves while it lasts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["LONGEST_LOOK_S", "LOOK_S", "MovingEnd"]

LOOK_S, LONGEST_LOOK_S = 0.01, 0.5


class MovingEnd:
    """Raises TimeoutError where its body lasts too long, as asyncio.timeout does: `async with MovingEnd(...) as end`.
    Moments are readings of the monotonic clock.

    A process that stood still finds that the moment has passed before it has read what came meanwhile: event loops run
    timers first. So what is late gets a short while more, once, in which the loop reads its sockets: LOOK_S, or as much
    as this process itself was late, up to LONGEST_LOOK_S. The end in any case is not put off.
    """

    def __init__(self, ends_s: float, late_s: Callable[[], float]) -> None:
        """ends_s: when the wait ends in any case; infinite for never. late_s: when it ends as things are now. That is
        asked again when the moment has come, so what puts it off tells nobody; what makes it sooner calls `again`."""
        self._latest_s = self._ends_s = ends_s
        self._late_s = late_s
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._looks_until_s: float | None = None  # once it was late

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

    def again(self) -> None:
        """What `late_s` says may have changed. Ignored once the wait has ended."""
        if self._timer is not None:
            self._stop()
            self._set()

    def _set(self) -> None:
        now_s, late_s = time.monotonic(), self._late_s()
        if now_s < late_s:
            self._looks_until_s = None
            self._arm(late_s, now_s)
        else:
            self._arm(now_s if self._looks_until_s is None else self._looks_until_s, now_s)

    def _arm(self, moment_s: float, now_s: float) -> None:
        self._timer_s = max(now_s, min(self._ends_s, moment_s))
        # The event loop has a clock of its own.
        self._timer = asyncio.get_running_loop().call_later(self._timer_s - now_s, self._due)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        now_s, late_s = time.monotonic(), self._late_s()
        if now_s >= self._ends_s:
            self._end()
        elif now_s < late_s:
            self._looks_until_s = None
            self._arm(late_s, now_s)
        elif self._looks_until_s is None:
            self._looks_until_s = now_s + min(max(LOOK_S, now_s - self._timer_s), LONGEST_LOOK_S)
            self._arm(self._looks_until_s, now_s)
        elif now_s < self._looks_until_s:
            self._arm(self._looks_until_s, now_s)
        else:
            self._end()

    def _end(self) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time())
