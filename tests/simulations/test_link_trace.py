"""Recordings: what they say at a time, and how they are played."""

from __future__ import annotations

import asyncio
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from simulations.bandwidth_trace import BandwidthTrace
from simulations.link_trace import LinkState, LinkTrace, play_trace


def test_a_value_holds_until_the_next_and_the_trace_repeats() -> None:
    trace = BandwidthTrace((0.0, 1.0, 3.0), (1.0, 2.0, 3.0))
    assert [trace.at(time_s) for time_s in (0.0, 0.9, 1.0, 2.9, 3.0, 4.9, 5.0, 6.5)] == [1, 1, 2, 2, 3, 3, 1, 2]


@given(st.integers(0, 300))
def test_every_change_has_the_values_that_hold_from_then_on(number: int) -> None:
    trace = LinkTrace((0.0, 0.01, 0.03), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    changes = list(islice(trace.changes(), number + 2))
    (time_s, state), (next_s, _) = changes[-2:]
    assert time_s < next_s
    middle_s = (time_s + next_s) / 2
    assert state == LinkState(trace.uplink.at(middle_s), trace.downlink.at(middle_s), None)


async def test_playing_sets_every_value_in_turn() -> None:
    heard: asyncio.Queue[LinkState] = asyncio.Queue()
    player = asyncio.create_task(
        play_trace(LinkTrace((0.0, 0.01), (1.0, 2.0), (3.0, 4.0), (0.1, 0.2)), heard.put_nowait)
    )
    one, two = LinkState(1.0, 3.0, 0.1), LinkState(2.0, 4.0, 0.2)
    assert [await heard.get() for _ in range(4)] == [one, two, one, two]
    player.cancel()


async def test_a_trace_of_one_value_is_set_once_and_ends() -> None:
    heard: list[LinkState] = []
    await play_trace(LinkTrace((0.0,), (7.0,), (8.0,)), heard.append)
    assert heard == [LinkState(7.0, 8.0, None)]


def test_one_number_for_the_round_trip_is_the_median() -> None:
    assert LinkTrace((0.0, 1.0, 2.0), (1.0,) * 3, (1.0,) * 3, (0.02, 0.5, 0.03)).rtt_s == 0.03
    assert LinkTrace((0.0,), (1.0,), (1.0,)).rtt_s is None
