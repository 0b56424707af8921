"""How much may be under way, on paths that are made of arithmetic."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from isthmus.errors import RemoteProtocolError
from nodes.protocol.chunk_sizes import chunk_bytes
from nodes.protocol.path_model import FIRST_WINDOW_BYTES
from nodes.protocol.send_window import SMALL_FRAME_BYTES, Credit, SendWindow


def capped() -> SendWindow:
    window = SendWindow()
    window.capped = True
    return window


@dataclass(frozen=True)
class Sending:
    """took_s: until all was acknowledged. queues: when a chunk left, and how long it waited and was on the line."""

    took_s: float
    queues: list[tuple[float, float]]

    def queue_s(self, after_s: float) -> float:
        return max(queue_s for at_s, queue_s in self.queues if at_s >= after_s)


def send(
    window: SendWindow,
    total_bytes: int,
    bps: Callable[[float], float],
    rtt_s: float,
    *,
    before: int = 0,
    later_rtt_s: float = 0.0,
) -> Sending:
    """One message over a serial line of that rate, with a delay of `rtt_s` until its acknowledgements are back.

    before: bytes that this window has sent before, all of them acknowledged; a minute has passed since. later_rtt_s:
    the delay after two seconds, where it is another.
    """
    began_s = now_s = line_free_s = 60.0 * bool(before)
    sent = acknowledged = before
    total_bytes += before
    acks: list[tuple[float, int]] = []
    queues: list[tuple[float, float]] = []
    while acknowledged < total_bytes:
        while sent < total_bytes:
            size = min(chunk_bytes(total_bytes - before, window.bps), window.largest_frame_bytes, total_bytes - sent)
            if not window.has_room(size):
                break
            window.sent(size, now_s)
            sent += size
            line_free_s = max(line_free_s, now_s) + 8 * size / bps(now_s)
            queues.append((now_s, line_free_s - now_s))
            now_rtt_s = later_rtt_s if later_rtt_s and now_s > began_s + 2 else rtt_s
            heapq.heappush(acks, (line_free_s + now_rtt_s, sent))
        if sent == total_bytes:
            window.ran_dry()
        now_s, acknowledged = heapq.heappop(acks)
        window.acknowledged(acknowledged, now_s)
    return Sending(now_s - began_s, queues)


LINKS = [(mbps * 1e6, rtt_s) for mbps in (5, 20, 200) for rtt_s in (0.005, 0.04, 0.2)]


@pytest.mark.parametrize(("bps", "rtt_s"), LINKS)
def test_a_large_message_keeps_a_known_path_busy(bps: float, rtt_s: float) -> None:
    window, size = capped(), int(bps * 5 / 8)
    send(window, size, lambda _: bps, rtt_s)
    again = send(window, size, lambda _: bps, rtt_s, before=size)
    assert size * 8 / bps / (again.took_s - rtt_s) > 0.95


@pytest.mark.parametrize(("bps", "rtt_s"), [(20e6, 0.005), (20e6, 0.04), (200e6, 0.005), (200e6, 0.04)])
def test_what_waits_before_a_new_frame_is_at_most_64_kilobytes_or_a_tenth_of_the_path(bps: float, rtt_s: float) -> None:
    sending = send(capped(), int(bps * 8 / 8), lambda _: bps, rtt_s)
    assert sending.queue_s(after_s=4.0) <= 64_000 * 8 / bps + 0.25 * rtt_s + 0.005


def test_a_low_estimate_finds_out_that_there_is_more() -> None:
    sending = send(capped(), 60_000_000, lambda now_s: 5e6 if now_s < 4 else 200e6, 0.04)
    assert sending.took_s < 1.2 * (4 + (60e6 * 8 - 4 * 5e6) / 200e6)


def test_a_low_belief_of_others_does_not_lock_itself_in() -> None:
    window = capped()
    window.expect(1e6, 0.04)
    assert send(window, 100_000_000, lambda _: 200e6, 0.04).took_s < 1.1 * 4.0


def test_a_slower_link_is_noticed_within_a_few_round_trips() -> None:
    sending = send(capped(), 60_000_000, lambda now_s: 200e6 if now_s < 2 else 20e6, 0.04)
    assert sending.queue_s(after_s=5.0) < 0.05


def test_a_round_trip_that_has_grown_is_measured_anew_under_way() -> None:
    window = capped()
    send(window, 80_000_000, lambda _: 20e6, 0.005, later_rtt_s=0.2)  # 32 s
    assert window.largest_frame_bytes > 200_000  # half of 20 Mbit/s x 0.2 s and more


def test_after_a_pause_the_first_round_trip_tells_and_nothing_is_held_back_for_it() -> None:
    window, before = capped(), 50_000_000
    send(window, before, lambda _: 200e6, 0.2)
    again = send(window, 8_000_000, lambda _: 200e6, 0.22, before=before)
    assert again.took_s < 1.1 * (8_000_000 * 8 / 200e6 + 0.22)


def test_what_is_under_way_and_what_may_be_is_told_where_the_peer_acknowledges() -> None:
    window = capped()
    window.sent(100_000, 0.0)
    window.acknowledged(40_000, 0.1)
    assert window.credit == Credit(under_way_bytes=60_000, window_bytes=FIRST_WINDOW_BYTES)
    assert SendWindow().credit is None


def test_before_anything_is_known_a_first_window_is_sent() -> None:
    window = capped()
    while window.has_room(32_768):
        window.sent(32_768, 0.0)
    with pytest.raises(RemoteProtocolError):
        window.acknowledged(FIRST_WINDOW_BYTES + 1, 0.1)
    window.acknowledged(FIRST_WINDOW_BYTES, 0.1)


def test_a_small_frame_need_not_wait_for_room() -> None:
    window = capped()
    window.sent(FIRST_WINDOW_BYTES, 0.0)
    assert not window.has_room(SMALL_FRAME_BYTES + 1)
    assert window.has_room(SMALL_FRAME_BYTES)
    window.sent(SMALL_FRAME_BYTES, 0.0)
    assert not window.has_room(1)


def test_without_acknowledgements_there_is_always_room() -> None:
    window = SendWindow()
    window.sent(1 << 30, 0.0)
    assert window.has_room(1 << 30)


def test_pauses_between_small_messages_do_not_count_as_slowness() -> None:
    window, sent = capped(), 5_000_000
    send(window, sent, lambda _: 20e6, 0.04)
    known = window.bps
    assert known is not None
    for number in range(100):
        window.sent(16_384, 10.0 + number)
        window.ran_dry()
        sent += 16_384
        window.acknowledged(sent, 10.05 + number)
    assert window.bps is not None
    assert window.bps > 0.9 * known
