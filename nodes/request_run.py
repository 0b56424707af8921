"""One request on an edge node, from choice to answer: prefix, wire, suffix, or resume from the cut.

The boundary tensors are kept until the answer is in. Whatever happens to the replica, the request ends in an answer:
the same tensors go to another replica, or the edge computes the suffix itself, whichever is predicted sooner. Nothing
on the edge's side of the cut is computed twice, and one answer counts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from isthmus.errors import InvalidInput, Overloaded, TooLarge
from isthmus.telemetry import get_logger
from nodes.accepted_request import AcceptedRequest, Surroundings
from nodes.admission_gate import Admitted
from nodes.chooser import Choice
from nodes.cloud_answer import CloudAnswer
from nodes.cloud_asking import CloudAsking
from nodes.codecs.base import EncodedTensor, encoded_bytes
from nodes.edge_work import DECODED_AT_ONCE_BYTES
from nodes.gateway import InferRequest, StageTimings
from nodes.guarded_connection import GuardedConnection
from nodes.halves import EdgeOutcome
from nodes.model_runtime import ReadyPlan
from nodes.prefix_batch import PrefixWork, edge_suffix_group

__all__ = ["Answer", "RequestRun"]

Outputs = tuple[tuple[str, torch.Tensor], ...]


class Answer(NamedTuple):
    """A finished request: outputs, where the time went, what crossed each way, who finished it ("cloud" or "edge").

    sendings: how often the boundary tensors were sent. replica: the id of the one that answered, "" for the edge.
    late: it answered after a time at which another one would have been asked, if there had been one.
    """

    outputs: Outputs
    timings: StageTimings
    uplink_bytes: int
    downlink_bytes: int
    finished_by: str
    sendings: int
    replica: str = ""
    late: bool = False

    @property
    def teaches(self) -> bool:
        """Whether its stages are those of its plan: nothing went on elsewhere, or stood still."""
        return self.finished_by == "cloud" and self.sendings == 1 and not self.late

    @property
    def wire_bytes(self) -> int:
        """Bytes both ways."""
        return self.uplink_bytes + self.downlink_bytes


class RequestRun:
    """Executes one request by its choice. Use once: `await RequestRun(...).run(...)`."""

    def __init__(
        self, request: InferRequest, choice: Choice, ready: ReadyPlan, around: Surroundings, *, cloud_required: bool,
        came_s: float | None = None, admitted: Admitted | None = None,
    ) -> None:  # fmt: skip
        """cloud_required: the edge must not finish it, whatever happens. came_s: when the edge got it, from where its
        time counts; None for now. admitted: see AcceptedRequest."""
        came_s = time.monotonic() if came_s is None else came_s
        self._accepted = AcceptedRequest(request, choice, ready, around, cloud_required, came_s, admitted)
        self._cloud = CloudAsking(self._accepted)
        self._half = ready.half
        self._around = around
        self._held_bytes = 0

    async def run(self, connection: GuardedConnection | None) -> Answer:
        """The answer. connection: the replica to ask first, None when the plan needs no cloud or nobody can be asked.

        Raises DeadlineExceeded, ComputeFailed, InvalidRequest, Overloaded, TooLarge; CloudUnavailable where only the
        cloud may finish and no replica answers, ComputeFailed where what it answers cannot be used.
        """
        if self._accepted.choice.entry.plan.kind == "edge-only":
            return self._finished(await self._prefix())
        if connection is None and not self._accepted.cloud_required:
            return await self._finish_on_edge(await self._prefix())
        size = self._kept_bytes()
        self._around.kept.reserve(size, retry_after_s=self._accepted.choice.predicted.total_s)
        self._held_bytes = size
        try:
            return await self._answered(connection)
        finally:
            self._around.kept.release(self._held_bytes)

    async def _answered(self, connection: GuardedConnection | None) -> Answer:
        try:
            outcome = await self._prefix(connection)
            no_room = ""
            try:
                self._holds(outcome)
            except (Overloaded, TooLarge) as error:
                if self._accepted.cloud_required:
                    raise
                # The plain tensors are in what was reserved. Nothing may refer to the encoded ones any more.
                outcome, no_room = replace(outcome, encoded=()), str(error)
            if no_room:
                return await self._finish_unsent(outcome, no_room)
            if connection is None:
                connection = await self._cloud.next()
            while connection is not None:
                remote = await self._cloud.ask(outcome, connection)
                answer = None if remote is None else await self._finish_from(outcome, remote)
                if answer is not None:
                    return answer
                connection = await self._cloud.next()
            self._around.counts.resumed_on_edge += 1
            finished = await self._finish_on_edge(outcome)
            self._cloud.answered()
            return finished
        finally:
            await self._cloud.close()

    def _kept_bytes(self) -> int:
        inputs = self._accepted.request.inputs
        return self._half.kept_bytes(inputs.batch, inputs.file_bytes) + self._accepted.uplink_bytes

    def _holds(self, outcome: EdgeOutcome) -> None:
        """What is kept counts as it is, where it was counted as predicted: encoded it may be more. Raises Overloaded,
        TooLarge where there is no room for that."""
        size = outcome.held_bytes
        self._around.kept.resize(self._held_bytes, size, retry_after_s=self._accepted.choice.predicted.total_s)
        self._held_bytes = size

    async def _finish_unsent(self, outcome: EdgeOutcome, reason: str) -> Answer:
        plan_id = self._accepted.choice.entry.plan.plan_id
        get_logger("edge").warning("finishing on the edge, unsent", plan_id=plan_id, reason=reason)
        await self._cloud.close()  # it has what was sent early
        self._around.counts.resumed_on_edge += 1
        return await self._finish_on_edge(outcome)

    async def _prefix(self, connection: GuardedConnection | None = None) -> EdgeOutcome:
        """connection: is sent boundary tensors as they are made."""
        request, ready = self._accepted.request, self._accepted.ready
        early = None if connection is None else self._cloud.early_upload(connection)
        offer = None if early is None else early.offer
        work = PrefixWork(self._half, request.inputs, ready.prefix_times, offer)
        outcome = await self._computed(work)
        if self._accepted.admitted is not None:
            self._accepted.admitted.prefix_ended()
        if early is not None:
            early.finish(outcome.encoded)
        return outcome

    async def _computed(self, work: PrefixWork) -> EdgeOutcome:
        """Beside the queue where nothing is computed, at once where that is shorter than a hand-over, else in turn."""
        queue, accepted, batch = self._around.queue, self._accepted, work.inputs.batch
        if not accepted.choice.entry.edge_works:
            return await queue.run_beside(work, accepted.deadline_s)
        if work.offer is None:
            measured_s = accepted.choice.entry.costs.edge.at(batch)
            at_once = queue.run_prefix_at_once(work, measured_s, accepted.deadline_s)
            if at_once is not None:
                return at_once
        # The prefix without the wait before it.
        expected_s = max(0.0, accepted.choice.predicted.edge_s - queue.wait_s())
        edge_times = accepted.ready.edge_times(batch, expected_s)
        due_s = None if accepted.admitted is None else accepted.admitted.due_s
        predicted = accepted.choice.predicted
        rest_s = predicted.total_s - predicted.edge_s
        return await queue.run_prefix(work, edge_times, accepted.deadline_s, accepted.request.priority, due_s, rest_s)

    # ---- the end -----------------------------------------------------------------------------------------------

    async def _finish_from(self, outcome: EdgeOutcome, remote: CloudAnswer) -> Answer | None:
        """None where the replica's answer cannot be used: what the edge has kept goes elsewhere."""
        answer, sendings = remote.response.tensors, self._cloud.sendings
        down_bytes = encoded_bytes(answer)
        try:
            outputs = await self._read(outcome, answer, down_bytes)
        except InvalidInput as error:
            self._cloud.misanswered(remote, error)
            return None
        self._cloud.read(remote)
        sent_bytes = sendings * outcome.wire_bytes
        stages = self._stages(outcome, remote)
        late = self._cloud.stayed
        return Answer(outputs, stages, sent_bytes, down_bytes, "cloud", sendings, remote.replica.replica_id, late)

    async def _read(self, outcome: EdgeOutcome, answer: Sequence[EncodedTensor], size_bytes: int) -> Outputs:
        half, batch = self._half, self._accepted.request.inputs.batch
        if size_bytes <= DECODED_AT_ONCE_BYTES:
            return half.finish(outcome, answer, batch)
        return await self._around.queue.run(0.0, lambda: half.finish(outcome, answer, batch))

    def _finished(self, outcome: EdgeOutcome) -> Answer:
        """Of a plan whose prefix is the whole model: nothing is left to compute."""
        elapsed_s = self._elapsed_s()
        edge_s = min(elapsed_s, outcome.compute_s)
        timings = StageTimings(elapsed_s - edge_s, edge_s, 0.0, 0.0, 0.0, 0.0)
        batch = self._accepted.request.inputs.batch
        return Answer(self._half.finish(outcome, (), batch), timings, 0, 0, "edge", 0)

    async def _finish_on_edge(self, outcome: EdgeOutcome) -> Answer:
        started, accepted, request = time.monotonic(), self._accepted, self._accepted.request
        outputs = await self._around.queue.run_suffix(
            lambda: self._half.finish_locally(outcome), edge_suffix_group(self._half, request.inputs.batch),
            accepted.finish_s, accepted.deadline_s, accepted.finishes_by_s(), request.priority,
        )  # fmt: skip
        finish_s = time.monotonic() - started
        elapsed_s = self._elapsed_s()
        edge_s = min(elapsed_s, outcome.compute_s + finish_s)
        # The wait for a cloud that did not answer is the way up: it was spent on the wire.
        lost_s = min(self._cloud.lost_s, elapsed_s - edge_s)
        timings = StageTimings(elapsed_s - edge_s - lost_s, edge_s, lost_s, 0.0, 0.0, 0.0)
        sendings = self._cloud.sendings
        return Answer(outputs, timings, sendings * outcome.wire_bytes, 0, "edge", sendings)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._accepted.started_s

    def _stages(self, outcome: EdgeOutcome, remote: CloudAnswer) -> StageTimings:
        """Disjoint durations that sum to the elapsed time. What the replica did not account for was spent on the wire;
        the way up and the way down share it as their predictions do, and replicas that did not answer are the way up.
        """
        timings = remote.response.timings
        wire_s = max(0.0, remote.elapsed_s - timings.queue_s - timings.compute_s)
        predicted = self._accepted.choice.predicted
        both_s = predicted.uplink_s + predicted.downlink_s
        uplink_s = wire_s * (predicted.uplink_s / both_s if both_s > 0 else 0.5)
        elapsed_s = self._elapsed_s()
        edge_s = min(outcome.compute_s, elapsed_s)
        cloud_s = min(timings.compute_s, remote.elapsed_s)
        queue_s = max(0.0, remote.elapsed_s - wire_s - cloud_s)
        lost_s = self._cloud.lost_s
        waited_s = max(0.0, elapsed_s - edge_s - lost_s - remote.elapsed_s)
        return StageTimings(waited_s, edge_s, uplink_s + lost_s, queue_s, cloud_s, wire_s - uplink_s)
