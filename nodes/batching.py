"""Which waiting requests run next, together or alone: a pure decision, without clock and I/O.

The nodes run this object on their clocks and the simulator runs it on its own. It is asked whenever the engine is free,
and says to start a batch, or to hold until a moment. Three rules, all on the measured time t(B) of a batch:

- *Order*: the most urgent request leads (earliest due, then priority, then age); the next ones of its
  group in the same order may join.
- *Size*: of M items that wait, served m at a time, the mean one is done after t(m) (M / m + 1) / 2 (rounds of t(m),
  half of them before it). The size with the least is taken: alone where nothing is gained, larger the more wait, the
  fastest rate in the end. Nobody joins who would make a member miss a deadline that it could have met.
- *Hold*: an idle engine waits for one more request only where that shortens the sum of the latencies. With k requests
  of m items here, a request that arrives w from now costs k w of waiting and makes all k + 1 end t(m + 1) after it
  instead of being served by itself, t(1) after the end of t(m). That pays for w below
  t(1) / (k + 1) - (t(m + 1) - t(m)): never where t(B) has no fixed part. It holds where the next request is expected
  sooner than that, and no longer than that after the last one (as in ski rental: a wrong guess costs no more than a
  right one could have saved), nor than `max_delay_s`, nor past the latest start of any member.
"""

from __future__ import annotations

import bisect
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from isthmus.errors import InvalidConfiguration
from nodes.batch_times import BatchTimes

__all__ = [
    "DEFAULT_LIMITS",
    "LARGEST_BATCH",
    "LONGEST_DELAY_S",
    "BatchGroup",
    "BatchLimits",
    "Batcher",
    "Decision",
    "Hold",
    "NothingWaits",
    "Start",
    "WaitingRequest",
]

# A timer of an event loop fires about this late: a hold ends so much before the latest start.
WAKE_UP_S = 0.001
# The last ten gaps between arrivals carry about 90 % of the weight.
GAP_SMOOTHING = 0.2
# Groups whose arrivals are remembered: shapes come from outside, so there must be an end to them.
KNOWN_GROUPS = 256
LARGEST_BATCH = 1024
LONGEST_DELAY_S = 1.0


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What the operator allows. max_batch: items in a batch, 1 for no batching. max_delay_s: how long an idle engine
    may hold a request for others, 0 for never. Raises InvalidConfiguration outside 1 to 1024 items and 0 to 1 s."""

    max_batch: int = 8
    max_delay_s: float = 0.005

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch <= LARGEST_BATCH:
            problem = f"must be 1 (no batching) to {LARGEST_BATCH} items"
            raise InvalidConfiguration("batching.max_batch", problem, value=self.max_batch)
        if not 0 <= self.max_delay_s <= LONGEST_DELAY_S:
            problem = f"must be 0 (never hold) to {LONGEST_DELAY_S:g} s"
            raise InvalidConfiguration("batching.max_delay", problem, value=self.max_delay_s)


DEFAULT_LIMITS = BatchLimits()


class BatchGroup(NamedTuple):
    """What requests must share to run as one: the model, its cut, the engine, and every tensor but for its batch.

    tensors: of each one dtype, the other dimensions and the order in memory, as text.
    """

    model_digest: str
    cut: str
    engine: str
    tensors: tuple[str, ...]


class WaitingRequest(NamedTuple):
    """One request that waits for an engine. Moments are readings of one clock.

    request_id: unique among those that wait. items: its own batch. times: of its group, with what it costs besides.
    priority: 1 first; 0, the default, is last. due_s: what its order goes by, None for its deadline, after which it
    must not run. rest_s: what follows before its answer is there; so long before the deadline its batch should end.
    """

    request_id: int
    group: BatchGroup
    items: int
    times: BatchTimes
    arrived_s: float
    deadline_s: float | None = None
    priority: int = 0
    due_s: float | None = None
    rest_s: float = 0.0

    @property
    def ends_by_s(self) -> float:
        """When its batch should have ended, for its answer to be in time; infinite without a deadline."""
        return math.inf if self.deadline_s is None else self.deadline_s - self.rest_s

    @property
    def urgency(self) -> tuple[float, float, float, int]:
        """Sorts the most urgent first."""
        due_s = self.deadline_s if self.due_s is None else self.due_s
        return (math.inf if due_s is None else due_s, self.priority or math.inf, self.arrived_s, self.request_id)


class Start(NamedTuple):
    """Run these now, as one batch: most urgent first. expected_s: t(B)."""

    members: tuple[WaitingRequest, ...]
    expected_s: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Leave the engine idle until `until_s`, or until another request comes; then ask again."""

    until_s: float


@dataclass(frozen=True, slots=True)
class NothingWaits:
    """There is no request to start."""


Decision = Start | Hold | NothingWaits


@dataclass(slots=True)
class _Arrivals:
    """When requests of a group came: the last one, and the smoothed gap between them (infinite before a second)."""

    last_s: float
    gap_s: float = math.inf

    def came(self, now_s: float, longest_s: float) -> None:
        """longest_s: a gap beyond it says no more than that one: after a night the first requests of the day would else
        be served as if each were the only one."""
        gap_s = min(longest_s, max(0.0, now_s - self.last_s))
        self.gap_s = gap_s if math.isinf(self.gap_s) else self.gap_s + GAP_SMOOTHING * (gap_s - self.gap_s)
        self.last_s = now_s


@dataclass(slots=True)
class _Queue:
    """What waits of one group, most urgent first, and how many items that is."""

    waiting: list[WaitingRequest] = field(default_factory=list)
    items: int = 0

    def add(self, request: WaitingRequest) -> None:
        self.items += request.items
        if not self.waiting or self.waiting[-1].urgency <= request.urgency:  # mostly it is the last one
            self.waiting.append(request)
        else:
            bisect.insort(self.waiting, request, key=lambda one: one.urgency)

    def remove(self, request: WaitingRequest) -> None:
        self.items -= request.items
        self.waiting.remove(request)


class Batcher:
    """The requests that wait for one engine. Not thread-safe. Time is handed in and never goes back."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._queues: dict[BatchGroup, _Queue] = {}  # none empty
        self._with_deadline = 0  # of all that wait
        self._by_id: dict[int, WaitingRequest] = {}
        self._arrivals: OrderedDict[BatchGroup, _Arrivals] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, request: WaitingRequest) -> None:
        """A request arrived. Its id must not wait already."""
        if request.request_id in self._by_id:
            raise ValueError(f"request {request.request_id} waits already")
        self._by_id[request.request_id] = request
        self._with_deadline += request.deadline_s is not None
        queue = self._queues.get(request.group)
        if queue is None:
            queue = self._queues[request.group] = _Queue()
        queue.add(request)
        arrivals = self._arrivals.get(request.group)
        if arrivals is None:
            self._arrivals[request.group] = _Arrivals(request.arrived_s)
        else:
            arrivals.came(request.arrived_s, request.times.at(1))  # twice what a hold can be worth
        self._arrivals.move_to_end(request.group)
        if len(self._arrivals) > KNOWN_GROUPS:
            self._arrivals.popitem(last=False)

    def withdraw(self, request_id: int) -> bool:
        """Take back a request, cancelled. False where it does not wait (any more)."""
        request = self._by_id.get(request_id)
        if request is not None:
            self._remove((request,))
        return request is not None

    def least_urgent(self) -> WaitingRequest | None:
        """The one that would run last, None where none waits. O(groups)."""
        return max((queue.waiting[-1] for queue in self._queues.values()), key=lambda one: one.urgency, default=None)

    def drop_expired(self, now_s: float) -> tuple[WaitingRequest, ...]:
        """Remove the requests whose deadline has passed; they must not run."""
        if not self._with_deadline:
            return ()
        late = tuple(r for r in self._by_id.values() if r.deadline_s is not None and r.deadline_s <= now_s)
        self._remove(late)
        return late

    def next(self, now_s: float) -> Decision:
        """What a free engine does now. The members of a `Start` wait no longer."""
        if not self._by_id:
            return NothingWaits()
        queue = self._first_queue()
        chosen = queue.waiting[:1] if len(queue.waiting) == 1 else self._best_size(queue, now_s)
        until_s = self._hold_until(chosen, now_s) if len(chosen) == len(self._by_id) else now_s
        if until_s > now_s:
            return Hold(until_s)
        self._remove(chosen)
        return Start(tuple(chosen), chosen[0].times.at(_items(chosen)))

    def work_s(self) -> float:
        """Seconds that all waiting requests will take, in the batches that are made of so many."""
        if not self._queues:  # mostly, and asked at every turn
            return 0.0
        return math.fsum([self._queue_work_s(queue) for queue in self._queues.values()])

    def _first_queue(self) -> _Queue:
        """The one with the most urgent request."""
        if len(self._queues) == 1:
            (only,) = self._queues.values()
            return only
        return min(self._queues.values(), key=lambda queue: queue.waiting[0].urgency)

    # ---- size ----------------------------------------------------------------------------------------------------

    def _limit(self, times: BatchTimes) -> int:
        return min(self._limits.max_batch, times.largest)

    def _best_size(self, queue: _Queue, now_s: float) -> Sequence[WaitingRequest]:
        """The most urgent ones of a queue whose batch serves all of it best."""
        waiting, total, times = queue.waiting, queue.items, queue.waiting[0].times
        most = self._limit(times)
        size, best, least = 0, 1, math.inf
        latest_end_s = math.inf
        for count, request in enumerate(waiting, start=1):
            size += request.items
            took_s = times.at(size)
            latest_end_s = min(latest_end_s, _latest_end_s(request, now_s))
            if count > 1 and (size > most or now_s + took_s > latest_end_s):
                break
            done_s = took_s * (total / size + 1)
            if done_s < least:
                best, least = count, done_s
        return waiting[:best]

    def _queue_work_s(self, queue: _Queue) -> float:
        times, items = queue.waiting[0].times, queue.items
        size = times.best_size(items, self._limit(times))
        rounds, rest = divmod(items, size)
        return rounds * times.at(size) + (times.at(rest) if rest else 0.0)

    # ---- hold ----------------------------------------------------------------------------------------------------

    def _hold_until(self, chosen: Sequence[WaitingRequest], now_s: float) -> float:
        """Until when the engine may idle for one more of this group; not after `now_s` where that does not pay."""
        times, size, group = chosen[0].times, _items(chosen), chosen[0].group
        arrivals = self._arrivals.get(group)
        if arrivals is None or size >= self._limit(times):
            return now_s
        worth_s = times.at(1) / (len(chosen) + 1) - (times.at(size + 1) - times.at(size))
        if arrivals.gap_s >= worth_s:
            return now_s
        oldest_s = min(request.arrived_s for request in chosen)
        starts_s = (one.ends_by_s - times.at(size) - WAKE_UP_S for one in chosen)
        return min(arrivals.last_s + worth_s, oldest_s + self._limits.max_delay_s, *starts_s)

    # ---- bookkeeping ---------------------------------------------------------------------------------------------

    def _remove(self, requests: Sequence[WaitingRequest]) -> None:
        for request in tuple(requests):
            del self._by_id[request.request_id]
            self._with_deadline -= request.deadline_s is not None
            queue = self._queues[request.group]
            queue.remove(request)
            if not queue.waiting:
                del self._queues[request.group]


def _items(requests: Sequence[WaitingRequest]) -> int:
    return sum(request.items for request in requests)


def _latest_end_s(request: WaitingRequest, now_s: float) -> float:
    """What bounds a batch with this request in it: that its answer is in time, else that it runs in time; nothing where
    that could not be had even alone."""
    alone_s = now_s + request.times.at(request.items)
    ends_s = (request.ends_by_s, math.inf if request.deadline_s is None else request.deadline_s)
    return next((end_s for end_s in ends_s if alone_s <= end_s), math.inf)
