"""The segment stream alone for figures on it: an edge's client here, a replica that computes nothing in a process of
its own, and, where asked, an emulated link in a third."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection

from isthmus.addresses import parse_address
from isthmus.telemetry import configure_logging
from nodes.chooser_observer import ChooserObserver
from nodes.cloud_connection import ReplicaDescription
from nodes.codecs.base import EncodedTensor
from nodes.fleet import Endpoint
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import CloudTimings, PlanDefinition, PlanTimes, RequestArrived
from nodes.transport.segment_client import SegmentClient
from nodes.transport.segment_server import Load, SegmentService, SuffixResult
from scheduler.plan_chooser import PlanChooser
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess

__all__ = ["StreamSite", "stream_site"]


def _tensor(size_bytes: int) -> EncodedTensor:
    return EncodedTensor("x", "uint8", (size_bytes,), (), "raw", {}, bytes(size_bytes))


class _Answering:
    """A SegmentNode that answers at once: with as many bytes as the request's wire digest says."""

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
        timings = CloudTimings(receive=request.receive, queue_s=0.0, decode_s=0.0, suffix_s=0.0, encode_s=0.0)
        return SuffixResult((_tensor(int(request.wire_digest)),), timings)


async def _replica(ready: Connection) -> None:
    server = SegmentService(_Answering()).server()  # which serves as long as somebody holds it
    ready.send(await server.start("127.0.0.1:0", "cloud.listen"))
    await asyncio.Event().wait()


def _serve(ready: Connection) -> None:
    configure_logging("critical")
    asyncio.run(_replica(ready))


class StreamSite:
    """One stream, and requests over it."""

    def __init__(self, client: SegmentClient) -> None:
        self._client = client
        self._ids = itertools.count(1)
        self._tensors: dict[int, tuple[EncodedTensor, ...]] = {}  # made once: 100 MB take a while

    async def exchange_s(self, up_bytes: int, down_bytes: int, deadline_in_s: float | None = None) -> float:
        """Seconds from sending `up_bytes` to the last of `down_bytes` that come back."""
        if up_bytes not in self._tensors:
            self._tensors[up_bytes] = (_tensor(up_bytes),)
        tensors, began_s = self._tensors[up_bytes], time.monotonic()
        deadline_s = None if deadline_in_s is None else began_s + deadline_in_s
        await self._client.run(WireRequest(next(self._ids), str(down_bytes), 1, tensors, deadline_in_s, deadline_s))
        return time.monotonic() - began_s


@contextlib.asynccontextmanager
async def stream_site(shape: LinkShape | None) -> AsyncIterator[StreamSite]:
    """shape: of the link between the two; None for loopback."""
    configure_logging("critical")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    with contextlib.ExitStack() as stack:
        stack.callback(process.join)
        stack.callback(process.kill)
        target = await asyncio.to_thread(ours.recv)
        if shape is not None:
            link = stack.enter_context(LinkEmulatorProcess(shape))
            host, port = await asyncio.to_thread(link.relay, "127.0.0.1", 0, *parse_address(target))
            target = f"{host}:{port}"
        chooser = PlanChooser()
        client = await SegmentClient.connect(Endpoint(target), "edge", ChooserObserver(chooser), chooser.cloud_queue())
        try:
            yield StreamSite(client)
        finally:
            await client.close()
