"""A connection to a replica with what the edge remembers of it: its circuit breaker, the plans it has prepared and
what they take there."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection

from isthmus.errors import (
    CloudUnavailable,
    ComputeFailed,
    Overloaded,
    PlanAway,
    RemoteProtocolError,
    Unavailable,
    UnknownPlan,
)
from nodes.backoff import Backoff
from nodes.circuit_breaker import CircuitBreaker
from nodes.cloud_connection import CloudConnection, ReplicaDescription
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import PlanDefinition, PlanTimes, ResponseArrived
from nodes.protocol.progress import Progress
from nodes.protocol.send_window import Credit
from nodes.replica_health import ReplicaHealth
from nodes.tensor_feed import TensorFeed
from partitioner.affine_fit import affine_time
from partitioner.measurements import AffineTime

__all__ = ["GuardedConnection"]

# What a replica is to blame for. A request that is refused, expired or taken back says nothing of its health, and one
# that it could not compute not by itself: see `at_fault`.
_FAULTS = (CloudUnavailable, RemoteProtocolError)

FIRST_OFFER_AGAIN_S, LONGEST_OFFER_AGAIN_S = 1.0, 30.0
# A plan that was forgotten is offered again until the replica takes it, or says that it never will.
_NOT_NOW = (Overloaded, Unavailable)


class GuardedConnection:
    """Implements CloudConnection over another one. prepared: the wire digests of the plans that its replica runs."""

    def __init__(
        self, connection: CloudConnection, breaker: CircuitBreaker, changed: Callable[[], None] = lambda: None
    ) -> None:
        """changed: called when it may have become able to take a request that it could not take before; time alone,
        see `trial_s`, tells nobody."""
        self._connection = connection
        self._health = ReplicaHealth(breaker)
        self._changed = changed
        self._left = False  # and not heard since
        self._end_told = False  # to the breaker
        self._listener: Callable[[], None] = lambda: None
        connection.when_heard(self._heard)
        self.prepared: frozenset[str] = frozenset()
        self._suffix_times: dict[str, AffineTime] = {}
        self._offers: dict[str, asyncio.Task[None]] = {}
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._waits: dict[str, Backoff] = {}

    @property
    def replica_id(self) -> str:
        """See CloudConnection."""
        return self._connection.replica_id

    @property
    def open(self) -> bool:
        """Whether requests can be sent, and its health allows one."""
        return self._connection.open and self._health.allows(self._connection.heard_s, time.monotonic())

    @property
    def connected(self) -> bool:
        """Whether requests can be sent, whatever its health."""
        return self._connection.open

    @property
    def healthy(self) -> bool:
        """Whether it can be asked, and not as a probe of a replica that failed lately."""
        return self._connection.open and self._health.is_good(self._connection.heard_s, time.monotonic())

    @property
    def trial_s(self) -> float:
        """When it may be tried again without anything else happening: once its breaker's wait is over. Infinite where
        that is not what it waits for."""
        probe_s = self._health.probe_s
        return probe_s if probe_s is not None and probe_s > time.monotonic() and self._connection.open else math.inf

    @property
    def in_flight(self) -> int:
        """See CloudConnection."""
        return self._connection.in_flight

    @property
    def in_flight_bytes(self) -> int:
        """See CloudConnection."""
        return self._connection.in_flight_bytes

    @property
    def credit(self) -> Credit | None:
        """See CloudConnection."""
        return self._connection.credit

    @property
    def arrived_bytes(self) -> int:
        """See CloudConnection."""
        return self._connection.arrived_bytes

    def ask_arrived(self) -> None:
        """See CloudConnection."""
        self._connection.ask_arrived()

    def stayed(self) -> None:
        """See CloudConnection."""
        self._connection.stayed()

    @property
    def late_answers(self) -> int:
        """See CloudConnection."""
        return self._connection.late_answers

    @property
    def heard_s(self) -> float:
        """See CloudConnection."""
        return self._connection.heard_s

    def when_heard(self, listener: Callable[[], None]) -> None:
        """See CloudConnection."""
        self._listener = listener

    def progress(self, request_id: int) -> Progress:
        """See CloudConnection."""
        return self._connection.progress(request_id)

    @property
    def cloud_queue_s(self) -> float:
        """See CloudConnection."""
        return self._connection.cloud_queue_s

    def finish_s(self, batch: int, wire_digests: Collection[str]) -> float:
        """Seconds until a suffix of one of these plans would be done that is sent now, by the wait there and by what
        those take that this replica has prepared. What else it runs, other models' say, has no part in it."""
        times = [time for digest, time in self._suffix_times.items() if digest in wire_digests]
        return self.cloud_queue_s + (sum(time.at(batch) for time in times) / len(times) if times else 0.0)

    def runs(self, wire_digest: str) -> bool:
        """Whether the replica has prepared that plan."""
        return wire_digest in self.prepared

    async def describe(self) -> ReplicaDescription:
        """See CloudConnection."""
        return await self._connection.describe()

    async def prepare(self, plan: PlanDefinition) -> PlanTimes:
        """See CloudConnection. One of which the replica tells no times is not used."""
        times = await self._connection.prepare(plan)
        if not times.batches:
            self.prepared -= {plan.wire_digest}
            return times
        self.prepared |= {plan.wire_digest}
        self._suffix_times[plan.wire_digest] = affine_time({float(one.batch): one.compute_s for one in times.batches})
        self._changed()
        return times

    async def offer_again(self, plan: PlanDefinition) -> None:
        """Offer a plan that the replica says it does not know. One offer serves all who wait. Raises as `prepare`."""
        self.offer_soon(plan)
        await asyncio.shield(self._offers[plan.wire_digest])

    def offer_soon(self, plan: PlanDefinition) -> None:
        """As `offer_again`, in the background; what comes of it shows in `prepared`. Where the replica cannot prepare
        it just then it is offered again later."""
        if plan.wire_digest not in self._offers:
            if later := self._later.pop(plan.wire_digest, None):
                later.cancel()
            offer = asyncio.create_task(self._offer(plan))
            self._offers[plan.wire_digest] = offer
            offer.add_done_callback(lambda done: self._offered(plan, done))

    @property
    def offered_again(self) -> frozenset[str]:
        """The plans that are being offered again, or will be."""
        return frozenset((*self._offers, *self._later))

    def offers(self, wire_digest: str) -> bool:
        """Whether that plan is being offered again."""
        return wire_digest in self._offers

    async def _offer(self, plan: PlanDefinition) -> None:
        if not (await self.prepare(plan)).batches:
            raise ComputeFailed(f"replica {self.replica_id} tells no time of {plan.wire_digest}")

    def _offered(self, plan: PlanDefinition, offer: asyncio.Task[None]) -> None:
        digest = plan.wire_digest
        self._offers.pop(digest, None)
        if offer.cancelled():
            return
        error = offer.exception()  # whoever waited has heard it
        if error is None:
            self._waits.pop(digest, None)
        else:
            self.prepared -= {digest}
            if isinstance(error, _NOT_NOW) and self.connected:
                wait = self._waits.setdefault(digest, Backoff(FIRST_OFFER_AGAIN_S, LONGEST_OFFER_AGAIN_S))
                self._later[digest] = asyncio.get_running_loop().call_later(wait.next_s(), self.offer_soon, plan)
        self._changed()

    @property
    def takes_more_tensors(self) -> bool:
        """See CloudConnection."""
        return self._connection.takes_more_tensors

    async def run(self, request: WireRequest, feed: TensorFeed | None = None) -> ResponseArrived:
        """See CloudConnection; and tells the breaker of failures. A call that is cancelled tells it nothing: see
        `gave_up`; nor does an answer before it is read: see `succeeded` and `at_fault`."""
        self._health.started(request.request_id, time.monotonic())
        try:
            response = await self._connection.run(request, feed)
        except UnknownPlan as error:
            if not isinstance(error, PlanAway):  # which is soon back, and stays on offer
                self.prepared -= {request.wire_digest}
            self._health.released(request.request_id)
            self._changed()
            raise
        except _FAULTS:
            self._failed(request.request_id)
            self._changed()
            raise
        except BaseException:  # cancelled, or never sent: a probe's slot must not stay taken
            self._health.released(request.request_id)
            self._changed()
            raise
        self._health.released(request.request_id)
        if self._health.probe_s is not None:  # its slot is free again, whatever comes of reading the answer
            self._changed()
        return response

    def succeeded(self) -> None:
        """What it answered is what was asked for."""
        failed_lately = self._health.probe_s is not None
        self._health.succeeded(time.monotonic())
        if failed_lately:
            self._changed()

    def _failed(self, request_id: int) -> None:
        """The end of the stream is one failure, however many requests were on it: else a single cut would open the
        breaker of a replica that is well, as soon as that was busy."""
        if self._end_told:
            self._health.released(request_id)
        else:
            self._end_told = not self._connection.open
            self._health.failed(time.monotonic())

    def at_fault(self) -> None:
        """It could not compute a request that was answered elsewhere, so that the request's own values are not to
        blame; or what it answered cannot be used."""
        self._health.failed(time.monotonic())
        self._changed()

    def outstayed(self, request_id: int) -> None:
        """See CloudConnection; as a probe it says no more, and the next one shall."""
        self._connection.outstayed(request_id)
        self._health.released(request_id)
        self._changed()

    def gave_up(self, sent_s: float, *, late: bool) -> None:
        """See ReplicaHealth."""
        self._left = True
        self._health.gave_up(sent_s, self.heard_s, time.monotonic(), late=late)

    def outrun(self, sent_s: float) -> None:
        """See ReplicaHealth."""
        self._left = True
        self._health.outrun(sent_s, self.heard_s, time.monotonic())

    def _heard(self) -> None:
        self._listener()
        if self._left:  # of interest once: what it says later makes no difference
            self._left = False
            self._changed()

    async def wait_until_unusable(self) -> None:
        """See CloudConnection."""
        await self._connection.wait_until_unusable()

    async def wait_until_answered(self) -> None:
        """See CloudConnection."""
        await self._connection.wait_until_answered()

    async def close(self) -> None:
        """See CloudConnection."""
        await self._connection.close()  # which tells those who wait for an offer that it is gone
        for later in self._later.values():
            later.cancel()
        for offer in self._offers.values():
            offer.cancel()
