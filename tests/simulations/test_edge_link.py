"""What crosses a simulated edge's link, and what it learns of that."""

from __future__ import annotations

import pytest

from nodes.chooser import Transfer
from nodes.protocol.path_model import LEAST_WINDOW_BYTES
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.busy_time import BusyTime
from simulations.edge_link import EdgeLink
from simulations.link_delay import LinkDelay
from simulations.round_trips import RoundTrips
from simulations.site_request import Arrival, Crossing
from simulations.traced_line import TracedLine
from tests.simulations.test_site import FILE

HALF_S = 0.02


def link_of(bps: float, chooser: PlanChooser, busy_up: BusyTime, radio: BusyTime | None = None) -> EdgeLink:
    trace = BandwidthTrace((0.0,), (bps,))
    delays, lines = (LinkDelay(HALF_S), LinkDelay(HALF_S)), (TracedLine(trace), TracedLine(trace))
    return EdgeLink(chooser, lines, delays, (busy_up, BusyTime()), radio=radio)


def crossing_of(up_bytes: int) -> Crossing:
    return Crossing(0, Arrival(0.0, up_bytes), FILE, 0.0, 0.0, 0.0, up_bytes, 4000)


def send(link: EdgeLink, crossing: Crossing, now_s: float) -> float:
    crossing.there_s = link.send(crossing, 0.0, now_s)
    return crossing.there_s


def test_what_is_sent_behind_an_upload_that_was_given_up_waits_for_its_window_only() -> None:
    busy, radio = BusyTime(), BusyTime()
    link, large, queued = link_of(1e5, PlanChooser(), busy, radio), crossing_of(1_000_000), crossing_of(100_000)
    assert send(link, large, 0.0) == pytest.approx(80.0 + HALF_S)
    send(link, queued, 1.0)
    link.give_up(queued, 4.0)
    link.give_up(large, 5.0)
    window_s, small_s = LEAST_WINDOW_BYTES * 8 / 1e5, 0.08
    assert send(link, crossing_of(1000), 7.0) == pytest.approx(5.0 + window_s + small_s + HALF_S)
    assert [busy.seconds, radio.seconds] == pytest.approx([5.0 + window_s + small_s] * 2)


@pytest.mark.parametrize(("bps", "first_bytes"), [(20e6, 32 << 10), (400e6, 100_000)])
def test_an_upload_is_timed_without_its_first_frame_which_is_as_long_as_live(bps: float, first_bytes: int) -> None:
    chooser = PlanChooser()
    link, crossing = link_of(bps, chooser, BusyTime()), crossing_of(1_000_000)
    chooser.observe_rtt(2 * HALF_S, 0.0)
    for _ in range(5):
        chooser.observe_transfer(Transfer("up", 1_000_000, 8e6 / bps), 0.0)
    send(link, crossing, 0.1)
    assert crossing.up is not None
    assert crossing.up.size_bytes == pytest.approx(1_000_000 - first_bytes, abs=1)
    assert crossing.up.span_s == pytest.approx(crossing.up.size_bytes * 8 / bps)


def test_an_edge_hears_that_bytes_crossed_a_round_trip_later_as_long_as_it_is_by_then() -> None:
    recorded = RoundTrips((0.0, 5.0), (0.04, 1.0), usual_s=0.52)
    delays, trace = (
        (LinkDelay(0.26, recorded=recorded), LinkDelay(0.26, recorded=recorded)),
        BandwidthTrace((0.0,), (1e6,)),
    )
    link = EdgeLink(PlanChooser(), (TracedLine(trace), TracedLine(trace)), delays, (BusyTime(), BusyTime()))
    early, later = crossing_of(250_000), crossing_of(250_000)
    send(link, early, 0.0)
    assert link.got_on_s(early, 0.0, 10.0) == pytest.approx(2.0 + 0.04)
    later.sent_s = 5.5
    send(link, later, 5.5)
    assert link.got_on_s(later, 5.5, 10.0) == pytest.approx(7.5 + 1.0)
    assert link.usual_rtt_s == 0.52
