"""One request on an edge node, from choice to answer: prefix, wire, suffix, or resume from the cut.

The boundary tensors are kept until the answer is in. Whatever happens to the replica, the request ends in an answer:
the edge computes the suffix itself, from the same tensors, so nothing on its side of the cut is computed twice.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import torch

from isthmus.errors import DeadlineExceeded, InvalidInput, IsthmusError
from isthmus.telemetry import get_logger
from nodes.chooser import Choice
from nodes.cloud_connection import CloudConnection
from nodes.gateway import InferRequest, StageTimings
from nodes.halves import EdgeOutcome
from nodes.model_runtime import ReadyPlan
from nodes.prefix_batch import PrefixWork
from nodes.prefix_queue import PrefixQueue
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import ResponseArrived

__all__ = ["Answer", "RequestRun"]

Outputs = tuple[tuple[str, torch.Tensor], ...]

# How long past its prediction a cloud answer may be before the edge finishes by itself: generous enough that a slow
# link is not mistaken for a dead replica, short enough that a client with an ordinary timeout still gets its answer.
PATIENCE_FACTOR = 4.0
PATIENCE_S = 1.0
# Answers up to this size are decoded on the event loop (some 50 us): in the pool they would wait behind a whole prefix.
DECODED_AT_ONCE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished request: outputs, where the time went, what crossed each way, who finished it ("cloud" or "edge")."""

    outputs: Outputs
    timings: StageTimings
    uplink_bytes: int
    downlink_bytes: int
    finished_by: str

    @property
    def wire_bytes(self) -> int:
        """Bytes both ways."""
        return self.uplink_bytes + self.downlink_bytes


@dataclass(frozen=True, slots=True)
class _Remote:
    response: ResponseArrived
    elapsed_s: float


class RequestRun:
    """Executes one request by its choice. Use once: `await RequestRun(...).run()`."""

    def __init__(
        self,
        request: InferRequest,
        wire_id: int,
        choice: Choice,
        ready: ReadyPlan,
        queue: PrefixQueue,
        connection: CloudConnection | None,
    ) -> None:
        """connection: None when the plan needs no cloud."""
        self._request = request
        self._wire_id = wire_id
        self._choice = choice
        self._ready, self._half = ready, ready.half
        self._queue = queue
        self._connection = connection
        self._started_s = time.monotonic()
        self._deadline_s = None if request.timeout_s is None else self._started_s + request.timeout_s
        self._log = get_logger("edge")

    async def run(self) -> Answer:
        """The answer. Raises DeadlineExceeded, ComputeFailed, InvalidRequest."""
        outcome = await self._prefix()
        if self._connection is None or self._choice.entry.plan.kind == "edge-only":
            return await self._finish_on_edge(outcome, uplink_bytes=0)
        remote = await self._remote(outcome, self._connection)
        if remote is None:
            return await self._finish_on_edge(outcome, outcome.wire_bytes)
        down_bytes = sum(len(tensor.data) for tensor in remote.response.tensors)
        if down_bytes <= DECODED_AT_ONCE_BYTES:
            outputs = self._half.finish(outcome, remote.response.tensors)
        else:
            outputs = await self._queue.run(0.0, lambda: self._half.finish(outcome, remote.response.tensors))
        return Answer(outputs, self._stages(outcome, remote), outcome.wire_bytes, down_bytes, "cloud")

    async def _prefix(self) -> EdgeOutcome:
        inputs = self._request.inputs
        work = PrefixWork(self._half, inputs, self._ready.prefix_times)
        edge_times = self._ready.edge_times(inputs.batch, self._expected_edge_s())
        return await self._queue.run_prefix(work, edge_times, self._deadline_s, self._request.priority)

    async def _finish_on_edge(self, outcome: EdgeOutcome, uplink_bytes: int) -> Answer:
        if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            raise DeadlineExceeded("the deadline passed before the suffix began on the edge")
        started = time.monotonic()
        outputs = await self._queue.run(self._finish_s(), lambda: self._half.finish_locally(outcome))
        finish_s = time.monotonic() - started
        elapsed_s = time.monotonic() - self._started_s
        edge_s = min(elapsed_s, outcome.compute_s + finish_s)
        # The wait for a cloud that did not answer is the way up: it was spent on the wire.
        waited_s = elapsed_s - edge_s
        in_queue = self._connection is None
        timings = StageTimings(waited_s if in_queue else 0.0, edge_s, 0.0 if in_queue else waited_s, 0.0, 0.0, 0.0)
        return Answer(outputs, timings, uplink_bytes, 0, "edge")

    async def _remote(self, outcome: EdgeOutcome, connection: CloudConnection) -> _Remote | None:
        """The replica's answer, None when the edge is to finish instead."""
        sent_s = time.monotonic()
        try:
            async with asyncio.timeout(self._patience_s(sent_s)):
                response = await connection.run(self._wire_request(outcome, sent_s))
        except InvalidInput:
            raise  # the request itself is at fault: the edge would find the same
        except (TimeoutError, IsthmusError) as error:
            reason = str(error) or "no answer in time"
            self._log.warning("finishing on the edge", plan_id=self._choice.entry.plan.plan_id, reason=reason)
            return None
        return _Remote(response, time.monotonic() - sent_s)

    def _patience_s(self, now_s: float) -> float:
        """How long to wait for the cloud: what still leaves time to finish here, where there is a deadline."""
        predicted_s = self._choice.predicted.total_s
        patience_s = max(PATIENCE_FACTOR * predicted_s, predicted_s + PATIENCE_S)
        if self._deadline_s is None:
            return patience_s
        return max(0.0, min(patience_s, self._deadline_s - now_s - 1.2 * self._finish_s()))

    def _expected_edge_s(self) -> float:
        """The prefix without the wait before it."""
        return max(0.0, self._choice.predicted.edge_s - self._queue.wait_s())

    def _finish_s(self) -> float:
        return self._choice.entry.costs.local_finish.at(self._request.inputs.batch)

    def _wire_request(self, outcome: EdgeOutcome, now_s: float) -> WireRequest:
        return WireRequest(
            request_id=self._wire_id,
            wire_digest=self._choice.entry.plan.wire_digest,
            batch=self._request.inputs.batch,
            tensors=outcome.encoded,
            remaining_s=None if self._deadline_s is None else self._deadline_s - now_s,
            deadline_s=self._deadline_s,
            priority=self._request.priority,
            expected_cloud_s=self._choice.entry.costs.cloud.at(self._request.inputs.batch),
        )

    def _stages(self, outcome: EdgeOutcome, remote: _Remote) -> StageTimings:
        """Disjoint durations that sum to the elapsed time. What the replica did not account for was spent on the wire;
        the way up and the way down share it as their predictions do."""
        timings = remote.response.timings
        wire_s = max(0.0, remote.elapsed_s - timings.queue_s - timings.compute_s)
        predicted = self._choice.predicted
        both_s = predicted.uplink_s + predicted.downlink_s
        uplink_s = wire_s * (predicted.uplink_s / both_s if both_s > 0 else 0.5)
        elapsed_s = time.monotonic() - self._started_s
        edge_s = min(outcome.compute_s, elapsed_s)
        cloud_s = min(timings.compute_s, remote.elapsed_s)
        queue_s = max(0.0, remote.elapsed_s - wire_s - cloud_s)
        waited_s = max(0.0, elapsed_s - edge_s - remote.elapsed_s)
        return StageTimings(waited_s, edge_s, uplink_s, queue_s, cloud_s, wire_s - uplink_s)
