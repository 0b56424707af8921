"""What a stream to a replica holds after something went wrong that nobody planned."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from isthmus.errors import CloudUnavailable, IsthmusError
from isthmus.v1 import segment_pb2 as pb
from isthmus.v1 import segment_pb2_grpc
from nodes.chooser_observer import ChooserObserver
from nodes.circuit_breaker import FAILURES_TO_OPEN
from nodes.cloud_node import CloudNode
from nodes.codecs.base import EncodedTensor
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint
from nodes.model_runtime import plan_definition
from nodes.protocol.edge_stream import EdgeStream, WireRequest
from nodes.protocol.events import PlanDefinition, PlanTimes
from nodes.transport import segment_client
from nodes.transport.echo_timer import EchoTimer
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.segment_client import SegmentClient
from nodes.transport.segment_server import Load, SegmentService
from scheduler.estimators.load import CloudQueueEstimator
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import Cloud, edge_site, eventually, small_model, split_plan


async def test_a_request_that_no_frame_has_room_for_leaves_nothing_behind_not_even_a_probe() -> None:
    tensor = EncodedTensor("x", "uint8", (3,), (), "raw", {}, b"abc")
    async with edge_site() as site:
        (connection,) = await site.usable(1)
        for _ in range(FAILURES_TO_OPEN):
            connection.gave_up(time.monotonic(), late=True)
        await site.usable(1)
        assert not connection.healthy
        with pytest.raises(ValueError, match="4294967296"):
            await connection.run(WireRequest(10**6, "digest", 1, (tensor,), priority=1 << 32))
        assert (connection.in_flight, connection.in_flight_bytes, connection.open) == (0, 0, True)


@asynccontextmanager
async def edge_client() -> AsyncIterator[SegmentClient]:
    """To a replica of its own."""
    cloud = await Cloud.start([small_model()], "replica")
    observer = ChooserObserver(PlanChooser())
    client = await SegmentClient.connect(Endpoint(cloud.target), "edge", observer, CloudQueueEstimator())
    try:
        yield client
    finally:
        await client.close()
        await cloud.stop()


class Failing(ChooserObserver):
    """Raises when the first echo is back."""

    def rtt_measured(self, rtt_s: float) -> None:
        raise ZeroDivisionError


async def test_a_stream_whose_reader_fails_is_over_for_all_who_wait() -> None:
    cloud = await Cloud.start([small_model()], "replica")
    client = await SegmentClient.connect(Endpoint(cloud.target), "edge", Failing(PlanChooser()), CloudQueueEstimator())
    async with asyncio.timeout(5):
        await client.wait_until_unusable()
    with pytest.raises(CloudUnavailable):
        await client.run(WireRequest(1, "digest", 1, ()))
    await client.close()
    await cloud.stop()


async def test_an_echo_that_asks_what_has_arrived_tells_when_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge_client() as client:
        sent_s = list[float | None]()
        monkeypatch.setattr(client._stream, "echo", lambda token, now_s=None: sent_s.append(now_s))
        client.ask_arrived()
        assert sent_s == [pytest.approx(time.monotonic(), abs=5.0)]


async def test_a_replica_that_answers_no_echo_is_sent_no_more_of_them_and_more_once_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segment_client, "MOST_ECHOES_UNDER_WAY", 8)
    async with edge_client() as client:
        stream = client._stream
        monkeypatch.setattr(stream, "next_frame", lambda _: None)  # nothing leaves
        for _ in range(100):
            client._look()
            client.ask_arrived()
        assert stream.echoes_under_way == 8
        monkeypatch.undo()
        client._wake.set()
        await eventually(lambda: stream.echoes_under_way == 0)


async def test_what_an_answer_teaches_after_its_stream_has_ended_is_asked_of_nobody() -> None:
    async with edge_client() as client:
        client._stream.close()
        client._probe.doubted(time.monotonic())
        client._probe_again()
        assert client._probe.again


async def test_a_stream_whose_writer_fails_is_over_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = await Cloud.start([small_model()], "replica")
    observer = ChooserObserver(PlanChooser())
    client = await SegmentClient.connect(Endpoint(cloud.target), "edge", observer, CloudQueueEstimator())

    def failing(stream: EdgeStream, now_s: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EdgeStream, "next_frame", failing)
    async with asyncio.timeout(5):
        with pytest.raises(CloudUnavailable, match="the stream failed: ZeroDivisionError"):
            await client.run(WireRequest(1, "digest", 1, ()))
        await client.wait_until_unusable()
    await client.close()
    await cloud.stop()


async def test_a_first_look_at_the_link_that_told_nothing_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told, untold = EchoTimer.returned, list[int]()

    def returned(timer: EchoTimer, token: int) -> float | None:
        if not untold and timer._under_way[token].padding_bytes:
            untold.append(token)
            timer._recent_s = deque([1e9], maxlen=1)  # so that it took no longer than a small one
        return told(timer, token)

    monkeypatch.setattr(EchoTimer, "returned", returned)
    cloud, observer = await Cloud.start([small_model()], "replica"), ChooserObserver(PlanChooser())
    client = await SegmentClient.connect(Endpoint(cloud.target), "edge", observer, CloudQueueEstimator())
    await eventually(lambda: observer.uplink_bps() is not None)
    assert len(untold) == 1
    await client.close()
    await cloud.stop()


class Slow(CloudNode):
    """Prepares plans once its gate is open, and cannot tell its load where it is to fail."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.gate, self.load_failing, self.offers = asyncio.Event(), False, 0

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        """See SegmentNode."""
        self.offers += 1
        await self.gate.wait()
        return await super().prepare(offer)

    def load(self) -> Load:
        """See SegmentNode."""
        if self.load_failing:
            raise ZeroDivisionError
        return super().load()


@asynccontextmanager
async def slow_replica() -> AsyncIterator[tuple[Slow, SegmentClient]]:
    """A replica, and a client of it."""
    cloud = await Cloud.start([small_model()], "replica", Slow)
    assert isinstance(cloud.node, Slow)
    observer = ChooserObserver(PlanChooser())
    client = await SegmentClient.connect(Endpoint(cloud.target), "edge", observer, CloudQueueEstimator())
    try:
        yield cloud.node, client
    finally:
        await client.close()
        await cloud.stop()


async def test_one_who_waits_for_a_plan_and_leaves_takes_it_from_nobody_else() -> None:
    async with slow_replica() as (node, client):
        offer = plan_definition(split_plan(small_model(), EagerEngine(threads=1), cloud_s=0, finish_s=0).entry.plan)
        leaves, stays = (asyncio.create_task(client.prepare(offer)) for _ in range(2))
        await asyncio.sleep(0.05)
        leaves.cancel()
        await asyncio.sleep(0)
        node.gate.set()
        async with asyncio.timeout(10):
            assert await stays
        assert await client.prepare(offer)
        assert node.offers == 2


async def test_a_replica_whose_reports_of_load_fail_ends_the_stream_in_words() -> None:
    async with slow_replica() as (node, client):
        node.load_failing = True
        async with asyncio.timeout(5):
            await client.wait_until_unusable()
        assert not client.open


class Ended(SegmentService):
    """Ends its streams with that status once it is told to, as a proxy before it would."""

    def __init__(self, service: SegmentService, code: grpc.StatusCode, text: str) -> None:
        self._service, self._status = service, (code, text)
        self.ends = False

    async def Run(self, request_iterator: Any, context: Any) -> AsyncIterator[pb.CloudFrame]:  # noqa: N802
        async for frame in self._service.Run(request_iterator, context):
            if self.ends:
                await context.abort(*self._status)
            yield frame


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"),
        (grpc.StatusCode.INTERNAL, "the stream failed: ZeroDivisionError"),
        (grpc.StatusCode.INVALID_ARGUMENT, "a frame out of turn"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "ENHANCE_YOUR_CALM"),
    ],
)
async def test_what_ends_a_stream_is_no_answer_to_the_requests_on_it(code: grpc.StatusCode, text: str) -> None:
    cloud, observer = await Cloud.start([small_model()], "replica", Slow), ChooserObserver(PlanChooser())
    service = Ended(cloud.service, code, text)
    server = GrpcServer([], lambda server: segment_pb2_grpc.add_SegmentServiceServicer_to_server(service, server))
    endpoint = Endpoint(await server.start("127.0.0.1:0", "cloud.listen"))
    client = await SegmentClient.connect(endpoint, "edge", observer, CloudQueueEstimator())
    offer = plan_definition(split_plan(small_model(), EagerEngine(threads=1), cloud_s=0, finish_s=0).entry.plan)
    tensor = EncodedTensor("x", "uint8", (3,), (), "raw", {}, b"abc")
    request = WireRequest(1, "digest", 1, (tensor,), more_tensors=1)  # which never come, so that it stays open
    waiting = [asyncio.create_task(each) for each in (client.run(request), client.prepare(offer))]
    await asyncio.sleep(0.05)
    service.ends = True
    async with asyncio.timeout(10):
        errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [CloudUnavailable] * 2
    assert all(text in str(error) for error in errors)
    service.ends = True
    with pytest.raises(IsthmusError) as refused:
        await SegmentClient.connect(endpoint, "edge", observer, CloudQueueEstimator())
    assert not isinstance(refused.value, CloudUnavailable)  # the handshake is told what it was
    await client.close()
    await server.stop(0)
    await cloud.stop()


async def test_requests_that_come_while_others_are_waited_for_are_waited_for_too() -> None:
    async with edge_site() as site:
        (connection,) = await site.usable(1)
        (cloud,) = site.clouds
        cloud.engine.gate.shut()
        before = cloud.engine.gate.came
        first = asyncio.create_task(site.run(1))
        await eventually(lambda: cloud.engine.gate.came > before)
        waiting = asyncio.create_task(connection.wait_until_answered())
        await asyncio.sleep(0)
        second = asyncio.create_task(site.run(2))
        await eventually(lambda: connection.in_flight == 2)
        first.cancel()
        await asyncio.wait((first,))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        cloud.engine.gate.open()
        async with asyncio.timeout(10):
            await second
            await waiting
