"""When an idle link is looked at, and with how many bytes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nodes.protocol.link_probe import FRESH_S, LEAST_PROBE_BYTES, MOST_PROBE_BYTES, PROBE_BYTES_PER_S, LinkProbe

SLOW, FAST = 0.2e6, 100e6


def test_nobody_looks_while_no_request_could_use_the_link() -> None:
    probe = LinkProbe()
    assert all(probe.padding_bytes(SLOW, now_s) == 0 for now_s in (0.0, 1.0, 100.0))


def test_requests_that_stay_have_a_link_looked_at_that_nothing_crossed_lately() -> None:
    probe = LinkProbe()
    probe.crossed(10.0)
    probe.stayed(10.1)
    assert probe.padding_bytes(SLOW, 10.2) == 0
    assert probe.padding_bytes(SLOW, 10.0 + FRESH_S) == LEAST_PROBE_BYTES
    assert probe.padding_bytes(SLOW, 20.0) == 0  # one at a time
    probe.returned(SLOW, SLOW, 20.1)
    assert probe.padding_bytes(SLOW, 30.0) == 0  # nobody asked since
    probe.stayed(31.0)
    assert probe.padding_bytes(SLOW, 31.0) == LEAST_PROBE_BYTES


def test_a_probe_fits_the_link_for_a_moment() -> None:
    for bps, expected in ((None, LEAST_PROBE_BYTES), (2e6, 12_500), (FAST, MOST_PROBE_BYTES)):
        probe = LinkProbe()
        probe.stayed(1.0)
        assert probe.padding_bytes(bps, 1.0) == expected


def test_a_surprising_probe_is_followed_at_once_by_longer_ones() -> None:
    probe, sizes = LinkProbe(), []
    probe.stayed(1.0)
    sizes.append(probe.padding_bytes(SLOW, 1.0))
    while True:
        probe.returned(FAST, SLOW, 1.1)
        if not probe.again:
            break
        sizes.append(probe.padding_bytes(SLOW, 1.1))
    assert sizes == [2048, 4096, 8192, 16384, 32768]


def test_a_probe_that_saw_what_was_believed_is_enough() -> None:
    probe = LinkProbe()
    probe.stayed(1.0)
    assert probe.padding_bytes(SLOW, 1.0)
    probe.returned(1.4 * SLOW, SLOW, 1.1)
    assert not probe.again


def test_a_request_that_crosses_ends_the_looking() -> None:
    probe = LinkProbe()
    probe.stayed(1.0)
    assert probe.padding_bytes(SLOW, 1.0)
    probe.returned(FAST, SLOW, 1.1)
    probe.crossed(1.2)
    assert not probe.again
    assert probe.padding_bytes(SLOW, 9.0) == 0


WHATS = st.sampled_from(["stayed", "crossed", "returned", "asked"])


@given(st.lists(st.tuples(WHATS, st.floats(0, 3), st.floats(1e3, 1e9), st.floats(1e3, 1e9)), max_size=200))
def test_no_more_goes_up_than_is_bounded_whatever_is_seen(steps: list[tuple[str, float, float, float]]) -> None:
    probe, now_s, sent_bytes = LinkProbe(), 0.0, 0
    for what, gap_s, bps, believed_bps in steps:
        now_s += gap_s
        if what == "asked":
            size = probe.padding_bytes(bps, now_s)
            assert size == 0 or LEAST_PROBE_BYTES <= size <= MOST_PROBE_BYTES
            sent_bytes += size
        elif what == "returned":
            probe.returned(bps, believed_bps, now_s)
        else:
            getattr(probe, what)(now_s)
        assert sent_bytes <= PROBE_BYTES_PER_S * now_s + 2 * MOST_PROBE_BYTES


def test_a_link_that_is_as_believed_is_looked_at_once_a_second_at_most() -> None:
    probe, sent_s = LinkProbe(), list[float]()
    for tenth in range(300):
        now_s = tenth / 10
        probe.stayed(now_s)
        if probe.padding_bytes(SLOW, now_s):
            sent_s.append(now_s)
            probe.returned(SLOW, SLOW, now_s)
    assert len(sent_s) == 30
    assert all(later - earlier >= FRESH_S - 1e-9 for earlier, later in pairwise(sent_s))
