"""What a log shows of the link, and what is made of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidRequest
from nodes.chooser import Exchange, Transfer
from simulations.replay.link_history import LinkHistory, Sighting, link_history
from simulations.replay.logged_request import LoggedRequest
from simulations.replay.logged_run import LoggedRun, Seen
from simulations.round_trips import RoundTrips
from tests.simulations.replay.logs import EDGE, ended, made

RTT_S = 0.02
STEADY_TRIPS = RoundTrips((0.0,), (RTT_S,), RTT_S)


def history_of(requests: list[LoggedRequest], *seen: tuple[float, Transfer | Exchange]) -> LinkHistory:
    told = [Seen(0.0, RTT_S), *(Seen(at_s, what) for at_s, what in seen)]
    return link_history(LoggedRun(tuple(requests or [made(0.0, EDGE)]), tuple(told), None))


def test_a_transfer_shows_the_link_while_its_request_crossed() -> None:
    # Sent at 0.05, there at 0.25, answered at 0.30: half a round trip before 0.25 the last byte left the link.
    request = made(0.0, outcome=ended(edge_queue_s=0.02, edge_s=0.03, uplink_s=0.2, cloud_s=0.03, downlink_s=0.02))
    (seen,) = history_of([request], (0.3, Transfer("up", 10_000, 0.08))).up
    assert seen == pytest.approx(Sighting(0.16, 0.24, 1e6))


def test_a_probe_shows_the_link_a_round_trip_before_it_is_back() -> None:
    (seen,) = history_of([], (1.0, Transfer("up", 10_000, 0.08))).up
    assert seen == pytest.approx(Sighting(0.9, 0.98, 1e6))


def test_the_rates_of_what_crosses_at_once_add_up() -> None:
    link = history_of([], (1.0, Transfer("up", 10_000, 0.08)), (1.02, Transfer("up", 10_000, 0.08)))
    assert [one.bps for one in link.up] == pytest.approx([1e6, 2e6, 1e6])
    assert link.up[0].begin_s == pytest.approx(0.9)
    assert link.up[-1].end_s == pytest.approx(1.0)


def test_the_way_back_is_taken_as_the_way_up_until_something_shows_it() -> None:
    up = (1.0, Transfer("up", 10_000, 0.08))
    assert history_of([], up).downlink("nearest").at(5.0) == pytest.approx(1e6)
    both = history_of([], up, (2.0, Transfer("down", 10_000, 0.04)))
    assert both.downlink("nearest").at(5.0) == pytest.approx(2e6)
    assert both.uplink("nearest").at(5.0) == pytest.approx(1e6)


def test_a_small_request_shows_a_rate_where_its_bytes_took_time() -> None:
    (seen,) = history_of([], (1.0, Exchange(900, 100, RTT_S + 0.08))).up
    assert seen == pytest.approx(Sighting(0.9, 1.0, 1e5))
    with pytest.raises(InvalidRequest, match="nothing of how fast"):
        history_of([], (1.0, Exchange(900, 100, RTT_S + 0.001)))


def test_a_request_that_the_edge_finished_shows_that_little_crossed() -> None:
    # 30 ms of prefix, a second in vain, 80 ms of suffix.
    given_up = made(2.0, outcome=ended(edge_s=0.11, uplink_s=1.0, wire_bytes=25_000, finished_by="edge"))
    link = history_of([given_up], (1.0, Transfer("up", 10_000, 0.08)))
    assert link.up[1] == pytest.approx(Sighting(2.03, 3.03, 2e5))


def test_a_log_without_a_cloud_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no round trip"):
        link_history(LoggedRun((made(0.0, EDGE),), (), None))


def test_round_trips_follow_the_echoes_once_three_in_a_row_have_changed() -> None:
    echoes = [Seen(float(number), 0.02 if number < 10 else 0.2) for number in range(20)]
    probe = Seen(5.0, Transfer("up", 10_000, 0.08))
    run = LoggedRun((made(0.0, EDGE),), tuple(sorted([*echoes, probe], key=lambda one: one.at_s)), None)
    round_trips = link_history(run).round_trips
    assert [round_trips.at(moment_s) for moment_s in (0.0, 9.0, 11.9, 12.1, 19.0, 4000.0)] == pytest.approx(
        [0.02] * 3 + [0.2] * 3
    )
    assert round_trips.usual_s == pytest.approx(0.02)  # half of them: the lower ones


def test_a_moment_counts_as_seen_within_a_second_of_a_crossing() -> None:
    link = LinkHistory((Sighting(10.0, 11.0, 1e6), Sighting(20.0, 20.5, 1e6)), (), STEADY_TRIPS)
    assert link.seen_share([8.9, 9.1, 10.5, 11.9, 12.1, 21.4]) == pytest.approx(4 / 6)


SIGHTINGS = st.lists(st.tuples(st.floats(0.01, 5.0), st.floats(0.01, 2.0), st.floats(1e4, 1e8)), min_size=1, max_size=8)


@given(parts=SIGHTINGS, moments=st.lists(st.floats(0.0, 60.0), max_size=10))
def test_what_is_unknown_lies_between_the_slower_and_the_faster_filling(
    parts: list[tuple[float, float, float]], moments: list[float]
) -> None:
    seen, now_s = list[Sighting](), 0.0
    for gap_s, length_s, bps in parts:
        seen.append(Sighting(now_s + gap_s, now_s + gap_s + length_s, bps))
        now_s = seen[-1].end_s
    link = LinkHistory(tuple(seen), (), STEADY_TRIPS)
    slower, nearest, faster = (link.uplink(gaps) for gaps in ("slower", "nearest", "faster"))
    for moment_s in moments:
        assert slower.at(moment_s) <= nearest.at(moment_s) <= faster.at(moment_s)
    for one in seen:
        middle_s = (one.begin_s + one.end_s) / 2
        assert slower.at(middle_s) == faster.at(middle_s) == one.bps
