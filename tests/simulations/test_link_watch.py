"""Echoes and probes of a simulated link: caught up with late, they are what they would have been."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.protocol.chunk_sizes import MIN_CHUNK_BYTES
from nodes.protocol.periods import ECHO_PERIOD_S
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import DEAD_BPS, BandwidthTrace
from simulations.kernel import Simulation
from simulations.link_watch import LinkWatch
from simulations.round_trips import RoundTrips
from simulations.traced_line import TracedLine

HALF_S = 0.02
STEADY = BandwidthTrace((0.0,), (8e6,))


def watch(
    trace: BandwidthTrace = STEADY, start_s: float = 0.0, half_trip_s: Callable[[float], float] = lambda _: HALF_S
) -> tuple[LinkWatch, PlanChooser, TracedLine]:
    chooser, line = PlanChooser(), TracedLine(trace)
    return LinkWatch(chooser, (line, TracedLine(STEADY)), half_trip_s, start_s), chooser, line


def test_a_connection_learns_round_trip_and_bandwidth_at_once() -> None:
    watched, chooser, _ = watch(start_s=1.0)
    watched.catch_up(0.9)
    assert chooser.link() is None
    watched.catch_up(1.2)
    link = chooser.link()
    assert link is not None
    assert [link.uplink_bps, link.rtt_s] == pytest.approx([8e6, 2 * HALF_S])
    assert watched.heard_s == pytest.approx(1.0 + 2 * HALF_S, abs=0.04)


@given(
    gaps_s=st.lists(st.floats(0.0, 1.5), min_size=1, max_size=12),
    carried=st.lists(st.integers(0, 300_000), min_size=12, max_size=12),
    steps=st.lists(st.floats(1e5, 5e7) | st.just(DEAD_BPS), min_size=2, max_size=4),
    halves_s=st.lists(st.floats(0.0, 0.4), min_size=2, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_caught_up_with_late_is_the_same_as_at_its_time(
    gaps_s: list[float], carried: list[int], steps: list[float], halves_s: list[float]
) -> None:
    """The same uses of the line, with one watch looked at when something happens and one followed event by event."""
    trace = BandwidthTrace(tuple(2.0 * n for n in range(len(steps))), tuple(steps))
    round_trips = RoundTrips(tuple(1.5 * n for n in range(len(halves_s))), tuple(2 * one for one in halves_s), 0.0)

    def half_trip_s(moment_s: float) -> float:
        return round_trips.at(moment_s) / 2

    moments_s = list(accumulate(gaps_s))
    end_s = moments_s[-1] + 1.5
    late, late_chooser, late_line = watch(trace, 0.0, half_trip_s)
    for moment_s, size in zip(moments_s, carried, strict=False):
        late.catch_up(moment_s)
        late.probe.stayed(moment_s)
        late_line.carry(size, moment_s)
    late.catch_up(end_s)

    timely, timely_chooser, timely_line = watch(trace, 0.0, half_trip_s)
    simulation = Simulation()

    def use(size: int) -> None:
        timely.catch_up(simulation.now_s)
        timely.probe.stayed(simulation.now_s)
        timely_line.carry(size, simulation.now_s)

    timely.follow(simulation)
    for moment_s, size in zip(moments_s, carried, strict=False):
        simulation.at(moment_s, use, size)
    simulation.run(end_s)
    timely.catch_up(end_s)
    assert late_chooser.link() == timely_chooser.link()
    assert late_line.free_s == timely_line.free_s
    assert late.heard_s == timely.heard_s


def round_trips_told(chooser: PlanChooser) -> list[float]:
    """When the chooser is told of a round trip, from now on."""
    told: list[float] = []
    observe_rtt = chooser.observe_rtt

    def observed(rtt_s: float, now_s: float) -> None:
        told.append(now_s)
        observe_rtt(rtt_s, now_s)

    chooser.observe_rtt = observed  # type: ignore[method-assign]
    return told


def test_a_long_silence_is_not_gone_through_echo_by_echo() -> None:
    watched, chooser, _ = watch()
    watched.catch_up(1.0)
    heard = round_trips_told(chooser)
    watched.catch_up(3600.0)
    assert len(heard) <= 6
    assert heard[-1] > 3600.0 - ECHO_PERIOD_S


def test_while_an_edges_bytes_cross_an_echo_tells_that_the_cloud_is_there_and_no_round_trip() -> None:
    watched, chooser, _ = watch()
    watched.catch_up(1.2)
    heard = round_trips_told(chooser)
    watched.under_way, watched.crosses_until_s = 1, 2.99
    watched.catch_up(3.2)
    assert heard == []  # the last of them crossed just before, and is not acknowledged
    assert watched.heard_s == pytest.approx(3.0 + 2 * HALF_S)
    watched.catch_up(3.7)
    assert heard == pytest.approx([3.5 + 2 * HALF_S])  # the request is not answered: the cloud works


def test_behind_what_was_given_up_and_still_crosses_no_probe_goes() -> None:
    watched, _, line = watch()
    watched.catch_up(1.2)
    watched.crosses_until_s = 4.0
    for moment_s in (2.4, 3.4):
        watched.probe.stayed(moment_s)
        watched.catch_up(moment_s)
    assert line.free_s < 2.0
    watched.taken_back(4.0, 3.9)
    watched.catch_up(4.2)
    assert line.free_s > 4.0


def test_an_edge_that_connected_long_ago_looked_at_a_line_of_which_only_the_others_of_today_are_known() -> None:
    watched, chooser, line = watch(start_s=0.2)
    line.carry(3_000_000, 27.0)
    heard = round_trips_told(chooser)
    watched.catch_up(30.0)
    link = chooser.link()
    assert link is not None
    assert link.uplink_bps == pytest.approx(8e6)
    assert line.free_s == 30.0
    assert len(heard) <= 8


@pytest.mark.parametrize("bps", [1e6, 8e6, 400e6])
def test_an_echo_waits_for_the_chunk_that_crosses_which_is_as_long_as_the_link_is_fast(bps: float) -> None:
    watched, _, line = watch(BandwidthTrace((0.0,), (bps,)))
    watched.catch_up(1.7)
    line.carry(100_000_000, 1.7)
    watched.catch_up(2.0 + 2 * HALF_S + 0.3)
    chunk_s = max(0.002, 8 * MIN_CHUNK_BYTES / bps)
    assert watched.heard_s == pytest.approx(2.0 + chunk_s + 2 * HALF_S, abs=1e-4)


def test_an_echo_times_the_round_trip_as_it_is_then() -> None:
    watched, chooser, _ = watch(half_trip_s=lambda moment_s: 0.1 if moment_s >= 5.0 else HALF_S)
    believed_s = []
    for moment_s in (4.9, 8.0):
        watched.catch_up(moment_s)
        link = chooser.link()
        assert link is not None
        believed_s.append(link.rtt_s)
    assert believed_s == pytest.approx([2 * HALF_S, 0.2])


@pytest.mark.parametrize("way", ["up", "down"])
def test_nothing_is_heard_through_a_dead_zone_of_either_way(way: str) -> None:
    dead, alive = BandwidthTrace((0.0, 5.0, 9.0), (8e6, DEAD_BPS, 8e6)), TracedLine(STEADY)
    chooser, recorded = PlanChooser(), TracedLine(dead)
    lines = (recorded, alive) if way == "up" else (alive, recorded)
    watched, told = LinkWatch(chooser, lines, lambda _: HALF_S), round_trips_told(chooser)
    watched.catch_up(8.9)
    assert 4.5 <= watched.heard_s <= 5.0 + HALF_S
    watched.catch_up(9.2)
    assert watched.heard_s == pytest.approx(9.0 + HALF_S, abs=HALF_S + 1e-6)
    assert max(told) == watched.heard_s  # all that were held up, as of an outage
