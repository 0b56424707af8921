"""Getting one request's answer from the cloud: asking a replica for as long as the edge can wait, then the next one.

Where hedging is on, a second replica is asked as well once the first is later than most answers are.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import NamedTuple

from isthmus.errors import CloudUnavailable, ComputeFailed, IsthmusError, Overloaded, TooLarge, UnknownPlan
from isthmus.telemetry import get_logger
from nodes.accepted_request import AcceptedRequest
from nodes.codecs.base import EncodedTensor
from nodes.early_upload import EarlyUpload
from nodes.first_answer import blames_request, first_answer
from nodes.guarded_connection import GuardedConnection
from nodes.halves import EdgeOutcome
from nodes.model_runtime import plan_definition
from nodes.moving_end import MovingEnd
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import ResponseArrived
from nodes.resume_schedule import Waiting
from nodes.resumption import FINISH_MARGIN, WORK_MARGIN, Remote, patience_s, remote_s, soonest, waits_until_s
from nodes.stall_watch import StallWatch
from nodes.tensor_feed import TensorFeed

__all__ = ["CloudAnswer", "CloudAsking"]


class _Sending(NamedTuple):  # made for each request
    """remote_s: in how long that replica was predicted to have answered, as it was sent. request_id: on the wire."""

    replica: GuardedConnection
    sent_s: float
    remote_s: float
    request_id: int
    watch: StallWatch

    @property
    def got_on_s(self) -> float:
        """When it last did, or was sent first."""
        return self.watch.got_on_s(self.replica.progress(self.request_id))


class CloudAnswer(NamedTuple):
    """A replica's answer. elapsed_s: since the tensors were sent to that replica, whose id is `replica`."""

    response: ResponseArrived
    elapsed_s: float
    replica: str


class CloudAsking:
    """Of one request. sendings: how often the boundary tensors were sent. lost_s: spent waiting for replicas that did
    not answer, or not first."""

    def __init__(self, accepted: AcceptedRequest) -> None:
        self._accepted = accepted
        self._around = accepted.around
        self._tried: list[GuardedConnection] = []
        self._forgetful: GuardedConnection | None = None
        self._early: EarlyUpload | None = None
        self._early_id = 0  # on the wire
        self._refused: IsthmusError | None = None  # the last reason that a replica gave
        self._could_not: list[GuardedConnection] = []  # compute it: maybe nobody can
        self.sendings = 0
        self.lost_s = 0.0

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
        self._tried.append(replica)
        if not replica.open or self._accepted.edge_must_begin():
            await self.close()
            return None
        first = self._sending(replica, time.monotonic())
        sendings, expected_s = [first], self._expected_s(first)
        patience = patience_s(expected_s)
        self._around.counts.resent += self.sendings > 0
        ends_s, insured = self._ends_s()
        number: int | None = None
        try:
            async with MovingEnd(ends_s, lambda: max(one.got_on_s for one in sendings) + patience) as end:
                if insured:
                    number = self._insure(end, first.sent_s + expected_s)
                return await self._answer(outcome, sendings)
        except TimeoutError:
            for one in sendings:
                late = one is first and time.monotonic() >= one.got_on_s + patience
                one.replica.gave_up(one.sent_s, late=late)
            reason = "no answer in time"
        except IsthmusError as error:
            if blames_request(error):
                raise
            self._refused, reason = error, str(error)
        finally:
            if number is not None:
                self._around.schedule.leave(number)
        self.lost_s += time.monotonic() - first.sent_s
        plan_id = self._accepted.choice.entry.plan.plan_id
        get_logger("edge").warning("resuming from the cut", plan_id=plan_id, reason=reason)
        return None

    async def next(self) -> GuardedConnection | None:
        """The replica to go on with, None for the edge. Raises DeadlineExceeded; without either Overloaded,
        ComputeFailed or TooLarge where a replica said so last, else CloudUnavailable."""
        self._accepted.check_time()
        able = self._around.replicas.able(self._accepted.choice.entry.plan.wire_digest, self._tried)
        edge_s = None if self._accepted.cloud_required else self._around.queue.wait_s() + self._accepted.finish_s
        chosen = soonest(edge_s, [Remote(replica, self._remote_s(replica)) for replica in able])
        if chosen is not None or edge_s is not None:
            return chosen
        return await self._relearned()

    def answered(self) -> None:
        """The request has been answered, here or elsewhere: replicas that could not compute it are at fault, not it."""
        for replica in self._could_not:
            replica.at_fault()
        self._could_not.clear()

    async def _relearned(self) -> GuardedConnection:
        """The replica that did not know the plan, once it does; asked again once."""
        forgetful, self._forgetful = self._forgetful, None
        model = self._accepted.request.model
        unavailable = f"model {model!r} needs the cloud, and no replica answers; try again"
        if forgetful is None or self._tried.count(forgetful) > 1:
            # Somebody answers: that it cannot be done there, or not now.
            if isinstance(self._refused, Overloaded | ComputeFailed | TooLarge):
                raise self._refused
            raise CloudUnavailable(unavailable)
        try:
            await forgetful.offer_again(plan_definition(self._accepted.choice.entry.plan))
        except IsthmusError as error:
            raise CloudUnavailable(unavailable) from error
        return forgetful

    # ---- one or two replicas at a time ---------------------------------------------------------------------------

    async def _answer(self, outcome: EdgeOutcome, sendings: list[_Sending]) -> CloudAnswer:
        """The first answer of those asked: one replica or, where it is late, two. All are in `sendings`."""
        (first,), hedging, counts = sendings, self._around.hedging, self._around.counts
        predicted_s = first.remote_s
        asked_before = self.sendings > 0
        if not asked_before:
            hedging.sent()

        async def ask(sending: _Sending) -> tuple[_Sending, ResponseArrived]:
            return sending, await self._send(outcome, sending)

        def second() -> _Sending | None:
            replica = self._second()
            if replica is None:
                return None
            self._tried.append(replica)
            counts.hedged += 1
            sendings.append(self._sending(replica, first.sent_s))
            return sendings[-1]

        winner, response = await first_answer(ask, first, hedging.after_s(predicted_s), second)
        self.answered()
        hedging.answered(predicted_s, time.monotonic() - first.sent_s)
        counts.answered += winner is first and not asked_before
        if winner is not first:
            counts.hedges_won += 1
            first.replica.outrun(first.sent_s)
            self.lost_s += winner.sent_s - first.sent_s
        return CloudAnswer(response, time.monotonic() - winner.sent_s, winner.replica.replica_id)

    def _second(self) -> GuardedConnection | None:
        """Whom to ask besides. Only a replica that is in good health: this request is no probe."""
        able = self._around.replicas.able(self._accepted.choice.entry.plan.wire_digest, self._tried)
        chosen = soonest(None, [Remote(replica, self._remote_s(replica)) for replica in able if replica.healthy])
        return chosen if chosen is not None and self._around.hedging.spend() else None

    async def _send(self, outcome: EdgeOutcome, sending: _Sending) -> ResponseArrived:
        self.sendings += 1
        link, way_up = self._around.chooser.link(), self._around.way_up
        number = way_up.sent(
            self._accepted.uplink_bytes,
            None if link is None else link.uplink_bps,
            self._expected_s(sending),
            sending.sent_s,
        )
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
            self._forgetful = sending.replica
            # In the background: this request goes on, and the next one finds the plan prepared.
            sending.replica.offer_soon(plan_definition(self._accepted.choice.entry.plan))
            raise
        finally:
            way_up.finished(number, time.monotonic())

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

    def _sending(self, replica: GuardedConnection, since_s: float) -> _Sending:
        """since_s: when the first replica was asked."""
        request_id = self._early_id if self._begun_at(replica) else next(self._around.wire_ids)
        return _Sending(replica, time.monotonic(), self._remote_s(replica), request_id, StallWatch(since_s))

    def _begun_at(self, replica: GuardedConnection) -> bool:
        """Whether that replica has been sent tensors already."""
        early = self._early
        return early is not None and replica is early.replica and early.answer is not None

    def _expected_s(self, sending: _Sending) -> float:
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
