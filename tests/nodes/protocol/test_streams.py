"""An edge and a cloud stream joined by a fake wire, under every interleaving that hypothesis finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import MOST_TOLD_BYTES, IsthmusError, LocalProtocolError, RemoteProtocolError
from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor
from nodes.protocol.assembly import ReceiveSpan
from nodes.protocol.cloud_stream import CloudState, CloudStream
from nodes.protocol.edge_stream import EdgeState, EdgeStream, WireRequest
from nodes.protocol.events import (
    CloudEvent,
    CloudTimings,
    Connected,
    EdgeEvent,
    MeasuredBatch,
    PeerDraining,
    PlanDefinition,
    PlanPrepared,
    PlanRejected,
    PlanTimes,
    RequestArrived,
    RequestCancelled,
    RequestFailed,
    RequestRejected,
    ResponseArrived,
    WireCodec,
)
from nodes.protocol.frame_checks import MOST_FRAME_TENSORS
from nodes.protocol.limits import MOST_DIGEST_CHARACTERS, MOST_OFFER_BYTES, MOST_OFFER_PARTS, StreamLimits
from nodes.protocol.rejection import Rejection

TIMINGS = CloudTimings(ReceiveSpan(0.1, 10), 0.2, 0.3, 0.4, 0.5)


def tensor(size: int, name: str = "x") -> EncodedTensor:
    return EncodedTensor(name, "uint8", (size,), (), "raw", {}, bytes(i % 251 for i in range(size)))


def request(request_id: int, size: int = 3, **facts: object) -> WireRequest:
    return WireRequest(request_id, "digest", 1, (tensor(size),), **facts)  # type: ignore[arg-type]


class Pair:
    """Both ends and the two directions between them."""

    def __init__(self, limits: StreamLimits | None = None) -> None:
        self.edge = EdgeStream("edge-1")
        self.cloud = CloudStream("replica-1", {"m": "d"}, limits or StreamLimits())
        self.edge_heard: list[EdgeEvent] = []
        self.cloud_heard: list[CloudEvent] = []

    def step_up(self) -> bool:
        frame = self.edge.next_frame(2.0)
        if frame is None:
            return False
        copy = pb.EdgeFrame.FromString(frame.SerializeToString())
        self.cloud_heard += self.cloud.receive(copy, 1.0)
        return True

    def step_down(self) -> bool:
        frame = self.cloud.next_frame(1.0)
        if frame is None:
            return False
        copy = pb.CloudFrame.FromString(frame.SerializeToString())
        self.edge_heard += self.edge.receive(copy, 2.0)
        return True

    def settle(self) -> None:
        while self.step_up() | self.step_down():
            pass

    def answer_all(self) -> None:
        for event in [e for e in self.cloud_heard if isinstance(e, RequestArrived)]:
            self.cloud.respond(event, event.tensors, TIMINGS)
        self.settle()


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.settle()
    return made


def test_handshake_opens_both_ends(pair: Pair) -> None:
    assert pair.edge.state is EdgeState.OPEN
    assert pair.cloud.state is CloudState.OPEN
    assert pair.edge_heard == [Connected("replica-1", {"m": "d"})]


def test_a_request_comes_back_whole(pair: Pair) -> None:
    pair.edge.submit(request(1, size=200_000, remaining_s=2.0, priority=3))
    pair.settle()
    pair.answer_all()
    arrived = next(e for e in pair.cloud_heard if isinstance(e, RequestArrived))
    answered = next(e for e in pair.edge_heard if isinstance(e, ResponseArrived))
    assert arrived.tensors == answered.tensors == (tensor(200_000),)
    assert (arrived.deadline_s, arrived.priority) == (3.0, 3)
    assert answered.timings == TIMINGS


def test_an_empty_tensor_crosses(pair: Pair) -> None:
    pair.edge.submit(request(1, size=0))
    pair.settle()
    pair.answer_all()
    assert [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)] == [1]


def test_an_urgent_request_passes_a_large_one(pair: Pair) -> None:
    pair.edge.submit(request(1, size=4_000_000, deadline_s=100.0))
    pair.step_up()
    pair.edge.submit(request(2, size=10, deadline_s=1.0))
    pair.settle()
    assert [e.request_id for e in pair.cloud_heard if isinstance(e, RequestArrived)] == [2, 1]


def test_of_requests_without_deadlines_the_small_one_passes_the_large_one(pair: Pair) -> None:
    pair.edge.submit(request(1, size=4_000_000))
    pair.step_up()
    pair.edge.submit(request(2, size=10))
    pair.settle()
    assert [e.request_id for e in pair.cloud_heard if isinstance(e, RequestArrived)] == [2, 1]


def test_of_a_large_request_little_is_under_way_at_once(pair: Pair) -> None:
    pair.edge.submit(request(1, size=4_000_000))
    frames = []
    while (frame := pair.edge.next_frame(2.0)) is not None:
        frames.append(frame)
    assert sum(len(c.data) for f in frames for c in (*f.request.chunks, f.chunk)) <= 256 << 10
    for frame in frames:
        pair.cloud_heard += pair.cloud.receive(frame, 1.0)
    pair.settle()
    assert [e.request_id for e in pair.cloud_heard if isinstance(e, RequestArrived)] == [1]


def test_a_plan_is_offered_and_answered(pair: Pair) -> None:
    codec = WireCodec("x", "int8", {"bits": "8"})
    plan = PlanDefinition("w", "m", ("a", "b"), (codec,), ())
    pair.edge.offer(plan)
    pair.settle()
    offered = next(e for e in pair.cloud_heard if isinstance(e, PlanDefinition))
    assert (offered.edge_ops, offered.uplink) == (plan.edge_ops, (codec,))
    times = PlanTimes((MeasuredBatch(1, 0.1, 0.2, 0.3, 0.01),), ((1, 0.1), (2, 0.11), (8, 0.2)))
    pair.cloud.plan_ready("w", times)
    pair.settle()
    assert pair.edge_heard[-1] == PlanPrepared("w", times)


def test_an_error_frame_fails_one_request_only(pair: Pair) -> None:
    pair.edge.submit(request(1))
    pair.edge.submit(request(2))
    pair.settle()
    pair.cloud.reject(1, Rejection("INTERNAL", "COMPUTE", "no"))
    pair.answer_all()
    assert [e.request_id for e in pair.edge_heard if isinstance(e, RequestFailed)] == [1]
    assert [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)] == [2]


def test_a_cancelled_request_is_never_answered(pair: Pair) -> None:
    pair.edge.submit(request(1))
    pair.settle()
    pair.edge.cancel(1)
    pair.settle()
    pair.answer_all()
    assert any(isinstance(e, RequestCancelled) for e in pair.cloud_heard)
    assert not any(isinstance(e, ResponseArrived) for e in pair.edge_heard)


def test_a_draining_cloud_answers_what_it_has_and_refuses_the_rest(pair: Pair) -> None:
    pair.edge.submit(request(1))
    pair.settle()
    pair.edge.submit(request(2))  # on its way while the cloud starts to drain
    pair.cloud.drain()
    pair.settle()
    pair.answer_all()
    assert any(isinstance(e, PeerDraining) for e in pair.edge_heard)
    assert [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)] == [1]
    assert [e.reason for e in pair.edge_heard if isinstance(e, RequestFailed)] == ["DRAINING"]
    with pytest.raises(LocalProtocolError):
        pair.edge.submit(request(3))


def test_a_cloud_that_drains_before_the_hello_says_so_right_after_the_welcome() -> None:
    pair = Pair()
    pair.cloud.drain()
    assert pair.cloud.next_frame(1.0) is None
    pair.settle()
    assert pair.edge_heard == [Connected("replica-1", {"m": "d"}), PeerDraining()]
    assert pair.cloud.state is CloudState.DRAINING


def test_nothing_is_said_of_the_load_before_the_welcome() -> None:
    pair = Pair()
    pair.cloud.report_load(1, 0.5)
    pair.settle()
    assert pair.edge_heard == [Connected("replica-1", {"m": "d"})]


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -0.5, 1e300])
def test_what_a_replica_says_of_its_times_and_is_none_ends_the_stream(pair: Pair, seconds: float) -> None:
    measured = pb.MeasuredBatch(batch=1, suffix_s=0.1, decode_s=seconds)
    frames = [
        pb.CloudFrame(load=pb.LoadReport(queued_requests=1, queued_s=seconds)),
        pb.CloudFrame(ready=pb.PlanReady(wire_digest="digest", times=[measured])),
        pb.CloudFrame(ready=pb.PlanReady(wire_digest="digest", suffix=[pb.SuffixTime(items=1, seconds=seconds)])),
        pb.CloudFrame(response=pb.ResponseHeader(request_id=7, timings=pb.CloudTimings(queue_s=seconds))),
    ]
    pair.edge.submit(request(7))
    for frame in frames:
        with pytest.raises(RemoteProtocolError, match=r"must be 0 to 1e\+06 s"):
            pair.edge.receive(frame, 1.0)


def test_times_of_no_batch_end_the_stream(pair: Pair) -> None:
    measured = pb.MeasuredBatch(batch=0, suffix_s=0.1)
    with pytest.raises(RemoteProtocolError, match="batches of 1 or more"):
        pair.edge.receive(pb.CloudFrame(ready=pb.PlanReady(wire_digest="digest", times=[measured])), 1.0)


def test_what_an_edge_says_of_its_link_comes_with_its_request(pair: Pair) -> None:
    pair.edge.pace(1e6, 8e6, 0.04)
    pair.edge.submit(request(7))
    pair.settle()
    (arrived,) = (event for event in pair.cloud_heard if isinstance(event, RequestArrived))
    assert arrived.back_s(1_000_000) == pytest.approx(0.02 + 1.0)


def test_closing_names_what_was_in_flight(pair: Pair) -> None:
    pair.edge.submit(request(7))
    pair.settle()
    assert pair.edge.close() == (7,)
    assert pair.cloud.close() == (7,)
    with pytest.raises(LocalProtocolError):
        pair.edge.submit(request(8))


def test_a_message_over_the_limit_is_rejected_and_the_stream_goes_on() -> None:
    pair = Pair(StreamLimits(message_bytes=100))
    pair.settle()
    pair.edge.submit(request(1, size=101))
    pair.edge.submit(request(2, size=100))
    pair.settle()
    pair.answer_all()
    assert [e.request_id for e in pair.cloud_heard if isinstance(e, RequestRejected)] == [1]
    assert [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)] == [2]


def test_another_major_version_is_refused() -> None:
    cloud = CloudStream("r", {})
    with pytest.raises(RemoteProtocolError, match="version"):
        cloud.receive(pb.EdgeFrame(hello=pb.Hello(protocol_major=99)), 0.0)


def test_frames_before_the_handshake_are_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        CloudStream("r", {}).receive(pb.EdgeFrame(echo=pb.Echo(token=1)), 0.0)
    with pytest.raises(RemoteProtocolError):
        EdgeStream("e").receive(pb.CloudFrame(draining=pb.Draining()), 0.0)


@given(
    sizes=st.lists(st.integers(0, 60_000), min_size=1, max_size=6),
    moves=st.lists(st.sampled_from(["up", "down", "answer"]), max_size=120),
    cancelled=st.sets(st.integers(0, 5)),
)
def test_every_request_ends_exactly_once_under_any_interleaving(
    sizes: list[int], moves: list[str], cancelled: set[int]
) -> None:
    pair = Pair()
    for number, size in enumerate(sizes):
        pair.edge.submit(request(number, size=size))
    answered: set[int] = set()

    def answer() -> None:
        for event in pair.cloud_heard:
            if isinstance(event, RequestArrived) and event.request_id not in answered:
                answered.add(event.request_id)
                pair.cloud.respond(event, event.tensors, TIMINGS)

    for move in moves:
        {"up": pair.step_up, "down": pair.step_down, "answer": answer}[move]()
    ended_early = {e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)}
    for number in cancelled & set(range(len(sizes))):
        pair.edge.cancel(number)
    while (
        pair.step_up()
        | pair.step_down()
        | (len(answered) < sum(isinstance(e, RequestArrived) for e in pair.cloud_heard))
    ):
        answer()
    ended = [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)]
    assert len(ended) == len(set(ended))
    assert set(ended) == ended_early | (set(range(len(sizes))) - cancelled)
    for event in pair.edge_heard:
        if isinstance(event, ResponseArrived):
            assert event.tensors == (tensor(sizes[event.request_id]),)


@given(data=st.binary(max_size=300))
def test_garbage_on_the_wire_raises_nothing_but_our_errors(data: bytes) -> None:
    from google.protobuf.message import DecodeError

    pair = Pair()
    pair.settle()
    try:
        frame = pb.EdgeFrame.FromString(data)
    except DecodeError:
        return
    try:
        pair.cloud.receive(frame, 0.0)
    except IsthmusError:
        return
    assert pair.cloud.state is CloudState.OPEN


@given(index=st.integers(0, 3), offset=st.integers(0, 20), size=st.integers(0, 20), announced=st.integers(0, 20))
def test_a_chunk_that_does_not_fit_rejects_its_request_only(index: int, offset: int, size: int, announced: int) -> None:
    pair = Pair()
    pair.settle()
    header = pb.TensorHeader(name="x", dtype="uint8", shape=[announced], encoded_bytes=announced)
    pair.cloud.receive(pb.EdgeFrame(request=pb.RequestHeader(request_id=1, tensors=[header])), 0.0)
    events = pair.cloud.receive(
        pb.EdgeFrame(chunk=pb.Chunk(request_id=1, tensor_index=index, offset=offset, data=bytes(size))), 0.0
    )
    fits = index == 0 and offset == 0 and size <= announced
    rejected = any(isinstance(event, RequestRejected) for event in events)
    assert rejected == (announced > 0 and not fits)
    assert pair.cloud.state is CloudState.OPEN


def test_a_request_beyond_the_replicas_limit_is_refused_in_words_and_the_stream_goes_on() -> None:
    pair = Pair(StreamLimits(message_bytes=1000))
    pair.settle()
    pair.edge.submit(request(1, size=1001))
    pair.edge.submit(request(2, size=1000))
    pair.settle()
    pair.answer_all()
    failed = next(e for e in pair.edge_heard if isinstance(e, RequestFailed))
    assert (failed.request_id, failed.code, failed.reason) == (1, "RESOURCE_EXHAUSTED", "TOO_LARGE")
    assert "cloud.limits.message" in failed.message
    assert [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)] == [2]


def of_two_the_failed(pair: Pair, first: tuple[EncodedTensor, ...], second: tuple[EncodedTensor, ...]) -> RequestFailed:
    """Two requests get these answers; what the edge hears of the one that fails."""
    pair.settle()
    for request_id in (1, 2):
        pair.edge.submit(request(request_id))
    pair.settle()
    arrived = [e for e in pair.cloud_heard if isinstance(e, RequestArrived)]
    for one, tensors in zip(arrived, (first, second), strict=True):
        pair.cloud.respond(one, tensors, TIMINGS)
    pair.settle()
    return next(e for e in pair.edge_heard if isinstance(e, RequestFailed))


def test_an_answer_beyond_the_replicas_limit_is_an_error_of_its_request_only() -> None:
    pair = Pair(StreamLimits(message_bytes=1000))
    failed = of_two_the_failed(pair, (tensor(1001),), (tensor(1000),))
    assert (failed.request_id, failed.code, failed.reason) == (1, "RESOURCE_EXHAUSTED", "TOO_LARGE")
    assert "cloud.limits.message" in failed.message
    assert [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)] == [2]
    assert pair.cloud.open_requests == 0


@pytest.mark.parametrize("edges", [True, False])
def test_more_tensors_than_a_message_may_have_fail_their_request_only(edges: bool) -> None:
    pair = Pair(StreamLimits() if edges else StreamLimits(tensors=1))
    if edges:
        pair.edge = EdgeStream("edge-1", StreamLimits(tensors=1))
    failed = of_two_the_failed(pair, (tensor(3), tensor(3, "y")), (tensor(3),))
    assert (failed.request_id, failed.reason) == (1, "TOO_LARGE")
    assert [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)] == [2]


def test_an_answer_beyond_the_edges_limit_fails_its_request_only() -> None:
    pair = Pair()
    pair.edge = EdgeStream("edge-1", StreamLimits(message_bytes=1000, field="edge.limits.message"))
    failed = of_two_the_failed(pair, (tensor(900_000),), (tensor(1000),))
    assert (failed.request_id, failed.code) == (1, "RESOURCE_EXHAUSTED")
    assert "edge.limits.message" in failed.message
    assert [e.request_id for e in pair.edge_heard if isinstance(e, ResponseArrived)] == [2]
    assert pair.edge.state is EdgeState.OPEN


def test_the_cloud_says_what_it_holds_of_requests(pair: Pair) -> None:
    pair.edge.pace(1e6)  # so slow a link is sent small chunks
    pair.edge.submit(request(1, size=200_000))
    pair.step_up()
    assert (pair.cloud.open_requests, 0 < pair.cloud.arriving_bytes < 200_000) == (1, True)
    pair.settle()
    assert (pair.cloud.open_requests, pair.cloud.arriving_bytes) == (1, 0)
    pair.answer_all()
    assert (pair.cloud.open_requests, pair.cloud.arriving_bytes) == (0, 0)


@pytest.mark.parametrize(
    "more",
    [
        pb.PlanOffer(uplink=[pb.TensorCodec(parameters={"table": "t" * (MOST_OFFER_BYTES + 1)})]),
        pb.PlanOffer(edge_ops=[""] * (MOST_OFFER_PARTS + 1)),
        pb.PlanOffer(downlink=[pb.TensorCodec(parameters={str(n): "" for n in range(MOST_OFFER_PARTS)})]),
    ],
    ids=["bytes", "ops", "parameters"],
)
def test_an_offer_of_more_than_a_plan_takes_is_refused_alone(pair: Pair, more: pb.PlanOffer) -> None:
    more.wire_digest = "digest"
    assert pair.cloud.receive(pb.EdgeFrame(offer=more), 1.0) == []
    pair.settle()
    (refused,) = (event for event in pair.edge_heard if isinstance(event, PlanRejected))
    assert (refused.wire_digest, refused.code) == ("digest", "INVALID_ARGUMENT")
    assert str(MOST_OFFER_PARTS) in refused.message


@pytest.mark.parametrize(
    "frame",
    [pb.EdgeFrame(offer=pb.PlanOffer()), pb.EdgeFrame(request=pb.RequestHeader())],
    ids=["offer", "request"],
)
def test_a_wire_digest_that_answers_would_repeat_without_end_breaks_the_rules(pair: Pair, frame: pb.EdgeFrame) -> None:
    getattr(frame, frame.WhichOneof("kind") or "").wire_digest = "d" * (MOST_DIGEST_CHARACTERS + 1)
    with pytest.raises(RemoteProtocolError, match="a wire digest of 129 characters"):
        pair.cloud.receive(frame, 1.0)


@pytest.mark.parametrize("kind", ["request", "more"])
@pytest.mark.parametrize(("tensors", "chunks"), [(MOST_FRAME_TENSORS + 1, 0), (1, 2)])
def test_a_frame_of_more_parts_than_any_edge_sends_breaks_the_rules(
    pair: Pair, kind: str, tensors: int, chunks: int
) -> None:
    frame = pb.EdgeFrame()
    message = getattr(frame, kind)
    message.tensors.extend(pb.TensorHeader() for _ in range(tensors))
    message.chunks.extend(pb.Chunk() for _ in range(chunks))
    with pytest.raises(RemoteProtocolError, match=f"a frame of {tensors} tensors and {chunks} chunks"):
        pair.cloud.receive(frame, 1.0)


def test_what_a_peer_named_is_not_repeated_at_any_length(pair: Pair) -> None:
    pair.edge.submit(request(1))
    pair.edge.offer(PlanDefinition("plan", "d", (), (), ()))
    pair.settle()
    pair.cloud.reject(1, Rejection("INTERNAL", "COMPUTE", "x" * 10_000))
    pair.cloud.plan_refused("plan", "INTERNAL", "y" * 10_000)
    pair.settle()
    told = [event.message for event in pair.edge_heard if isinstance(event, RequestFailed | PlanRejected)]
    assert [len(one) for one in told] == [MOST_TOLD_BYTES + 1] * 2


def test_an_echo_that_comes_back_tells_that_all_which_left_before_it_is_there(pair: Pair) -> None:
    pair.edge.submit(request(1, size=3000))  # too few to be acknowledged
    pair.settle()
    assert (pair.edge.progress(1).moved_bytes, pair.edge.all_arrived) == (0, False)
    pair.edge.echo(7)
    pair.settle()
    progress = pair.edge.progress(1)
    assert (progress.moved_bytes, progress.end_bytes, pair.edge.all_arrived) == (3000, 3000, True)
    pair.edge.submit(request(2, size=500))
    assert not pair.edge.all_arrived  # it has not left yet
    assert pair.edge.progress(2).end_bytes is None


def test_a_request_that_is_there_gets_on_by_its_own_answer_alone(pair: Pair) -> None:
    def sent_and_there(request_id: int, at_s: float) -> None:
        pair.edge.submit(request(request_id, size=3000))
        while pair.edge.next_frame(0.0) is not None:
            """All of it leaves."""
        pair.edge.echo(request_id)
        pair.edge.receive(pb.CloudFrame(echo=pb.Echo(token=request_id)), at_s)

    def moved_s() -> list[float]:
        return [pair.edge.progress(request_id).moved_s for request_id in (1, 2)]

    sent_and_there(1, 5.0)
    sent_and_there(2, 7.0)
    assert moved_s() == [5.0, 7.0]
    header = pb.ResponseHeader(request_id=2, tensors=[pb.TensorHeader(name="y", encoded_bytes=10)])
    header.chunks.add(request_id=2, data=b"12345")
    pair.edge.receive(pb.CloudFrame(response=header), 9.0)
    assert moved_s() == [5.0, 9.0]


def test_an_answer_tells_that_its_request_is_there(pair: Pair) -> None:
    pair.edge.submit(request(1, size=3000))
    pair.settle()
    pair.answer_all()
    assert (pair.edge.arrived_bytes, pair.edge.all_arrived) == (3000, True)
