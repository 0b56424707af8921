"""How long a frame was under way beyond the usual, without a common clock."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor
from nodes.protocol.cloud_stream import CloudStream
from nodes.protocol.edge_stream import EdgeStream, WireRequest
from nodes.protocol.events import RequestArrived
from nodes.protocol.transit import WINDOW_S, TransitClock


@given(
    offset=st.floats(-1e5, 1e5),
    delays=st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.001, 20.0)), min_size=1, max_size=30),
)
def test_the_delay_beyond_the_least_is_found_whatever_the_clocks_say(
    offset: float, delays: list[tuple[float, float]]
) -> None:
    """offset: of the cloud's clock. delays: of each frame, and how long after the one before it is sent."""
    clock, sent_s, least_s = TransitClock(delays[0][0] + offset, math.inf), 0.0, delays[0][0]
    arrived_s = delays[0][0]
    for delay_s, gap_s in delays[1:]:
        sent_s += gap_s
        arrived_s = max(arrived_s, sent_s + delay_s)  # frames of a stream arrive in order
        true_s = arrived_s - sent_s
        least_s = min(least_s, true_s)
        assert abs(clock.delay_s(sent_s, arrived_s + offset) - (true_s - least_s)) < 1e-6


def test_a_base_that_has_grown_for_two_windows_is_the_new_base() -> None:
    clock = TransitClock(0.0, window_s=10.0)
    for second in range(40):  # this clock gains 1 ms a second on the other
        delay_s = clock.delay_s(float(second), second * 1.001)
    assert delay_s < 0.021


def test_a_clock_that_stood_still_makes_frames_seem_late_for_some_seconds_only() -> None:
    """As in a machine that was snapshotted, at 100 s and for 8 s: what it counts then misses these."""
    clock, delays_s = TransitClock(0.0), dict[float, float]()
    for half in range(1, 400):
        now_s = half / 2
        if not 100.0 < now_s < 108.0:
            delays_s[now_s] = clock.delay_s(now_s if now_s <= 100.0 else now_s - 8.0, now_s)
    assert (delays_s[100.0], delays_s[108.0]) == (0.0, 8.0)
    assert max(delay_s for now_s, delay_s in delays_s.items() if now_s > 108.0 + 2 * WINDOW_S) == 0.0


def test_a_link_that_stood_still_for_longer_makes_what_it_delivers_then_late() -> None:
    clock, stood_s = TransitClock(0.0), 5 * WINDOW_S
    for half in range(100):
        clock.delay_s(half / 2, half / 2)
    sent_s = [50.0 + half / 2 for half in range(int(2 * stood_s))]
    assert [clock.delay_s(each_s, 50.0 + stood_s) for each_s in sent_s] == [
        50.0 + stood_s - each_s for each_s in sent_s
    ]


def deadline_at_the_cloud(remaining_s: float, arrives_s: float) -> float:
    """Of a request that the edge makes at 1 s on its clock; the cloud's stands at 1000 s when the hello arrives."""
    edge, cloud = EdgeStream("edge", started_s=0.5), CloudStream("replica", {})
    edge.submit(
        WireRequest(
            1, "digest", 1, (EncodedTensor("x", "uint8", (1,), (), "raw", {}, b"1"),), remaining_s, 1 + remaining_s
        )
    )
    events = []
    for now_s in (1000.0, arrives_s):
        frame = edge.next_frame(0.0)
        assert frame is not None
        events += cloud.receive(pb.EdgeFrame.FromString(frame.SerializeToString()), now_s)
    (arrived,) = (event for event in events if isinstance(event, RequestArrived))
    assert arrived.deadline_s is not None
    return arrived.deadline_s


def test_a_deadline_counts_from_when_the_request_was_made_not_from_when_it_was_read() -> None:
    assert abs(deadline_at_the_cloud(2.0, arrives_s=1000.5) - 1002.5) < 1e-5
    assert abs(deadline_at_the_cloud(2.0, arrives_s=1060.5) - 1002.5) < 1e-5
