"""Which of the waiting requests goes next, and which has to go: by priority, then fairly among clients.

Start-time fair queueing (Goyal, Vin, Cheng 1997), here in front of a node that takes several requests at once, which is
SFQ(D) (Jin, Chase, Kaur 2004). The request at the head of each client's queue has a start tag, the later of the
virtual time and the client's last finish tag; its finish tag is that and what it costs; the least start tag goes next,
and the virtual time is the start tag that went last. While two clients wait, what each is given differs by at most
(D + 1) times both of their greatest costs, whatever they send; and no client waits for more than one request of each
other one beyond those. A client's own requests go earliest deadline first.

Tags are made at the head rather than at arrival: for a client that waits that is the same number, and a request that is
taken back or shed is never charged for.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["FairQueue", "Waiting"]


# Names of clients come from outside, so there must be an end to those that are remembered without a request that waits.
_MOST_KNOWN = 1024


class Waiting(NamedTuple):  # made for each request
    """A request that waits. deadline_s: a moment, infinite without one. cost_s: above 0. priority: 1 first, 0 last.
    model: the order does not go by it."""

    number: int
    client: str
    priority: int
    deadline_s: float
    cost_s: float
    model: str = ""

    @property
    def urgency(self) -> tuple[float, int]:
        """Sorts a client's own requests."""
        return self.deadline_s, self.number

    @property
    def level(self) -> float:
        """Least first."""
        return self.priority or math.inf


class _Head(NamedTuple):
    start: float
    order: int  # of clients whose tags are equal the one that has waited longer goes first


_NO_HEAD = _Head(0.0, 0)


@dataclass(slots=True)
class _Client:
    waiting: list[Waiting] = field(default_factory=list)  # most urgent first
    cost_s: float = 0.0
    finish: float = 0.0
    head: _Head = _NO_HEAD


@dataclass(slots=True)
class _Level:
    """The clients with requests of one priority. One without any that wait is still known by its finish tag; a level is
    forgotten as a whole when nothing waits."""

    clients: dict[str, _Client] = field(default_factory=dict)
    count: int = 0
    virtual: float = 0.0
    heads: int = 0

    def add(self, request: Waiting) -> None:
        client = self.clients.setdefault(request.client, _Client())
        if not client.waiting:
            client.head = _NO_HEAD
            self._new_head(client)
        bisect.insort(client.waiting, request, key=lambda one: one.urgency)
        client.cost_s += request.cost_s
        self.count += 1

    def pop(self) -> Waiting:
        client = min((one for one in self.clients.values() if one.waiting), key=lambda one: one.head)
        request = client.waiting[0]
        self.virtual = client.head.start
        client.finish = client.head.start + request.cost_s
        self.remove(request)
        self._forget()
        return request

    def remove(self, request: Waiting) -> None:
        client = self.clients[request.client]
        client.waiting.remove(request)
        client.cost_s -= request.cost_s
        self.count -= 1
        if client.waiting:
            self._new_head(client)

    def _new_head(self, client: _Client) -> None:
        start = max(self.virtual, client.finish)
        if start != client.head.start or not client.head.order:  # else only its request is another one
            self.heads += 1
            client.head = _Head(start, self.heads)

    def _forget(self) -> None:
        if len(self.clients) < _MOST_KNOWN:
            return
        for name in [name for name, one in self.clients.items() if not one.waiting]:
            if self.clients[name].finish <= self.virtual or len(self.clients) >= _MOST_KNOWN:
                del self.clients[name]


class FairQueue:
    """`add`, then `pop` or `remove` once each."""

    def __init__(self) -> None:
        self._levels: dict[float, _Level] = {}
        self._by_number: dict[int, Waiting] = {}
        self._alone: Waiting | None = None  # in no level: mostly it is popped before another one comes

    def __len__(self) -> int:
        return len(self._by_number)

    def __contains__(self, number: int) -> bool:
        return number in self._by_number

    def add(self, request: Waiting) -> None:
        """It waits from now on. Its number must not wait already."""
        if self._by_number:
            self._order()
            self._add(request)
        else:
            self._alone = request
        self._by_number[request.number] = request

    def pop(self) -> Waiting:
        """The one that goes next; it waits no longer. There must be one."""
        if self._alone is not None:
            alone = self._alone
            self.remove(alone.number)
            return alone
        level = self._levels[min(self._levels)]
        request = level.pop()
        del self._by_number[request.number]
        self._forget_empty(request.level)
        return request

    def remove(self, number: int) -> None:
        """Take one back."""
        request = self._by_number.pop(number)
        if self._alone is not None:
            self._alone = None
            return
        self._levels[request.level].remove(request)
        self._forget_empty(request.level)

    def _add(self, request: Waiting) -> None:
        self._levels.setdefault(request.level, _Level()).add(request)

    def _order(self) -> None:
        """One that waited alone, among others."""
        if self._alone is not None:
            self._add(self._alone)
            self._alone = None

    def ahead(self, request: Waiting) -> int:
        """How many go before that one, which comes now, were all of equal cost and nobody else to come."""
        self._order()
        before = sum(level.count for key, level in self._levels.items() if key < request.level)
        level = self._levels.get(request.level)
        if level is None:
            return before
        own = level.clients.get(request.client)
        sooner = 0 if own is None else bisect.bisect(own.waiting, request.urgency, key=lambda one: one.urgency)
        others = sum(min(len(one.waiting), sooner + 1) for one in level.clients.values() if one is not own)
        return before + sooner + others

    def least_valuable(self, now_s: float, gap_s: float) -> int:
        """Who has to go where one has to: of the last priority, of the client that has most waiting there (by cost; the
        latest of such), the one with the least time to spare when its turn comes, the newest of equals. gap_s: between
        two turns. There must be one."""
        self._order()
        level = self._levels[max(self._levels)]
        most_s = max(one.cost_s for one in level.clients.values())
        able = [one for one in level.clients.values() if one.waiting and one.cost_s >= most_s * (1 - 1e-9)]
        client = max(able, key=lambda one: one.waiting[-1].number)
        turn_s = gap_s * sum(1 for one in level.clients.values() if one.waiting)
        spare = [
            (one.deadline_s - now_s - turn_s * place - one.cost_s, -one.number)
            for place, one in enumerate(client.waiting, 1)
        ]
        return client.waiting[spare.index(min(spare))].number

    def _forget_empty(self, level: float) -> None:
        if not self._levels[level].count:
            del self._levels[level]
