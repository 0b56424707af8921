"""Requests whose header leaves before all of their tensors, or all pieces of a large one, are made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidRequest, LocalProtocolError, TooLarge
from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor
from nodes.codecs.pieces import joined
from nodes.protocol.assembly import Assembly
from nodes.protocol.edge_stream import EdgeStream, WireRequest
from nodes.protocol.events import RequestArrived, RequestCancelled, RequestRejected, ResponseArrived
from nodes.protocol.limits import StreamLimits
from nodes.protocol.outbox import announce
from nodes.protocol.version import PIECES_MINOR, PROTOCOL_MAJOR
from tests.nodes.protocol.test_streams import Pair, request, tensor

sizes = st.lists(st.integers(0, 200_000), min_size=2, max_size=5)


def begun(request_id: int, tensors: tuple[EncodedTensor, ...], more: int) -> WireRequest:
    return WireRequest(request_id, "digest", 1, tensors, more_tensors=more)


def headers(tensors: list[EncodedTensor]) -> list[pb.TensorHeader]:
    message = pb.MoreTensors()
    announce(tensors, message.tensors)
    return list(message.tensors)


def pieces_of_one(sizes: list[int], name: str = "x") -> tuple[EncodedTensor, ...]:
    return tuple(replace(tensor(size, name), continues=number > 0) for number, size in enumerate(sizes))


def next_request(pair: Pair) -> int:
    """That the edge's next frame opens, read by the cloud; 0 for any other frame."""
    frame = pair.edge.next_frame(2.0)
    assert frame is not None
    pair.cloud_heard += pair.cloud.receive(frame, 1.0)
    return frame.request.request_id


def open_pair(limits: StreamLimits | None = None) -> Pair:
    pair = Pair(limits)
    pair.settle()
    return pair


@given(sizes, st.data())
def test_it_arrives_once_whole_and_in_order_however_its_tensors_come(made: list[int], data: st.DataObject) -> None:
    pair, tensors = open_pair(), [tensor(size, f"x{number}") for number, size in enumerate(made)]
    first = data.draw(st.integers(0, len(tensors) - 1))
    pair.edge.submit(begun(1, tuple(tensors[:first]), len(tensors) - first))
    left = tensors[first:]
    while left:
        for _ in range(data.draw(st.integers(0, 6))):
            pair.step_up()
        pair.step_down()
        assert not any(isinstance(event, RequestArrived) for event in pair.cloud_heard)
        count = data.draw(st.integers(1, len(left)))
        pair.edge.add(1, left[:count])
        left = left[count:]
    pair.settle()
    (arrived,) = (event for event in pair.cloud_heard if isinstance(event, RequestArrived))
    assert arrived.tensors == tuple(tensors)
    pair.answer_all()
    assert [event.request_id for event in pair.edge_heard if isinstance(event, ResponseArrived)] == [1]


@given(st.lists(st.lists(st.integers(0, 90_000), min_size=1, max_size=4), min_size=1, max_size=3), st.data())
def test_pieces_arrive_as_the_tensors_that_they_are_of_however_they_come(
    made: list[list[int]], data: st.DataObject
) -> None:
    pair = open_pair()
    pieces = [piece for number, sizes in enumerate(made) for piece in pieces_of_one(sizes, f"x{number}")]
    first = data.draw(st.integers(0, len(pieces)))
    pair.edge.submit(begun(1, tuple(pieces[:first]), len(pieces) - first))
    for piece in pieces[first:]:
        for _ in range(data.draw(st.integers(0, 4))):
            pair.step_up()
        pair.edge.add(1, (piece,))
    pair.settle()
    (arrived,) = (event for event in pair.cloud_heard if isinstance(event, RequestArrived))
    assert arrived.tensors == joined(pieces)
    assert [len(one.data) for one in arrived.tensors] == [sum(sizes) for sizes in made]


def test_a_message_in_pieces_has_its_turn_by_the_size_of_them_all() -> None:
    pair = open_pair()
    large = replace(begun(1, (tensor(100_000),), 1), expected_bytes=900_000)
    pair.edge.submit(large)
    pair.edge.submit(request(2, size=300_000))
    assert next_request(pair) == 2
    pair.settle()
    pair.edge.add(1, pieces_of_one([1, 100_000])[1:])  # all before it has left
    pair.edge.submit(request(3, size=300_000))
    assert next_request(pair) == 3


def test_a_piece_of_nothing_ends_the_request_only() -> None:
    pair = open_pair()
    header = pb.RequestHeader(request_id=1, tensors=[pb.TensorHeader(name="x", encoded_bytes=1, continues=True)])
    (rejected,) = pair.cloud.receive(pb.EdgeFrame(request=header), 0.0)
    assert isinstance(rejected, RequestRejected)
    assert "must follow the tensor" in rejected.message
    pair.edge.submit(request(2))
    pair.settle()
    assert isinstance(pair.cloud_heard[-1], RequestArrived)


@pytest.mark.parametrize("between", [(), (3,)])
def test_a_piece_that_comes_before_what_it_continues_is_refused(between: tuple[int, ...]) -> None:
    assembly = Assembly(headers(list(pieces_of_one([3, 0, *between, 3]))), StreamLimits())
    last = 2 + len(between)
    assembly.add(pb.Chunk(tensor_index=0), b"ab", 0.0)
    with pytest.raises(InvalidRequest, match="is not here yet"):
        assembly.add(pb.Chunk(tensor_index=last), b"ghi", 0.0)
    assembly.add(pb.Chunk(tensor_index=0, offset=2), b"c", 0.0)
    for index in range(2, last):
        assembly.add(pb.Chunk(tensor_index=index), b"def", 0.0)
    assembly.add(pb.Chunk(tensor_index=last), b"ghi", 0.0)
    assert assembly.complete
    assert [bytes(one.data) for one in assembly.tensors()] == [b"abc" + b"def" * len(between) + b"ghi"]


def test_what_is_there_leaves_at_once() -> None:
    pair = open_pair()
    pair.edge.submit(begun(1, (tensor(100_000),), 1))
    pair.settle()
    assert (pair.cloud.open_requests, pair.cloud.arriving_bytes) == (1, 100_000)


@pytest.mark.parametrize("left", [True, False])
def test_taken_back_it_leaves_nothing_at_the_cloud(left: bool) -> None:
    pair = open_pair()
    pair.edge.submit(begun(1, (tensor(100_000),), 1))
    if left:
        pair.settle()
    pair.edge.cancel(1)
    pair.edge.add(1, (tensor(5),))  # the prefix may end yet
    pair.settle()
    assert (pair.cloud.open_requests, pair.cloud.arriving_bytes) == (0, 0)
    assert [event for event in pair.cloud_heard if isinstance(event, RequestCancelled)] == [RequestCancelled(1)] * left


def test_taken_back_between_two_parts_the_cloud_is_told() -> None:
    pair = open_pair()
    pair.edge.submit(begun(1, (tensor(10),), 1))
    pair.settle()
    pair.edge.add(1, (tensor(10),))  # waits, and its request's header has left
    pair.edge.cancel(1)
    pair.settle()
    assert RequestCancelled(1) in pair.cloud_heard


def test_others_pass_while_it_waits_for_its_tensors() -> None:
    pair = open_pair()
    pair.edge.submit(begun(1, (tensor(100_000),), 1))
    pair.settle()
    pair.edge.submit(request(2, size=50_000))
    pair.settle()
    assert [event.request_id for event in pair.cloud_heard if isinstance(event, RequestArrived)] == [2]


def test_refused_at_its_header_the_rest_is_not_sent() -> None:
    pair = open_pair(StreamLimits(message_bytes=1000))
    pair.edge.submit(begun(1, (tensor(5000),), 1))
    pair.settle()
    pair.edge.add(1, (tensor(10),))
    assert pair.edge.next_frame(0.0) is None
    assert [type(event) for event in pair.cloud_heard] == [type(pair.cloud_heard[0]), RequestRejected]


def test_what_comes_later_counts_against_the_limits() -> None:
    pair = open_pair(StreamLimits(message_bytes=1000))
    pair.edge.submit(begun(1, (tensor(900),), 1))
    pair.settle()
    pair.edge.add(1, (tensor(200),))
    pair.settle()
    assert isinstance(pair.cloud_heard[-1], RequestRejected)
    assert pair.cloud.open_requests == 0


def test_more_than_were_promised_end_the_request_only() -> None:
    pair = open_pair()
    pair.edge.submit(begun(1, (tensor(3),), 1))
    pair.settle()
    more = pb.MoreTensors(request_id=1, tensors=headers([tensor(3)] * 2))
    assert isinstance(pair.cloud.receive(pb.EdgeFrame(more=more), 0.0)[0], RequestRejected)
    pair.edge.submit(request(2))
    pair.settle()
    assert isinstance(pair.cloud_heard[-1], RequestArrived)


@pytest.mark.parametrize("count", [0, 2])
def test_no_more_are_added_than_were_promised(count: int) -> None:
    pair = open_pair()
    pair.edge.submit(begun(1, (), 1))
    with pytest.raises(LocalProtocolError, match="to come"):
        pair.edge.add(1, (tensor(3),) * count)


def test_a_replica_of_the_minor_version_before_gets_whole_requests_only() -> None:
    edge = EdgeStream("edge")
    welcome = pb.Welcome(protocol_major=PROTOCOL_MAJOR, protocol_minor=PIECES_MINOR - 1)
    edge.receive(pb.CloudFrame(welcome=welcome), 0.0)
    assert not edge.takes_more_tensors
    with pytest.raises(LocalProtocolError):
        edge.submit(begun(1, (), 1))
    edge.submit(begun(1, (*pieces_of_one([3, 0, 4]), tensor(2, "y")), 0))
    frames = iter(lambda: edge.next_frame(0.0), None)
    (header,) = (frame.request for frame in frames if frame.WhichOneof("kind") == "request")
    assert [(one.name, one.encoded_bytes, one.continues) for one in header.tensors] == [
        ("x", 7, False), ("y", 2, False),
    ]  # fmt: skip
    assert [chunk.data for chunk in header.chunks] == [joined(pieces_of_one([3, 0, 4]))[0].data, tensor(2, "y").data]


def test_the_wait_for_the_next_tensor_is_no_part_of_the_receive_span() -> None:
    assembly = Assembly(headers([tensor(20)]), StreamLimits(), more=1)
    for index, offset, now_s in ((0, 0, 1.0), (0, 10, 1.5), (1, 0, 9.0), (1, 10, 9.25)):
        if (index, offset) == (1, 0):
            assembly.extend(headers([tensor(20)]))
        assembly.add(pb.Chunk(tensor_index=index, offset=offset), bytes(10), now_s)
    assert (assembly.span().seconds, assembly.span().size_bytes) == (0.75, 20)


def test_chunks_of_several_tensors_in_the_first_frame_took_no_time_to_arrive() -> None:
    assembly = Assembly(headers([tensor(10), tensor(20)]), StreamLimits())
    for index, offset, now_s in ((0, 0, 1.0), (1, 0, 1.0)):
        assembly.add(pb.Chunk(tensor_index=index, offset=offset), bytes(10), now_s)
    assert (assembly.span().seconds, assembly.span().size_bytes) == (0.0, 0)
    assembly.add(pb.Chunk(tensor_index=1, offset=10), bytes(10), 1.5)
    assert (assembly.span().seconds, assembly.span().size_bytes) == (0.5, 10)


def test_an_absurd_number_of_tensors_to_come_is_refused() -> None:
    with pytest.raises(TooLarge, match="at most 256"):
        Assembly((), StreamLimits(), more=1 << 31)


def test_the_size_of_all_is_bounded() -> None:
    assembly = Assembly(headers([tensor(900)]), StreamLimits(message_bytes=1000), more=1)
    with pytest.raises(TooLarge):
        assembly.extend(headers([tensor(101)]))
