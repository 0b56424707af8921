"""One inference message answered: read, checked, inferred, written, accounted for. Unary calls and streams share it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from isthmus.errors import DeadlineExceeded, InvalidRequest, NotFound
from isthmus.oip import open_inference_pb2 as oip
from nodes.background import run_apart
from nodes.gateway import UNDECIDED, Decided, Gateway, InferResult, ModelDescription
from nodes.limits import NodeLimits
from nodes.metrics.request_ledger import RequestLedger
from nodes.model_statistics import RequestPhases, StatisticsLedger
from nodes.resumption import deadline_slack_s
from nodes.sight.failures import RecentFailures
from nodes.tracing.base import Tracing
from nodes.transport.classification import class_count
from nodes.transport.client_bytes import WORDS_BYTES, CallBytes
from nodes.transport.infer_messages import answer_bytes, read_request, write_response, writes_long
from nodes.transport.name_lengths import LONGEST_NAME

__all__ = ["Answered", "InferHandler"]


Metadata = Callable[[], Iterable[tuple[str, str | bytes]] | None]
"""Of a gRPC call: its `invocation_metadata`."""


def no_metadata() -> None:
    """Of what came by no call of its own."""


class Answered(NamedTuple):
    """held_bytes: what it counts with among those of its call, which lets go of it."""

    response: oip.ModelInferResponse
    held_bytes: int


class InferHandler:
    """Answers messages through a gateway and keeps the account of them."""

    def __init__(
        self,
        gateway: Gateway,
        ledger: StatisticsLedger,
        failures: RecentFailures,
        limits: NodeLimits,
        requests: RequestLedger | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """requests: of metrics, None where nobody asks for them. tracing: None where nobody takes spans."""
        self._tracing = tracing
        self._limits = limits
        self._failures = failures
        self._requests = requests
        self._gateway = gateway
        self._ledger = ledger

    async def answer(
        self,
        message: oip.ModelInferRequest,
        remaining_s: float | None,
        call: CallBytes,
        metadata: Metadata = no_metadata,
        request_id: str = "",
    ) -> Answered:
        """The answer. remaining_s: until the call's deadline. call: by which it came. metadata: of the call, read where
        spans are made. request_id: see InferRequest.

        Raises the IsthmusError that there is instead of one.
        """
        if self._tracing is None:
            return (await self._answer(message, remaining_s, call, request_id))[0]
        came_s = time.monotonic()
        span = self._tracing.request(message.model_name[:LONGEST_NAME], _traceparent(metadata()))
        try:
            answered, result = await self._answer(message, remaining_s, call, request_id, span.traceparent)
        except BaseException as error:
            span.failed(_reason(error, remaining_s, came_s))
            raise
        span.answered(result)
        return answered

    async def _answer(
        self, message: oip.ModelInferRequest, remaining_s: float | None, call: CallBytes, request_id: str,
        traceparent: str = "",
    ) -> tuple[Answered, InferResult]:  # fmt: skip
        came_s, began_s, decided, held_bytes = time.monotonic(), time.perf_counter(), list[Decided](), 0
        try:
            described = self._gateway.describe_model(message.model_name)
        except NotFound as error:
            self._failed("", error, request_id)
            raise
        try:
            request = read_request(described, message, remaining_s, self._limits, call.caller, request_id)
            timeout_s = _left_s(request.timeout_s, came_s)
            request = request._replace(timeout_s=timeout_s, traceparent=traceparent, decided=decided.append)
            beside_bytes = request.inputs.size_bytes + len(message.id) + WORDS_BYTES
            expected_bytes = _expected_bytes(described, message, request.inputs.batch) + beside_bytes
            call.hold(expected_bytes)
            held_bytes = expected_bytes
            read_s = time.perf_counter()
            result = await self._gateway.infer(request)
            inferred_s = time.perf_counter()
            size_bytes = answer_bytes(message, result)
            self._limits.check_message("the answer", size_bytes)
            call.resize(held_bytes, size_bytes + beside_bytes)
            held_bytes = size_bytes + beside_bytes
            if writes_long(message, size_bytes):
                response = await run_apart(write_response, message, result, described)
            else:
                response = write_response(message, result, described)
        except BaseException as error:  # a cancelled one too: its client has left
            call.let_go(held_bytes)
            self._ledger.failed(described.name, time.perf_counter() - began_s, _now_ms())
            self._failed(described.name, _reason(error, remaining_s, came_s), request_id, *decided)
            raise
        written_s = time.perf_counter()
        phases = _phases(result, read_s - began_s, written_s - inferred_s, written_s - began_s)
        self._ledger.answered(described.name, request.inputs.batch, phases, _now_ms())
        if self._requests is not None:
            self._requests.answered(described.name, result, written_s - began_s)
        return Answered(response, held_bytes), result

    def _failed(self, model: str, error: BaseException, request_id: str, decided: Decided = UNDECIDED) -> None:
        self._failures.record(model, error, request_id)
        if self._requests is not None:
            self._requests.failed(model, error, decided)


def _expected_bytes(described: ModelDescription, message: oip.ModelInferRequest, batch: int) -> int:
    """Of the answer, as far as that is known before it is there: of no output that the protocol cannot carry, or of
    which the classes are asked for."""
    asked = {one.name for one in message.outputs if not class_count(one)}
    with contextlib.suppress(InvalidRequest):
        return sum(one.bytes_at(batch) for one in described.outputs if not message.outputs or one.name in asked)
    return 0


def _reason(error: BaseException, remaining_s: float | None, came_s: float) -> BaseException:
    """What ended a request: a call that its client ends at its own deadline was not taken back."""
    if not isinstance(error, asyncio.CancelledError) or remaining_s is None:
        return error
    if time.monotonic() - came_s < remaining_s - deadline_slack_s(remaining_s):
        return error
    return DeadlineExceeded("the deadline passed before an answer was there; allow more time")


def _left_s(timeout_s: float | None, came_s: float) -> float | None:
    """Of the time that a request has from when its message came: reading it took some."""
    return None if timeout_s is None else max(0.0, timeout_s - (time.monotonic() - came_s))


def _traceparent(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    found = next((value for key, value in metadata or () if key == "traceparent"), "")
    return found if isinstance(found, str) else ""


def _phases(result: InferResult, input_s: float, output_s: float, elapsed_s: float) -> RequestPhases:
    queue_s = result.timings.edge_queue_s + result.timings.cloud_queue_s
    return RequestPhases(queue_s, input_s, result.timings.total_s - queue_s, output_s, elapsed_s)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
