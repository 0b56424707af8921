"""Spans by the OpenTelemetry SDK, sent over OTLP/gRPC. The only place that imports opentelemetry.

A stage was timed where it ran, so spans are made when a request has ended: backwards from now, in the order of the
stages. Times are each machine's own wall clock: a skew between edge and cloud shifts the cloud's spans, not their
lengths.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from isthmus.errors import grpc_status_name
from isthmus.version import VERSION
from nodes.gateway import InferResult, StageTimings
from nodes.protocol.events import CloudTimings

__all__ = ["OtelTracing"]

_PROPAGATOR = TraceContextTextMapPropagator()
_EDGE_STAGES = tuple(name for name in StageTimings._fields if name.endswith("_s"))
_CLOUD_STAGES = ("queue_s", "decode_s", "suffix_s", "encode_s")
_FLUSH_MS = 3000


class OtelTracing:
    """See Tracing."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("isthmus", VERSION)

    @classmethod
    def to_endpoint(cls, service: str) -> OtelTracing:
        """To the endpoint, with the sampler and the attributes that the environment names."""
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": service}
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def request(self, model: str, traceparent: str) -> _RequestSpan:
        """See Tracing."""
        span = self._tracer.start_span(
            "isthmus.infer", _context(traceparent), SpanKind.SERVER, {"isthmus.model": model}
        )
        return _RequestSpan(self._tracer, span)

    def suffix(self, traceparent: str, timings: CloudTimings) -> None:
        """See Tracing."""
        now_ns, seconds = time.time_ns(), [getattr(timings, stage) for stage in _CLOUD_STAGES]
        begun_ns = now_ns - round(1e9 * sum(seconds))
        span = self._tracer.start_span("isthmus.replica", _context(traceparent), SpanKind.SERVER, start_time=begun_ns)
        _stages(self._tracer, span, begun_ns, zip(_CLOUD_STAGES, seconds, strict=True))
        span.end(now_ns)

    def close(self) -> None:
        """See Tracing."""
        self._provider.force_flush(_FLUSH_MS)
        self._provider.shutdown()


class _RequestSpan:
    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, set_span_in_context(span, Context()))
        self.traceparent = carrier.get("traceparent", "")

    def answered(self, result: InferResult) -> None:
        """See RequestSpan."""
        if self._span.is_recording():
            now_ns, timings = time.time_ns(), result.timings
            self._span.set_attributes(
                {
                    "isthmus.request_id": result.request_id,
                    "isthmus.plan": result.plan_id,
                    "isthmus.plan_kind": result.plan_kind,
                    "isthmus.policy": result.policy,
                    "isthmus.finished_by": result.finished_by,
                    "isthmus.wire_bytes": result.wire_bytes,
                }
            )
            seconds = [getattr(timings, stage) for stage in _EDGE_STAGES]
            begun_ns = now_ns - round(1e9 * sum(seconds))
            _stages(self._tracer, self._span, begun_ns, zip(_EDGE_STAGES, seconds, strict=True))
        self._span.end()

    def failed(self, error: BaseException) -> None:
        """See RequestSpan. A client that left is no error of this server."""
        status = grpc_status_name(error)
        self._span.set_attribute("isthmus.outcome", status)
        if status != "CANCELLED":
            self._span.set_status(Status(StatusCode.ERROR, status))
        self._span.end()


def _context(traceparent: str) -> Context:
    """Of what came over the wire; the root of a trace of its own where that is no traceparent."""
    return _PROPAGATOR.extract({"traceparent": traceparent}, Context())


def _stages(tracer: Tracer, parent: Span, begun_ns: int, stages: Iterable[tuple[str, float]]) -> None:
    """One span for each stage that took any time."""
    context = set_span_in_context(parent, Context())
    for name, seconds in stages:
        if seconds > 0:
            span = tracer.start_span(f"isthmus.{name.removesuffix('_s')}", context, start_time=begun_ns)
            begun_ns += round(1e9 * seconds)
            span.end(begun_ns)
