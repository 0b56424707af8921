"""More than a limit lets through is refused with RESOURCE_EXHAUSTED, naming the limit, the value and the remedy."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest

from isthmus.addresses import parse_address
from isthmus.errors import TooLarge
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from isthmus.v1 import segment_pb2 as pb
from isthmus.v1 import segment_pb2_grpc
from nodes.cloud_connection import ReplicaDescription
from nodes.codecs.base import EncodedTensor
from nodes.limits import CLOUD_LIMITS, EDGE_LIMITS, NodeLimits
from nodes.model_statistics import StatisticsLedger
from nodes.protocol.assembly import ReceiveSpan
from nodes.protocol.cloud_stream import MOST_UNREAD_FRAMES
from nodes.protocol.events import CloudTimings, PlanDefinition, PlanTimes, RequestArrived
from nodes.protocol.version import PROTOCOL_MAJOR, PROTOCOL_MINOR
from nodes.sight.failures import RecentFailures
from nodes.transport import segment_server
from nodes.transport.caller import Caller
from nodes.transport.client_bytes import CallBytes, ClientBytes
from nodes.transport.gateway_server import MOST_CALLS, GatewayService
from nodes.transport.infer_handler import InferHandler
from nodes.transport.segment_server import Load, SegmentService, SuffixResult
from nodes.transport.status import error_of
from tests.nodes.sites import edge_site, eventually

if TYPE_CHECKING:
    from nodes.gateway import Gateway

    Stub = open_inference_pb2_grpc.GRPCInferenceServiceAsyncStub
    Call = grpc.aio.UnaryUnaryCall[oip.ModelInferRequest, oip.ModelInferResponse]
    Stream = grpc.aio.StreamStreamCall[pb.EdgeFrame, pb.CloudFrame]

LIMITS = NodeLimits("edge", message_bytes=1000, tensor_bytes=600, queue=4, connections=1)
SETTINGS_MAX_CONCURRENT_STREAMS = 3  # RFC 9113, 6.5.2


@pytest.fixture
async def limited(doubling: Callable[[], Gateway]) -> AsyncIterator[str]:
    """The address of a gateway with `LIMITS`."""
    server = GatewayService(doubling(), "1", LIMITS).server()
    yield await server.start("127.0.0.1:0", "edge.listen")
    await server.stop(0)


@pytest.fixture
async def limited_stub(limited: str) -> AsyncIterator[Stub]:
    """A client of it."""
    async with grpc.aio.insecure_channel(limited) as channel:
        yield open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)


def items(count: int) -> oip.ModelInferRequest:
    """Of 12 bytes each."""
    request = oip.ModelInferRequest(model_name="double", raw_input_contents=[bytes(12 * count)])
    request.inputs.add(name="x", datatype="FP32", shape=[count, 3])
    return request


async def refused(call: Call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return caught.value


async def test_what_is_within_the_limits_is_answered(limited_stub: Stub) -> None:
    assert (await limited_stub.ModelInfer(items(8))).outputs[0].shape == [8, 3]


async def test_a_message_too_long_names_limit_value_and_remedy(limited_stub: Stub) -> None:
    request = items(100)
    error = await refused(limited_stub.ModelInfer(request))
    assert "edge.limits.message: a message may take 1000 bytes" in str(error.details())
    assert f"(got {request.ByteSize()}); send less, or raise edge.limits.message" in str(error.details())
    assert isinstance(error_of(error, "edge"), TooLarge)


async def test_a_message_of_more_than_twice_the_limit_is_not_even_read(limited_stub: Stub) -> None:
    error = await refused(limited_stub.ModelInfer(items(1000)))
    assert "larger than max" in str(error.details())
    assert isinstance(error_of(error, "edge"), TooLarge)


async def test_a_tensor_too_large_names_limit_value_and_remedy(limited_stub: Stub) -> None:
    error = await refused(limited_stub.ModelInfer(items(51)))
    assert str(error.details()) == (
        "edge.limits.tensor: tensor x may take 600 bytes (got 612); send less, or raise edge.limits.tensor"
    )


async def test_a_stream_goes_on_after_a_message_too_long(limited_stub: Stub) -> None:
    answers = [answer async for answer in limited_stub.ModelStreamInfer(iter([items(100), items(2)]))]
    assert "edge.limits.message" in answers[0].error_message + answers[1].error_message
    assert [len(answer.infer_response.outputs) for answer in answers if not answer.error_message] == [1]


async def test_an_answer_too_long_is_refused(doubling: Callable[[], Gateway]) -> None:
    handler = InferHandler(doubling(), StatisticsLedger(), RecentFailures(), replace(LIMITS, message_bytes=95))
    with pytest.raises(TooLarge, match=r"edge\.limits\.message: the answer may take 95 bytes \(got 96\)"):
        await handler.answer(items(8), None, CallBytes(Caller("here"), ClientBytes()))


async def test_an_answer_is_as_long_as_what_it_was_asked_for(doubling: Callable[[], Gateway]) -> None:
    handler = InferHandler(doubling(), StatisticsLedger(), RecentFailures(), replace(LIMITS, message_bytes=95))
    request = items(8)
    request.outputs.add(name="y").parameters["classification"].int64_param = 1
    answered = await handler.answer(request, None, CallBytes(Caller("here"), ClientBytes()))
    assert answered.response.outputs[0].shape == [8, 1]


async def test_a_client_too_many_is_refused_until_another_has_gone(limited: str, limited_stub: Stub) -> None:
    held = limited_stub.ModelStreamInfer()
    await held.write(items(1))
    answer = await held.read()
    assert isinstance(answer, oip.ModelStreamInferResponse)
    assert answer.infer_response.outputs
    # A channel with the same target and options shares its connection: a local subchannel pool makes another.
    async with grpc.aio.insecure_channel(limited, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        other: Stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        error = await refused(other.ModelInfer(items(1)))
        assert str(error.details()).startswith("edge.limits.connections: 1 are served, 1 may be")
        await held.done_writing()
        assert await held.read() is grpc.aio.EOF
        assert (await other.ModelInfer(items(1))).outputs


def hello() -> pb.EdgeFrame:
    version = {"protocol_major": PROTOCOL_MAJOR, "protocol_minor": PROTOCOL_MINOR}
    return pb.EdgeFrame(hello=pb.Hello(edge_id="edge", **version))


async def test_an_edge_too_many_is_refused_and_the_first_is_served() -> None:
    async with edge_site() as site:
        service = SegmentService(site.clouds[0].node, replace(CLOUD_LIMITS, connections=1))
        server = service.server()
        async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0", "cloud.listen")) as channel:
            stub = segment_pb2_grpc.SegmentServiceStub(channel)
            first = stub.Run()
            await first.write(hello())
            welcomed = await first.read()
            assert isinstance(welcomed, pb.CloudFrame)
            assert welcomed.welcome.replica_id == "replica-0"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async with asyncio.timeout(10):
                    await stub.Run().read()
            first.cancel()
        await server.stop(0)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "cloud.limits.connections: 1 are served, 1 may be" in str(caught.value.details())


async def test_a_stream_without_a_hello_ends_in_words_and_its_place_is_anothers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = SegmentService(Answering(), replace(CLOUD_LIMITS, connections=1))
    server = service.server()
    async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0", "cloud.listen")) as channel:
        dial = segment_pb2_grpc.SegmentServiceStub(channel).Run
        with monkeypatch.context() as quick:
            quick.setattr(segment_server, "HELLO_TIMEOUT_S", 0.05)
            silent = dial()
            async with asyncio.timeout(20):
                assert await silent.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert str(await silent.details()) == "no hello within 0.05 s: say it as the first frame"
        await eventually(lambda: service.status().streams == 0)
        edge = dial()
        await edge.write(hello())
        assert isinstance(welcomed := await edge.read(), pb.CloudFrame)
        assert welcomed.HasField("welcome")
        edge.cancel()
    await server.stop(0)


class Answering:
    """A SegmentNode that answers whatever comes with so many bytes."""

    size_bytes = 600_000

    def describe(self) -> ReplicaDescription:
        return ReplicaDescription("replica", (), "")

    async def rate_codecs(self) -> None:
        pass

    def load(self) -> Load:
        return Load(0, 0.0)

    def check_offer(self, offer: PlanDefinition) -> None:
        pass

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        return PlanTimes(())

    async def run(self, request: RequestArrived) -> SuffixResult:
        tensor = EncodedTensor("y", "uint8", (self.size_bytes,), (), "raw", {}, bytes(self.size_bytes))
        return SuffixResult((tensor,), CloudTimings(ReceiveSpan(0.0, 0), 0.0, 0.0, 0.0, 0.0))


@contextlib.asynccontextmanager
async def remembering(most_held_bytes: int) -> AsyncIterator[tuple[SegmentService, Callable[[], Stream]]]:
    """A replica with so much memory for requests and answers, and what dials it."""
    service = SegmentService(Answering(), most_held_bytes=most_held_bytes)
    server = service.server()
    async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0", "cloud.listen")) as channel:
        yield service, segment_pb2_grpc.SegmentServiceStub(channel).Run
        await server.stop(0)


async def announce(stream: Stream, request_id: int, size_bytes: int) -> None:
    header = pb.TensorHeader(name="x", dtype="uint8", shape=[size_bytes], encoded_bytes=size_bytes)
    await stream.write(pb.EdgeFrame(request=pb.RequestHeader(request_id=request_id, tensors=[header])))


async def first_error(stream: Stream) -> pb.RequestError:
    async with asyncio.timeout(20):
        while True:
            frame = await stream.read()
            assert isinstance(frame, pb.CloudFrame)
            if frame.HasField("error"):
                return frame.error


async def test_what_one_edge_announces_is_no_room_for_another_until_it_goes() -> None:
    async with remembering(1_000_000) as (service, dial):
        one, other = dial(), dial()
        for stream in (one, other):
            await stream.write(hello())
        await announce(one, 1, 900_000)
        await eventually(lambda: service.status().held_bytes > 0)
        await announce(other, 2, 200_000)
        refused = await first_error(other)
        assert (refused.request_id, refused.reason) == (2, "OVERLOADED")
        assert refused.message.startswith("cloud.limits.memory: 900")
        one.cancel()
        await eventually(lambda: service.status().held_bytes == 0)
        await announce(other, 3, 900_000)
        await eventually(lambda: service.status().held_bytes > 0)


async def test_answers_for_an_edge_that_does_not_read_are_held_to_the_same() -> None:
    async with remembering(1_000_000) as (service, dial):
        stream = dial()
        await stream.write(hello())
        for number in range(1, 6):
            await announce(stream, number, 0)
        await eventually(lambda: service.status().held_bytes == 600_000)
        refused = await first_error(stream)
        assert (refused.request_id, refused.reason) == (2, "OVERLOADED")
        assert service.held.peak_bytes <= 1_000_000
        stream.cancel()
        await eventually(lambda: service.status().held_bytes == 0)


async def test_an_edge_that_does_not_read_is_not_read_until_it_does() -> None:
    count, said = 5 * MOST_UNREAD_FRAMES, 0

    async def asking() -> AsyncIterator[pb.EdgeFrame]:
        nonlocal said
        yield hello()
        for said in range(1, count + 1):
            yield pb.EdgeFrame(echo=pb.Echo(token=said))

    frames = aiter(SegmentService(Answering()).Run(asking(), None))  # type: ignore[arg-type]  # nobody asks the context
    await anext(frames)  # the welcome
    for _ in range(10):  # it reads what it may without a pause
        await asyncio.sleep(0)
    assert said == MOST_UNREAD_FRAMES - 1  # the welcome was one of them
    assert [(await anext(frames)).echo.token for _ in range(count)] == [*range(1, count + 1)]
    assert said == count


async def test_an_answer_beyond_all_memory_is_too_large() -> None:
    async with remembering(500_000) as (service, dial):
        stream = dial()
        await stream.write(hello())
        await announce(stream, 1, 0)
        refused = await first_error(stream)
        assert (refused.reason, service.status().held_bytes) == ("TOO_LARGE", 0)


@pytest.mark.parametrize("side", [EDGE_LIMITS, CLOUD_LIMITS], ids=["edge", "cloud"])
def test_what_is_just_at_a_limit_passes(side: NodeLimits) -> None:
    side.check_message("a message", side.message_bytes)
    side.check_tensor("x", side.tensor_bytes)
    side.check_queue(side.queue - 1, lambda: 1.0)
    side.check_connections(side.connections - 1)


@pytest.mark.parametrize(("queue", "calls"), [(4, MOST_CALLS), (5000, 10_000), (1 << 40, (1 << 31) - 1)])
async def test_a_connection_is_told_how_many_calls_it_may_have(
    doubling: Callable[[], Gateway], queue: int, calls: int
) -> None:
    server = GatewayService(doubling(), "1", replace(LIMITS, queue=queue)).server()
    reader, writer = await asyncio.open_connection(*parse_address(await server.start("127.0.0.1:0", "edge.listen")))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # with empty settings
    async with asyncio.timeout(10):
        length = int.from_bytes((await reader.readexactly(9))[:3])  # settings come first (RFC 9113, 3.4)
        settings = dict(struct.iter_unpack("!HI", await reader.readexactly(length)))
    writer.close()
    await server.stop(0)
    assert settings[SETTINGS_MAX_CONCURRENT_STREAMS] == calls
