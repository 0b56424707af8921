"""Which replicas refused one request, and when it may ask each of them again. Pure."""

from __future__ import annotations

import math
from collections import Counter
from typing import Generic, TypeVar

from isthmus.errors import ComputeFailed, InvalidInput, IsthmusError, LocalProtocolError, UnknownPlan
from nodes.backoff import Backoff

__all__ = ["FIRST_PAUSE_S", "LONGEST_PAUSE_S", "Refusals"]

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 8.0
"""How long a request leaves a replica alone that could not take it just then."""

# What it would say again: it cannot compute this request, or reads what the edge has checked and made as wrong or too
# large.
_FOR_GOOD = (ComputeFailed, InvalidInput)

Replica = TypeVar("Replica")


class Refusals(Generic[Replica]):
    """Of one request. Moments are readings of the caller's clock.

    "Not now" (it is full, or hangs) is no word for good: whoever said so may be the only one that answers later on. So
    it is asked again after a pause, twice as long each time. A plan that it does not know is offered again, which is
    what the request waits for; the second time there is a pause as well, as it may forget it again.
    """

    def __init__(self) -> None:
        self._for_good: list[Replica] = []
        self._not_before_s: dict[Replica, float] = {}
        self._pauses: dict[Replica, Backoff] = {}
        self._forgot = Counter[Replica]()

    def refused(self, replica: Replica, error: IsthmusError, now_s: float) -> None:
        """It said so."""
        if isinstance(error, LocalProtocolError):  # it said nothing: another request's probe came first
            return
        if isinstance(error, _FOR_GOOD):
            self._for_good.append(replica)
            return
        if isinstance(error, UnknownPlan):
            self._forgot[replica] += 1
            if self._forgot[replica] == 1:
                return
        pause = self._pauses.setdefault(replica, Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S))
        self._not_before_s[replica] = now_s + pause.next_s()

    def out(self, now_s: float) -> tuple[Replica, ...]:
        """Those that are not to be asked now."""
        paused = (replica for replica, until_s in self._not_before_s.items() if until_s > now_s)
        return (*self._for_good, *paused)

    def back_s(self, now_s: float) -> float:
        """When the next pause is over; infinite without one."""
        return min((until_s for until_s in self._not_before_s.values() if until_s > now_s), default=math.inf)
