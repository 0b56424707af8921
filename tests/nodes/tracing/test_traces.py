"""One request's spans, from the client's to the replica's, in one trace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.model_loading import measured_profile
from nodes.protocol.assembly import ReceiveSpan
from nodes.protocol.events import CloudTimings
from nodes.tracing.base import Tracing
from nodes.tracing.factory import configured_tracing
from nodes.tracing.otel import OtelTracing
from nodes.transport.gateway_server import GatewayService
from partitioner.profiles import DeviceProfile
from tests.nodes.sites import Cloud, inputs_of
from tests.nodes.test_version_skew import OLD, edge_with

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
EDGE_STAGES = ["isthmus.edge", "isthmus.uplink", "isthmus.cloud", "isthmus.downlink"]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> OtelTracing:
    """Both sides' of one process."""
    provider = TracerProvider(resource=Resource.create({}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return OtelTracing(provider)


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    with ComputePool(1) as pool:
        return asyncio.run(measured_profile({"small": OLD}, EagerEngine(threads=1), pool))


@contextlib.asynccontextmanager
async def gateway(
    profile: DeviceProfile, tracing: Tracing | None
) -> AsyncIterator[open_inference_pb2_grpc.GRPCInferenceServiceAsyncStub]:
    """A client of an edge with one replica, both with that tracing."""
    cloud = await Cloud.start([OLD], "a", tracing=tracing)
    async with edge_with({"a": cloud}, profile) as node:
        server = GatewayService(node, "1", tracing=tracing).server()
        try:
            async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0", "edge.listen")) as channel:
                yield open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        finally:
            await server.stop(0)


def message(policy: str = "fixed:split") -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name="small", raw_input_contents=[inputs_of(0).numpy().tobytes()])
    request.inputs.add(name=OLD.interface.inputs[0].name, datatype="FP32", shape=[1, 16])
    request.parameters["isthmus_policy"].string_param = policy
    return request


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def below(exporter: InMemorySpanExporter, parent: ReadableSpan) -> list[str]:
    """In the order of time."""
    assert parent.context is not None
    own = parent.context.span_id
    spans = [span for span in exporter.get_finished_spans() if span.parent and span.parent.span_id == own]
    return [span.name for span in sorted(spans, key=lambda span: span.start_time or 0)]


async def test_a_request_is_one_trace_from_the_client_to_the_replica(
    profile: DeviceProfile, tracing: OtelTracing, exporter: InMemorySpanExporter
) -> None:
    async with gateway(profile, tracing) as client:
        answer = await client.ModelInfer(message(), metadata=(("traceparent", TRACEPARENT),))
    spans = by_name(exporter)
    infer, replica = spans["isthmus.infer"], spans["isthmus.replica"]
    assert {f"{span.context.trace_id:032x}" for span in exporter.get_finished_spans() if span.context} == {TRACE}
    assert infer.parent is not None
    assert f"{infer.parent.span_id:016x}" == SPAN
    besides = ("isthmus.replica", "isthmus.edge_queue", "isthmus.cloud_queue")  # waits may have taken no time
    assert [name for name in below(exporter, infer) if name not in besides] == EDGE_STAGES
    assert "isthmus.replica" in below(exporter, infer)
    assert below(exporter, replica)[-3:] == ["isthmus.decode", "isthmus.suffix", "isthmus.encode"]
    assert infer.attributes is not None
    assert infer.attributes["isthmus.request_id"] == answer.parameters["isthmus_request_id"].string_param
    assert infer.attributes["isthmus.finished_by"] == "cloud"


async def test_each_request_of_a_stream_is_in_its_clients_trace(
    profile: DeviceProfile, tracing: OtelTracing, exporter: InMemorySpanExporter
) -> None:
    async with gateway(profile, tracing) as client:
        call = client.ModelStreamInfer(iter([message(), message()]), metadata=(("traceparent", TRACEPARENT),))
        assert [one.error_message async for one in call] == ["", ""]
    roots = [span for span in exporter.get_finished_spans() if span.name == "isthmus.infer"]
    assert [f"{span.context.trace_id:032x}" for span in roots if span.context] == [TRACE, TRACE]


@pytest.mark.parametrize("sent", ["", "nonsense", f"00-{'0' * 32}-{SPAN}-01"])
async def test_without_a_traceparent_that_is_one_a_request_begins_its_own_trace(
    profile: DeviceProfile, tracing: OtelTracing, exporter: InMemorySpanExporter, sent: str
) -> None:
    async with gateway(profile, tracing) as client:
        await client.ModelInfer(message(), metadata=(("traceparent", sent),) if sent else ())
    spans = by_name(exporter)
    assert spans["isthmus.infer"].parent is None
    assert len({span.context.trace_id for span in exporter.get_finished_spans() if span.context}) == 1


async def test_a_trace_that_its_client_does_not_sample_makes_no_span(
    profile: DeviceProfile, tracing: OtelTracing, exporter: InMemorySpanExporter
) -> None:
    async with gateway(profile, tracing) as client:
        await client.ModelInfer(message(), metadata=(("traceparent", TRACEPARENT[:-1] + "0"),))
    assert exporter.get_finished_spans() == ()


async def test_a_request_that_fails_is_a_span_that_says_so(
    profile: DeviceProfile, tracing: OtelTracing, exporter: InMemorySpanExporter
) -> None:
    async with gateway(profile, tracing) as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await client.ModelInfer(message("none-such"))
    [span] = exporter.get_finished_spans()
    assert (span.status.is_ok, span.status.description) == (False, "NOT_FOUND")


async def test_a_client_that_leaves_is_no_error(tracing: OtelTracing, exporter: InMemorySpanExporter) -> None:
    span = tracing.request("net", TRACEPARENT)
    span.failed(asyncio.CancelledError())
    [made] = exporter.get_finished_spans()
    assert made.status.status_code is StatusCode.UNSET
    assert made.attributes is not None
    assert made.attributes["isthmus.outcome"] == "CANCELLED"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what is exported to it."""

    def __init__(self) -> None:
        self.received: list[otlp.ExportTraceServiceRequest] = []

    def Export(  # noqa: N802
        self, request: otlp.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> otlp.ExportTraceServiceResponse:
        """See OTLP."""
        self.received.append(request)
        return otlp.ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Over OTLP, where the environment says."""
    service, server = Collector(), grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield service
    server.stop(0)


def test_spans_go_where_the_environment_says_under_the_nodes_name(collector: Collector) -> None:
    tracing = configured_tracing("isthmus-cloud")
    assert tracing is not None
    tracing.suffix(TRACEPARENT, CloudTimings(ReceiveSpan(0.0, 0), 0.0, 0.001, 0.002, 0.0))
    tracing.close()
    [resource] = [one for request in collector.received for one in request.resource_spans]
    named = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert named["service.name"] == "isthmus-cloud"
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    whole = max(spans, key=lambda span: span.end_time_unix_nano - span.start_time_unix_nano)
    assert whole.end_time_unix_nano - whole.start_time_unix_nano == pytest.approx(3e6, abs=1000)
    assert {span.trace_id.hex() for span in spans} == {TRACE}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_an_endpoint_there_is_no_tracing(environment: dict[str, str]) -> None:
    assert configured_tracing("isthmus-edge", environment) is None
