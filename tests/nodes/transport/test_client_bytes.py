"""What clients' messages hold is bounded, and counts for as long as gRPC keeps them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import grpc
import pytest
import torch

from isthmus.errors import Overloaded, TooLarge
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.gateway import Gateway, InferRequest, InferResult, ModelDescription, StageTimings
from nodes.limits import NodeLimits
from nodes.transport.caller import Caller
from nodes.transport.client_bytes import CallBytes, ClientBytes
from nodes.transport.gateway_server import GatewayService
from nodes.transport.infer_stream import MOST_IN_FLIGHT
from partitioner.plan import Prediction
from tests.nodes.sites import eventually

ANSWER_BYTES = 8_000_000
MOST_BYTES = 8 * ANSWER_BYTES
LONG = 20_000_000
"""More than the sockets of two processes hold."""
LIMITS = NodeLimits("edge", message_bytes=20 << 20, tensor_bytes=64 << 20, queue=128, connections=8)
ANY_LENGTH = (("grpc.max_receive_message_length", -1),)

CLIENT = """
import sys
import grpc
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
with grpc.insecure_channel(sys.argv[1], options=[("grpc.max_receive_message_length", -1)]) as channel:
    request = oip.ModelInferRequest(model_name="double")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend([1.0, 0.0, 5.0])
    answer = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    print(len(answer.raw_output_contents[0]))
"""


class LongAnswers:
    """A gateway whose answers have `size_bytes`, each once `release` is set."""

    def __init__(self, inner: Gateway, size_bytes: int) -> None:
        self._inner = inner
        self.size_bytes = size_bytes
        self.computed = 0
        self.asked, self.release = asyncio.Event(), asyncio.Event()
        self.release.set()
        self.ready, self.models = inner.ready, inner.models
        self.load_model, self.unload_model = inner.load_model, inner.unload_model

    def describe_model(self, name: str) -> ModelDescription:
        described = self._inner.describe_model(name)
        (output,) = described.outputs
        return replace(described, outputs=(replace(output, shape=(-1, self.size_bytes // 4)),))

    async def infer(self, request: InferRequest) -> InferResult:
        self.computed += 1
        self.asked.set()
        await self.release.wait()
        outputs = (("y", torch.zeros(1, self.size_bytes // 4)),)
        stages, predicted = StageTimings(*(0.001,) * 6), Prediction(*(0.0,) * 5)
        return InferResult("r", outputs, "plan", stages, 10, "cloud", "test", predicted, "split", "latency")


@pytest.fixture
def gateway(doubling: Callable[[], Gateway]) -> LongAnswers:
    """With answers of `ANSWER_BYTES`."""
    return LongAnswers(doubling(), ANSWER_BYTES)


@pytest.fixture
def guarded(gateway: LongAnswers) -> GatewayService:
    """The service in front of it."""
    return GatewayService(gateway, "1", LIMITS, most_bytes=MOST_BYTES)


@pytest.fixture
async def target(guarded: GatewayService) -> AsyncIterator[str]:
    """Where it answers."""
    server = guarded.server()
    yield await server.start("127.0.0.1:0", "edge.listen")
    await server.stop(0)


async def test_a_stream_that_is_not_read_holds_no_more_than_its_share_and_is_read_on_when_it_is(
    gateway: LongAnswers, guarded: GatewayService, target: str, ask: Callable[..., oip.ModelInferRequest]
) -> None:
    budget, asked = guarded.held.budget, 2 * MOST_IN_FLIGHT
    gateway.release.clear()
    async with grpc.aio.insecure_channel(target, options=ANY_LENGTH) as channel:
        stream = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer()
        for number in range(asked):
            await stream.write(ask(str(number)))
        await stream.done_writing()
        await eventually(lambda: gateway.computed == 3)
        await asyncio.sleep(0.2)
        assert MOST_BYTES / 4 < budget.held_bytes <= budget.limit_bytes / 2
        gateway.release.set()
        await asyncio.sleep(0.3)  # nobody reads
        assert 3 <= gateway.computed < 6
        answers = [answer async for answer in stream]
    assert {answer.infer_response.id for answer in answers} == {str(number) for number in range(asked)}
    assert (gateway.computed, budget.held_bytes) == (asked, 0)
    assert budget.peak_bytes <= budget.limit_bytes / 2


async def test_requests_that_wait_count(
    gateway: LongAnswers, guarded: GatewayService, target: str, ask: Callable[..., oip.ModelInferRequest]
) -> None:
    """Of a model whose answers are expected to be as long as they will be, before one is there."""
    gateway.release.clear()
    budget = guarded.held.budget
    async with grpc.aio.insecure_channel(target, options=ANY_LENGTH) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        calls = [asyncio.ensure_future(stub.ModelInfer(ask(str(number)))) for number in range(8)]
        done, _ = await asyncio.wait(calls, timeout=0.5)
        assert (gateway.computed, len(done)) == (3, 5)
        assert budget.held_bytes <= budget.limit_bytes / 2
        gateway.release.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in results if isinstance(one, grpc.aio.AioRpcError)]
    assert {one.code() for one in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(refused) == 5


async def test_a_stream_that_is_read_may_be_answered_with_any_number_of_bytes(
    guarded: GatewayService, target: str, ask: Callable[..., oip.ModelInferRequest]
) -> None:
    async with grpc.aio.insecure_channel(target, options=ANY_LENGTH) as channel:
        stream = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer()
        for number in range(2 * MOST_BYTES // ANSWER_BYTES):
            await stream.write(ask(str(number)))
            answer = await stream.read()
            assert isinstance(answer, oip.ModelStreamInferResponse)
            assert not answer.error_message
        assert guarded.held.budget.held_bytes <= ANSWER_BYTES + 2048
        stream.cancel()


async def test_nothing_is_computed_for_answers_that_would_find_no_room(
    gateway: LongAnswers, guarded: GatewayService, target: str, ask: Callable[..., oip.ModelInferRequest]
) -> None:
    budget = guarded.held.budget
    guarded.held.hold(Caller("somebody who reads nothing"), budget.limit_bytes - 1000)
    async with grpc.aio.insecure_channel(target, options=ANY_LENGTH) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match=r"edge\.limits\.memory: .* bytes are held and") as refused:
            await open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(ask())
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert gateway.computed == 0


async def test_a_client_that_leaves_takes_what_it_did_not_read_with_it(
    guarded: GatewayService, target: str, ask: Callable[..., oip.ModelInferRequest]
) -> None:
    budget = guarded.held.budget
    async with grpc.aio.insecure_channel(target, options=ANY_LENGTH) as channel:
        stream = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer()
        for number in range(10):
            await stream.write(ask(str(number)))
        await eventually(lambda: budget.held_bytes > 0)
        stream.cancel()
        await eventually(lambda: budget.held_bytes == 0)


async def test_the_answer_to_a_call_counts_until_it_has_left(
    gateway: LongAnswers, guarded: GatewayService, target: str
) -> None:
    """Its client stands still, as a process that was stopped does."""
    gateway.size_bytes = LONG
    gateway.release.clear()
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, target, stdout=asyncio.subprocess.PIPE)
    try:
        await asyncio.wait_for(gateway.asked.wait(), 60)
        os.kill(client.pid, signal.SIGSTOP)
        gateway.release.set()
        await eventually(lambda: guarded.held.budget.held_bytes >= LONG)
        await asyncio.sleep(0.3)
        assert guarded.held.budget.held_bytes >= LONG
        os.kill(client.pid, signal.SIGCONT)
        said, _ = await asyncio.wait_for(client.communicate(), 60)
        assert int(said) == LONG
        await eventually(lambda: guarded.held.budget.held_bytes == 0)
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()


def test_of_two_clients_neither_takes_all() -> None:
    clients = ClientBytes(1000)
    first, second = (CallBytes(Caller(name), clients) for name in "ab")
    for _ in range(5):
        first.hold(100)
    with pytest.raises(Overloaded, match=r"edge\.limits\.memory: 500 of 1000 bytes are held for this peer"):
        first.hold(100)
    assert (first.has_room(), second.has_room()) == (False, True)
    second.hold(250)
    assert not first.has_room()
    first.let_go(100)
    first.let_all_go()
    assert first.has_room()
    assert clients.budget.held_bytes == 250
    second.let_all_go()
    assert clients.budget.held_bytes == 0


def test_calls_of_one_client_have_one_share() -> None:
    clients = ClientBytes(1000)
    calls = [CallBytes(Caller("a"), clients) for _ in range(6)]
    for call in calls[:5]:
        call.hold(100)
    with pytest.raises(Overloaded):
        calls[5].hold(100)
    with pytest.raises(TooLarge, match=r"edge\.limits\.memory: one request with its answer may take 1000 bytes"):
        calls[5].hold(1001)


def test_where_all_is_held_nobody_finds_room() -> None:
    clients = ClientBytes(1000)
    CallBytes(Caller("a"), clients).hold(1000)
    with pytest.raises(Overloaded, match=r"edge\.limits\.memory: 1000 of 1000 bytes are held and 1 more"):
        CallBytes(Caller("b"), clients).hold(1)


def test_an_answer_takes_the_place_of_what_was_expected() -> None:
    clients = ClientBytes(1000)
    call, other = CallBytes(Caller("a"), clients), CallBytes(Caller("b"), clients)
    call.hold(600)  # the first thing that one has may be of any size
    call.resize(600, 700)
    other.hold(200)
    with pytest.raises(Overloaded):
        call.resize(700, 801)
    assert clients.budget.held_bytes == 900
    call.resize(700, 10)
    assert clients.budget.held_bytes == 210
    call.let_all_go()
    other.let_all_go()
    assert clients.budget.held_bytes == 0


def test_room_is_for_another_one_as_large_as_the_largest_answer() -> None:
    call = CallBytes(Caller("a"), ClientBytes(1000))
    call.hold(10)
    assert call.has_room()
    call.resize(10, 400)
    assert not call.has_room()


def test_one_message_always_fits(doubling: Callable[[], Gateway]) -> None:
    service = GatewayService(doubling(), "1", LIMITS, most_bytes=1)
    CallBytes(Caller("a"), service.held).hold(2 * LIMITS.message_bytes)
