"""The cloud's end of the segment stream: a state machine over frames and events.

    state      receive(hello)   receive(other)           respond/reject       drain          close
    WAITING    -> OPEN          peer's fault             refused              once OPEN      -> CLOSED
    OPEN       peer's fault     handled                  queued               -> DRAINING    -> CLOSED
    DRAINING   peer's fault     new requests rejected    queued               stays          -> CLOSED
    CLOSED     refused          refused                  ignored              stays          stays

A request that breaks a rule is answered with an error frame and forgotten; only a frame that breaks the stream's own
rules raises RemoteProtocolError, which ends the stream. What a request announces is held of a budget, which streams
share, until its answer has left, it is rejected or cancelled, or the stream closes.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from isthmus.errors import (
    DeadlineExceeded,
    InvalidInput,
    LocalProtocolError,
    Overloaded,
    RemoteProtocolError,
    TooLarge,
    shortened,
)
from isthmus.v1 import segment_pb2 as pb
from nodes.byte_budget import MOST_HELD_BYTES, ByteBudget
from nodes.codecs.base import EncodedTensor, encoded_bytes
from nodes.protocol.assembly import Assembly
from nodes.protocol.events import (
    CloudEvent,
    CloudTimings,
    EdgeConnected,
    EdgeLeft,
    PlanTimes,
    RequestArrived,
    RequestCancelled,
    RequestRejected,
)
from nodes.protocol.frame_checks import announced_bytes, check_counts, check_digest_length, offer_parts
from nodes.protocol.held_bytes import HeldBytes
from nodes.protocol.limits import (
    DEFAULT_LIMITS,
    MEMORY_FIELD,
    MOST_OFFER_BYTES,
    MOST_OFFER_PARTS,
    StreamLimits,
)
from nodes.protocol.message_values import plan_of, ready_message, write_timings
from nodes.protocol.outbox import Outbox, announce
from nodes.protocol.rejection import Rejection
from nodes.protocol.transit import TransitClock
from nodes.protocol.version import PROTOCOL_MAJOR, PROTOCOL_MINOR, check_version

__all__ = ["MOST_UNREAD_FRAMES", "CloudState", "CloudStream"]

MAX_ECHO_BYTES = 1 << 20
# An edge that is read and does not read itself could have any number of errors and echoes made for it.
MOST_UNREAD_FRAMES = 1024


class CloudState(enum.Enum):
    """Where the cloud's end of a stream is."""

    WAITING = "waiting"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


@dataclass(slots=True)
class _Incoming:
    header: pb.RequestHeader
    assembly: Assembly
    deadline_s: float | None


def _chunk_frame() -> tuple[pb.CloudFrame, pb.Chunk]:
    frame = pb.CloudFrame()
    return frame, frame.chunk


def _new_outbox() -> Outbox[pb.CloudFrame]:
    return Outbox(_chunk_frame, lambda ack: pb.CloudFrame(ack=ack))


class CloudStream:
    """One stream from one edge. Not thread-safe: drive it from one event loop."""

    def __init__(
        self,
        replica_id: str,
        models: Mapping[str, str],
        limits: StreamLimits = DEFAULT_LIMITS,
        budget: ByteBudget | None = None,
        rejections: Counter[str] | None = None,
    ) -> None:
        """models: the digest of each served model, by name. budget: of all streams of the replica; None for one of its
        own. rejections: how often they have given each reason, likewise."""
        self.state = CloudState.WAITING
        self._drains_at_once = False
        self._limits = limits
        self._outbox = _new_outbox()
        self._held = HeldBytes(budget or ByteBudget(MOST_HELD_BYTES, MEMORY_FIELD))
        self._rejections = Counter[str]() if rejections is None else rejections
        self._incoming: dict[int, _Incoming] = {}
        self._accepted: set[int] = set()
        self._transit = TransitClock(0.0)  # set right by the hello
        self._welcome = pb.Welcome(
            protocol_major=PROTOCOL_MAJOR,
            protocol_minor=PROTOCOL_MINOR,
            replica_id=replica_id,
            models=[pb.ServedModel(name=name, digest=digest) for name, digest in models.items()],
        )

    @property
    def accepted(self) -> int:
        """Requests that arrived whole and have no answer yet."""
        return len(self._accepted)

    @property
    def open_requests(self) -> int:
        """Requests that are arriving, or arrived whole and have no answer yet."""
        return len(self._incoming) + len(self._accepted)

    @property
    def arriving_bytes(self) -> int:
        """What is here of requests that have not arrived whole."""
        return sum(incoming.assembly.received_bytes for incoming in self._incoming.values())

    # ---- what the cloud does -----------------------------------------------------------------------------------

    def plan_ready(self, wire_digest: str, times: PlanTimes) -> None:
        """Say that a plan is prepared, with the times measured here."""
        self._send(pb.CloudFrame(ready=ready_message(wire_digest, times)))

    def plan_refused(self, wire_digest: str, code: str, message: str) -> None:
        """Say that a plan will not be run here."""
        refused = pb.PlanRefused(wire_digest=wire_digest, code=code, message=shortened(message))
        self._send(pb.CloudFrame(refused=refused))

    def hold_answer(self, request_id: int, tensors: Sequence[EncodedTensor]) -> None:
        """Count an answer in the place of its request, until `respond` has sent it. Ignored as `respond` is.

        Raises TooLarge, Overloaded where it is more than may be held here: the request is then to be rejected.
        """
        if request_id in self._accepted:
            self._held.answered(request_id, encoded_bytes(tensors))

    def respond(self, request: RequestArrived, tensors: Sequence[EncodedTensor], timings: CloudTimings) -> None:
        """Answer a request; with an error where the answer is larger than the limits let through. Ignored when it was
        cancelled or the stream has gone meanwhile."""
        if not self._take(request.request_id):
            return
        try:
            self._limits.check(len(tensors), encoded_bytes(tensors))
        except TooLarge as error:
            self._send_error(request.request_id, Rejection.of(error))
            return
        frame = pb.CloudFrame()
        header = frame.response
        header.request_id = request.request_id
        announce(tensors, header.tensors)
        write_timings(timings, header.timings)
        self._outbox.put_message(
            request.request_id, frame, header.chunks, tensors, request.deadline_s, request.priority
        )

    def reject(self, request_id: int, rejection: Rejection) -> None:
        """Answer a request with an error. Ignored when it was cancelled or the stream has gone meanwhile."""
        if self._take(request_id):
            self._send_error(request_id, rejection)

    def expire(self, now_s: float) -> list[CloudEvent]:
        """Refuse the requests that are arriving still and whose deadlines have passed: what they announced is held from
        all others. To be asked now and then."""
        late = [
            request_id
            for request_id, one in self._incoming.items()
            if one.deadline_s is not None and one.deadline_s <= now_s
        ]
        events: list[CloudEvent] = []
        for request_id in late:
            del self._incoming[request_id]
            events += self._refuse(request_id, Rejection.of(DeadlineExceeded("its time was over before it was here")))
        return events

    def report_load(self, queued_requests: int, queued_s: float) -> None:
        """Tell the edge how much work waits here. Ignored before its hello: the welcome comes first."""
        if self.state is not CloudState.WAITING:
            self._send(pb.CloudFrame(load=pb.LoadReport(queued_requests=queued_requests, queued_s=queued_s)))

    def drain(self) -> None:
        """Take no new requests; those that arrived are answered. Before the hello: as soon as the edge is welcome."""
        if self.state is CloudState.WAITING:
            self._drains_at_once = True
        elif self.state is CloudState.OPEN:
            self.state = CloudState.DRAINING
            self._send(pb.CloudFrame(draining=pb.Draining()))

    def close(self) -> tuple[int, ...]:
        """The connection is gone. Returns the requests that nobody waits for any more."""
        lost = tuple(sorted(self._accepted))
        self._accepted.clear()
        self._incoming.clear()
        self._held.let_all_go()
        self._outbox = _new_outbox()
        self.state = CloudState.CLOSED
        return lost

    @property
    def unread(self) -> bool:
        """Whether so much waits for the edge to read it that nothing more of it is to be received now."""
        return self._outbox.control_frames >= MOST_UNREAD_FRAMES

    @property
    def stirring(self) -> bool:
        """Whether there may be a frame to send."""
        return self._outbox.stirring

    def next_frame(self, now_s: float) -> pb.CloudFrame | None:
        """The next frame to put on the wire, None when there is nothing to send now."""
        frame = self._outbox.next_frame(now_s)
        if frame is not None:
            self._handed_over(frame)
        return frame

    def _handed_over(self, frame: pb.CloudFrame) -> None:
        """An answer is held until its last frame has left."""
        kind = frame.WhichOneof("kind")
        if kind == "response" or kind == "chunk":
            request_id = frame.response.request_id if kind == "response" else frame.chunk.request_id
            if self._outbox.forget_sent(request_id):
                self._held.let_go(request_id)

    def _send(self, frame: pb.CloudFrame) -> None:
        if self.state is not CloudState.CLOSED:
            self._outbox.put_control(frame)

    def _send_error(self, request_id: int, rejection: Rejection) -> None:
        self._held.let_go(request_id)
        self._rejections[rejection.reason] += 1
        error = pb.RequestError(
            request_id=request_id, code=rejection.code, reason=rejection.reason, message=shortened(rejection.message),
            retry_after_ms=rejection.retry_after_ms,
        )  # fmt: skip
        self._send(pb.CloudFrame(error=error))

    def _take(self, request_id: int) -> bool:
        known = request_id in self._accepted
        self._accepted.discard(request_id)
        return known

    # ---- what the cloud hears ----------------------------------------------------------------------------------

    def receive(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        """Take a frame from the edge. Raises RemoteProtocolError when it breaks the stream's rules."""
        kind = frame.WhichOneof("kind")
        if self.state is CloudState.CLOSED:
            raise LocalProtocolError("the stream is closed")
        if (kind == "hello") != (self.state is CloudState.WAITING):
            raise RemoteProtocolError(f"frame {kind!r} does not fit state {self.state.value}")
        handler = self._HANDLERS.get(kind or "")
        return [] if handler is None else handler(self, frame, now_s)

    def _on_hello(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        check_version(frame.hello.protocol_major, frame.hello.protocol_minor)
        self.state = CloudState.OPEN
        self._transit = TransitClock(now_s)
        self._outbox.peer_speaks(frame.hello.protocol_minor)
        self._send(pb.CloudFrame(welcome=self._welcome))
        if self._drains_at_once:
            self.drain()
        return [EdgeConnected(frame.hello.edge_id)]

    def _on_offer(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        offer = frame.offer
        check_digest_length(offer.wire_digest)
        size_bytes, parts = offer.ByteSize(), offer_parts(offer)
        if size_bytes > MOST_OFFER_BYTES or parts > MOST_OFFER_PARTS:
            most = f"at most {MOST_OFFER_BYTES} bytes and {MOST_OFFER_PARTS} ops, codecs and parameters in an offer"
            self.plan_refused(offer.wire_digest, "INVALID_ARGUMENT", f"{most}; got {size_bytes} and {parts}")
            return []
        return [plan_of(offer)]

    def _on_request(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        header = frame.request
        check_counts(header.tensors, header.chunks)
        chunks = [(chunk, self._outbox.receipts.take(chunk)) for chunk in header.chunks]
        request_id = header.request_id
        check_digest_length(header.wire_digest)
        if request_id in self._held:
            raise RemoteProtocolError(f"request id {request_id} is in use already")
        if self.state is CloudState.DRAINING:
            return self._refuse(request_id, Rejection("UNAVAILABLE", "DRAINING", "this replica is draining"))
        if len(self._incoming) >= self._limits.open_messages:
            limit = f"at most {self._limits.open_messages} requests may arrive at once"
            return self._refuse(request_id, Rejection("RESOURCE_EXHAUSTED", "OVERLOADED", limit))
        try:
            assembly = Assembly(header.tensors, self._limits, header.more_tensors)
            self._held.announced(request_id, announced_bytes(header))
            for chunk, data in chunks:
                assembly.add(chunk, data, now_s)
            header.ClearField("chunks")  # the assembly has the bytes
            self._held.announced(request_id, header.ByteSize())  # names and parameters may be long too
        except (InvalidInput, Overloaded) as error:
            return self._refuse(request_id, Rejection.of(error))
        if header.downlink_bps > 0:
            self._outbox.window.expect(float(header.downlink_bps), header.rtt_us * 1e-6)
        self._incoming[request_id] = _Incoming(header, assembly, self._deadline_s(header, now_s))
        return self._finish(request_id, now_s)

    def _deadline_s(self, header: pb.RequestHeader, now_s: float) -> float | None:
        if header.time_remaining_us <= 0:
            return None
        delay_s = self._transit.delay_s(header.sent_after_us * 1e-6, now_s) if header.sent_after_us > 0 else 0.0
        return now_s + header.time_remaining_us * 1e-6 - delay_s

    def _on_more(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        more = frame.more
        check_counts(more.tensors, more.chunks)
        chunks = [(chunk, self._outbox.receipts.take(chunk)) for chunk in more.chunks]
        incoming = self._incoming.get(more.request_id)
        if incoming is None:
            return []  # of a request that was rejected or cancelled
        try:
            incoming.assembly.extend(more.tensors)
            self._held.announced(more.request_id, announced_bytes(more))
            for chunk, data in chunks:
                incoming.assembly.add(chunk, data, now_s)
            more.ClearField("chunks")
            self._held.announced(more.request_id, more.ByteSize())
        except (InvalidInput, Overloaded) as error:
            del self._incoming[more.request_id]
            return self._refuse(more.request_id, Rejection.of(error))
        return self._finish(more.request_id, now_s)

    def _on_chunk(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        request_id, data = frame.chunk.request_id, self._outbox.receipts.take(frame.chunk)
        incoming = self._incoming.get(request_id)
        if incoming is None:
            return []  # the rest of a request that was rejected or cancelled
        try:
            incoming.assembly.add(frame.chunk, data, now_s)
        except InvalidInput as error:
            del self._incoming[request_id]
            return self._refuse(request_id, Rejection.of(error))
        return self._finish(request_id, now_s)

    def _finish(self, request_id: int, now_s: float) -> list[CloudEvent]:
        incoming = self._incoming[request_id]
        if not incoming.assembly.complete:
            return []
        del self._incoming[request_id]
        self._accepted.add(request_id)
        header = incoming.header
        return [
            RequestArrived(
                request_id=request_id,
                wire_digest=header.wire_digest,
                batch=header.batch,
                deadline_s=incoming.deadline_s,
                priority=header.priority,
                tensors=incoming.assembly.tensors(),
                receive=incoming.assembly.span(),
                arrived_s=now_s,
                traceparent=header.trace.traceparent,
                rtt_s=header.rtt_us * 1e-6,
                downlink_bps=float(header.downlink_bps),
            )
        ]

    def _refuse(self, request_id: int, rejection: Rejection) -> list[CloudEvent]:
        self._send_error(request_id, rejection)
        return [RequestRejected(request_id, rejection.message)]

    def _on_cancel(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        request_id = frame.cancel.request_id
        self._incoming.pop(request_id, None)
        if not self._take(request_id):
            self._outbox.withdraw(request_id)
        self._held.let_go(request_id)
        return [RequestCancelled(request_id)]

    def _on_echo(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        if len(frame.echo.padding) > MAX_ECHO_BYTES:
            raise RemoteProtocolError(f"echo padding over {MAX_ECHO_BYTES} bytes")
        if frame.echo.sent_after_us > 0:
            self._transit.delay_s(frame.echo.sent_after_us * 1e-6, now_s)
        self._send(pb.CloudFrame(echo=pb.Echo(token=frame.echo.token)))
        return []

    def _on_ack(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        self._outbox.window.acknowledged(frame.ack.received_bytes, now_s)
        return []

    def _on_goodbye(self, frame: pb.EdgeFrame, now_s: float) -> list[CloudEvent]:
        return [EdgeLeft()]

    _HANDLERS: ClassVar[dict[str, Callable[[CloudStream, pb.EdgeFrame, float], list[CloudEvent]]]] = {
        "hello": _on_hello,
        "offer": _on_offer,
        "request": _on_request,
        "more": _on_more,
        "chunk": _on_chunk,
        "cancel": _on_cancel,
        "echo": _on_echo,
        "ack": _on_ack,
        "goodbye": _on_goodbye,
    }
