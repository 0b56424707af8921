"""What is written is read again as it was."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration
from simulations.link_trace import LinkTrace
from simulations.trace_files.reading import read_link_trace
from simulations.trace_files.writing import TraceForm, check_trace_files, write_link_trace

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


@contextlib.contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """As on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", ["csv", "table", "mahimahi"])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, form: TraceForm) -> None:
    short = LinkTrace((0.0, 1.0), (1e6, 2e6), (1e6, 2e6))
    many = 10_000
    long = LinkTrace(tuple(map(float, range(many))), (1e6,) * many, (1e6,) * many)
    files = write_link_trace(short, tmp_path / "l", form)
    before = {path: path.read_bytes() for path in files}
    with files_of_at_most(10_000), pytest.raises(InvalidConfiguration, match="cannot be written"):
        write_link_trace(long, tmp_path / "l", form)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_link_to_a_file_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "l").symlink_to(tmp_path / "there" / "trace")
    write_link_trace(LinkTrace((0.0,), (1e6,), (1e6,)), tmp_path / "l")
    assert (tmp_path / "l").is_symlink()
    assert read_link_trace(tmp_path / "there" / "trace").uplink_bps == (1e6,)


@pytest.mark.parametrize("path", ["/proc/l", "/dev/null"])
def test_where_no_file_can_be_is_told_before(path: str) -> None:
    with pytest.raises(InvalidConfiguration, match=path):
        check_trace_files(Path(path), "csv")
    with pytest.raises(InvalidConfiguration, match=path):
        write_link_trace(LinkTrace((0.0,), (1e6,), (1e6,)), Path(path))


def test_a_check_leaves_nothing_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "l.up").write_text("0 1\n")
    check_trace_files(tmp_path / "l", "table")
    assert [path.name for path in tmp_path.iterdir()] == ["l.up"]
    assert (tmp_path / "l.up").read_text() == "0 1\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to any file")
def test_a_file_that_may_not_be_written_is_told_before(tmp_path: Path) -> None:
    (tmp_path / "l").touch(mode=0o444)
    with pytest.raises(InvalidConfiguration, match="Permission denied"):
        check_trace_files(tmp_path / "l", "csv")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be written"):
        write_link_trace(LinkTrace((0.0,), (1.0,), (1.0,)), tmp_path / "no" / "trace")
