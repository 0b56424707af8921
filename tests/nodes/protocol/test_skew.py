"""Ends of different versions, and answers that come too late."""

from __future__ import annotations

import pytest

from isthmus.errors import Overloaded, RemoteProtocolError
from isthmus.v1 import segment_pb2 as pb
from nodes.protocol.cloud_stream import CloudState, CloudStream
from nodes.protocol.edge_stream import EdgeState, EdgeStream
from nodes.protocol.events import MeasuredBatch, PlanPrepared, PlanTimes, RequestArrived, RequestFailed
from nodes.protocol.rejection import MOST_RETRY_AFTER_MS, Rejection
from nodes.protocol.version import PROTOCOL_MAJOR
from nodes.transport.pending_answers import error_of_frame
from tests.nodes.protocol.test_streams import TIMINGS, Pair, request

# Field 15 of a frame, length-delimited: a kind of frame that no version before some later minor one knows.
LATER_FRAME = bytes([15 << 3 | 2, 2, 8, 1])
# Field 40, a varint: what a later minor version adds to a message.
LATER_FIELD = bytes([0xC0, 0x02, 7])


def later_hello() -> pb.EdgeFrame:
    said = pb.Hello(protocol_major=PROTOCOL_MAJOR, protocol_minor=99, edge_id="e").SerializeToString() + LATER_FIELD
    return pb.EdgeFrame(hello=pb.Hello.FromString(said))


def test_an_edge_of_a_later_minor_version_is_served() -> None:
    cloud = CloudStream("replica", {"m": "d"})
    cloud.receive(later_hello(), 0.0)
    assert cloud.receive(pb.EdgeFrame.FromString(LATER_FRAME), 0.0) == []
    assert cloud.state is CloudState.OPEN


def test_a_replica_of_a_later_minor_version_is_used() -> None:
    edge = EdgeStream("edge")
    welcome = pb.Welcome(protocol_major=PROTOCOL_MAJOR, protocol_minor=99, replica_id="r")
    edge.receive(pb.CloudFrame(welcome=pb.Welcome.FromString(welcome.SerializeToString() + LATER_FIELD)), 0.0)
    assert edge.receive(pb.CloudFrame.FromString(LATER_FRAME), 0.0) == []
    assert edge.state is EdgeState.OPEN


def test_an_edge_of_the_minor_version_before_has_its_deadline_counted_from_the_arrival() -> None:
    cloud = CloudStream("replica", {})
    cloud.receive(pb.EdgeFrame(hello=pb.Hello(protocol_major=PROTOCOL_MAJOR)), 100.0)
    header = pb.RequestHeader(request_id=1, time_remaining_us=2_000_000)
    (arrived,) = cloud.receive(pb.EdgeFrame(request=header), 150.0)
    assert getattr(arrived, "deadline_s", None) == 152.0


ONE_AND_TWO = (MeasuredBatch(1, 0.1, 0.2, 0.3), MeasuredBatch(2, 0.15, 0.4, 0.6))


def test_an_edge_of_the_minor_version_before_lays_its_line_through_one_item_and_two() -> None:
    cloud = CloudStream("replica", {})
    cloud.receive(pb.EdgeFrame(hello=pb.Hello(protocol_major=PROTOCOL_MAJOR, protocol_minor=3)), 0.0)
    cloud.plan_ready("w", PlanTimes(ONE_AND_TWO, ((1, 0.1), (2, 0.15), (8, 0.3))))
    (ready,) = (frame.ready for frame in iter(lambda: cloud.next_frame(0.0), None) if frame.HasField("ready"))
    assert [one.batch for one in ready.times] == [1, 2]
    assert [(one.items, one.seconds) for one in ready.suffix] == [(1, 0.1), (2, 0.15), (8, 0.3)]


def test_a_replica_of_the_minor_version_before_says_nothing_of_batches() -> None:
    edge = EdgeStream("edge")
    edge.receive(pb.CloudFrame(welcome=pb.Welcome(protocol_major=PROTOCOL_MAJOR, protocol_minor=3)), 0.0)
    times = [pb.MeasuredBatch(batch=1, suffix_s=0.1), pb.MeasuredBatch(batch=2, suffix_s=0.2)]
    heard = edge.receive(pb.CloudFrame(ready=pb.PlanReady(wire_digest="w", times=times)), 0.0)
    assert heard == [PlanPrepared("w", PlanTimes((MeasuredBatch(1, 0.1, 0, 0), MeasuredBatch(2, 0.2, 0, 0))))]


def test_a_replica_of_the_minor_version_before_does_not_say_when_to_try_again() -> None:
    pair = Pair()
    pair.settle()
    pair.edge.submit(request(1))
    pair.settle()
    error = pb.RequestError(request_id=1, code="RESOURCE_EXHAUSTED", reason="OVERLOADED", message="full")
    (failed,) = pair.edge.receive(pb.CloudFrame(error=error), 0.0)
    assert isinstance(failed, RequestFailed)
    assert getattr(error_of_frame(failed), "retry_after_s", None) == 1.0


@pytest.mark.parametrize(
    ("retry_after_s", "told_s"), [(2.5, 2.5), (0.0, 0.001), (1e12, pytest.approx(MOST_RETRY_AFTER_MS / 1e3))]
)
def test_an_edge_is_told_when_it_is_worth_trying_again(retry_after_s: float, told_s: float) -> None:
    pair = Pair()
    pair.settle()
    pair.edge.submit(request(1))
    pair.settle()
    pair.cloud.reject(1, Rejection.of(Overloaded("full", retry_after_s=retry_after_s)))
    pair.settle()
    (failed,) = (event for event in pair.edge_heard if isinstance(event, RequestFailed))
    assert getattr(error_of_frame(failed), "retry_after_s", None) == told_s


@pytest.mark.parametrize("major", [PROTOCOL_MAJOR - 1, PROTOCOL_MAJOR + 1])
def test_another_major_version_is_refused_by_both(major: int) -> None:
    with pytest.raises(RemoteProtocolError, match="upgrade the older side"):
        CloudStream("r", {}).receive(pb.EdgeFrame(hello=pb.Hello(protocol_major=major)), 0.0)
    with pytest.raises(RemoteProtocolError, match="upgrade the older side"):
        EdgeStream("e").receive(pb.CloudFrame(welcome=pb.Welcome(protocol_major=major)), 0.0)


@pytest.mark.parametrize("arrived", [0, 1])
def test_a_late_answer_is_discarded_and_counted_once(arrived: int) -> None:
    pair = Pair()
    pair.settle()
    pair.edge.submit(request(1, size=200_000))
    while pair.step_up():
        pass
    (asked,) = (event for event in pair.cloud_heard if isinstance(event, RequestArrived))
    pair.cloud.respond(asked, asked.tensors, TIMINGS)
    frames = list(iter(lambda: pair.cloud.next_frame(0.0), None))  # on their way when the edge gives up
    for frame in frames[:arrived]:
        pair.edge.receive(frame, 0.0)
    pair.edge.cancel(1)
    heard = [event for frame in frames[arrived:] for event in pair.edge.receive(frame, 0.0)]
    assert len(frames) > 2
    assert (heard, pair.edge.late_answers) == ([], 1)


def test_a_request_that_never_left_has_no_late_answer() -> None:
    pair = Pair()
    pair.settle()
    pair.edge.submit(request(1))
    pair.edge.cancel(1)
    pair.settle()
    pair.answer_all()
    assert pair.edge.late_answers == 0


@pytest.mark.parametrize(("minor", "acknowledged"), [(0, False), (1, False), (2, True), (99, True)])
def test_what_arrives_is_acknowledged_to_those_who_understand_it(minor: int, acknowledged: bool) -> None:
    cloud = CloudStream("replica", {})
    cloud.receive(pb.EdgeFrame(hello=pb.Hello(protocol_major=PROTOCOL_MAJOR, protocol_minor=minor)), 0.0)
    cloud.receive(pb.EdgeFrame(chunk=pb.Chunk(request_id=7, data=bytes(20_000))), 0.0)  # of a request long refused
    frames = list(iter(lambda: cloud.next_frame(0.0), None))
    assert [frame.ack.received_bytes for frame in frames if frame.HasField("ack")] == [20_000] * acknowledged


@pytest.mark.parametrize(("minor", "all_sent"), [(1, True), (2, False)])
def test_a_replica_that_does_not_acknowledge_is_sent_all_at_once(minor: int, all_sent: bool) -> None:
    edge = EdgeStream("edge")
    welcome = pb.Welcome(protocol_major=PROTOCOL_MAJOR, protocol_minor=minor)
    edge.receive(pb.CloudFrame(welcome=welcome), 0.0)
    edge.submit(request(1, size=2_000_000))
    frames = list(iter(lambda: edge.next_frame(0.0), None))
    sent = sum(len(chunk.data) for frame in frames for chunk in (*frame.request.chunks, frame.chunk))
    assert (sent == 2_000_000) is all_sent


def test_bytes_acknowledged_that_were_never_sent_break_the_protocol() -> None:
    pair = Pair()
    pair.settle()
    with pytest.raises(RemoteProtocolError, match="acknowledged"):
        pair.edge.receive(pb.CloudFrame(ack=pb.Ack(received_bytes=1)), 0.0)


def sent_at_once(downlink_bps: float | None) -> int:
    """Bytes of an answer that the replica sends before anything is acknowledged."""
    pair = Pair()
    pair.edge.pace(None, downlink_bps, 0.2)
    pair.settle()
    pair.edge.submit(request(1))
    pair.settle()
    (asked,) = (event for event in pair.cloud_heard if isinstance(event, RequestArrived))
    pair.cloud.respond(asked, request(1, size=4_000_000).tensors, TIMINGS)
    frames = list(iter(lambda: pair.cloud.next_frame(0.0), None))
    return sum(len(chunk.data) for frame in frames for chunk in (*frame.response.chunks, frame.chunk))


def test_a_replica_begins_with_what_the_edge_believes_of_the_way_down() -> None:
    assert sent_at_once(None) <= 256 << 10
    assert 1_000_000 < sent_at_once(40e6) < 2_000_000
