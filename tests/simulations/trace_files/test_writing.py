"""What is written is read again as it was."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration
from simulations.link_trace import LinkTrace
from simulations.trace_files.reading import read_link_trace
from simulations.trace_files.writing import write_link_trace

rates = st.floats(1e4, 3e6)
rows = st.tuples(st.integers(1, 1000), rates, rates, st.floats(0.0, 2.0))


@st.composite
def recordings(draw: st.DrawFn, least: int = 1) -> LinkTrace:
    drawn = draw(st.lists(rows, min_size=least, max_size=8))
    gaps_ms, up, down, rtts_s = zip(*drawn, strict=True)
    times_s = tuple(ms / 1e3 for ms in accumulate((0, *gaps_ms[1:])))
    return LinkTrace(times_s, up, down, rtts_s if draw(st.booleans()) else None)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written") / "trace"


@given(recordings())
def test_a_csv_keeps_all_of_it(path: Path, trace: LinkTrace) -> None:
    assert write_link_trace(trace, path) == (path,)
    again = read_link_trace(path)
    assert again.times_s == pytest.approx(trace.times_s)
    assert again.uplink_bps == pytest.approx(trace.uplink_bps, rel=1e-5)
    assert again.downlink_bps == pytest.approx(trace.downlink_bps, rel=1e-5)
    assert again.rtts_s == (None if trace.rtts_s is None else pytest.approx(trace.rtts_s, rel=1e-5, abs=1e-9))


@given(recordings())
def test_a_table_keeps_each_way(path: Path, trace: LinkTrace) -> None:
    up, down = map(read_link_trace, write_link_trace(trace, path, "table"))
    assert up.times_s == down.times_s == pytest.approx(trace.times_s)
    assert up.uplink_bps == pytest.approx(trace.uplink_bps, rel=1e-5)
    assert down.uplink_bps == pytest.approx(trace.downlink_bps, rel=1e-5)


@given(recordings(least=2))
def test_packet_opportunities_keep_length_and_bits(path: Path, trace: LinkTrace) -> None:
    for way, one in zip(write_link_trace(trace, path, "mahimahi"), (trace.uplink, trace.downlink), strict=True):
        written = [int(line) for line in way.read_text().split()]
        ends_s = (*one.times_s[1:], one.period_s)
        bits = sum(
            bps * (end_s - begin_s) for begin_s, end_s, bps in zip(one.times_s, ends_s, one.bandwidths_bps, strict=True)
        )
        assert abs(len(written) * 12_032 - bits) <= 2 * 12_032
        assert written == sorted(written)
        assert written[-1] == pytest.approx(one.period_s * 1e3, abs=1)
        again = read_link_trace(way).uplink
        if again.period_s < float("inf"):
            assert again.period_s == pytest.approx(one.period_s, abs=0.0011)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be written"):
        write_link_trace(LinkTrace((0.0,), (1.0,), (1.0,)), tmp_path / "no" / "trace")
