"""Getting one request's answer from the cloud: asking a replica for as long as the edge can wait, then the next one.

Where the edge may not finish the request, a late answer is waited for until somebody else can be asked. Where hedging
is on, a second replica is asked as well once the first is later than most answers are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NamedTuple

from isthmus.errors import ComputeFailed, IsthmusError, UnknownPlan
from isthmus.telemetry import get_logger
from nodes.accepted_request import AcceptedRequest
from nodes.codecs.base import EncodedTensor
from nodes.early_upload import EarlyUpload
from nodes.first_answer import blames_request, first_answer
from nodes.guarded_connection import GuardedConnection
from nodes.halves import EdgeOutcome
from nodes.moving_end import MovingEnd
from nodes.onward import Onward
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import ResponseArrived
from nodes.replica_state import standing
from nodes.resume_schedule import Waiting
from nodes.resumption import FINISH_MARGIN, WORK_MARGIN, Remote, patience_s, remote_s, soonest, waits_until_s
from nodes.sending import Sending
from nodes.stall_watch import StallWatch
from nodes.staying import Staying
from nodes.tensor_feed import TensorFeed

__all__ = ["CloudAnswer", "CloudAsking"]


class CloudAnswer(NamedTuple):
    """A replica's answer. elapsed_s: since the tensors were sent to that replica, whose id is `replica`."""

    response: ResponseArrived
    elapsed_s: float
    replica: str


class CloudAsking:
    """Of one request. sendings: how often the boundary tensors were sent. lost_s: spent waiting for replicas that did
    not answer, or not first. stayed: a late answer was waited for, as nobody else could be asked."""

    def __init__(self, accepted: AcceptedRequest) -> None:
        self._accepted = accepted
        self._around = accepted.around
        self._onward = Onward(accepted, self._remote_s)
        self._early: EarlyUpload | None = None
        self._early_id = 0  # on the wire
        self._on_way: set[int] = set()  # sendings that the way up counts
        self._could_not: list[GuardedConnection] = []  # compute it: maybe nobody can
        self.sendings = 0
        self.lost_s = 0.0
        self.stayed = False

    def early_upload(self, replica: GuardedConnection) -> EarlyUpload | None:
        """Takes the tensors of the prefix as they are made, for the replica that is to be asked first; None where they
        are all made at the end, the replica wants them all at once, or is to be probed. To be closed by `close`."""
        half = self._accepted.ready.half
        if half.offers and replica.healthy and replica.takes_more_tensors:
            self._early = EarlyUpload(replica, half.crossing, self._early_request)
        return self._early

    async def close(self) -> None:
        """What was sent early, and is not waited for, is of no use any more."""
        early, self._early = self._early, None
        if early is not None:
            self.sendings += early.answer is not None
            await early.close()

    async def ask(self, outcome: EdgeOutcome, replica: GuardedConnection) -> CloudAnswer | None:
        """The replica's answer, None when the request is to go on elsewhere. Raises DeadlineExceeded, and InvalidInput
        where the request itself is at fault: anybody would find the same."""
        self._accepted.check_time()
        unanswered = self._onward.asks(replica)
        if not replica.open or self._accepted.edge_must_begin():
            if not replica.open:
                self._onward.not_sent(replica, standing(replica) if replica.connected else "not connected")
            await self.close()
            return None
        first = self._sending(replica, time.monotonic())
        sendings, expected_s = [first], self._expected_s(first)
        self._around.counts.resent += self.sendings > 0
        # One that gave no answer in this time may be slow rather than dead.
        patience = patience_s(expected_s) * 2**unanswered
        ends_s, insured = self._ends_s()
        number: int | None = None
        try:
            async with MovingEnd(ends_s, self._leaves_s(sendings, expected_s, patience)) as end:
                if insured:
                    number = self._insure(end, first.sent_s + expected_s)
                with self._told_of_changes(end):
                    return await self._answer(outcome, sendings)
        except TimeoutError:
            for one in sendings:
                late = one is first and time.monotonic() >= one.got_on_s + patience and not self._stayed_to_the_end
                one.replica.gave_up(one.sent_s, late=late)
            self._onward.late(replica)
        except IsthmusError as error:
            if blames_request(error):
                raise
            self._onward.failed([one.replica for one in sendings], error)
        finally:
            if number is not None:
                self._around.schedule.leave(number)
        self.lost_s += time.monotonic() - first.sent_s
        return None

    async def next(self) -> GuardedConnection | None:
        """See Onward."""
        began_s = time.monotonic()
        chosen = await self._onward.next()
        self.lost_s += time.monotonic() - began_s
        return chosen

    def answered(self) -> None:
        """The request has been answered, here or elsewhere: replicas that could not compute it are at fault, not it."""
        for replica in self._could_not:
            replica.at_fault()
        self._could_not.clear()

    # ---- one or two replicas at a time ---------------------------------------------------------------------------

    async def _answer(self, outcome: EdgeOutcome, sendings: list[Sending]) -> CloudAnswer:
        """The first answer of those asked: one replica or, where it is late, two. All are in `sendings`."""
        (first,), hedging, counts = sendings, self._around.hedging, self._around.counts
        predicted_s = first.remote_s
        asked_before = self.sendings > 0
        if not asked_before:
            hedging.sent()

        async def ask(sending: Sending) -> tuple[Sending, ResponseArrived]:
            return sending, await self._send(outcome, sending)

        def second() -> Sending | None:
            replica = self._second()
            if replica is None:
                return None
            self._onward.asks(replica)
            counts.hedged += 1
            sendings.append(self._sending(replica, first.sent_s))
            return sendings[-1]

        winner, response = await first_answer(ask, first, hedging.after_s(predicted_s), second)
        self.answered()
        if not self.stayed:  # what an outage took tells nothing of when most answers come
            hedging.answered(predicted_s, time.monotonic() - first.sent_s)
        counts.answered += winner is first and not asked_before
        if winner is not first:
            counts.hedges_won += 1
            first.replica.outrun(first.sent_s)
            self.lost_s += winner.sent_s - first.sent_s
        return CloudAnswer(response, time.monotonic() - winner.sent_s, winner.replica.replica_id)

    def _second(self) -> GuardedConnection | None:
        """Whom to ask besides. Only a replica that is in good health: this request is no probe."""
        healthy = (replica for replica in self._onward.untried() if replica.healthy)
        chosen = soonest(None, [Remote(replica, self._remote_s(replica)) for replica in healthy])
        return chosen if chosen is not None and self._around.hedging.spend() else None

    async def _send(self, outcome: EdgeOutcome, sending: Sending) -> ResponseArrived:
        self.sendings += 1
        link, way_up = self._around.chooser.link(), self._around.way_up
        number = way_up.sent(
            self._accepted.uplink_bytes,
            None if link is None else link.uplink_bps,
            self._expected_s(sending),
            sending.sent_s,
        )
        self._on_way.add(number)
        try:
            if self._early is not None and self._early.answer is not None and self._begun_at(sending.replica):
                answer = self._early.answer
                self._early = None
                return await answer
            request = self._wire_request(sending.request_id, outcome.encoded, sending.sent_s)
            return await sending.replica.run(request)
        except ComputeFailed:
            self._could_not.append(sending.replica)
            raise
        except UnknownPlan:
            self._onward.forgot(sending.replica)
            raise
        finally:
            self._on_way.discard(number)
            way_up.finished(number, time.monotonic())

    # ---- how long it waits ---------------------------------------------------------------------------------------

    def _leaves_s(self, sendings: Sequence[Sending], expected_s: float, patience: float) -> Callable[[], float]:
        """When to leave those that are asked, as things are whenever that is asked."""

        def late_s() -> float:
            return max(one.got_on_s for one in sendings) + patience

        if not self._accepted.stays:
            return late_s
        replicas, staying = self._around.replicas, Staying(expected_s, sendings[0].request_id)

        def leaves_s() -> float:
            """By what others there are by then."""
            now_s, stayed = time.monotonic(), staying.stayed
            if replicas.closed:  # the edge has waited for as long as its drain may take
                return late_s()
            asked = [one.replica for one in sendings]
            leaves_s = staying.leaves_s(now_s, late_s(), lambda: bool(self._onward.others(asked)), replicas.trial_s)
            if staying.stayed and not stayed:
                self._stay(sendings[0])
            return leaves_s

        return leaves_s

    def _stay(self, sending: Sending) -> None:
        """It is late, and nobody else can be asked. From now on it says no more of the way up, and of the replica, than
        one that is given up: new requests shall not be refused for it."""
        self.stayed = True
        sending.replica.outstayed(sending.request_id)
        get_logger("edge").info(
            "late, and no other replica can be asked: waiting on",
            plan_id=self._accepted.choice.entry.plan.plan_id, replica=sending.replica.replica_id,
        )  # fmt: skip
        for number in self._on_way:
            self._around.way_up.finished(number, time.monotonic())

    def _told_of_changes(self, end: MovingEnd) -> AbstractContextManager[None]:
        """Where they may have it leave."""
        return self._around.replicas.changes.heard_by(end.again) if self._accepted.stays else nullcontext()

    @property
    def _stayed_to_the_end(self) -> bool:
        """Whether only its deadline had it give up. No other replica is the better for it then, and the only one that
        there is must not be set aside for the next requests."""
        return self._accepted.stays and time.monotonic() >= (self._accepted.deadline_s or math.inf)

    def _ends_s(self) -> tuple[float, bool]:
        """When to wait no longer even for what gets on, so that the edge has what it needs to finish; and whether
        others' requests, which would need the edge too, may move it."""
        accepted = self._accepted
        if accepted.deadline_s is None:
            return math.inf, False
        if accepted.cloud_required:
            return accepted.deadline_s, False
        ends_s = waits_until_s(time.monotonic(), accepted.deadline_s, accepted.due_s, accepted.finish_s, self._margin)
        return ends_s, ends_s < accepted.deadline_s

    @property
    def _promised(self) -> bool:
        admitted = self._accepted.admitted
        return admitted is not None and admitted.promised

    @property
    def _margin(self) -> float:
        """On what the edge keeps for finishing: less where the admission has kept the time already."""
        return WORK_MARGIN if self._promised else FINISH_MARGIN

    def _insure(self, end: MovingEnd, expected_s: float) -> int | None:
        """Have the end moved while other requests come and go."""
        kept_back_s = self._margin * self._accepted.finish_s
        waiting = Waiting(self._accepted.due_s - self._around.queue.wait_s(), kept_back_s, expected_s)
        return self._around.schedule.enter(waiting, end.end_by, promised=self._promised)

    def _remote_s(self, replica: GuardedConnection) -> float:
        """Until that replica would have answered, sent now behind what is on the link; infinite for an unknown link."""
        entry, batch = self._accepted.choice.entry, self._accepted.request.inputs.batch
        up = self._accepted.uplink_bytes + self._around.replicas.in_flight_bytes
        cloud_s = replica.cloud_queue_s + entry.costs.cloud.at(batch)
        return remote_s(self._around.chooser.link(), up, entry.downlink_bytes(batch), cloud_s)

    def _sending(self, replica: GuardedConnection, since_s: float) -> Sending:
        """since_s: when the first replica was asked."""
        request_id = self._early_id if self._begun_at(replica) else next(self._around.wire_ids)
        return Sending(replica, time.monotonic(), self._remote_s(replica), request_id, StallWatch(since_s))

    def _begun_at(self, replica: GuardedConnection) -> bool:
        """Whether that replica has been sent tensors already."""
        early = self._early
        return early is not None and replica is early.replica and early.answer is not None

    def _expected_s(self, sending: Sending) -> float:
        predicted_s, remote = self._accepted.choice.predicted.total_s, sending.remote_s
        return max(predicted_s, remote) if math.isfinite(remote) else predicted_s

    def _early_request(self, feed: TensorFeed) -> WireRequest:
        self._early_id = next(self._around.wire_ids)
        request = self._wire_request(self._early_id, feed.tensors, time.monotonic())
        return replace(request, more_tensors=feed.to_come)

    def _wire_request(self, request_id: int, tensors: tuple[EncodedTensor, ...], now_s: float) -> WireRequest:
        accepted = self._accepted
        batch, costs = accepted.request.inputs.batch, accepted.choice.entry.costs
        return WireRequest(
            request_id=request_id,
            wire_digest=accepted.choice.entry.plan.wire_digest,
            batch=batch,
            tensors=tensors,
            remaining_s=None if accepted.deadline_s is None else accepted.deadline_s - now_s,
            deadline_s=accepted.deadline_s,
            priority=accepted.request.priority,
            traceparent=accepted.request.traceparent,
            expected_cloud_s=costs.cloud.at(batch),
        )
