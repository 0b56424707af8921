"""Both ends of a stream, driven by whatever moves hypothesis finds, with a wire that holds frames between them."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from isthmus.errors import LocalProtocolError
from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor, encoded_bytes
from nodes.codecs.pieces import joined
from nodes.protocol.cloud_stream import CloudState, CloudStream
from nodes.protocol.edge_stream import EdgeState, EdgeStream, WireRequest
from nodes.protocol.events import (
    CloudEvent,
    Connected,
    EchoReturned,
    EdgeConnected,
    EdgeEvent,
    LoadReported,
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
)
from nodes.protocol.limits import StreamLimits
from nodes.protocol.receipts import ACK_EVERY_BYTES
from nodes.protocol.rejection import Rejection
from tests.nodes.protocol.test_streams import TIMINGS
from tests.nodes.protocol.wire import Direction

LIMITS = StreamLimits(message_bytes=300_000, open_messages=3)
STEP_S = 0.003
# Empty, one frame, several of them, and too large for the limits where two come together.
SIZES = st.sampled_from([0, 1, 900, 20_000, 40_000, 200_000])
PRIORITIES = st.integers(0, 3)
PLACES = st.integers(0, 99)
FRAMES = st.sampled_from([0, 1, 2, 5, 20])


@dataclass
class Asked:
    """A request as its edge knows it. answer: what the cloud has said to it; ended: in which ways it did."""

    tensors: tuple[EncodedTensor, ...]
    to_come: int
    answer: tuple[EncodedTensor, ...] | None = None
    rejected: bool = False
    ended: list[str] = field(default_factory=list)


class Streams(RuleBasedStateMachine):
    """An edge and a replica. After a close they connect anew, and requests go on being numbered."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.asked: dict[int, Asked] = {}
        self.made = 0
        self.connect()

    @initialize(known=st.sampled_from([True, True, True, False]), sizes=st.lists(SIZES, min_size=1, max_size=3))
    def begin(self, known: bool, sizes: list[int]) -> None:
        """With what most of the rest needs, as hypothesis leaves some of the rules out of every run."""
        if known:
            self.shake_hands()
        for size in sizes:
            self.submit([size], 0, None, 0)

    def shake_hands(self) -> None:
        while not self.welcomed:
            self.settles()

    def connect(self) -> None:
        self.edge, self.cloud = EdgeStream("edge", LIMITS, started_s=self.now_s), CloudStream("replica", {}, LIMITS)
        self.up = Direction(self.edge, self.cloud, pb.EdgeFrame, self.cloud_hears)
        self.down = Direction(self.cloud, self.edge, pb.CloudFrame, self.edge_hears)
        self.here: set[int] = set()  # submitted on this stream
        self.waiting: dict[int, RequestArrived] = {}  # for the cloud's answer
        self.taken_back: set[int] = set()  # as the cloud knows
        self.offers: deque[str] = deque()
        self.unanswered_offers: deque[str] = deque()
        self.echoes: deque[int] = deque()
        self.welcomed = self.drained = False

    def tensor(self, size: int, *, continues: bool = False) -> EncodedTensor:
        """Of bytes like no other's. continues: a piece of the one before."""
        self.made += 1
        data = random.Random(self.made).randbytes(size)
        return EncodedTensor(f"x{self.made}", "uint8", (size,), (), "raw", {}, data, continues)

    def tensors(self, sizes: list[int], before: tuple[EncodedTensor, ...], pieces: bool) -> tuple[EncodedTensor, ...]:
        """Pieces of the last one before, or of the first where there is none; whole ones otherwise."""
        return tuple(
            self.tensor(size, continues=pieces and (number > 0 or bool(before))) for number, size in enumerate(sizes)
        )

    @property
    def open(self) -> dict[int, Asked]:
        return {number: self.asked[number] for number in self.here if not self.asked[number].ended}

    # ---- the edge ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.edge.state in (EdgeState.OPENING, EdgeState.OPEN))
    @rule(
        sizes=st.lists(SIZES, max_size=2),
        more=st.integers(0, 2),
        deadline=st.none() | st.floats(0.01, 5.0),
        priority=PRIORITIES,
        pieces=st.booleans(),
    )
    def submit(self, sizes: list[int], more: int, deadline: float | None, priority: int, pieces: bool = False) -> None:
        tensors = self.tensors(sizes, (), pieces)
        to_come = more if self.edge.takes_more_tensors else 0
        number = len(self.asked)
        deadline_s = None if deadline is None else self.now_s + deadline
        self.edge.submit(
            WireRequest(
                number, "digest", 1, tensors, remaining_s=deadline, deadline_s=deadline_s, priority=priority,
                more_tensors=to_come,
            )
        )  # fmt: skip
        self.asked[number] = Asked(tensors, to_come)
        self.here.add(number)

    @precondition(lambda self: any(one.to_come for one in self.asked.values()))
    @rule(place=PLACES, sizes=st.lists(SIZES, min_size=1, max_size=2), pieces=st.booleans())
    def add(self, place: int, sizes: list[int], pieces: bool) -> None:
        begun = [number for number, one in self.asked.items() if one.to_come]
        self.add_to(begun[place % len(begun)], sizes, pieces)

    def add_to(self, number: int, sizes: list[int], pieces: bool = False) -> None:
        asked = self.asked[number]
        tensors = self.tensors(sizes[: asked.to_come], asked.tensors, pieces)
        self.edge.add(number, tensors)  # ignored where the request is over
        asked.tensors += tensors
        asked.to_come -= len(tensors)

    @precondition(lambda self: len(self.open) > 2)
    @rule(place=PLACES)
    def cancel(self, place: int) -> None:
        numbers = list(self.open)
        self.take_back(numbers[place % len(numbers)])

    def take_back(self, number: int) -> None:
        if number in self.open:
            self.asked[number].ended.append("cancelled")
        self.edge.cancel(number)

    @rule(what=st.sampled_from(["offer", "echo", "pace", "load"]), size=st.sampled_from([0, 3000]))
    def talk(self, what: str, size: int) -> None:
        self.made += 1
        if what == "offer" and self.edge.state in (EdgeState.OPENING, EdgeState.OPEN):
            self.offers.append(f"plan-{self.made}")
            self.edge.offer(PlanDefinition(self.offers[-1], "m", ("a",), (), ()))
        elif what == "echo":
            self.echoes.append(self.made)
            self.edge.echo(self.made, bytes(size), self.now_s)
        elif what == "pace":
            self.edge.pace(1e5 * (1 + size), 1e5 * (1 + size), 0.05)
        else:
            self.cloud.report_load(2, 0.2)

    # ---- the cloud ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.unanswered_offers)
    @rule(ready=st.booleans())
    def answer_offer(self, ready: bool) -> None:
        digest = self.unanswered_offers.popleft()
        if ready:
            self.cloud.plan_ready(digest, PlanTimes(()))
        else:
            self.cloud.plan_refused(digest, "INTERNAL", "no")

    @precondition(lambda self: self.waiting)
    @rule(place=PLACES, sizes=st.lists(SIZES, min_size=1, max_size=2), meets_cancel=st.booleans(), arrived=FRAMES)
    def answer(self, place: int, sizes: list[int], meets_cancel: bool, arrived: int) -> None:
        number, request = self.waits(place)
        self.asked[number].answer = tuple(self.tensor(size) for size in sizes)
        self.cloud.respond(request, self.asked[number].answer or (), TIMINGS)
        if meets_cancel:
            self.moves(self.down, 6, arrived)
            self.take_back(number)

    @precondition(lambda self: self.waiting)
    @rule(place=PLACES)
    def reject(self, place: int) -> None:
        number, _ = self.waits(place)
        self.asked[number].rejected = True
        self.cloud.reject(number, Rejection("INTERNAL", "COMPUTE", "no"))

    def waits(self, place: int) -> tuple[int, RequestArrived]:
        number = list(self.waiting)[place % len(self.waiting)]
        return number, self.waiting.pop(number)

    @precondition(lambda self: self.taken_back)
    @rule(place=PLACES)
    def answer_what_was_taken_back(self, place: int) -> None:
        number = sorted(self.taken_back)[place % len(self.taken_back)]
        late = RequestArrived(number, "digest", 1, None, 0, (), TIMINGS.receive, self.now_s, "")
        self.cloud.respond(late, (self.tensor(5),), TIMINGS)
        self.cloud.reject(number, Rejection("INTERNAL", "COMPUTE", "no"))

    # ---- the wire ----------------------------------------------------------------------------------------------

    @rule(up=st.booleans(), sent=FRAMES, arrived=FRAMES)
    def moves_on(self, up: bool, sent: int, arrived: int) -> None:
        self.moves(self.up if up else self.down, sent, arrived)

    def moves(self, way: Direction, sent: int, arrived: int) -> None:
        while sent and way.step(self.later_s()):
            sent -= 1
        while arrived and way.take(self.later_s()):
            arrived -= 1

    def later_s(self) -> float:
        self.now_s += STEP_S
        return self.now_s

    # ---- what they hear ----------------------------------------------------------------------------------------

    def cloud_hears(self, event: CloudEvent) -> None:
        match event:
            case RequestArrived(request_id=number):
                assert number in self.here - self.taken_back
                assert number not in self.waiting
                assert event.tensors == joined(self.asked[number].tensors)
                assert self.asked[number].to_come == 0
                self.waiting[number] = event
            case RequestCancelled(request_id=number):
                assert self.asked[number].ended
                self.taken_back.add(number)
                self.waiting.pop(number, None)
            case PlanDefinition():
                self.unanswered_offers.append(event.wire_digest)
            case _:
                assert isinstance(event, EdgeConnected | RequestRejected)

    def edge_hears(self, event: EdgeEvent) -> None:
        match event:
            case ResponseArrived(request_id=number):
                self.asked[number].ended.append("answered")
                assert event.tensors == self.asked[number].answer
                assert not self.asked[number].rejected
            case RequestFailed(request_id=number):
                self.asked[number].ended.append("failed")
                assert self.may_fail(number, event.reason)
            case PlanPrepared(wire_digest=digest) | PlanRejected(wire_digest=digest):
                assert digest == self.offers.popleft()
            case EchoReturned(token=token):
                assert token == self.echoes.popleft()
            case Connected():
                assert not self.welcomed
                self.welcomed = True
            case PeerDraining():
                assert self.drained
            case _:
                assert isinstance(event, LoadReported)
        assert self.welcomed

    def may_fail(self, number: int, reason: str) -> bool:
        """Whether there was such a reason."""
        asked = self.asked[number]
        largest = max(encoded_bytes(asked.tensors), encoded_bytes(asked.answer or ()))
        return {
            "COMPUTE": asked.rejected,
            "DRAINING": self.drained,
            "OVERLOADED": len(self.here) > LIMITS.open_messages,
            "TOO_LARGE": largest > LIMITS.message_bytes,
        }[reason]

    # ---- what always holds -------------------------------------------------------------------------------------

    @invariant()
    def every_request_ends_once(self) -> None:
        assert all(len(one.ended) < 2 for one in self.asked.values())

    @invariant()
    def nothing_is_acknowledged_that_has_not_arrived(self) -> None:
        for direction, back in ((self.up, self.down), (self.down, self.up)):
            assert back.acknowledges <= direction.arrived <= direction.sent

    @invariant()
    def what_is_under_way_is_what_was_not_acknowledged(self) -> None:
        credit = self.edge.credit
        assert credit is None or credit.under_way_bytes == self.up.sent - self.down.acknowledges

    @invariant()
    def the_cloud_keeps_what_waits_for_its_answer(self) -> None:
        assert self.cloud.accepted == len(self.waiting)
        assert self.cloud.open_requests <= len(self.here)

    # ---- the end -----------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.here) > 8)
    @rule(who=st.sampled_from(["nobody", "edge", "cloud"]), arrives=st.booleans())
    def close(self, who: str, arrives: bool) -> None:
        """One end goes; what was on its way to the other may arrive yet. Then that goes, too. Or the cloud drains."""
        if who == "nobody":
            self.drained = True
            self.cloud.drain()
            return
        if who == "edge":
            self.close_edge()
            while arrives and self.up.take(self.later_s()):
                pass
            self.close_cloud()
        else:
            self.close_cloud()
            while arrives and self.down.take(self.later_s()):
                pass
            self.close_edge()
        self.connect()
        self.shake_hands()

    def close_edge(self) -> None:
        lost = self.open
        assert self.edge.close() == tuple(sorted(lost))
        for one in lost.values():
            one.ended.append("lost")
        assert (self.edge.close(), self.edge.next_frame(self.now_s), self.edge.stirring) == ((), None, False)
        with pytest.raises(LocalProtocolError):
            self.edge.submit(WireRequest(-1, "digest", 1, ()))

    def close_cloud(self) -> None:
        assert self.cloud.close() == tuple(sorted(self.waiting))
        assert (self.cloud.open_requests, self.cloud.arriving_bytes, self.cloud.stirring) == (0, 0, False)
        for request in self.waiting.values():  # its suffix may end yet
            self.cloud.respond(request, (self.tensor(5),), TIMINGS)
        self.waiting.clear()
        assert self.cloud.next_frame(self.now_s) is None
        assert self.cloud.state is CloudState.CLOSED

    def teardown(self) -> None:
        """Where everybody does their part, everything ends, and nothing is left."""
        for number, one in self.open.items():
            while one.to_come:
                self.add_to(number, [10])
        while self.settles():
            pass
        assert all(len(one.ended) == 1 for one in self.asked.values())
        assert (list(self.offers), list(self.echoes)) == ([], [])
        for direction, back in ((self.up, self.down), (self.down, self.up)):
            assert direction.sent == direction.arrived < back.acknowledges + ACK_EVERY_BYTES
        assert (self.edge.stirring, self.cloud.stirring) == (False, False)
        assert (self.cloud.open_requests, self.cloud.arriving_bytes) == (0, 0)
        self.close_edge()
        self.close_cloud()

    def settles(self) -> bool:
        """Whether there was anything left to do."""
        moved = any(way.step(self.later_s()) | way.take(self.later_s()) for way in (self.up, self.down))
        asked = bool(self.unanswered_offers or self.waiting)
        if self.unanswered_offers:
            self.answer_offer(True)
        if self.waiting:
            self.answer(0, [7], False, 0)
        return moved or asked


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
