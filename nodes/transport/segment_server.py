"""The cloud's end of the segment stream over grpc.aio: moves frames, hands requests to the node, sends what it says."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import grpc

from isthmus.errors import (
    ComputeFailed,
    DeadlineExceeded,
    IsthmusError,
    Overloaded,
    RemoteProtocolError,
    grpc_status_name,
)
from isthmus.telemetry import get_logger
from isthmus.v1 import segment_pb2 as pb
from isthmus.v1 import segment_pb2_grpc
from nodes.byte_budget import MOST_HELD_BYTES, ByteBudget
from nodes.cloud_connection import ReplicaDescription
from nodes.codecs.base import EncodedTensor
from nodes.edge_use import EdgeUse
from nodes.limits import CLOUD_LIMITS, NodeLimits
from nodes.node_status import NodeStatus, node_status
from nodes.offered_plans import MOST_ON_STREAM, OfferedPlans
from nodes.protocol.cloud_stream import CloudStream
from nodes.protocol.events import (
    CloudEvent,
    CloudTimings,
    EdgeConnected,
    PlanDefinition,
    PlanTimes,
    RequestArrived,
    RequestCancelled,
)
from nodes.protocol.limits import MEMORY_FIELD, StreamLimits
from nodes.protocol.periods import LOAD_PERIOD_S
from nodes.protocol.rejection import Rejection
from nodes.tracing.base import Tracing
from nodes.transport.description_messages import description_message
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.guarded_service import add_readable
from nodes.transport.status import abort
from nodes.transport.unreadable_messages import Unreadable

__all__ = ["SERVICE", "Load", "SegmentNode", "SegmentService", "SuffixResult"]

SERVICE = pb.DESCRIPTOR.services_by_name["SegmentService"].full_name
SETTLED_S = 1.0
# An edge says hello at once, and gives up itself where it is not welcome after so long. Without one a stream would hold
# one of the places that `cloud.limits.connections` counts for as long as its peer likes.
HELLO_TIMEOUT_S = 10.0
# A replica tells whoever asks about all its edges.
_MOST_EDGE_ID_CHARACTERS = 128


class SuffixResult(NamedTuple):
    """The cloud-made outputs of one request, encoded, and how long each stage took."""

    tensors: tuple[EncodedTensor, ...]
    timings: CloudTimings


@dataclass(frozen=True, slots=True)
class Load:
    """Work that waits on a replica. queued_s: with what plans that are being prepared take there, for edges to know."""

    queued_requests: int
    queued_s: float


class SegmentNode(Protocol):
    """What answers behind the stream: the cloud node."""

    def describe(self) -> ReplicaDescription:
        """What this replica serves."""

    async def rate_codecs(self) -> None:
        """Time the codecs that the described profile lacks, as far as that is done in seconds."""

    def load(self) -> Load:
        """The work that waits now."""

    def check_offer(self, offer: PlanDefinition) -> None:
        """Quickly, before anything is done for it. Raises NotFound for a model that is not served, InvalidPlan where
        its parts are not what its digest says."""

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        """Split, warm up and measure a plan. Raises InvalidPlan, NotFound."""

    async def run(self, request: RequestArrived) -> SuffixResult:
        """Compute a suffix. Raises an IsthmusError: UnknownPlan for a wire digest that was never offered here."""


class SegmentService(segment_pb2_grpc.SegmentServiceServicer):
    """The servicer: one `_Session` a stream. rejections: requests that were answered with an error, by its reason."""

    def __init__(
        self,
        node: SegmentNode,
        limits: NodeLimits = CLOUD_LIMITS,
        tracing: Tracing | None = None,
        most_held_bytes: int = MOST_HELD_BYTES,
    ) -> None:
        """tracing: makes spans of answered requests, None for none. most_held_bytes: of requests and answers, encoded,
        and of plans that are being prepared, on all streams."""
        self._tracing = tracing
        self._node = node
        self._limits = limits
        self.held = ByteBudget(most_held_bytes, MEMORY_FIELD)
        self._offers = OfferedPlans(node, self.held)
        self.rejections = Counter[str]()
        self._sessions: set[_Session] = set()
        self._draining = False

    def server(self) -> GrpcServer:
        """A server of this service, not started yet."""
        register = partial(segment_pb2_grpc.add_SegmentServiceServicer_to_server, self)
        return GrpcServer([SERVICE], lambda server: add_readable(server, SERVICE, register))

    def status(self) -> NodeStatus:
        """What this replica holds now, for all its edges."""
        streams = [session.stream for session in self._sessions]
        return node_status(
            requests=sum(stream.open_requests for stream in streams),
            streams=len(streams),
            held_bytes=self.held.held_bytes,
        )

    @property
    def preparing(self) -> int:
        """Plans that are being prepared."""
        return self._offers.under_way

    @property
    def arriving_bytes(self) -> int:
        """What is here of requests that have not arrived whole."""
        return sum(session.stream.arriving_bytes for session in self._sessions)

    async def Describe(  # noqa: N802 (the schema's name)
        self, request: pb.DescribeRequest, context: grpc.aio.ServicerContext[pb.DescribeRequest, pb.DescribeResponse]
    ) -> pb.DescribeResponse:
        """What this replica serves and how fast it is."""
        if request.every_codec:
            await self._node.rate_codecs()
        now_s = time.monotonic()
        edges = [session.use(now_s) for session in self._sessions]
        settled = sum(bool(one.models) and one.settled for one in edges)
        use = {"streams": len(edges), "settled_streams": settled}
        return description_message(self._node.describe(), use, edges if request.every_edge else ())

    async def Run(  # noqa: N802 (the schema's name)
        self,
        request_iterator: AsyncIterator[pb.EdgeFrame | Unreadable],
        context: grpc.aio.ServicerContext[pb.EdgeFrame, pb.CloudFrame],
    ) -> AsyncIterator[pb.CloudFrame]:
        """One edge's stream, until it leaves."""
        limits = StreamLimits(self._limits.message_bytes)
        session = _Session(self._node, limits, self.held, self._offers, self.rejections, self._tracing)
        if self._draining:
            session.drain()
        try:
            self._limits.check_connections(len(self._sessions))
            self._sessions.add(session)
            # Closed here, whatever happens: what the stream holds is held from all others.
            async with contextlib.aclosing(session.frames(request_iterator)) as frames:
                async for frame in frames:
                    yield frame
        except IsthmusError as error:
            await abort(context, error)
        finally:
            self._sessions.discard(session)

    async def drain(self, grace_s: float) -> None:
        """Tell every edge, answer what was accepted, and return when all is answered or the grace is over."""
        self._draining = True
        for session in self._sessions:
            session.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await asyncio.gather(*(session.idle() for session in self._sessions))
        self._offers.close()


class _Session:
    """One stream: a CloudStream, its reader and the tasks that answer its requests."""

    def __init__(
        self, node: SegmentNode, limits: StreamLimits, budget: ByteBudget, offers: OfferedPlans,
        rejections: Counter[str], tracing: Tracing | None,
    ) -> None:  # fmt: skip
        self._tracing = tracing
        self._node, self._offers = node, offers
        said = node.describe()
        models = {one.name: one.digest for one in said.versions}
        self._versions = said.versions  # several of one model may be served
        self._stream = CloudStream(said.replica_id, models, limits, budget, rejections)
        self._wake, self._taken = asyncio.Event(), asyncio.Event()
        self._tasks: dict[int | str, asyncio.Task[None]] = {}
        self._done = asyncio.Event()  # something may be
        self._ended = False
        self._failure: BaseException | None = None
        self._edge_id = ""
        self._ready = set[str]()  # digests of the models of which the edge has plans prepared
        self._planned_s = 0.0
        self._log = get_logger("cloud").bind(replica=said.replica_id)

    @property
    def stream(self) -> CloudStream:
        """The protocol's state, to look at."""
        return self._stream

    async def frames(self, incoming: AsyncIterator[pb.EdgeFrame | Unreadable]) -> AsyncGenerator[pb.CloudFrame]:
        """Frames to send, until the edge has left and all is answered. Raises what broke the stream."""
        background = [asyncio.create_task(self._read(incoming)), asyncio.create_task(self._look_round())]
        for task in background:
            task.add_done_callback(self._background_ended)
        try:
            while not (self._ended and not self._tasks):
                frame = self._stream.next_frame(time.monotonic())
                if frame is not None:
                    yield frame
                    self._taken.set()
                    continue
                if self._failure is not None:
                    raise self._failure
                self._done.set()  # with all that may be sent now
                self._wake.clear()
                await self._wake.wait()
            while (frame := self._stream.next_frame(time.monotonic())) is not None:
                yield frame
            if self._failure is not None:
                raise self._failure
        finally:
            self._stream.close()
            self._done.set()
            for task in (*background, *self._tasks.values()):
                task.cancel()

    def _background_ended(self, ended: asyncio.Task[None]) -> None:
        """What nobody planned ends the stream: an edge that is not read would wait, and its requests with it."""
        if not ended.cancelled() and (failure := ended.exception()) is not None:
            self._log.error("stream failed", exc_info=failure)
            self._failure, self._ended = ComputeFailed(f"the stream failed: {type(failure).__name__}"), True
            self._wake.set()

    def use(self, now_s: float) -> EdgeUse:
        """What the edge has of this replica. It is settled when it has no offer under way and has made none lately: an
        offer comes a round trip after the answer to the one before."""
        models = frozenset(one.name for one in self._versions if one.digest in self._ready)
        return EdgeUse(self._edge_id, models, not self._offered() and now_s - self._planned_s > SETTLED_S)

    def _offered(self) -> int:
        """Offers that have no answer yet."""
        return sum(isinstance(key, str) and not task.done() for key, task in self._tasks.items())

    def drain(self) -> None:
        """Tell the edge that no new requests are taken."""
        self._stream.drain()
        self._wake.set()

    async def idle(self) -> None:
        """Return when no request waits for its answer and all frames have been handed to the transport."""
        while self._tasks or self._stream.stirring:
            self._done.clear()
            await self._done.wait()

    async def _read(self, incoming: AsyncIterator[pb.EdgeFrame | Unreadable]) -> None:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S) as hello:
                async for frame in incoming:
                    if isinstance(frame, Unreadable):
                        raise RemoteProtocolError(f"a frame {frame.error.problem}")
                    for event in self._stream.receive(frame, time.monotonic()):
                        self._handle(event)
                    hello.reschedule(None)  # it was the first frame, or the stream would have refused it
                    self._stir()
                    while self._stream.unread:
                        self._taken.clear()
                        await self._taken.wait()
        except TimeoutError:
            self._log.warning("no hello came", within_s=HELLO_TIMEOUT_S)
            self._failure = DeadlineExceeded(f"no hello within {HELLO_TIMEOUT_S:g} s: say it as the first frame")
        except IsthmusError as error:
            self._log.warning("edge broke the protocol", error=str(error))
            self._failure = error
        except grpc.RpcError:
            self._log.info("edge went away")
        finally:
            self._ended = True
            self._wake.set()

    def _handle(self, event: CloudEvent) -> None:
        match event:
            case EdgeConnected(edge_id=edge_id):
                self._edge_id = edge_id[:_MOST_EDGE_ID_CHARACTERS]
            case RequestArrived(request_id=request_id):
                self._spawn(request_id, self._answer(event))
            case PlanDefinition(wire_digest=digest):
                if digest not in self._tasks:
                    self._take_offer(event)
            case RequestCancelled(request_id=request_id):
                task = self._tasks.get(request_id)
                if task is not None:
                    task.cancel()
            case _:
                pass  # goodbye and rejected requests need nothing from the node

    def _take_offer(self, offer: PlanDefinition) -> None:
        digest = offer.wire_digest
        try:
            if self._offered() >= MOST_ON_STREAM:
                raise Overloaded(f"{MOST_ON_STREAM} offers of this edge wait for their answers; offer it again later")
            under_way = self._offers.begin(offer)
        except IsthmusError as error:
            self._stream.plan_refused(digest, grpc_status_name(error), str(error))
        else:
            self._spawn(digest, self._tell_plan(offer, under_way))

    def _spawn(self, key: int | str, work: Coroutine[object, object, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks[key] = task
        task.add_done_callback(partial(self._finished, key))

    def _finished(self, key: int | str, ended: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is ended:  # an id that was cancelled may be another request's by now
            del self._tasks[key]
        if not self._tasks:
            self._done.set()
        if self._ended:
            self._wake.set()

    def _stir(self) -> None:
        """Wake the writer, where it may have something to send."""
        if self._stream.stirring:
            self._wake.set()

    async def _answer(self, request: RequestArrived) -> None:
        try:
            result = await self._node.run(request)
            self._stream.hold_answer(request.request_id, result.tensors)
        except IsthmusError as error:
            self._stream.reject(request.request_id, Rejection.of(error))
        except Exception as error:
            # Whatever a request does, the stream and every other request go on.
            self._log.exception("suffix failed", request_id=request.request_id)
            self._stream.reject(
                request.request_id, Rejection("INTERNAL", "COMPUTE", f"the suffix failed: {type(error).__name__}")
            )
        else:
            self._stream.respond(request, result.tensors, result.timings)
            if self._tracing is not None and request.traceparent:
                self._tracing.suffix(request.traceparent, result.timings)
        self._stir()

    async def _tell_plan(self, offer: PlanDefinition, under_way: asyncio.Task[PlanTimes]) -> None:
        digest = offer.wire_digest
        try:
            times = await asyncio.shield(under_way)
        except IsthmusError as error:
            self._stream.plan_refused(digest, grpc_status_name(error), str(error))
        except Exception as error:
            self._log.error("plan could not be prepared", wire_digest=digest, exc_info=error)
            self._stream.plan_refused(digest, "INTERNAL", f"cannot be prepared: {type(error).__name__}")
        else:
            self._stream.plan_ready(digest, times)
            if times.batches:  # or the edge does not use it
                self._ready.add(offer.model_digest)
        finally:
            self._planned_s = time.monotonic()
        self._stir()

    async def _look_round(self) -> None:
        """Now and then: give up what comes too late, and tell the edge how much work waits here."""
        last = Load(0, 0.0)
        while True:
            await asyncio.sleep(LOAD_PERIOD_S)
            if self._stream.expire(time.monotonic()):
                self._stir()
            now = self._node.load()
            # What an edge was told it takes to be worked off since: of work that is not it is told again.
            if (now != last or now.queued_s > 0) and not self._stream.unread:
                last = now
                self._stream.report_load(now.queued_requests, now.queued_s)
                self._wake.set()
