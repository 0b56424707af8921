"""A replica's end of one stream, frame by frame: no server is needed for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from isthmus.errors import InvalidPlan
from isthmus.v1 import segment_pb2 as pb
from nodes.cloud_connection import ReplicaDescription
from nodes.edge_use import EdgeUse
from nodes.fleet import ModelVersion
from nodes.offered_plans import MOST_ON_STREAM
from nodes.protocol import cloud_stream
from nodes.protocol.events import MeasuredBatch, PlanDefinition, PlanTimes, RequestArrived
from nodes.transport import segment_server
from nodes.transport.description_messages import description_from_message
from nodes.transport.segment_server import Load, SegmentService, SuffixResult
from tests.nodes.sites import eventually
from tests.nodes.transport.test_limits import Answering, hello

WAIT_S = 120.0


class Gated(Answering):
    """Prepares and answers once its gate is open. Knows which requests run, and which were taken back."""

    size_bytes = 5

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.prepared = 0
        self.began, self.cancelled = list[int](), list[int]()

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        self.prepared += 1
        await self.gate.wait()
        return PlanTimes(())

    async def run(self, request: RequestArrived) -> SuffixResult:
        self.began.append(request.batch)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.batch)
            raise
        return await super().run(request)


class Edge:
    """What a test says goes to the replica; what that says comes when it is asked for."""

    def __init__(self, service: SegmentService) -> None:
        self._said: asyncio.Queue[pb.EdgeFrame] = asyncio.Queue()
        self.frames: AsyncGenerator[pb.CloudFrame] = service.Run(self._frames(), None)  # type: ignore[assignment, arg-type]  # nobody asks the context

    async def _frames(self) -> AsyncIterator[pb.EdgeFrame]:
        while True:
            yield await self._said.get()

    def say(self, frame: pb.EdgeFrame) -> None:
        self._said.put_nowait(frame)

    def ask(self, request_id: int, batch: int = 1) -> None:
        """A request without tensors. batch: to know it by."""
        self.say(pb.EdgeFrame(request=pb.RequestHeader(request_id=request_id, batch=batch)))

    def offer(self, digest: str) -> None:
        self.say(pb.EdgeFrame(offer=pb.PlanOffer(wire_digest=digest)))

    async def hear(self) -> pb.CloudFrame:
        async with asyncio.timeout(WAIT_S):
            return await anext(self.frames)


@asynccontextmanager
async def dialled(service: SegmentService) -> AsyncIterator[Edge]:
    edge = Edge(service)
    edge.say(hello())
    assert (await edge.hear()).HasField("welcome")
    try:
        yield edge
    finally:
        await edge.frames.aclose()


async def test_more_offers_than_an_edge_may_have_waiting_are_refused_alone() -> None:
    node = Gated()
    async with dialled(SegmentService(node)) as edge:
        for number in range(MOST_ON_STREAM + 1):
            edge.offer(f"plan {number}")
        refused = (await edge.hear()).refused
        assert (refused.wire_digest, refused.code) == (f"plan {MOST_ON_STREAM}", "RESOURCE_EXHAUSTED")
        node.gate.set()
        ready = {(await edge.hear()).ready.wire_digest for _ in range(MOST_ON_STREAM)}
        assert ready == {f"plan {number}" for number in range(MOST_ON_STREAM)}
        edge.offer("one more")
        assert (await edge.hear()).ready.wire_digest == "one more"


class Busier(Answering):
    """Has one request more each time that it is asked."""

    requests = 0

    def load(self) -> Load:
        self.requests += 1
        return Load(self.requests, 0.0)


async def test_load_is_told_no_further_while_the_edge_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_server, "LOAD_PERIOD_S", 0.001)
    monkeypatch.setattr(cloud_stream, "MOST_UNREAD_FRAMES", 4)
    node = Busier()
    async with dialled(SegmentService(node)) as edge:
        await eventually(lambda: node.requests > 50)
        told = [(await edge.hear()).load.queued_requests for _ in range(6)]
    assert told[3] < 50 < told[-1]


async def test_a_request_that_never_comes_is_refused_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_server, "LOAD_PERIOD_S", 0.01)
    service = SegmentService(Answering())
    async with dialled(service) as edge:
        header = pb.TensorHeader(name="x", dtype="uint8", shape=[9], encoded_bytes=9)
        edge.say(pb.EdgeFrame(request=pb.RequestHeader(request_id=7, tensors=[header], time_remaining_us=50_000)))
        error = (await edge.hear()).error
        assert (error.request_id, error.reason) == (7, "EXPIRED")
        assert service.held.held_bytes == 0


class Stuck(Answering):
    """Has the same work all the time, or none."""

    queued_s = 3.0

    def load(self) -> Load:
        return Load(1, self.queued_s)


async def test_work_that_is_not_worked_off_is_told_again_and_idleness_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An edge takes what it was told to be worked off since."""
    monkeypatch.setattr(segment_server, "LOAD_PERIOD_S", 0.01)
    node = Stuck()
    async with dialled(SegmentService(node)) as edge:
        assert [(await edge.hear()).load.queued_s for _ in range(3)] == [3.0] * 3
        node.queued_s = 0.0
        while (await edge.hear()).load.queued_s:
            pass
        silent = asyncio.create_task(edge.hear())
        await asyncio.sleep(0.1)
        assert not silent.done()
        silent.cancel()
        await asyncio.wait([silent])


async def test_after_its_hello_an_edge_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_server, "HELLO_TIMEOUT_S", 0.05)
    async with dialled(SegmentService(Answering())) as edge:
        await asyncio.sleep(0.1)
        edge.say(pb.EdgeFrame(echo=pb.Echo(token=7)))
        assert (await edge.hear()).echo.token == 7


async def test_what_an_offer_holds_counts_until_it_is_prepared() -> None:
    node = Gated()
    service = SegmentService(node)
    async with dialled(service) as edge:
        edge.offer("plan")
        listening = asyncio.create_task(edge.hear())
        await eventually(lambda: service.held.held_bytes > 0)
        node.gate.set()
        assert (await listening).ready.wire_digest == "plan"
        assert service.held.held_bytes == 0


async def test_a_request_with_the_id_of_one_that_is_being_taken_back_can_be_taken_back_too() -> None:
    node = Gated()
    async with dialled(SegmentService(node)) as edge:
        listening = asyncio.create_task(edge.hear())  # drives the stream
        edge.ask(7, batch=1)
        await eventually(lambda: node.began == [1])
        edge.say(pb.EdgeFrame(cancel=pb.Cancel(request_id=7)))
        edge.ask(7, batch=2)
        await eventually(lambda: node.began == [1, 2] and node.cancelled == [1])
        edge.say(pb.EdgeFrame(cancel=pb.Cancel(request_id=7)))
        await eventually(lambda: node.cancelled == [1, 2])
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_request_with_the_id_of_one_that_was_taken_back_ends_with_its_stream() -> None:
    node = Gated()
    async with dialled(SegmentService(node)) as edge:
        listening = asyncio.create_task(edge.hear())
        edge.ask(7, batch=1)
        await eventually(lambda: node.began == [1])
        edge.say(pb.EdgeFrame(cancel=pb.Cancel(request_id=7)))
        edge.ask(7, batch=2)
        await eventually(lambda: node.began == [1, 2] and node.cancelled == [1])
        listening.cancel()
        await asyncio.wait([listening])
    await eventually(lambda: node.cancelled == [1, 2])


async def test_a_drain_lasts_until_the_last_frame_of_an_answer_has_been_taken() -> None:
    node = Gated()
    node.size_bytes = 200_000  # several frames
    node.gate.set()
    service = SegmentService(node)
    async with dialled(service) as edge:
        edge.ask(1)
        header = (await edge.hear()).response
        draining = asyncio.create_task(service.drain(WAIT_S))
        left = node.size_bytes - sum(len(chunk.data) for chunk in header.chunks)
        while left:
            await asyncio.sleep(0.01)
            assert not draining.done()
            frame = await edge.hear()
            left -= len(frame.chunk.data)
            edge.say(pb.EdgeFrame(ack=pb.Ack(received_bytes=node.size_bytes - left)))
        listening = asyncio.create_task(edge.hear())  # what gRPC does once it has the last one
        async with asyncio.timeout(WAIT_S / 2):
            await draining
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_drain_waits_no_longer_than_its_grace_for_an_edge_that_takes_nothing() -> None:
    node = Gated()
    node.size_bytes = 200_000
    node.gate.set()
    service = SegmentService(node)
    async with dialled(service) as edge:
        edge.ask(1)
        assert (await edge.hear()).HasField("response")
        async with asyncio.timeout(WAIT_S / 2):
            await service.drain(0.05)


async def test_a_plan_that_edges_offer_at_once_is_prepared_once_for_all_of_them() -> None:
    node = Gated()
    service = SegmentService(node)
    async with dialled(service) as one, dialled(service) as other:
        one.offer("plan")
        other.offer("plan")
        listening = [asyncio.create_task(edge.hear()) for edge in (one, other)]
        await asyncio.sleep(0.01)
        assert node.prepared == 1
        node.gate.set()
        assert [(await frame).ready.wire_digest for frame in listening] == ["plan", "plan"]


class TwoModels(Answering):
    """Prepares plans of model a at once, refuses those that say so, and those of model b wait for the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    def describe(self) -> ReplicaDescription:
        served = (("a", "digest of a"), ("b", "digest of b"), ("b", "digest of next b"))
        return ReplicaDescription("replica", tuple(ModelVersion(*one) for one in served), "")

    def check_offer(self, offer: PlanDefinition) -> None:
        if offer.wire_digest == "refused":
            raise InvalidPlan("plan", "is none")

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        if offer.model_digest == "digest of b":
            await self.gate.wait()
        return PlanTimes((MeasuredBatch(1, 0.01, 0.0, 0.0),))


async def used(service: SegmentService, *, asked: bool = True) -> tuple[EdgeUse, ...]:
    """By whom it is, over its own description."""
    request = pb.DescribeRequest(every_edge=asked)
    return description_from_message(await service.Describe(request, None)).edges  # type: ignore[arg-type]  # nobody asks the context


def offered(wire_digest: str, model: str) -> pb.EdgeFrame:
    return pb.EdgeFrame(offer=pb.PlanOffer(wire_digest=wire_digest, model_digest=f"digest of {model}"))


async def test_a_replica_says_which_models_each_edge_has_plans_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_server, "SETTLED_S", 0.0)
    node = TwoModels()
    service = SegmentService(node)
    async with dialled(service) as edge:
        assert await used(service) == (EdgeUse("edge", frozenset(), True),)
        assert await used(service, asked=False) == ()  # as edges ask, of whom there may be a thousand
        edge.say(offered("plan 1", "a"))
        assert (await edge.hear()).HasField("ready")
        assert await used(service) == (EdgeUse("edge", frozenset("a"), True),)
        edge.say(offered("refused", "b"))
        assert (await edge.hear()).HasField("refused")
        assert await used(service) == (EdgeUse("edge", frozenset("a"), True),)


async def test_an_edge_is_not_settled_while_any_offer_of_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_server, "SETTLED_S", 0.0)
    node = TwoModels()
    service = SegmentService(node)
    async with dialled(service) as edge:
        edge.say(offered("plan 1", "b"))
        edge.say(offered("plan 2", "a"))
        assert (await edge.hear()).ready.wire_digest == "plan 2"
        assert await used(service) == (EdgeUse("edge", frozenset("a"), False),)
        node.gate.set()
        assert (await edge.hear()).ready.wire_digest == "plan 1"
        assert await used(service) == (EdgeUse("edge", frozenset("ab"), True),)


async def test_an_edge_that_has_just_had_an_answer_may_offer_more() -> None:
    service = SegmentService(TwoModels())
    async with dialled(service) as edge:
        edge.say(offered("plan 1", "a"))
        assert (await edge.hear()).HasField("ready")
        assert await used(service) == (EdgeUse("edge", frozenset("a"), False),)
