"""A simulated clock: actions that happen at their times, in one order that nothing but the calls decides.

A heap of (time, priority, sequence) holds what is to come. Of two actions at one time the lower priority value goes
first, then the one that was scheduled first: equal calls give equal runs, in any process, whatever its hash seed. There
is no random source here and no state outside the object.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from isthmus.errors import InvalidQuantity

__all__ = ["Event", "Simulation"]

Action = Callable[..., object]
Event = tuple[float, int, int, Action, tuple[Any, ...]]
"""A scheduled action: time, priority, sequence, action, arguments."""


class Simulation:
    """Schedule with `at` and `after`, then `run`. Actions schedule more.

    now_s: seconds since the start of the run; to be read only.
    """

    __slots__ = ("_cancelled", "_heap", "_sequence", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[Event] = []
        self._sequence = 0
        self._cancelled: set[int] = set()

    def at(self, time_s: float, action: Action, *arguments: Any, priority: int = 0) -> Event:
        """`action(*arguments)` at that time. Raises InvalidQuantity for a time that is past, or no number."""
        if not time_s >= self.now_s:  # true of a NaN, too
            raise InvalidQuantity("time", f"is before now, {self.now_s:.9g} s", value=time_s)
        self._sequence = sequence = self._sequence + 1
        event = (time_s, priority, sequence, action, arguments)
        heappush(self._heap, event)
        return event

    def after(self, delay_s: float, action: Action, *arguments: Any, priority: int = 0) -> Event:
        """`action(*arguments)` so much later. Raises InvalidQuantity for a delay below zero, or no number."""
        if not delay_s >= 0.0:
            raise InvalidQuantity("delay", "is below zero", value=delay_s)
        # As `at` does: a call of it would be a fifth of what an event costs.
        self._sequence = sequence = self._sequence + 1
        event = (self.now_s + delay_s, priority, sequence, action, arguments)
        heappush(self._heap, event)
        return event

    def cancel(self, event: Event) -> None:
        """It will not happen. Only for what has not happened yet; a second time changes nothing."""
        self._cancelled.add(event[2])

    def run(self, until_s: float = math.inf) -> None:
        """Let everything happen that is due before `until_s`, or all there is; the clock then stands there, or at the
        last action. An action that raises ends the run with its error."""
        heap, cancelled = self._heap, self._cancelled
        while heap and heap[0][0] < until_s:
            time_s, _, sequence, action, arguments = heappop(heap)
            if cancelled and sequence in cancelled:
                cancelled.remove(sequence)
                continue
            self.now_s = time_s
            action(*arguments)
        if math.isfinite(until_s):
            self.now_s = max(self.now_s, until_s)
