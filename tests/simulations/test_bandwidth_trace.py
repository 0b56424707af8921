"""Traces: reading them, and what they say at a time."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration
from simulations.bandwidth_trace import BandwidthTrace, play_trace, read_trace


def written(folder: Path, text: str) -> Path:
    path = folder / "trace"
    path.write_text(text)
    return path


def test_blanks_commas_comments_and_a_heading_are_read(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "time,mbps\n# a bus\n10.0 4.5\n10.5,\t2\n\n"))
    assert trace == BandwidthTrace((0.0, 0.5), (4.5e6, 2e6))


def test_a_bandwidth_of_zero_becomes_next_to_nothing(tmp_path: Path) -> None:
    assert read_trace(written(tmp_path, "0 0")).at(0.0) == 1000.0


@pytest.mark.parametrize("text", ["", "0 1\n1 x", "0 1\n1", "0 1\n1 nan", "0 1\n1 -2", "1 1\n0 2", "0 1\n0 2"])
def test_what_is_not_a_trace_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="trace"):
        read_trace(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_trace(tmp_path / "nowhere")


def test_a_value_holds_until_the_next_and_the_trace_repeats() -> None:
    trace = BandwidthTrace((0.0, 1.0, 3.0), (1.0, 2.0, 3.0))
    assert [trace.at(time_s) for time_s in (0.0, 0.9, 1.0, 2.9, 3.0, 4.9, 5.0, 6.5)] == [1, 1, 2, 2, 3, 3, 1, 2]


@given(st.integers(0, 300))
def test_every_change_has_the_value_that_holds_from_then_on(number: int) -> None:
    trace = BandwidthTrace((0.0, 0.01, 0.03), (1.0, 2.0, 3.0))
    changes = list(islice(trace.changes(), number + 2))
    (time_s, bps), (next_s, _) = changes[-2:]
    assert time_s < next_s
    assert trace.at((time_s + next_s) / 2) == bps


async def test_playing_sets_every_value_in_turn() -> None:
    heard: asyncio.Queue[float] = asyncio.Queue()
    player = asyncio.create_task(play_trace(BandwidthTrace((0.0, 0.01), (1.0, 2.0)), heard.put_nowait))
    assert [await heard.get() for _ in range(4)] == [1.0, 2.0, 1.0, 2.0]
    player.cancel()


async def test_a_trace_of_one_value_is_set_once_and_ends() -> None:
    heard: list[float] = []
    await play_trace(BandwidthTrace((0.0,), (7.0,)), heard.append)
    assert heard == [7.0]
