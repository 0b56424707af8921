"""One request on an edge node, from choice to answer: prefix, wire, suffix, or resume from the cut.

The boundary tensors are kept until the answer is in. Whatever happens to the replica, the request ends in an answer:
the same tensors go to another replica, or the edge computes the suffix itself, whichever is predicted sooner. Nothing
on the edge's side of the cut is computed twice, and one answer counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import torch

from isthmus.errors import CloudUnavailable, DeadlineExceeded, InvalidInput, IsthmusError, UnknownPlan
from isthmus.telemetry import get_logger
from nodes.byte_budget import ByteBudget
from nodes.chooser import Choice, Chooser
from nodes.codecs.base import encoded_bytes
from nodes.gateway import InferRequest, StageTimings
from nodes.guarded_connection import GuardedConnection
from nodes.halves import EdgeOutcome
from nodes.model_runtime import ReadyPlan, plan_definition
from nodes.prefix_batch import PrefixWork
from nodes.prefix_queue import PrefixQueue
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import ResponseArrived
from nodes.replica_set import ReplicaSet
from nodes.resume_schedule import ResumeSchedule, Waiting
from nodes.resumption import Remote, ResumeCounts, patience_s, remote_s, soonest

__all__ = ["Answer", "RequestRun", "Surroundings"]

Outputs = tuple[tuple[str, torch.Tensor], ...]

# The edge's own suffix is predicted from quiet runs: beside other work it takes longer.
FINISH_MARGIN = 1.2
# The answer has to reach the client too, and the event loop may be late: so long before its deadline it shall be made.
ANSWER_SHARE, ANSWER_S = 0.1, 0.05
# Answers up to this size are decoded on the event loop (some 50 us): in the pool they would wait behind a whole prefix.
DECODED_AT_ONCE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished request: outputs, where the time went, what crossed each way, who finished it ("cloud" or "edge").

    sendings: how often the boundary tensors were sent.
    """

    outputs: Outputs
    timings: StageTimings
    uplink_bytes: int
    downlink_bytes: int
    finished_by: str
    sendings: int

    @property
    def wire_bytes(self) -> int:
        """Bytes both ways."""
        return self.uplink_bytes + self.downlink_bytes


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all requests of an edge share. kept: bounds the boundary tensors that wait for answers."""

    queue: PrefixQueue
    replicas: ReplicaSet
    chooser: Chooser
    schedule: ResumeSchedule
    kept: ByteBudget
    counts: ResumeCounts
    wire_ids: Iterator[int]


@dataclass(frozen=True, slots=True)
class _Remote:
    response: ResponseArrived
    elapsed_s: float


class RequestRun:
    """Executes one request by its choice. Use once: `await RequestRun(...).run(...)`."""

    def __init__(
        self, request: InferRequest, choice: Choice, ready: ReadyPlan, around: Surroundings, *, cloud_required: bool
    ) -> None:
        """cloud_required: the edge must not finish it, whatever happens."""
        self._request = request
        self._choice = choice
        self._ready = ready
        self._around = around
        self._cloud_required = cloud_required
        self._tried: list[GuardedConnection] = []
        self._forgetful: GuardedConnection | None = None
        self._sendings = 0
        self._lost_s = 0.0
        self._started_s = time.monotonic()
        self._deadline_s = None if request.timeout_s is None else self._started_s + request.timeout_s
        self._due_s = math.inf  # when the edge shall have finished, if it must
        if request.timeout_s is not None:
            self._due_s = self._started_s + request.timeout_s - min(ANSWER_S, ANSWER_SHARE * request.timeout_s)

    async def run(self, connection: GuardedConnection | None) -> Answer:
        """The answer. connection: the replica to ask first, None when the plan needs no cloud.

        Raises DeadlineExceeded, ComputeFailed, InvalidRequest, Overloaded; CloudUnavailable where only the cloud may
        finish and no replica does.
        """
        if self._choice.entry.plan.kind == "edge-only":
            return self._finished(await self._prefix())
        if connection is None:
            return await self._finish_on_edge(await self._prefix())
        with self._kept():
            outcome = await self._prefix()
            while connection is not None:
                remote = await self._ask(outcome, connection)
                if remote is not None:
                    return await self._finish_from(outcome, remote)
                connection = await self._next()
            self._around.counts.resumed_on_edge += 1
            return await self._finish_on_edge(outcome)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        inputs = self._request.inputs
        size = self._ready.half.kept_bytes(inputs.batch, inputs.file_bytes)
        size += self._choice.entry.uplink_bytes(inputs.batch, inputs.file_bytes)
        self._around.kept.reserve(size, retry_after_s=self._choice.predicted.total_s)
        try:
            yield
        finally:
            self._around.kept.release(size)

    async def _prefix(self) -> EdgeOutcome:
        queue, inputs = self._around.queue, self._request.inputs
        work = PrefixWork(self._ready.half, inputs, self._ready.prefix_times)
        measured_s = self._choice.entry.costs.edge.at(inputs.batch)
        outcome = queue.run_prefix_at_once(work, measured_s, self._deadline_s)
        if outcome is not None:
            return outcome
        expected_s = max(0.0, self._choice.predicted.edge_s - queue.wait_s())  # the prefix without the wait before it
        edge_times = self._ready.edge_times(inputs.batch, expected_s)
        return await queue.run_prefix(work, edge_times, self._deadline_s, self._request.priority)

    # ---- in the cloud ------------------------------------------------------------------------------------------

    async def _ask(self, outcome: EdgeOutcome, connection: GuardedConnection) -> _Remote | None:
        """The replica's answer, None when the request is to go on elsewhere."""
        self._check_time()
        self._tried.append(connection)
        if not connection.open or self._edge_must_begin():
            return None
        sent_s = time.monotonic()
        expected_s = self._expected_s(connection)
        late_s = sent_s + patience_s(expected_s)
        self._around.counts.resent += self._sendings > 0
        self._sendings += 1
        try:
            async with self._patience(late_s, sent_s + expected_s):
                response = await connection.run(self._wire_request(outcome, sent_s))
            return _Remote(response, time.monotonic() - sent_s)
        except InvalidInput:
            raise  # the request itself is at fault: anybody would find the same
        except TimeoutError:
            connection.gave_up(sent_s, late=time.monotonic() >= late_s)
            reason = "no answer in time"
        except UnknownPlan as error:
            self._forgetful, reason = connection, str(error)
            # In the background: this request goes on, and the next one finds the plan prepared.
            connection.offer_soon(plan_definition(self._choice.entry.plan))
        except IsthmusError as error:
            reason = str(error)
        self._lost_s += time.monotonic() - sent_s
        plan_id = self._choice.entry.plan.plan_id
        get_logger("edge").warning("resuming from the cut", plan_id=plan_id, reason=reason)
        return None

    @contextlib.asynccontextmanager
    async def _patience(self, late_s: float, expected_s: float) -> AsyncIterator[None]:
        """A time limit that leaves the edge what it needs to finish, moved while other requests come and go."""
        finish_s = FINISH_MARGIN * self._finish_s()
        ends_s = min(late_s, self._due_s - finish_s)
        if self._cloud_required:
            ends_s = late_s if self._deadline_s is None else min(late_s, self._deadline_s)
        async with asyncio.timeout(ends_s - time.monotonic()) as limit:
            if self._cloud_required or self._deadline_s is None:
                yield
                return
            waiting = Waiting(self._due_s - self._around.queue.wait_s(), finish_s, expected_s)
            number = self._around.schedule.enter(waiting, lambda moment_s: _move(limit, min(ends_s, moment_s)))
            try:
                yield
            finally:
                if number is not None:
                    self._around.schedule.leave(number)

    async def _next(self) -> GuardedConnection | None:
        """The replica to go on with, None for the edge. Raises CloudUnavailable where nobody is left."""
        self._check_time()
        digest = self._choice.entry.plan.wire_digest
        able = self._around.replicas.able(digest, self._tried)
        edge_s = None if self._cloud_required else self._around.queue.wait_s() + self._finish_s()
        chosen = soonest(edge_s, [Remote(replica, self._remote_s(replica)) for replica in able])
        if chosen is not None or edge_s is not None:
            return chosen
        return await self._relearned()

    async def _relearned(self) -> GuardedConnection:
        """The replica that did not know the plan, once it does; asked again once."""
        forgetful, self._forgetful = self._forgetful, None
        unavailable = f"model {self._request.model!r} needs the cloud, and no replica answers; try again"
        if forgetful is None or self._tried.count(forgetful) > 1:
            raise CloudUnavailable(unavailable)
        try:
            await forgetful.offer_again(plan_definition(self._choice.entry.plan))
        except IsthmusError as error:
            raise CloudUnavailable(unavailable) from error
        return forgetful

    def _remote_s(self, replica: GuardedConnection) -> float:
        """Until that replica would have answered, sent now behind what is on the link; infinite for an unknown link."""
        entry, inputs = self._choice.entry, self._request.inputs
        up = entry.uplink_bytes(inputs.batch, inputs.file_bytes) + self._around.replicas.in_flight_bytes
        cloud_s = replica.cloud_queue_s + entry.costs.cloud.at(inputs.batch)
        return remote_s(self._around.chooser.link(), up, entry.downlink_bytes(inputs.batch), cloud_s)

    def _expected_s(self, replica: GuardedConnection) -> float:
        remote = self._remote_s(replica)
        return max(self._choice.predicted.total_s, remote) if math.isfinite(remote) else self._choice.predicted.total_s

    def _wire_request(self, outcome: EdgeOutcome, now_s: float) -> WireRequest:
        return WireRequest(
            request_id=next(self._around.wire_ids),
            wire_digest=self._choice.entry.plan.wire_digest,
            batch=self._request.inputs.batch,
            tensors=outcome.encoded,
            remaining_s=None if self._deadline_s is None else self._deadline_s - now_s,
            deadline_s=self._deadline_s,
            priority=self._request.priority,
            expected_cloud_s=self._choice.entry.costs.cloud.at(self._request.inputs.batch),
        )

    # ---- the end -----------------------------------------------------------------------------------------------

    async def _finish_from(self, outcome: EdgeOutcome, remote: _Remote) -> Answer:
        self._around.counts.answered += self._sendings == 1
        answer, half = remote.response.tensors, self._ready.half
        down_bytes = encoded_bytes(answer)
        if down_bytes <= DECODED_AT_ONCE_BYTES:
            outputs = half.finish(outcome, answer)
        else:
            outputs = await self._around.queue.run(0.0, lambda: half.finish(outcome, answer))
        sent_bytes = self._sendings * outcome.wire_bytes
        return Answer(outputs, self._stages(outcome, remote), sent_bytes, down_bytes, "cloud", self._sendings)

    def _finished(self, outcome: EdgeOutcome) -> Answer:
        """Of a plan whose prefix is the whole model: nothing is left to compute."""
        elapsed_s = time.monotonic() - self._started_s
        edge_s = min(elapsed_s, outcome.compute_s)
        timings = StageTimings(elapsed_s - edge_s, edge_s, 0.0, 0.0, 0.0, 0.0)
        return Answer(self._ready.half.finish(outcome, ()), timings, 0, 0, "edge", 0)

    async def _finish_on_edge(self, outcome: EdgeOutcome) -> Answer:
        started, half, queue = time.monotonic(), self._ready.half, self._around.queue
        outputs = await queue.run_suffix(self._deadline_s, self._finish_s(), lambda: half.finish_locally(outcome))
        finish_s = time.monotonic() - started
        elapsed_s = time.monotonic() - self._started_s
        edge_s = min(elapsed_s, outcome.compute_s + finish_s)
        # The wait for a cloud that did not answer is the way up: it was spent on the wire.
        lost_s = min(self._lost_s, elapsed_s - edge_s)
        timings = StageTimings(elapsed_s - edge_s - lost_s, edge_s, lost_s, 0.0, 0.0, 0.0)
        return Answer(outputs, timings, self._sendings * outcome.wire_bytes, 0, "edge", self._sendings)

    def _check_time(self) -> None:
        if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            raise DeadlineExceeded("the deadline passed before an answer was there")

    def _edge_must_begin(self) -> bool:
        """Whether waiting for anybody would leave too little time to finish here."""
        if self._deadline_s is None or self._cloud_required:
            return False
        return time.monotonic() >= self._due_s - FINISH_MARGIN * self._finish_s()

    def _finish_s(self) -> float:
        return self._choice.entry.costs.local_finish.at(self._request.inputs.batch)

    def _stages(self, outcome: EdgeOutcome, remote: _Remote) -> StageTimings:
        """Disjoint durations that sum to the elapsed time. What the replica did not account for was spent on the wire;
        the way up and the way down share it as their predictions do, and replicas that did not answer are the way up.
        """
        timings = remote.response.timings
        wire_s = max(0.0, remote.elapsed_s - timings.queue_s - timings.compute_s)
        predicted = self._choice.predicted
        both_s = predicted.uplink_s + predicted.downlink_s
        uplink_s = wire_s * (predicted.uplink_s / both_s if both_s > 0 else 0.5)
        elapsed_s = time.monotonic() - self._started_s
        edge_s = min(outcome.compute_s, elapsed_s)
        cloud_s = min(timings.compute_s, remote.elapsed_s)
        queue_s = max(0.0, remote.elapsed_s - wire_s - cloud_s)
        waited_s = max(0.0, elapsed_s - edge_s - self._lost_s - remote.elapsed_s)
        return StageTimings(waited_s, edge_s, uplink_s + self._lost_s, queue_s, cloud_s, wire_s - uplink_s)


def _move(limit: asyncio.Timeout, when_s: float) -> None:
    """Move a limit, if it runs, to a reading of the monotonic clock: the event loop has a clock of its own."""
    with contextlib.suppress(RuntimeError):
        limit.reschedule(asyncio.get_running_loop().time() + when_s - time.monotonic())
