"""The two ends of the segment stream under frames that break its rules. See `benchmarks.fuzz_targets`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from google.protobuf.message import Message

from benchmarks.fuzz_mutation import Mutator
from benchmarks.fuzz_targets import offered, small_model, spoilt
from isthmus.v1 import segment_pb2 as pb
from nodes.byte_budget import ByteBudget
from nodes.codecs.base import EncodedTensor
from nodes.protocol.assembly import ReceiveSpan
from nodes.protocol.cloud_stream import CloudStream
from nodes.protocol.edge_stream import EdgeStream, WireRequest
from nodes.protocol.events import CloudTimings, MeasuredBatch, PlanDefinition, PlanTimes, RequestArrived
from nodes.protocol.limits import MEMORY_FIELD, StreamLimits
from nodes.protocol.rejection import Rejection
from nodes.protocol.version import PROTOCOL_MAJOR, PROTOCOL_MINOR

__all__ = ["CloudFrames", "EdgeFrames"]

LIMITS = StreamLimits(message_bytes=1 << 22, tensors=16, open_messages=8)
MEMORY_BYTES = 1 << 23
TIMINGS = CloudTimings(ReceiveSpan(0.1, 10), 0.2, 0.3, 0.4, 0.5)


def _tensor(size: int, name: str = "x") -> EncodedTensor:
    return EncodedTensor(name, "uint8", (size,), (), "raw", {"a": "b"}, bytes(i % 251 for i in range(size)))


def _edge(plan: PlanDefinition, *, welcomed: bool = False) -> EdgeStream:
    """That offers a plan and asks three things. welcomed: one of them comes in pieces, which the replica takes."""
    edge = EdgeStream("edge", LIMITS)
    if welcomed:
        welcome = pb.Welcome(protocol_major=PROTOCOL_MAJOR, protocol_minor=PROTOCOL_MINOR)
        edge.receive(pb.CloudFrame(welcome=welcome), 0.0)
    edge.offer(plan)
    edge.pace(1e6, None, 100.0)  # so long a way that all of it may be under way
    for number in (1, 2, 3):
        tensors = (_tensor(5), _tensor(70_000 if number == 2 else 3, "y"))
        pieces = [replace(_tensor(size, "y"), continues=True) for size in (40_000, 0, 9)] if number == welcomed else []
        request = WireRequest(
            number, "digest", 1, tensors, remaining_s=2.0, deadline_s=3.0, priority=1, more_tensors=len(pieces)
        )
        edge.submit(request)
        if pieces:
            edge.add(number, pieces)
    edge.echo(7, b"padding", 1.0)
    return edge


def _frames(end: EdgeStream | CloudStream) -> list[bytes]:
    frames = []
    while (frame := end.next_frame(0.0)) is not None:
        frames.append(frame.SerializeToString())
    return frames


def _up() -> list[bytes]:
    """All that an edge has to say, one of its requests taken back."""
    frames = _frames(_edge(offered(small_model(), 1), welcomed=True))
    for frame in (pb.EdgeFrame(cancel=pb.Cancel(request_id=3)), pb.EdgeFrame(goodbye=pb.Goodbye())):
        frames.append(frame.SerializeToString())
    return frames


class CloudFrames:
    """What an edge sends, read by the cloud's end of the stream, which answers what arrives whole."""

    name = "cloud stream"

    def __init__(self) -> None:
        self._sound = [pb.EdgeFrame.FromString(frame) for frame in _up()]

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        budget = ByteBudget(MEMORY_BYTES, MEMORY_FIELD)
        stream = CloudStream("replica", {"m": "d"}, LIMITS, budget)
        hostile = _one_spoilt(self._sound, mutator)
        for now_s, data in enumerate(hostile):
            for event in stream.receive(pb.EdgeFrame.FromString(data), float(now_s)):
                if isinstance(event, RequestArrived) and mutator.often(0.8):
                    stream.respond(event, event.tensors, TIMINGS)
        _drained(stream)
        assert stream.arriving_bytes <= budget.held_bytes <= budget.peak_bytes <= MEMORY_BYTES
        stream.close()
        assert budget.held_bytes == 0


class EdgeFrames:
    """What a cloud sends, read by the edge's end of the stream, which has asked three things."""

    name = "edge stream"

    def __init__(self) -> None:
        cloud, arrived = CloudStream("replica", {"m": "d"}, LIMITS), list[RequestArrived]()
        self._plan = offered(small_model(), 1)
        for data in _frames(_edge(self._plan)):
            heard = cloud.receive(pb.EdgeFrame.FromString(data), 0.0)
            arrived += [event for event in heard if isinstance(event, RequestArrived)]
        cloud.plan_ready("digest", PlanTimes((MeasuredBatch(1, 0.1, 0.2, 0.3),), ((1, 0.1), (8, 0.2))))
        cloud.plan_refused("other", "NOT_FOUND", "is not here")
        for request in arrived[:2]:
            cloud.respond(request, request.tensors, TIMINGS)
        cloud.reject(3, Rejection("INTERNAL", "COMPUTE", "failed"))
        cloud.report_load(3, 0.5)
        cloud.drain()
        self._sound = [pb.CloudFrame.FromString(frame) for frame in _frames(cloud)]

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        edge = _edge(self._plan)
        _drained(edge)  # what is acknowledged below must have been sent
        for now_s, data in enumerate(_one_spoilt(self._sound, mutator)):
            edge.receive(pb.CloudFrame.FromString(data), float(now_s))
        _drained(edge)
        edge.close()


def _one_spoilt(sound: Sequence[Message], mutator: Mutator) -> list[bytes]:
    frames = mutator.order(sound)
    at = mutator.rng.randrange(len(frames)) if frames else 0
    return [spoilt(frame, mutator) if i == at else frame.SerializeToString() for i, frame in enumerate(frames)]


def _drained(stream: EdgeStream | CloudStream) -> None:
    for _ in range(100_000):
        if stream.next_frame(0.0) is None:
            return
    raise AssertionError("sends without end")
