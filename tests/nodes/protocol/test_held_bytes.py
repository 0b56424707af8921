"""What requests and answers hold of a replica's memory: all that was announced, until the last of it has left."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import Overloaded, RemoteProtocolError, TooLarge
from isthmus.v1 import segment_pb2 as pb
from nodes.byte_budget import ByteBudget
from nodes.protocol.cloud_stream import CloudStream
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import RequestArrived, RequestFailed, RequestRejected, ResponseArrived
from nodes.protocol.rejection import Rejection
from tests.nodes.protocol.test_streams import TIMINGS, Pair, request, tensor

HEADERS = 200
"""More than the header of one of these requests takes."""


class Site:
    """Streams of several edges to one replica."""

    def __init__(self, limit_bytes: int, edges: int = 1) -> None:
        self.budget = ByteBudget(limit_bytes, "cloud.limits.memory")
        self.pairs = [self.dial() for _ in range(edges)]

    def dial(self) -> Pair:
        pair = Pair()
        pair.cloud = CloudStream("replica-1", {"m": "d"}, budget=self.budget)
        pair.settle()
        return pair

    def answer(self, pair: Pair, request_id: int, size: int) -> None:
        """As a replica does."""
        arrived = next(e for e in pair.cloud_heard if isinstance(e, RequestArrived) and e.request_id == request_id)
        try:
            pair.cloud.hold_answer(request_id, (tensor(size),))
        except (Overloaded, TooLarge) as error:
            pair.cloud.reject(request_id, Rejection.of(error))
        else:
            pair.cloud.respond(arrived, (tensor(size),), TIMINGS)


def arrived(pair: Pair) -> list[int]:
    return [event.request_id for event in pair.cloud_heard if isinstance(event, RequestArrived)]


def answered(pair: Pair) -> list[int]:
    return [event.request_id for event in pair.edge_heard if isinstance(event, ResponseArrived)]


def failed(pair: Pair) -> list[tuple[int, str, str]]:
    return [(e.request_id, e.code, e.reason) for e in pair.edge_heard if isinstance(e, RequestFailed)]


def began(pair: Pair, request_id: int, size: int, within_s: float = 0.0) -> None:
    """So large a request is announced, and nothing of it comes. within_s: its deadline from now, 0 for none."""
    header = pb.TensorHeader(name="x", dtype="uint8", shape=[size], encoded_bytes=size)
    remaining_us = round(within_s * 1e6)
    announced = pb.RequestHeader(request_id=request_id, tensors=[header], time_remaining_us=remaining_us)
    pair.cloud_heard += pair.cloud.receive(pb.EdgeFrame(request=announced), 0.0)


def test_what_can_no_longer_be_here_in_time_is_held_from_nobody() -> None:
    site = Site(20_000)
    (pair,) = site.pairs
    began(pair, 1, 4_000, within_s=0.5)
    began(pair, 2, 5_000)
    assert pair.cloud.expire(0.4) == []
    (refused,) = pair.cloud.expire(0.5)
    assert isinstance(refused, RequestRejected)
    assert refused.request_id == 1
    assert 5_000 <= site.budget.held_bytes <= 5_000 + HEADERS
    assert pair.cloud.open_requests == 1
    frame = pair.cloud.next_frame(0.5)
    assert frame is not None
    assert (frame.error.request_id, frame.error.code, frame.error.reason) == (1, "DEADLINE_EXCEEDED", "EXPIRED")
    late = pb.EdgeFrame(chunk=pb.Chunk(request_id=1, data=b"0123"))
    assert pair.cloud.receive(late, 0.6) == []
    assert pair.cloud.expire(9.9) == []


def test_what_was_announced_is_held_before_it_comes_and_more_is_refused_in_words() -> None:
    site = Site(10_000, edges=2)
    first, second = site.pairs
    began(first, 1, 9_000)
    assert 9_000 <= site.budget.held_bytes <= 9_000 + HEADERS
    second.edge.submit(request(2, size=2_000))
    second.settle()
    assert failed(second) == [(2, "RESOURCE_EXHAUSTED", "OVERLOADED")]
    (refused,) = (event for event in second.edge_heard if isinstance(event, RequestFailed))
    assert "cloud.limits.memory: 9" in refused.message
    assert "of 10000 bytes are held" in refused.message


def test_one_edge_that_announces_much_leaves_room_for_others() -> None:
    site = Site(100_000, edges=3)
    greedy, *others = site.pairs
    for number in range(1, 11):
        began(greedy, number, 9_000)
    assert sum(isinstance(event, RequestRejected) for event in greedy.cloud_heard) == 5
    assert site.budget.held_bytes <= 50_000
    for pair in others:
        pair.edge.submit(request(1, size=20_000))
        pair.settle()
        assert arrived(pair) == [1]
    for number in range(1, 6):
        greedy.cloud.receive(pb.EdgeFrame(cancel=pb.Cancel(request_id=number)), 0.0)
    began(greedy, 11, 9_000)
    assert sum(isinstance(event, RequestRejected) for event in greedy.cloud_heard) == 5


def test_a_stream_goes_on_after_a_refusal() -> None:
    site = Site(10_000)
    (pair,) = site.pairs
    began(pair, 1, 9_000)
    began(pair, 2, 2_000)
    pair.cloud.receive(pb.EdgeFrame(cancel=pb.Cancel(request_id=1)), 0.0)
    pair.edge.submit(request(3, size=9_000))
    pair.settle()
    site.answer(pair, 3, 5)
    pair.settle()
    assert answered(pair) == [3]
    assert site.budget.held_bytes == 0


def test_an_honest_request_as_large_as_the_memory_is_let_in_and_may_be_answered_with_as_much() -> None:
    site = Site(1_000_000)
    (pair,) = site.pairs
    pair.edge.submit(request(1, size=1_000_000 - HEADERS))
    pair.settle()
    site.answer(pair, 1, 1_000_000)
    pair.settle()
    assert answered(pair) == [1]
    assert site.budget.held_bytes == 0


def test_a_request_beyond_the_memory_by_itself_is_too_large() -> None:
    site = Site(10_000)
    (pair,) = site.pairs
    pair.edge.submit(request(1, size=10_001))
    pair.settle()
    assert failed(pair) == [(1, "RESOURCE_EXHAUSTED", "TOO_LARGE")]
    assert site.budget.held_bytes == 0


def test_tensors_that_are_announced_later_count_too() -> None:
    site = Site(10_000)
    (pair,) = site.pairs
    pair.edge.submit(WireRequest(1, "digest", 1, (tensor(6_000),), more_tensors=1))
    pair.settle()
    pair.edge.add(1, (tensor(5_000),))
    pair.settle()
    assert failed(pair) == [(1, "RESOURCE_EXHAUSTED", "TOO_LARGE")]
    assert (site.budget.held_bytes, pair.cloud.open_requests) == (0, 0)


def test_long_names_count_too() -> None:
    site = Site(10_000)
    (pair,) = site.pairs
    header = pb.TensorHeader(name="x" * 20_000, dtype="uint8", shape=[1], encoded_bytes=1)
    opening = pb.RequestHeader(request_id=1, tensors=[header], more_tensors=1)
    (event,) = pair.cloud.receive(pb.EdgeFrame(request=opening), 0.0)
    assert isinstance(event, RequestRejected)
    assert site.budget.held_bytes == 0


def test_an_answer_is_held_until_its_last_piece_has_left() -> None:
    site = Site(1_000_000)
    (pair,) = site.pairs
    pair.edge.submit(request(1))
    pair.settle()
    site.answer(pair, 1, 900_000)
    assert site.budget.held_bytes == 900_000
    while pair.cloud.next_frame(1.0) is not None:  # lost: nothing is acknowledged
        pass
    assert site.budget.held_bytes == 900_000
    began(pair, 2, 200_000)
    assert isinstance(pair.cloud_heard[-1], RequestRejected)


def test_an_answer_for_which_there_is_no_room_is_an_error_to_its_request_only() -> None:
    site = Site(10_000, edges=2)
    first, second = site.pairs
    began(first, 1, 6_000)
    for number in (1, 2):
        second.edge.submit(request(number))
    second.settle()
    site.answer(second, 1, 5_000)
    site.answer(second, 2, 500)
    second.settle()
    assert failed(second) == [(1, "RESOURCE_EXHAUSTED", "OVERLOADED")]
    assert answered(second) == [2]


def test_an_answer_beyond_the_memory_by_itself_is_too_large() -> None:
    site = Site(10_000)
    (pair,) = site.pairs
    pair.edge.submit(request(1))
    pair.settle()
    site.answer(pair, 1, 10_001)
    pair.settle()
    assert failed(pair) == [(1, "RESOURCE_EXHAUSTED", "TOO_LARGE")]
    assert site.budget.held_bytes == 0


def cancel(pair: Pair) -> None:
    pair.cloud.receive(pb.EdgeFrame(cancel=pb.Cancel(request_id=1)), 0.0)


def reject(pair: Pair) -> None:
    pair.cloud.reject(1, Rejection("INTERNAL", "COMPUTE", "no"))


def spoil(pair: Pair) -> None:
    pair.cloud.receive(pb.EdgeFrame(chunk=pb.Chunk(request_id=1, offset=7, data=b"x")), 0.0)


def close(pair: Pair) -> None:
    pair.cloud.close()


@pytest.mark.parametrize("end", [cancel, reject, close])
def test_what_ends_a_request_gives_back_what_it_held(end: Callable[[Pair], None]) -> None:
    site = Site(1_000_000)
    (pair,) = site.pairs
    pair.edge.submit(request(1, size=300_000))
    pair.settle()
    assert site.budget.held_bytes >= 300_000
    end(pair)
    assert site.budget.held_bytes == 0


@pytest.mark.parametrize("end", [cancel, spoil, close])
def test_what_ends_a_request_on_its_way_gives_back_what_it_held(end: Callable[[Pair], None]) -> None:
    site = Site(1_000_000)
    (pair,) = site.pairs
    began(pair, 1, 300_000)
    assert site.budget.held_bytes >= 300_000
    end(pair)
    assert site.budget.held_bytes == 0


def test_an_answer_that_is_cancelled_while_it_leaves_is_held_no_longer() -> None:
    site = Site(1_000_000)
    (pair,) = site.pairs
    pair.edge.submit(request(1))
    pair.settle()
    site.answer(pair, 1, 900_000)
    pair.cloud.next_frame(1.0)
    pair.cloud.receive(pb.EdgeFrame(cancel=pb.Cancel(request_id=1)), 0.0)
    assert site.budget.held_bytes == 0


def test_an_id_is_in_use_until_its_answer_has_left() -> None:
    site = Site(1_000_000)
    (pair,) = site.pairs
    pair.edge.submit(request(1))
    pair.settle()
    site.answer(pair, 1, 900_000)
    with pytest.raises(RemoteProtocolError, match="in use"):
        began(pair, 1, 5)
    pair.settle()
    began(pair, 1, 5)


class Play:
    """Two edges of one replica, and all that they and it may do."""

    def __init__(self, limit_bytes: int) -> None:
        self.site = Site(limit_bytes, edges=2)
        self.submitted: list[tuple[Pair, int]] = []
        self.begun: dict[Pair, int] = {}
        self.ended: set[tuple[Pair, int]] = set()

    def next_id(self, pair: Pair) -> int:
        self.submitted.append((pair, len(self.submitted) + 1))
        return len(self.submitted)

    def one_of(self, pair: Pair, size: int) -> int:
        """An id of a request of that edge, be it over; 0 where there is none."""
        ids = [number for owner, number in self.submitted if owner is pair]
        return ids[size % len(ids)] if ids else 0

    def submit(self, pair: Pair, size: int) -> None:
        pair.edge.submit(request(self.next_id(pair), size=size))

    def begin(self, pair: Pair, size: int) -> None:
        self.add(pair, size)
        self.begun[pair] = self.next_id(pair)
        pair.edge.submit(WireRequest(self.begun[pair], "digest", 1, (tensor(size),), more_tensors=1))

    def add(self, pair: Pair, size: int) -> None:
        if pair in self.begun:
            pair.edge.add(self.begun.pop(pair), (tensor(size),))

    def up(self, pair: Pair, size: int) -> None:
        for _ in range(size % 5):
            pair.step_up()

    def down(self, pair: Pair, size: int) -> None:
        for _ in range(size % 5):
            pair.step_down()

    def waiting(self, pair: Pair) -> list[int]:
        """Requests that are there whole, and that the replica has not answered."""
        return [number for number in arrived(pair) if (pair, number) not in self.ended]

    def answer(self, pair: Pair, size: int) -> None:
        for number in self.waiting(pair)[:1]:
            self.ended.add((pair, number))
            self.site.answer(pair, number, size)

    def reject(self, pair: Pair, _: int) -> None:
        for number in self.waiting(pair)[:1]:
            self.ended.add((pair, number))
            pair.cloud.reject(number, Rejection("INTERNAL", "COMPUTE", "no"))

    def cancel(self, pair: Pair, size: int) -> None:
        pair.edge.cancel(self.one_of(pair, size))

    def spoil(self, pair: Pair, size: int) -> None:
        """With a chunk of no bytes: any would be acknowledged, and the edge has not sent them."""
        chunk = pb.Chunk(request_id=self.one_of(pair, size), tensor_index=9)
        pair.cloud_heard += pair.cloud.receive(pb.EdgeFrame(chunk=chunk), 0.0)

    def close(self, pair: Pair, _: int) -> None:
        """The connection breaks, and the edge dials anew."""
        pair.cloud.close()
        self.site.pairs[self.site.pairs.index(pair)] = self.site.dial()

    def to_the_end(self, pair: Pair) -> None:
        self.add(pair, 3)
        pair.settle()
        while self.waiting(pair):
            self.answer(pair, 100)
            pair.settle()


MOVES = ["submit", "begin", "add", "up", "up", "up", "down", "down", "answer", "reject", "cancel", "spoil", "close"]


@given(
    moves=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(MOVES), st.integers(0, 60_000)), max_size=60),
    limit_bytes=st.integers(20_000, 200_000),
)
@settings(deadline=None)
def test_under_any_interleaving_the_memory_is_kept_to_and_all_comes_back(
    moves: list[tuple[int, str, int]], limit_bytes: int
) -> None:
    play = Play(limit_bytes)
    budget = play.site.budget
    for edge, name, value in moves:
        getattr(play, name)(play.site.pairs[edge], value)
        here = sum(pair.cloud.arriving_bytes for pair in play.site.pairs)
        assert here <= budget.held_bytes <= budget.peak_bytes <= limit_bytes
    for pair in play.site.pairs:
        play.to_the_end(pair)
    assert budget.held_bytes == 0
