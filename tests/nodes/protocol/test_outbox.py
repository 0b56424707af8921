"""Which frame goes next."""

from __future__ import annotations

import gc

import pytest

from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor
from nodes.protocol.edge_stream import EdgeStream, WireRequest
from nodes.protocol.outbox import Outbox, Urgency


@pytest.mark.parametrize(("believed_bps", "frames"), [(None, 4), (20e6, 6), (1.5e9, 1)])
def test_what_passes_at_once_on_a_fast_link_is_one_frame(believed_bps: float | None, frames: int) -> None:
    stream = EdgeStream("edge")
    stream.pace(believed_bps)
    stream.submit(
        WireRequest(1, "digest", 1, (EncodedTensor("x", "uint8", (112_000,), (), "raw", {}, bytes(112_000)),))
    )
    assert stream.next_frame(0.0) is not None  # hello
    sent = 0
    while stream.next_frame(0.0) is not None:
        sent += 1
    assert sent == frames


def test_a_stream_stirs_while_it_may_have_something_to_send() -> None:
    stream = EdgeStream("edge")
    assert stream.stirring  # the hello
    while stream.next_frame(0.0) is not None:
        pass
    quiet = stream.stirring
    stream.submit(WireRequest(1, "digest", 1, (EncodedTensor("x", "uint8", (9,), (), "raw", {}, bytes(9)),)))
    assert (quiet, stream.stirring) == (False, True)


def test_of_messages_that_are_withdrawn_behind_an_urgent_one_nothing_is_kept() -> None:
    gc.collect()
    before, stream = urgencies(), EdgeStream("edge")
    stream.submit(of_size(0, 1000, deadline_s=1.0))
    for number in range(1, 1001):
        stream.submit(of_size(number, 10))
        stream.cancel(number)
    assert urgencies() - before <= 3


def test_withdrawing_some_leaves_the_others_in_their_order() -> None:
    stream = EdgeStream("edge")
    for number in range(30):
        stream.submit(of_size(number, 10, deadline_s=float(number * 7 % 30)))
    for number in range(30):
        if number % 3:
            stream.cancel(number)
    sent = []
    while (frame := stream.next_frame(0.0)) is not None:
        sent += [frame.request.request_id] if frame.WhichOneof("kind") == "request" else []
    assert sent == sorted(range(0, 30, 3), key=lambda number: number * 7 % 30)


def of_size(request_id: int, size: int, deadline_s: float | None = None) -> WireRequest:
    tensor = EncodedTensor("x", "uint8", (size,), (), "raw", {}, bytes(size))
    return WireRequest(request_id, "digest", 1, (tensor,), deadline_s=deadline_s)


def urgencies() -> int:
    """How many messages somebody keeps a place for."""
    return sum(type(one) is Urgency for one in gc.get_objects())


def chunk_frame() -> tuple[pb.CloudFrame, pb.Chunk]:
    frame = pb.CloudFrame()
    return frame, frame.chunk


def test_a_message_is_forgotten_once_its_last_piece_has_left() -> None:
    outbox = Outbox(chunk_frame, lambda ack: pb.CloudFrame(ack=ack))
    opening = pb.CloudFrame(response=pb.ResponseHeader(request_id=1))
    tensor = EncodedTensor("x", "uint8", (90_000,), (), "raw", {}, bytes(90_000))
    outbox.put_message(1, opening, opening.response.chunks, (tensor,))
    left = []
    while outbox.next_frame(0.0) is not None:
        left.append(not outbox.forget_sent(1))
    assert left == [True] * (len(left) - 1) + [False]
    assert len(left) > 1
