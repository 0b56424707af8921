"""The edge's end of the segment stream: a state machine over frames and events.

    state      hello/offer/submit   receive(welcome)   receive(other)   close
    OPENING    queued               -> OPEN            peer's fault     -> CLOSED
    OPEN       queued               peer's fault       handled          -> CLOSED
    DRAINING   submit refused       peer's fault       handled          -> CLOSED
    CLOSED     refused              refused            refused          stays

An illegal call raises LocalProtocolError and changes nothing; an illegal frame raises RemoteProtocolError.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from isthmus.errors import InvalidInput, LocalProtocolError, RemoteProtocolError, TooLarge
from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor
from nodes.codecs.pieces import joined
from nodes.protocol.assembly import Assembly
from nodes.protocol.events import (
    CloudTimings,
    Connected,
    EchoReturned,
    EdgeEvent,
    PeerDraining,
    PlanDefinition,
    PlanPrepared,
    PlanRejected,
    RequestFailed,
    ResponseArrived,
)
from nodes.protocol.given_up import GivenUp
from nodes.protocol.limits import DEFAULT_LIMITS, StreamLimits
from nodes.protocol.message_values import load_of, offer_message, plan_times_of, timings_of
from nodes.protocol.outbox import Outbox, Outgoing, announce
from nodes.protocol.progress import Progress
from nodes.protocol.send_window import Credit
from nodes.protocol.version import PIECES_MINOR, PROTOCOL_MAJOR, PROTOCOL_MINOR, check_version

__all__ = ["EdgeState", "EdgeStream", "WireRequest"]


class EdgeState(enum.Enum):
    """Where the edge's end of a stream is."""

    OPENING = "opening"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request for the cloud. deadline_s: on the edge's clock, for ordering; remaining_s: what travels.

    more_tensors: how many, or pieces of them, follow `tensors`, once they are made (see `EdgeStream.add`).
    expected_bytes: of all of them as predicted, for its turn among others; it does not travel either.
    expected_cloud_s: the suffix as predicted, for the estimate of the replica's queue; it does not travel.
    """

    request_id: int
    wire_digest: str
    batch: int
    tensors: tuple[EncodedTensor, ...]
    remaining_s: float | None = None
    deadline_s: float | None = None
    priority: int = 0
    traceparent: str = ""
    expected_cloud_s: float = 0.0
    more_tensors: int = 0
    expected_bytes: int = 0


@dataclass(slots=True)
class _Submitted:
    """How many of its tensors were queued, and how many follow. message: with the last of them. arrived_s: when the
    replica was first known to have all that was queued."""

    deadline_s: float | None
    priority: int
    expected_bytes: int
    queued: int
    to_come: int
    message: Outgoing[pb.EdgeFrame]
    arrived_s: float | None = None


@dataclass(slots=True)
class _Response:
    assembly: Assembly
    timings: CloudTimings


def _microseconds(seconds: float) -> int:
    """At least one: zero means that nothing is said."""
    return max(1, round(seconds * 1e6))


def _chunk_frame() -> tuple[pb.EdgeFrame, pb.Chunk]:
    frame = pb.EdgeFrame()
    return frame, frame.chunk


def _new_outbox() -> Outbox[pb.EdgeFrame]:
    return Outbox(_chunk_frame, lambda ack: pb.EdgeFrame(ack=ack))


class EdgeStream:
    """One stream to one replica. Not thread-safe: drive it from one event loop."""

    def __init__(self, edge_id: str, limits: StreamLimits = DEFAULT_LIMITS, *, started_s: float = 0.0) -> None:
        """started_s: now, on the clock of every other time handed in."""
        self.state = EdgeState.OPENING
        self.late_answers = 0  # to requests that were cancelled: each was discarded
        self._started_s = self._arrived_s = started_s
        self._given_up = GivenUp()
        self._limits = limits
        self._outbox = _new_outbox()
        self._downlink_bps, self._rtt_us = 0, 0
        self._in_flight: dict[int, _Submitted] = {}
        self._echoed: dict[int, int] = {}  # by token: bytes that left before that echo
        self._arrived_bytes = 0  # of what left
        self._peer_minor = 0
        self._responses: dict[int, _Response] = {}
        hello = pb.Hello(protocol_major=PROTOCOL_MAJOR, protocol_minor=PROTOCOL_MINOR, edge_id=edge_id)
        self._outbox.put_control(pb.EdgeFrame(hello=hello))

    @property
    def takes_more_tensors(self) -> bool:
        """Whether a request may be submitted before all of its tensors, or of their pieces, are made."""
        return self.state is EdgeState.OPEN and self._peer_minor >= PIECES_MINOR

    def progress(self, request_id: int) -> Progress:
        """How far a request has got, as long as it is in flight."""
        submitted = self._in_flight.get(request_id)
        if submitted is None:
            return Progress(0, self._started_s)
        moved_bytes, moved_s, end_bytes = self.arrived_bytes, self._arrived_s, submitted.message.end_bytes
        # What others send later, and what they are answered, gets past a request that computes for ever, too.
        if end_bytes is not None:
            moved_bytes = min(moved_bytes, end_bytes)
        if submitted.arrived_s is not None:
            moved_s = submitted.arrived_s
        if (response := self._responses.get(request_id)) is not None:
            moved_bytes += response.assembly.received_bytes
            moved_s = max(moved_s, response.assembly.received_s)
        return Progress(moved_bytes, moved_s, end_bytes)

    @property
    def arrived_bytes(self) -> int:
        """Of those that left, what the replica is known to have: frames are read in order, so whatever answers a later
        one tells of all before it, also of those that are too few to be acknowledged."""
        return self._arrived_bytes

    @property
    def echoes_under_way(self) -> int:
        """How many were asked for and are not back."""
        return len(self._echoed)

    @property
    def all_arrived(self) -> bool:
        """Whether nothing that left is under way, as far as is known, and nothing waits to leave."""
        return self.arrived_bytes >= self._outbox.window.sent_bytes and not self._outbox.stirring

    # ---- what the edge does ------------------------------------------------------------------------------------

    def offer(self, plan: PlanDefinition) -> None:
        """Ask the replica to prepare a plan. Answered by PlanPrepared or PlanRejected."""
        self._require(EdgeState.OPENING, EdgeState.OPEN)
        self._outbox.put_control(pb.EdgeFrame(offer=offer_message(plan)))

    def submit(self, request: WireRequest) -> None:
        """Queue a request. Answered by ResponseArrived or RequestFailed, exactly once, unless cancelled or lost."""
        self._require(EdgeState.OPENING, EdgeState.OPEN)
        if request.request_id in self._in_flight:
            raise LocalProtocolError(f"request id {request.request_id} is in flight already")
        if request.more_tensors and not self.takes_more_tensors:
            raise LocalProtocolError("this replica takes no tensors after a request's header")
        frame = pb.EdgeFrame()
        header = frame.request
        header.request_id, header.wire_digest, header.batch = request.request_id, request.wire_digest, request.batch
        header.priority, header.more_tensors = request.priority, request.more_tensors
        header.downlink_bps, header.rtt_us = self._downlink_bps, self._rtt_us
        if request.remaining_s is not None:
            header.time_remaining_us = _microseconds(request.remaining_s)
            header.sent_after_us = self._sent_after_us(request)
        if request.traceparent:
            header.trace.traceparent = request.traceparent
        tensors = request.tensors if self.takes_more_tensors else joined(request.tensors)
        announce(tensors, header.tensors)
        expected_bytes = request.expected_bytes if request.more_tensors else 0
        message = self._outbox.put_message(
            request.request_id, frame, header.chunks, tensors, request.deadline_s, request.priority, expected_bytes
        )
        self._in_flight[request.request_id] = _Submitted(
            request.deadline_s, request.priority, expected_bytes, len(tensors), request.more_tensors, message
        )

    def add(self, request_id: int, tensors: Sequence[EncodedTensor]) -> None:
        """Queue the next tensors of a request that was submitted before they were made. Ignored where it is over."""
        submitted = self._in_flight.get(request_id)
        if submitted is None or self.state is EdgeState.CLOSED:
            return
        if not 0 < len(tensors) <= submitted.to_come:
            raise LocalProtocolError(f"{submitted.to_come} tensors of request {request_id} are to come")
        frame = pb.EdgeFrame()
        more = frame.more
        more.request_id = request_id
        announce(tensors, more.tensors)
        submitted.message = self._outbox.put_more(
            request_id, submitted.queued, frame, more.chunks, tensors, submitted.deadline_s, submitted.priority,
            submitted.expected_bytes,
        )  # fmt: skip
        submitted.arrived_s = None
        submitted.queued += len(tensors)
        submitted.to_come -= len(tensors)

    def pace(self, uplink_bps: float | None, downlink_bps: float | None = None, rtt_s: float = 0.0) -> None:
        """What the link is believed to carry, and its round trip (0.0: unknown), from what other streams saw, too.

        It counts until a stream's own acknowledgements tell; without them, always. The way down's is told to the
        replica with the requests to come.
        """
        self._outbox.window.expect(uplink_bps, rtt_s)
        self._downlink_bps, self._rtt_us = round(downlink_bps or 0.0), round(rtt_s * 1e6)

    def cancel(self, request_id: int) -> None:
        """Take a request back: nothing more of it is sent, and a late answer is dropped. Unknown ids are ignored."""
        if request_id not in self._in_flight:
            return
        self._in_flight.pop(request_id, None)
        if self._outbox.withdraw(request_id) and self.state is not EdgeState.CLOSED:
            self._outbox.put_control(pb.EdgeFrame(cancel=pb.Cancel(request_id=request_id)))
            self._given_up.remember(request_id)
        if self._responses.pop(request_id, None) is not None:
            self.late_answers += self._given_up.forget(request_id)

    def echo(self, token: int, padding: bytes = b"", now_s: float | None = None) -> None:
        """Ask for an echo, to time the way there and back. now_s: lets the replica see how long it was under way."""
        self._require(EdgeState.OPENING, EdgeState.OPEN, EdgeState.DRAINING)
        after_us = 0 if now_s is None else _microseconds(now_s - self._started_s)
        self._echoed[token] = self._outbox.window.sent_bytes
        self._outbox.put_control(pb.EdgeFrame(echo=pb.Echo(token=token, padding=padding, sent_after_us=after_us)))

    def goodbye(self) -> None:
        """Say that no more requests come."""
        self._require(EdgeState.OPENING, EdgeState.OPEN, EdgeState.DRAINING)
        self._outbox.put_control(pb.EdgeFrame(goodbye=pb.Goodbye()))
        self.state = EdgeState.DRAINING

    def close(self) -> tuple[int, ...]:
        """The connection is gone. Returns the requests that were in flight: the caller answers for them now."""
        lost = tuple(sorted(self._in_flight))
        self._in_flight.clear()
        self._responses.clear()
        self._outbox = _new_outbox()
        self.state = EdgeState.CLOSED
        return lost

    @property
    def credit(self) -> Credit | None:
        """See SendWindow."""
        return self._outbox.window.credit

    @property
    def stirring(self) -> bool:
        """Whether there may be a frame to send."""
        return self._outbox.stirring

    def next_frame(self, now_s: float) -> pb.EdgeFrame | None:
        """The next frame to put on the wire, None when there is nothing to send now."""
        return self._outbox.next_frame(now_s)

    def _sent_after_us(self, request: WireRequest) -> int:
        """When its remaining time was read; of no interest where there is no deadline."""
        if request.deadline_s is None or request.remaining_s is None:
            return 0
        return _microseconds(request.deadline_s - request.remaining_s - self._started_s)

    # ---- what the edge hears -----------------------------------------------------------------------------------

    def receive(self, frame: pb.CloudFrame | None, now_s: float) -> list[EdgeEvent]:
        """Take a frame from the replica; None, as gRPC gives it, is one that cannot be read. Raises RemoteProtocolError
        when it breaks the rules."""
        if frame is None:
            raise RemoteProtocolError("the replica sent a frame that cannot be read")
        kind = frame.WhichOneof("kind")
        if self.state is EdgeState.CLOSED:
            raise LocalProtocolError("the stream is closed")
        if (kind == "welcome") != (self.state is EdgeState.OPENING):
            raise RemoteProtocolError(f"frame {kind!r} does not fit state {self.state.value}")
        handler = self._HANDLERS.get(kind or "")
        # A kind of a later minor version: ignored, as the version rule says.
        return [] if handler is None else handler(self, frame, now_s)

    def _on_welcome(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        welcome = frame.welcome
        check_version(welcome.protocol_major, welcome.protocol_minor)
        self.state = EdgeState.OPEN
        self._peer_minor = welcome.protocol_minor
        self._outbox.peer_speaks(self._peer_minor)
        return [Connected(welcome.replica_id, {model.name: model.digest for model in welcome.models})]

    def _on_ready(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        return [PlanPrepared(frame.ready.wire_digest, plan_times_of(frame.ready))]

    def _on_refused(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        refused = frame.refused
        return [PlanRejected(refused.wire_digest, refused.code, refused.message)]

    def _on_response(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        header = frame.response
        chunks = [(chunk, self._outbox.receipts.take(chunk)) for chunk in header.chunks]
        if header.request_id not in self._in_flight:
            self.late_answers += self._given_up.forget(header.request_id)
            return []
        try:
            assembly = Assembly(header.tensors, self._limits)
            for chunk, data in chunks:
                assembly.add(chunk, data, now_s)
        except TooLarge as error:
            self.cancel(header.request_id)  # the rest need not come
            return [RequestFailed(header.request_id, "RESOURCE_EXHAUSTED", "TOO_LARGE", str(error))]
        except InvalidInput as error:
            raise RemoteProtocolError(str(error)) from error
        self._responses[header.request_id] = _Response(assembly, timings_of(header.timings))
        return self._finish(header.request_id, now_s)

    def _on_chunk(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        request_id, data = frame.chunk.request_id, self._outbox.receipts.take(frame.chunk)
        response = self._responses.get(request_id)
        if response is None:
            return []
        try:
            response.assembly.add(frame.chunk, data, now_s)
        except InvalidInput as error:
            raise RemoteProtocolError(str(error)) from error
        return self._finish(request_id, now_s)

    def _finish(self, request_id: int, now_s: float) -> list[EdgeEvent]:
        response = self._responses[request_id]
        if not response.assembly.complete:
            return []
        del self._responses[request_id]
        submitted = self._in_flight.pop(request_id, None)
        if submitted is not None:
            self._arrived(submitted.message.end_bytes or 0, now_s)
        return [ResponseArrived(request_id, response.assembly.tensors(), response.timings, response.assembly.span())]

    def _on_error(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        error = frame.error
        self._given_up.forget(error.request_id)
        if error.request_id not in self._in_flight:
            return []
        self._in_flight.pop(error.request_id, None)
        self._responses.pop(error.request_id, None)
        self._outbox.withdraw(error.request_id)
        retry_after_s = error.retry_after_ms * 1e-3 or None
        return [RequestFailed(error.request_id, error.code, error.reason, error.message, retry_after_s)]

    def _on_load(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        return [load_of(frame.load)]

    def _on_echo(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        self._arrived(self._echoed.pop(frame.echo.token, 0), now_s)
        return [EchoReturned(frame.echo.token)]

    def _on_ack(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        self._outbox.window.acknowledged(frame.ack.received_bytes, now_s)
        self._arrived(frame.ack.received_bytes, now_s)
        return []

    def _arrived(self, total_bytes: int, now_s: float) -> None:
        """The replica has so much of what left."""
        if total_bytes <= self._arrived_bytes:
            return
        self._arrived_bytes, self._arrived_s = total_bytes, now_s
        for submitted in self._in_flight.values():
            end_bytes = submitted.message.end_bytes
            if submitted.arrived_s is None and end_bytes is not None and end_bytes <= total_bytes:
                submitted.arrived_s = now_s

    def _on_draining(self, frame: pb.CloudFrame, now_s: float) -> list[EdgeEvent]:
        self.state = EdgeState.DRAINING
        return [PeerDraining()]

    def _require(self, *states: EdgeState) -> None:
        if self.state not in states:
            raise LocalProtocolError(f"not allowed while the stream is {self.state.value}")

    _HANDLERS: ClassVar[dict[str, Callable[[EdgeStream, pb.CloudFrame, float], list[EdgeEvent]]]] = {
        "welcome": _on_welcome,
        "ready": _on_ready,
        "refused": _on_refused,
        "response": _on_response,
        "chunk": _on_chunk,
        "error": _on_error,
        "load": _on_load,
        "echo": _on_echo,
        "ack": _on_ack,
        "draining": _on_draining,
    }
