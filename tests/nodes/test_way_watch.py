"""When the edge finishes a request whose bytes do not get up."""

from __future__ import annotations

import math

import pytest

from nodes.protocol.progress import Progress
from nodes.protocol.receipts import ACK_EVERY_BYTES
from nodes.way_watch import LEAST_WAIT_S, WayWatch

SENT_S, UP_S, RTT_S, FINISH_S = 10.0, 0.2, 0.05, 0.4
BEFORE = 1_000_000  # bytes that the stream had moved already
OVERDUE_S = SENT_S + UP_S + RTT_S + 0.05


class Request:
    """Of so many bytes; counts how often an echo was to follow them."""

    def __init__(self, size_bytes: int, rtt_s: float = RTT_S) -> None:
        self.size_bytes, self.echoes = size_bytes, 0
        self.watch = WayWatch(SENT_S, UP_S, rtt_s, BEFORE)

    def leaves_s(self, now_s: float, moved_bytes: int = 0, finish_s: float = FINISH_S, *, left: bool = True) -> float:
        progress = Progress(BEFORE + moved_bytes, 0.0, BEFORE + self.size_bytes if left else None)
        return self.watch.leaves_s(now_s, progress, self.size_bytes, finish_s, self._ask)

    def _ask(self) -> None:
        self.echoes += 1


def test_bytes_are_waited_for_until_they_are_overdue_and_then_asked_after_once() -> None:
    request = Request(100_000)
    assert request.leaves_s(SENT_S) == pytest.approx(OVERDUE_S)
    assert request.leaves_s(OVERDUE_S - 0.01) == pytest.approx(OVERDUE_S)
    assert request.echoes == 0
    asked_s = OVERDUE_S + 0.001
    assert request.leaves_s(asked_s) == pytest.approx(asked_s + LEAST_WAIT_S)
    assert request.leaves_s(asked_s + 0.1) == pytest.approx(asked_s + LEAST_WAIT_S)
    assert request.echoes == 1


def test_for_half_of_what_finishing_takes_they_are_waited_for_in_any_case() -> None:
    asked_s = OVERDUE_S + 0.001
    assert Request(100_000).leaves_s(asked_s, finish_s=2.0) == pytest.approx(asked_s + 1.0)


def test_a_way_that_stands_still_is_left_for_the_edge() -> None:
    request = Request(100_000)
    looks_s = request.leaves_s(OVERDUE_S + 0.001)
    assert request.leaves_s(looks_s + 0.001) <= looks_s + 0.001


def test_an_echo_has_the_time_to_come_back_however_quickly_the_edge_would_finish() -> None:
    request = Request(100_000, rtt_s=0.4)
    asked_s = OVERDUE_S + 0.4
    assert request.leaves_s(asked_s, finish_s=0.01) == pytest.approx(asked_s + 1.5 * 0.4)


def test_a_slow_way_is_waited_for_where_the_rest_comes_sooner_than_the_edge_would_finish() -> None:
    request = Request(160_000)
    looks_s = request.leaves_s(OVERDUE_S + 0.001)
    now_s = looks_s + 0.001
    assert now_s < request.leaves_s(now_s, 130_000) < now_s + FINISH_S
    slower = Request(160_000)
    slower.leaves_s(OVERDUE_S + 0.001)
    assert slower.leaves_s(now_s, 4 * ACK_EVERY_BYTES) <= now_s


def test_of_a_few_bytes_half_are_taken_to_be_there_until_an_echo_tells() -> None:
    request = Request(4000)
    looks_s = request.leaves_s(OVERDUE_S + 0.001, finish_s=0.6)
    now_s = looks_s + 0.001  # 0.602 s after it was sent: it has been under way for less than finishing takes
    again_s = request.leaves_s(now_s, finish_s=0.6)
    assert now_s < again_s
    assert request.leaves_s(again_s + 0.001, finish_s=0.6) <= again_s + 0.001


@pytest.mark.parametrize("after_s", [0.01, 9.0])
def test_what_is_there_is_waited_for_as_patience_says(after_s: float) -> None:
    request = Request(100_000)
    assert request.leaves_s(SENT_S + after_s, 100_000) == math.inf
    assert request.watch.unfinished is None


def test_what_has_not_left_yet_is_not_there() -> None:
    request = Request(100_000)
    assert request.leaves_s(SENT_S + 0.1, 500_000, left=False) == pytest.approx(OVERDUE_S)


def test_what_has_come_up_is_known_to_an_acknowledgement() -> None:
    request = Request(100_000)
    request.leaves_s(SENT_S + RTT_S - 0.01)
    assert request.watch.unfinished is None  # nothing can have been heard yet
    request.leaves_s(SENT_S + 2.05, 2 * ACK_EVERY_BYTES)
    assert request.watch.unfinished is not None
    assert list(request.watch.unfinished) == pytest.approx([3 * ACK_EVERY_BYTES, 2.0])
    small = Request(4000)
    small.leaves_s(SENT_S + 2.05)
    assert small.watch.unfinished is not None
    assert list(small.watch.unfinished) == pytest.approx([4000, 2.0])
