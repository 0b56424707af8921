"""A simulated clock: actions that happen at their times, in one order that nothing but the calls decides.

SimPy keeps the time (docs/decisions says why). Of two actions at one time the one that was scheduled first goes first:
equal calls give equal runs, in any process, whatever its hash seed. There is no random source here and no state outside
the object. Actions rather than SimPy's processes: a request that is given up, and work that others queue behind, end by
what other requests do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappush
from typing import Any

import simpy
from simpy.events import NORMAL, URGENT, EventPriority

from isthmus.errors import InvalidQuantity

__all__ = ["Event", "Simulation"]

Action = Callable[..., object]


def _happen(event: Any) -> None:
    """Its time has come, SimPy says."""
    simulation = event.simulation
    simulation.now_s = simulation.environment.now
    event.action(*event.arguments)


class Event(simpy.Event):
    """An action that is to happen, and does by itself. Unlike SimPy's own it has one thing to call, the same for all:
    the class says it."""

    _ok, _value = True, None
    callbacks: Any = (_happen,)

    def __init__(self, simulation: Simulation, action: Action, arguments: tuple[Any, ...]) -> None:
        self.simulation, self.action, self.arguments = simulation, action, arguments


class _Clock(simpy.Environment):
    """SimPy schedules by delays, and `now + (time - now)` may be an ulp above `time`: what shares one moment would not
    come in the order of the calls, and what is due at that moment would be late. So moments go in as they are."""

    def schedule_at(self, event: simpy.Event, time_s: float, priority: EventPriority = NORMAL) -> None:
        """Then; see Environment.schedule."""
        heappush(self._queue, (time_s, priority, next(self._eid), event))

    def moment(self, time_s: float) -> simpy.Event:
        """Comes then, before all that is due."""
        event = simpy.Event(self)
        event._ok, event._value = True, None
        self.schedule_at(event, time_s, URGENT)
        return event


class Simulation:
    """Schedule with `at` and `after`, then `run`. Actions schedule more. now_s: seconds since the start of the run."""

    def __init__(self) -> None:
        self.environment = _Clock(0.0)
        self.now_s = 0.0

    def at(self, time_s: float, action: Action, *arguments: Any) -> Event:
        """`action(*arguments)` at that time. Raises InvalidQuantity for a time that is past, or no number."""
        return self._schedule(time_s, action, arguments)

    def after(self, delay_s: float, action: Action, *arguments: Any) -> Event:
        """`action(*arguments)` so much later. Raises InvalidQuantity for a delay below zero, or no number."""
        return self._schedule(self.now_s + delay_s, action, arguments)

    def _schedule(self, time_s: float, action: Action, arguments: tuple[Any, ...]) -> Event:
        if not time_s >= self.now_s:  # true of a NaN, too
            problem = f"is before now, {self.now_s:.9g} s"
            raise InvalidQuantity("delay", problem, value=time_s - self.now_s)
        event = Event(self, action, arguments)
        self.environment.schedule_at(event, time_s)
        return event

    def cancel(self, event: Event) -> None:
        """It will not happen. Nothing to do where it has, or is cancelled."""
        if event.callbacks:
            event.callbacks = ()

    def run(self, until_s: float = math.inf) -> None:
        """Let everything happen that is due before `until_s`, or all there is; the clock then stands there, or at the
        last action. An action that raises ends the run with its error."""
        if math.isinf(until_s):
            self.environment.run()
        elif until_s > self.now_s:
            self.environment.run(until=self.environment.moment(until_s))
            self.now_s = float(self.environment.now)
