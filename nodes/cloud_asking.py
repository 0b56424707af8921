"""Getting one request's answer from the cloud: asking a replica for as long as the edge can wait, then the next one.

Where the edge may not finish the request, a late answer is waited for until somebody else can be asked. Where hedging
is on, a second replica is asked as well once the first is later than most answers are.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from isthmus.errors import ComputeFailed, InvalidInput, IsthmusError, LocalProtocolError, TooLarge, UnknownPlan
from isthmus.telemetry import get_logger
from nodes.accepted_request import AcceptedRequest
from nodes.chooser import Transfer
from nodes.cloud_answer import CloudAnswer
from nodes.early_upload import EarlyUpload
from nodes.first_answer import first_answer, taken_back
from nodes.guarded_connection import GuardedConnection
from nodes.halves import EdgeOutcome
from nodes.moving_end import MovingEnd
from nodes.onward import Onward
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import ResponseArrived
from nodes.protocol.periods import ECHO_PERIOD_S
from nodes.replica_state import standing
from nodes.resume_schedule import Waiting
from nodes.resumption import (
    FINISH_MARGIN,
    WORK_MARGIN,
    Remote,
    deadline_slack_s,
    patience_s,
    soonest,
    waits_until_s,
)
from nodes.sending import Sending, sent_remote_s, sent_to, wire_request
from nodes.staying import Staying
from nodes.tensor_feed import TensorFeed

__all__ = ["CloudAsking"]

SILENT_S = 2 * ECHO_PERIOD_S
"""Of a replica that has not even answered echoes."""


class _Other(NamedTuple):
    """Of two that were asked, the one whose answer was not the first. first: who was asked first. at_first: see
    CloudAnswer."""

    sending: Sending
    asked: asyncio.Task[tuple[Sending, ResponseArrived]]
    first: Sending
    at_first: bool


class CloudAsking:
    """Of one request. sendings: how often the boundary tensors were sent. lost_s: spent waiting for replicas that did
    not answer, or not first. stayed: a late answer was waited for, as nobody else could be asked."""

    def __init__(self, accepted: AcceptedRequest) -> None:
        self._accepted = accepted
        self._around = accepted.around
        self._onward = Onward(accepted, partial(sent_remote_s, accepted))
        self._early: EarlyUpload | None = None
        self._early_id = 0  # on the wire
        self._other: _Other | None = None  # is not waited for while another one's answer is read
        self._on_way: set[int] = set()  # sendings that the way up counts
        self._could_not: list[GuardedConnection] = []  # compute it: maybe nobody can
        self._failures: dict[GuardedConnection, IsthmusError] = {}  # of this asking, as they came
        self.sendings = 0
        self.lost_s = 0.0
        self.stayed = False

    def early_upload(self, replica: GuardedConnection) -> EarlyUpload | None:
        """Takes the tensors of the prefix, or pieces of large ones, as they are made, for the replica that is to be
        asked first; None where they are all made at the end, the replica wants them all at once, or is to be probed.
        To be closed by `close`."""
        half, batch = self._accepted.ready.half, self._accepted.request.inputs.batch
        if half.offers(batch) and replica.healthy and replica.takes_more_tensors:
            self._early = EarlyUpload(replica, half.pieces(batch), self._early_request)
        return self._early

    async def close(self) -> None:
        """What was sent early or besides, and is not waited for, is of no use any more."""
        other, self._other = self._other, None
        if other is not None:
            await taken_back([other.asked])
        early, self._early = self._early, None
        if early is not None:
            self.sendings += early.answer is not None
            await early.close()

    async def ask(self, outcome: EdgeOutcome, replica: GuardedConnection) -> CloudAnswer | None:
        """The replica's answer, None when the request is to go on elsewhere. Raises DeadlineExceeded."""
        self._accepted.check_time()
        other = self._other
        unanswered = self._onward.asks(replica)
        sendable = replica.open or other is not None or self._goes_on_at(replica)
        is_here = other is not None and other.asked.done()
        if not sendable or (self._accepted.edge_must_begin() and not is_here):
            if not sendable:
                self._onward.not_sent(replica, standing(replica) if replica.connected else "not connected")
            await self.close()
            return None
        self._other, began_s = None, time.monotonic()
        first = self._sending(replica, began_s) if other is None else other.sending
        sendings, answer_s = [first], first.expected_s
        self._around.counts.resent += self.sendings > 0 and other is None
        # One that gave no answer in this time may be slow rather than dead.
        patience = patience_s(answer_s) * 2**unanswered
        ends_s, insured = self._ends_s()
        number: int | None = None
        try:
            async with MovingEnd(ends_s, self._leaves_s(sendings, answer_s, patience)) as end:
                if insured:
                    number = self._insure(end, first.sent_s + answer_s)
                with self._told_of_changes(end):
                    return await (self._answer(outcome, sendings) if other is None else _answer_of(other, began_s))
        except asyncio.CancelledError:
            self._cut_off(sendings)
            raise
        except TimeoutError:
            left = self._unanswered(sendings)
            self._tell_failures()
            for one in left:
                self._learn_unfinished(one)
                one.replica.stayed()
                late = one is first and time.monotonic() >= one.got_on_s + patience and not self._stayed_to_the_end
                one.replica.gave_up(one.sent_s, late=late)
                self._onward.late(one.replica)
        except IsthmusError:  # of one of them; of each, see `_send`
            self._tell_failures()
        finally:
            if number is not None:
                self._around.schedule.leave(number)
        self.lost_s += time.monotonic() - began_s
        return None

    def _cut_off(self, sendings: Sequence[Sending]) -> None:
        """The whole request is cancelled: by its deadline, whose limit was set before this one and comes a moment
        sooner, or by its client, which says nothing of the replicas. One that lives has answered echoes meanwhile."""
        now_s, deadline_s, link = time.monotonic(), self._accepted.deadline_s, self._around.chooser.link()
        if deadline_s is None or now_s < deadline_s - deadline_slack_s(deadline_s - self._accepted.started_s):
            return
        silent_s = SILENT_S + (0.0 if link is None else link.rtt_s)
        for one in self._unanswered(sendings):
            if now_s - one.replica.heard_s >= silent_s:
                self._learn_unfinished(one)
                one.replica.gave_up(one.sent_s, late=False)

    def _unanswered(self, sendings: Sequence[Sending]) -> list[Sending]:
        """Those of this asking that have not failed."""
        return [one for one in sendings if one.replica not in self._failures]

    async def next(self) -> GuardedConnection | None:
        """See Onward; before all others the one that is still being asked."""
        if self._other is not None:
            return self._other.sending.replica
        began_s = time.monotonic()
        chosen = await self._onward.next()
        self.lost_s += time.monotonic() - began_s
        return chosen

    def read(self, answer: CloudAnswer) -> None:
        """It is what the plan makes: the request has been answered."""
        answer.replica.succeeded()
        self._around.counts.answered += answer.at_first
        if answer.outran is not None:
            self._around.counts.hedges_won += 1
            answer.outran.replica.outrun(answer.outran.sent_s)
        self.answered()

    def misanswered(self, answer: CloudAnswer, error: InvalidInput) -> None:
        """It cannot be used, for that reason, and the request goes on elsewhere. The replica is to blame, unless what
        it sent is what the plan makes and too large for this edge: any other one would send as much."""
        self.lost_s += answer.elapsed_s
        self._tell_failures()
        told: IsthmusError = error
        if not isinstance(error, TooLarge):
            answer.replica.at_fault()
            told = ComputeFailed(f"the cloud's answer is not what the plan makes: {error}")
        self._onward.failed(answer.replica, told)

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

        (winner, response), asked = await first_answer(ask, first, hedging.after_s(predicted_s), second)
        if not self.stayed:  # what an outage took tells nothing of when most answers come
            hedging.answered(predicted_s, time.monotonic() - first.sent_s)
        self.lost_s += winner.sent_s - first.sent_s
        if asked is not None:
            (sending,) = (one for one in sendings if one is not winner)
            self._other = _Other(sending, asked, first, at_first=sending is first and not asked_before)
        return _answered(winner, first, response, winner.sent_s, at_first=winner is first and not asked_before)

    def _second(self) -> GuardedConnection | None:
        """Whom to ask besides. Only a replica that is in good health: this request is no probe."""
        healthy = (replica for replica in self._onward.untried() if replica.healthy)
        chosen = soonest(None, [Remote(replica, sent_remote_s(self._accepted, replica)) for replica in healthy])
        return chosen if chosen is not None and self._around.hedging.spend() else None

    async def _send(self, outcome: EdgeOutcome, sending: Sending) -> ResponseArrived:
        self.sendings += 1
        link, way_up = self._around.chooser.link(), self._around.way_up
        number = way_up.sent(
            outcome.wire_bytes,
            None if link is None else link.uplink_bps,
            sending.expected_s,
            sending.sent_s,
        )
        self._on_way.add(number)
        try:
            if self._early is not None and self._early.answer is not None and self._begun_at(sending.replica):
                answer = self._early.answer
                self._early = None
                return await answer
            request = wire_request(self._accepted, sending.request_id, outcome.encoded, sending.sent_s)
            return await sending.replica.run(request)
        except IsthmusError as error:
            self.sendings -= isinstance(error, LocalProtocolError)  # its turn to probe was another's: nothing left
            self._failed(sending.replica, error)
            raise
        finally:
            self._on_way.discard(number)
            way_up.finished(number, time.monotonic())

    def _failed(self, replica: GuardedConnection, error: IsthmusError) -> None:
        self._failures[replica] = error
        if isinstance(error, UnknownPlan):
            self._onward.forgot(replica)
        # The edge has checked the request and made its tensors: one that somebody else computes is not at fault.
        elif isinstance(error, ComputeFailed | InvalidInput) and not isinstance(error, TooLarge):
            self._could_not.append(replica)

    def _tell_failures(self) -> None:
        """The request goes on elsewhere: what came of asking each of those that failed, the last one last."""
        for replica, error in self._failures.items():
            self._onward.failed(replica, error)
        self._failures.clear()

    # ---- how long it waits ---------------------------------------------------------------------------------------

    def _leaves_s(self, sendings: Sequence[Sending], answer_s: float, patience: float) -> Callable[[], float]:
        """When to leave those that are asked, as things are whenever that is asked. answer_s: in how long the first is
        expected to answer."""

        def late_s() -> float:
            return min(max(one.got_on_s for one in sendings) + patience, self._stuck_s(sendings))

        if not self._accepted.stays:
            return late_s
        replicas, staying = self._around.replicas, Staying(answer_s, sendings[0].request_id)

        def leaves_s() -> float:
            """By what others there are by then."""
            now_s, stayed = time.monotonic(), staying.stayed
            if replicas.closed or self._onward.no_place:  # the edge has waited for as long as its drain may take
                return late_s()
            asked, looks_s = [one.replica for one in sendings], self._onward.looks_s()
            leaves_s = staying.leaves_s(now_s, late_s(), lambda: bool(self._onward.others(asked)), looks_s)
            if staying.stayed and not stayed:
                if not self._onward.takes_place():
                    return late_s()
                self._stay(sendings[0])
            return leaves_s

        return leaves_s

    def _stuck_s(self, sendings: Sequence[Sending]) -> float:
        """When to leave as their bytes do not get up; another replica that was asked besides may still answer."""
        one, finish_s = sendings[0], self._around.queue.wait_s() + self._accepted.finish_s
        if one.way is None or len(sendings) > 1:
            return math.inf
        progress = one.replica.progress(one.request_id)
        return one.way.leaves_s(
            time.monotonic(), progress, self._accepted.uplink_bytes, finish_s, one.replica.ask_arrived
        )

    def _learn_unfinished(self, sending: Sending) -> None:
        """From a request that is not waited for any more, where its bytes were not there."""
        if sending.way is not None and sending.way.unfinished is not None:
            transfer = Transfer("up", *sending.way.unfinished, finished=False)
            self._around.chooser.observe_transfer(transfer, time.monotonic())

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
            self._around.way_up.stays(number)

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

    def _insure(self, end: MovingEnd, answered_s: float) -> int | None:
        """Have the end moved while other requests come and go. answered_s: when the cloud is expected to have."""
        kept_back_s = self._margin * self._accepted.finish_s
        waiting = Waiting(self._accepted.due_s - self._around.queue.wait_s(), kept_back_s, answered_s)
        return self._around.schedule.enter(waiting, end.end_by, promised=self._promised)

    def _sending(self, replica: GuardedConnection, since_s: float) -> Sending:
        """since_s: when the first replica was asked."""
        return sent_to(self._accepted, replica, self._early_id if self._begun_at(replica) else None, since_s)

    def _goes_on_at(self, replica: GuardedConnection) -> bool:
        """Whether that replica, which takes nothing new as it drains, has been sent tensors already."""
        early = self._early
        begun = early is not None and early.answer is not None and not early.answer.done() and self._begun_at(replica)
        return begun and not replica.connected

    def _begun_at(self, replica: GuardedConnection) -> bool:
        """Whether that replica has been sent tensors already."""
        early = self._early
        return early is not None and replica is early.replica and early.answer is not None

    def _early_request(self, feed: TensorFeed) -> WireRequest:
        self._early_id = next(self._around.wire_ids)
        request = wire_request(self._accepted, self._early_id, feed.tensors, time.monotonic())
        return replace(request, more_tensors=feed.to_come)


async def _answer_of(other: _Other, began_s: float) -> CloudAnswer:
    """It is waited for again, from then on: the time before has been told. Cancelled it takes it back."""
    sending, response = await other.asked
    return _answered(sending, other.first, response, began_s, at_first=other.at_first)


def _answered(
    winner: Sending, first: Sending, response: ResponseArrived, since_s: float, *, at_first: bool
) -> CloudAnswer:
    outran = None if winner is first else first
    return CloudAnswer(response, time.monotonic() - since_s, winner.replica, at_first, outran)
