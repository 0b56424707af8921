"""Files of recorded links: each form is known by its first lines, and a fault is named by its line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration
from simulations.link_trace import LinkTrace
from simulations.trace_files.reading import read_link_trace


def written(folder: Path, text: str) -> Path:
    path = folder / "trace"
    path.write_text(text)
    return path


def read(folder: Path, text: str) -> LinkTrace:
    return read_link_trace(written(folder, text))


def test_a_table_with_blanks_commas_comments_and_a_heading_is_read(tmp_path: Path) -> None:
    trace = read(tmp_path, "time,mbps\n# a bus\n10.0 4.5\n10.5,\t2\n\n")
    assert trace == LinkTrace((0.0, 0.5), (4.5e6, 2e6), (4.5e6, 2e6))


def test_a_heading_may_come_after_comments(tmp_path: Path) -> None:
    assert read(tmp_path, "# a bus\n\ntime mbps\n10.0 4.5\n") == LinkTrace((0.0,), (4.5e6,), (4.5e6,))


def test_a_bandwidth_of_zero_becomes_next_to_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "0 0").uplink_bps == (1000.0,)


def test_a_csv_has_both_ways_and_round_trips(tmp_path: Path) -> None:
    trace = read(tmp_path, "time_s,up_mbps,down_mbps,rtt_ms\n5,1.5,20,48\n6.5,2,18,\n7,2,18,52\n")
    assert trace.times_s == (0.0, 1.5, 2.0)
    assert trace.uplink_bps == (1.5e6, 2e6, 2e6)
    assert trace.downlink_bps == (2e7, 1.8e7, 1.8e7)
    assert trace.rtts_s == pytest.approx((0.048, 0.048, 0.052))


def test_units_stand_in_the_heading(tmp_path: Path) -> None:
    trace = read(tmp_path, 'TIME_ms,"Downlink_kbps",rtt_s\r\n0,900,0.1\r\n500,800,0.2\r\n')
    assert trace == LinkTrace((0.0, 0.5), (9e5, 8e5), (9e5, 8e5), (0.1, 0.2))


def test_columns_that_are_not_known_are_left_out_and_bare_names_have_units_too(tmp_path: Path) -> None:
    trace = read(tmp_path, "lat,time,up,down,rtt,signal\n59.9,1,2,3,40,good\n59.8,2,0,3,,bad\n")
    assert trace == LinkTrace((0.0, 1.0), (2e6, 1000.0), (3e6, 3e6), (0.04, 0.04))


def test_a_byte_order_mark_is_no_part_of_the_heading(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufefftime,up_kbps\n0,2\n") == LinkTrace((0.0,), (2000.0,), (2000.0,))


def test_packet_opportunities_become_bandwidth(tmp_path: Path) -> None:
    # 10 packets in the first tenth of a second, 5 in the second, 0 in the third, 1 in the fourth.
    times = [*range(10, 101, 10), *range(110, 191, 20), 400]
    trace = read(tmp_path, "\n".join(map(str, times)))
    assert trace.times_s == pytest.approx((0.0, 0.1, 0.2, 0.3))
    assert trace.uplink_bps == pytest.approx((1_203_200, 601_600, 1000, 120_320))
    assert trace.uplink.period_s == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no line"),
        ("0 1\n1 x", "line 2: is not a time and a bandwidth"),
        ("0 1\n\n1", "line 3: is not a time and a bandwidth"),
        ("0 1\n1 nan", "line 2"),
        ("0 1\n1 -2", "line 2: is not a bandwidth"),
        ("0 1e300\n", "line 1"),
        ("nan 1", "line 1"),
        ("1e300 1", "line 1"),
        ("1 1\n0 2", "line 2: has a time that does not rise"),
        ("0 1\n0 2", "line 2: has a time that does not rise"),
        ("time,up\n", "no line"),
        ("time,up\n0,x", "line 2: is not a number in column up"),
        ("time,up\n0,1\n1", "line 3: has no bandwidth"),
        ("time,up\n,1", "line 2: has no time"),
        ("time,up,rtt\n0,1,-3", "line 2: has a round trip below zero"),
        ("time,up_furlongs\n0,1", "line 1: has a unit"),
        ("time,up,uplink\n0,1,1", "line 1: names the column up twice"),
        ("time,up\n0,1\n0,1", "line 3: has a time that does not rise"),
        ("1\n2\n3\nx", "line 4: is not a packet's time"),
        ("1\n2\n3\n2", "line 4: is before"),
        ("0\n0", "line 2: is a recording without length"),
        ("1\n2\n99999999999999", "line 3: is not a packet's time"),
    ],
)
def test_what_is_not_a_trace_is_refused_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidConfiguration, match=f"trace.*{words}"):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_link_trace(tmp_path / "nowhere")


cells = st.one_of(st.floats().map(str), st.integers().map(str), st.sampled_from(["", "time", "up", "rtt_ms", "#", "x"]))
lines = st.lists(
    st.lists(cells, max_size=4).flatmap(lambda row: st.sampled_from([" ", ","]).map(lambda by: by.join(row)))
)
headings = st.sampled_from(["", "time,up,down,rtt\n", "time_ms,down_kbps\n", "1\n2\n3\n"])
texts = st.builds(str.__add__, headings, lines.map("\n".join)).map(str.encode)


@given(st.one_of(st.binary(max_size=300), texts))
def test_garbage_is_a_recording_or_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage-trace"
    path.write_bytes(data)
    try:
        trace = read_link_trace(path)
    except InvalidConfiguration:
        return
    assert trace.times_s[0] == 0.0
    assert all(a < b for a, b in pairwise(trace.times_s))
    assert all(1000.0 <= bps <= 1e15 for bps in (*trace.uplink_bps, *trace.downlink_bps))
    assert trace.rtts_s is None or all(rtt_s >= 0.0 for rtt_s in trace.rtts_s)
