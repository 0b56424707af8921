"""The edge's end of the segment stream over grpc.aio: moves frames, resolves futures, times echoes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc

from isthmus.errors import CloudUnavailable, Draining, IsthmusError, RemoteProtocolError, error_from_status
from isthmus.telemetry import get_logger
from isthmus.v1 import segment_pb2 as pb
from isthmus.v1 import segment_pb2_grpc
from nodes.cloud_connection import LinkObserver, ReplicaDescription
from nodes.codecs.base import EncodedTensor, encoded_bytes
from nodes.fleet import Endpoint
from nodes.protocol.edge_stream import EdgeState, EdgeStream, WireRequest
from nodes.protocol.events import (
    Connected,
    EchoReturned,
    EdgeEvent,
    LoadReported,
    PeerDraining,
    PlanDefinition,
    PlanPrepared,
    PlanRejected,
    PlanTimes,
    RequestFailed,
    ResponseArrived,
)
from nodes.protocol.limits import DEFAULT_LIMITS, StreamLimits
from nodes.protocol.link_probe import MOST_PROBE_BYTES, LinkProbe
from nodes.protocol.periods import ECHO_PERIOD_S
from nodes.protocol.progress import Progress
from nodes.protocol.send_window import Credit
from nodes.queues import CloudQueue
from nodes.tensor_feed import TensorFeed
from nodes.tls_files import TlsFiles
from nodes.transport.channel_options import OWN_CONNECTION
from nodes.transport.credentials import open_channel
from nodes.transport.description_messages import description_from_message
from nodes.transport.echo_timer import EchoTimer
from nodes.transport.link_lessons import learn_from_spans, learn_from_whole
from nodes.transport.pending_answers import error_of_frame, reject, resolve
from nodes.transport.status import error_of

__all__ = ["SegmentClient"]

CONNECT_TIMEOUT_S = 10.0
PREPARE_TIMEOUT_S = 120.0
FIRST_ECHOES = 3
FIRST_ECHO_GAP_S = 0.05
FOLLOW_UP_ECHOES = 2
# Half a minute of a replica that stands still, or reads nothing.
MOST_ECHOES_UNDER_WAY = 64

T = TypeVar("T")
_Call = grpc.aio.StreamStreamCall[pb.EdgeFrame, pb.CloudFrame]


class SegmentClient:
    """A stream to one replica. Make it with `await SegmentClient.connect(...)`."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        endpoint: Endpoint,
        observer: LinkObserver,
        queue: CloudQueue,
        stream: EdgeStream,
    ) -> None:
        self._target, self._metadata = endpoint.target, endpoint.metadata
        self._observer = observer
        self._stream = stream
        self._log = get_logger("edge").bind(target=endpoint.target)
        self._channel = channel
        self._stub = segment_pb2_grpc.SegmentServiceStub(self._channel)
        self._wake = asyncio.Event()
        self._welcome: asyncio.Future[Connected] = asyncio.get_running_loop().create_future()
        self._requests: dict[int, asyncio.Future[ResponseArrived]] = {}
        self._bytes: dict[int, int] = {}
        self._outstayed: set[int] = set()
        self._heard_s = time.monotonic()
        self._plans: dict[str, asyncio.Future[PlanTimes]] = {}
        self._echoes = EchoTimer(observer)
        self._probe = LinkProbe()
        self._queue = queue
        self._submitted = 0
        self._unusable = asyncio.Event()
        self._listener: Callable[[], None] = _nobody_listens
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def connect(
        cls,
        endpoint: Endpoint,
        edge_id: str,
        observer: LinkObserver,
        queue: CloudQueue,
        tls: TlsFiles | None = None,
        limits: StreamLimits = DEFAULT_LIMITS,
    ) -> SegmentClient:
        """Dial, shake hands, take a first look at the link. Raises CloudUnavailable, RemoteProtocolError, and
        InvalidConfiguration for TLS files that are not what they should be."""
        target = endpoint.target
        channel = open_channel(target, tls, endpoint.tls_server_name, OWN_CONNECTION)
        client = cls(channel, endpoint, observer, queue, EdgeStream(edge_id, limits, started_s=time.monotonic()))
        call: _Call = client._stub.Run(metadata=endpoint.metadata)
        client._tasks = [
            asyncio.create_task(client._write(call)),
            asyncio.create_task(client._read(call)),
            asyncio.create_task(client._echo_periodically()),
        ]
        for task in client._tasks:
            task.add_done_callback(lambda ended: client._task_ended(call, ended))
        try:
            await asyncio.wait_for(asyncio.shield(client._welcome), CONNECT_TIMEOUT_S)
        except TimeoutError:
            await client.close()
            raise CloudUnavailable(f"{target}: no welcome within {CONNECT_TIMEOUT_S:g} s") from None
        except BaseException:
            await client.close()
            raise
        return client

    @property
    def replica_id(self) -> str:
        """The replica that answered."""
        return self._welcome.result().replica_id

    @property
    def open(self) -> bool:
        return self._stream.state is EdgeState.OPEN

    @property
    def in_flight(self) -> int:
        return len(self._requests)

    @property
    def in_flight_bytes(self) -> int:
        return sum(self._bytes.values())

    @property
    def credit(self) -> Credit | None:
        return self._stream.credit

    @property
    def heard_s(self) -> float:
        return self._heard_s

    def when_heard(self, listener: Callable[[], None]) -> None:
        """See CloudConnection."""
        self._listener = listener

    def progress(self, request_id: int) -> Progress:
        """See CloudConnection."""
        return self._stream.progress(request_id)

    @property
    def arrived_bytes(self) -> int:
        return self._stream.arrived_bytes

    def ask_arrived(self) -> None:
        """See CloudConnection."""
        if self._may_look and self._stream.state in (EdgeState.OPEN, EdgeState.DRAINING):
            # Stamped, as echoes are: requests that wait to leave tell the replica nothing of the way.
            self._stream.echo(self._echoes.untimed(), now_s=time.monotonic())
            self._wake.set()

    def stayed(self) -> None:
        """See CloudConnection."""
        self._probe.stayed(time.monotonic())

    def outstayed(self, request_id: int) -> None:
        """See CloudConnection."""
        if request_id in self._requests:
            self._outstayed.add(request_id)

    @property
    def late_answers(self) -> int:
        return self._stream.late_answers

    @property
    def cloud_queue_s(self) -> float:
        return self._queue.wait_s(time.monotonic())

    async def describe(self) -> ReplicaDescription:
        """See CloudConnection."""
        try:
            request = pb.DescribeRequest()
            said = await self._stub.Describe(request, timeout=CONNECT_TIMEOUT_S, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(error, self._target) from error
        if said.replica_id != self.replica_id:  # the connection broke, and a balancer picked another for the new one
            raise CloudUnavailable(f"{self._target}: {said.replica_id} answers, the stream is to {self.replica_id}")
        return description_from_message(said)

    async def prepare(self, plan: PlanDefinition) -> PlanTimes:
        """See CloudConnection."""
        self._require_open()
        future = self._plans.get(plan.wire_digest)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._plans[plan.wire_digest] = future
            future.add_done_callback(lambda _: self._plans.pop(plan.wire_digest, None))
            self._stream.offer(plan)
            self._wake.set()
        try:
            return await asyncio.wait_for(asyncio.shield(future), PREPARE_TIMEOUT_S)
        except TimeoutError:
            late = CloudUnavailable(f"{self._target}: plan not prepared within {PREPARE_TIMEOUT_S:g} s")
            reject(future, late)  # whoever else waits for it, too: the next offer is a new one
            raise late from None

    @property
    def takes_more_tensors(self) -> bool:
        return self._stream.takes_more_tensors

    async def run(self, request: WireRequest, feed: TensorFeed | None = None) -> ResponseArrived:
        """See CloudConnection."""
        self._require_open()
        self._stream.pace(self._observer.uplink_bps(), self._observer.downlink_bps(), 2 * self._echoes.one_way_s)
        self._stream.submit(request)  # what it does not take is remembered nowhere
        future: asyncio.Future[ResponseArrived] = asyncio.get_running_loop().create_future()
        self._requests[request.request_id] = future
        self._bytes[request.request_id] = encoded_bytes(request.tensors)
        self._submitted += 1
        number, alone, sent_s = self._submitted, len(self._requests) == 1, time.monotonic()
        try:
            if feed is not None:
                alone = False  # the time until the answer holds that until the tensors were made
                feed.follow(lambda tensors: self._more(request.request_id, tensors), len(request.tensors))
            self._queue.sent(request.request_id, request.expected_cloud_s, sent_s)
            self._wake.set()
            response = await future
            if alone and self._submitted == number:
                soon = asyncio.get_running_loop().call_soon
                if request.request_id in self._outstayed:  # for its replica, most likely
                    soon(self._look_again)
                else:
                    soon(learn_from_whole, self._observer, request, response, time.monotonic() - sent_s)
            return response
        finally:
            if feed is not None:
                feed.leave()
            self._requests.pop(request.request_id, None)
            self._bytes.pop(request.request_id, None)
            self._outstayed.discard(request.request_id)
            self._queue.finished(request.request_id)
            if not future.done() or future.cancelled():
                self._stream.cancel(request.request_id)
                self._wake.set()

    def _look_again(self) -> None:
        self._probe.doubted(time.monotonic())
        self._probe_again()

    def _more(self, request_id: int, tensors: Sequence[EncodedTensor]) -> None:
        if request_id in self._bytes:
            self._bytes[request_id] += encoded_bytes(tensors)
            self._stream.add(request_id, tensors)
            self._wake.set()

    async def wait_until_unusable(self) -> None:
        """See CloudConnection."""
        await self._unusable.wait()

    async def wait_until_answered(self) -> None:
        """See CloudConnection."""
        while self._requests:  # others come while these are waited for
            await asyncio.wait(list(self._requests.values()))
            await asyncio.sleep(0)  # their callers take them off

    async def close(self) -> None:
        """See CloudConnection."""
        if self._stream.state in (EdgeState.OPEN, EdgeState.DRAINING):
            self._stream.goodbye()
            self._wake.set()
            await asyncio.sleep(0)  # one turn for the writer, so that the goodbye leaves
        self._fail(CloudUnavailable(f"{self._target}: connection closed"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close()

    def _require_open(self) -> None:
        if self._stream.state is EdgeState.DRAINING:
            raise Draining(f"{self._target}: the replica is draining")
        if not self.open:
            raise CloudUnavailable(f"{self._target}: not connected")

    # ---- moving frames -----------------------------------------------------------------------------------------

    async def _write(self, call: _Call) -> None:
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            while True:
                frame = self._stream.next_frame(time.monotonic())
                if frame is not None:
                    await call.write(frame)
                    continue
                self._wake.clear()
                await self._wake.wait()

    async def _read(self, call: _Call) -> None:
        error: IsthmusError = CloudUnavailable(f"{self._target}: the replica closed the stream")
        try:
            async for frame in call:
                self._heard_s = time.monotonic()
                for event in self._stream.receive(frame, self._heard_s):
                    self._handle(event)
                self._listener()
                if self._stream.stirring:  # something to acknowledge, or room for more
                    self._wake.set()
        except grpc.RpcError as failure:
            error = error_of(failure, self._target)
        except RemoteProtocolError as failure:
            error = failure
            self._log.error("replica broke the protocol", error=str(failure))
            call.cancel()
        self._fail(error)

    def _task_ended(self, call: _Call, ended: asyncio.Task[None]) -> None:
        """What nobody planned ends the stream: whoever waits must not wait for ever."""
        if ended.cancelled() or (failure := ended.exception()) is None:
            return
        self._log.error("stream failed", exc_info=failure)
        self._fail(CloudUnavailable(f"{self._target}: the stream failed: {type(failure).__name__}"))
        call.cancel()

    def _fail(self, error: IsthmusError) -> None:
        """End whatever waits, once. What ended the stream is the handshake's answer and nobody else's: a status of the
        call says nothing of the requests and plans that were under way on it."""
        self._stream.close()
        self._unusable.set()
        broken = error if isinstance(error, CloudUnavailable) else CloudUnavailable(f"the stream ended: {error}")
        _end(self._welcome, error)
        for request in self._requests.values():
            _end(request, broken)
        for plan in self._plans.values():
            _end(plan, broken)

    def _handle(self, event: EdgeEvent) -> None:
        match event:
            case Connected():
                if not self._welcome.done():
                    self._welcome.set_result(event)
            case ResponseArrived(request_id=request_id):
                self._probe.crossed(self._bytes.get(request_id, 0), time.monotonic())
                resolve(self._requests.get(request_id), event)
                # Once the answer is on its way to the client.
                asyncio.get_running_loop().call_soon(learn_from_spans, self._observer, event)
            case RequestFailed(request_id=request_id):
                reject(self._requests.get(request_id), error_of_frame(event))
            case PlanPrepared(wire_digest=digest, times=times):
                resolve(self._plans.get(digest), times)
            case PlanRejected(wire_digest=digest):
                reject(self._plans.get(digest), error_from_status(event.code, event.message))
            case EchoReturned(token=token):
                self._echo_returned(token)
            case LoadReported(queued_s=queued_s):
                self._queue.reported(queued_s, time.monotonic(), self._echoes.one_way_s)
            case PeerDraining():
                self._log.info("replica is draining")
                self._unusable.set()

    def _echo_returned(self, token: int) -> None:
        believed_bps, now_s = self._observer.uplink_bps(), time.monotonic()
        seen_bps = self._echoes.returned(token)
        if seen_bps is None:
            return
        self._probe.returned(seen_bps, believed_bps, now_s)
        self._probe_again()

    def _probe_again(self) -> None:
        """At once, where another probe is wanted and would time nothing else."""
        usable = self._stream.state in (EdgeState.OPEN, EdgeState.DRAINING)
        if usable and self._probe.again and not self._requests and self._stream.all_arrived:
            self._send_echo(self._probe.padding_bytes(time.monotonic()))

    def _send_echo(self, padding_bytes: int = 0) -> None:
        """A padded one behind a small one: the path may have changed since the last."""
        if padding_bytes:
            self._send_echo()
        self._stream.echo(self._echoes.sent(padding_bytes), bytes(padding_bytes), time.monotonic())
        self._wake.set()

    @property
    def _may_look(self) -> bool:
        """A replica that answers none of so many echoes answers no further one sooner."""
        return self._stream.echoes_under_way < MOST_ECHOES_UNDER_WAY

    def _look(self) -> None:
        """At the idle link. Behind bytes that are under way, also of what was given up, an echo would time these: there
        it only asks whether they are there."""
        if not self._may_look:
            return
        if not self._stream.all_arrived:
            self.ask_arrived()
        elif self._requests:
            self._send_echo()
        elif self._observer.uplink_bps() is None and self._echoes.untold:
            self._send_echo(MOST_PROBE_BYTES)  # the first look again: no request crosses an unknown link
        else:
            self._send_echo(self._probe.padding_bytes(time.monotonic()))

    async def _echo_periodically(self) -> None:
        with contextlib.suppress(IsthmusError):  # the welcome failed, or the stream closed: nothing to time
            await asyncio.shield(self._welcome)
            for _ in range(FIRST_ECHOES):
                self._send_echo()
                await asyncio.sleep(FIRST_ECHO_GAP_S)
            self._send_echo(MOST_PROBE_BYTES)
            while True:
                surprised = await self._echoes.surprise_within(ECHO_PERIOD_S)
                for _ in range(FOLLOW_UP_ECHOES if surprised else 1):
                    self._look()
                    await asyncio.sleep(FIRST_ECHO_GAP_S if surprised else 0)


def _end(future: asyncio.Future[T], error: IsthmusError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # mark as seen: nobody may be waiting any more


def _nobody_listens() -> None:
    """Until somebody uses the connection."""
