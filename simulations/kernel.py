"""A simulated clock: actions that happen at their times, in one order that nothing but the calls decides.

SimPy keeps the time (docs/decisions says why). Of two actions at one time the one that was scheduled first goes first:
equal calls give equal runs, in any process, whatever its hash seed. There is no random source here and no state outside
the object. Actions rather than SimPy's processes: a request that is given up, and work that others queue behind, end by
what other requests do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import simpy

from isthmus.errors import InvalidQuantity

__all__ = ["Event", "Simulation"]

Action = Callable[..., None]
Event = simpy.Event


class Simulation:
    """Schedule with `at` and `after`, then `run`. Actions schedule more."""

    def __init__(self) -> None:
        self._environment = simpy.Environment()

    @property
    def now_s(self) -> float:
        """Seconds since the start of the run."""
        return float(self._environment.now)

    def at(self, time_s: float, action: Action, *arguments: Any) -> Event:
        """`action(*arguments)` at that time. Raises InvalidQuantity for a time that is past, or no number."""
        return self.after(time_s - self._environment.now, action, *arguments)

    def after(self, delay_s: float, action: Action, *arguments: Any) -> Event:
        """`action(*arguments)` so much later. Raises InvalidQuantity for a delay below zero, or no number."""
        if not delay_s >= 0.0:  # true of a NaN, too
            raise InvalidQuantity("delay", f"is before now, {self.now_s:.9g} s", value=delay_s)
        event = self._environment.timeout(delay_s)
        event.callbacks.append(lambda _: action(*arguments))
        return event

    def cancel(self, event: Event) -> None:
        """It will not happen. Nothing to do where it has, or is cancelled."""
        if event.callbacks:
            event.callbacks.clear()

    def run(self, until_s: float = math.inf) -> None:
        """Let everything happen that is due before `until_s`, or all there is; the clock then stands there, or at the
        last action. An action that raises ends the run with its error."""
        if math.isinf(until_s):
            self._environment.run()
        elif until_s > self._environment.now:
            self._environment.run(until=until_s)
