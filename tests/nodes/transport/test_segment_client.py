"""What a stream to a replica holds after something went wrong that nobody planned."""

from __future__ import annotations

import asyncio
import time

import pytest

from isthmus.errors import CloudUnavailable
from nodes.chooser_observer import ChooserObserver
from nodes.circuit_breaker import FAILURES_TO_OPEN
from nodes.codecs.base import EncodedTensor
from nodes.fleet import Endpoint
from nodes.protocol.edge_stream import EdgeStream, WireRequest
from nodes.transport.segment_client import SegmentClient
from scheduler.estimators.load import CloudQueueEstimator
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import Cloud, edge_site, small_model


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
