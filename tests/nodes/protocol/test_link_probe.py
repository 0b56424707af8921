"""When an idle link is looked at, and with how many bytes."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nodes.protocol.link_probe import (
    FRESH_S,
    LEAST_PROBE_BYTES,
    MOST_PROBE_BYTES,
    PROBE_BYTES_PER_S,
    SHORT_BYTES,
    LinkProbe,
)

SLOW, FAST = 0.2e6, 100e6


def test_nobody_looks_while_no_request_could_use_the_link() -> None:
    probe = LinkProbe()
    assert all(probe.padding_bytes(now_s) == 0 for now_s in (0.0, 1.0, 100.0))


def test_requests_that_stay_have_a_link_looked_at_that_nothing_crossed_lately() -> None:
    probe = LinkProbe()
    probe.crossed(SHORT_BYTES, 10.0)
    probe.stayed(10.1)
    assert probe.padding_bytes(10.2) == 0
    assert probe.padding_bytes(10.0 + FRESH_S) == LEAST_PROBE_BYTES
    assert probe.padding_bytes(20.0) == 0  # one at a time
    probe.returned(SLOW, SLOW, 20.1)
    assert probe.padding_bytes(30.0) == 0  # nobody asked since
    probe.stayed(31.0)
    assert probe.padding_bytes(31.0) == LEAST_PROBE_BYTES


def test_a_surprising_probe_is_followed_at_once_by_longer_ones() -> None:
    probe, sizes = LinkProbe(), []
    probe.stayed(1.0)
    sizes.append(probe.padding_bytes(1.0))
    while True:
        probe.returned(FAST, SLOW, 1.1)
        assert probe.wants(1.1) == probe.again
        if not probe.again:
            break
        sizes.append(probe.padding_bytes(1.1))
    assert sizes == [2048, 4096, 8192, 16384, 32768]


def test_a_probe_that_saw_what_was_believed_is_enough() -> None:
    probe = LinkProbe()
    probe.stayed(1.0)
    assert probe.padding_bytes(1.0)
    probe.returned(1.4 * SLOW, SLOW, 1.1)
    assert not probe.again


def test_where_only_short_requests_cross_the_link_is_looked_at_once_a_second() -> None:
    probe, sent_s = LinkProbe(), list[float]()
    for hundredth in range(1, 500):
        now_s = hundredth / 100
        probe.crossed(SHORT_BYTES - 1, now_s)
        if probe.padding_bytes(now_s):
            sent_s.append(now_s)
            probe.returned(FAST, FAST, now_s)
    assert len(sent_s) == 5


def test_a_probe_that_shows_how_slow_the_link_is_not_is_followed_by_longer_ones() -> None:
    probe = LinkProbe()
    probe.stayed(1.0)
    sizes = [probe.padding_bytes(1.0)]
    while len(sizes) < 3:
        probe.returned(math.inf, FAST, 1.1)
        sizes.append(probe.padding_bytes(1.1))
    probe.returned(FAST, FAST, 1.2)
    assert sizes == [2048, 4096, 8192]
    assert not probe.again


def test_a_request_that_crosses_ends_the_looking() -> None:
    probe = LinkProbe()
    probe.stayed(1.0)
    assert probe.padding_bytes(1.0)
    probe.returned(FAST, SLOW, 1.1)
    probe.crossed(SHORT_BYTES, 1.2)
    assert not probe.again
    assert probe.padding_bytes(9.0) == 0


WHATS = st.sampled_from(["stayed", "crossed", "returned", "asked"])


@given(st.lists(st.tuples(WHATS, st.floats(0, 3), st.floats(1e3, 1e9), st.floats(1e3, 1e9)), max_size=200))
def test_no_more_goes_up_than_is_bounded_whatever_is_seen(steps: list[tuple[str, float, float, float]]) -> None:
    probe, now_s, sent_bytes = LinkProbe(), 0.0, 0
    for what, gap_s, bps, believed_bps in steps:
        now_s += gap_s
        if what == "asked":
            wanted, size = probe.wants(now_s), probe.padding_bytes(now_s)
            assert wanted == (size > 0)
            assert size == 0 or LEAST_PROBE_BYTES <= size <= MOST_PROBE_BYTES
            sent_bytes += size
        elif what == "returned":
            probe.returned(bps, believed_bps, now_s)
        else:
            probe.stayed(now_s) if what == "stayed" else probe.crossed(int(bps), now_s)
        assert sent_bytes <= PROBE_BYTES_PER_S * now_s + 2 * MOST_PROBE_BYTES


def test_a_link_that_is_as_believed_is_looked_at_once_a_second_at_most() -> None:
    probe, sent_s = LinkProbe(), list[float]()
    for tenth in range(300):
        now_s = tenth / 10
        probe.stayed(now_s)
        if probe.padding_bytes(now_s):
            sent_s.append(now_s)
            probe.returned(SLOW, SLOW, now_s)
    assert len(sent_s) == 30
    assert all(later - earlier >= FRESH_S - 1e-9 for earlier, later in pairwise(sent_s))
