"""What a recorder leaves on disk, whenever it ends."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration
from simulations.link_recorder.near_end import LinkSample
from simulations.link_recorder.recording import Recording
from simulations.trace_files.reading import read_link_trace
from simulations.trace_files.writing import TraceForm, trace_files


def sample(time_s: float, rtt_s: float | None = 0.05) -> LinkSample:
    return LinkSample(time_s, 2e5, 5e5, rtt_s, 1000)


@pytest.mark.parametrize("form", ["csv", "table", "mahimahi"])
def test_what_was_seen_is_on_disk_before_the_recording_ends(tmp_path: Path, form: TraceForm) -> None:
    recording = Recording(tmp_path / "l", form, pytest.fail, clock=lambda: 0.0)
    for number in range(40):
        recording.add(sample(0.5 + number))
        for path in trace_files(tmp_path / "l", form) if number >= 10 else ():
            assert read_link_trace(path).times_s[-1] >= number - 11.0
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in trace_files(tmp_path / "l", form)}


def test_writing_takes_a_hundredth_of_the_time_at_most(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "l", "csv", pytest.fail, clock=itertools.count(0.0, 0.5).__next__)
    recording.add(sample(0.0))
    for time_s in (10.0, 59.0, 61.0):
        recording.add(sample(time_s))
        assert (read_link_trace(tmp_path / "l").times_s[-1] == time_s) == (time_s != 59.0)


def test_a_recording_that_cannot_be_written_at_all_ends_soon(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "no" / "l", "csv", pytest.fail)
    with pytest.raises(InvalidConfiguration, match="cannot be written"):
        recording.add(sample(10.0))


def test_one_that_cannot_be_written_for_a_while_goes_on(tmp_path: Path) -> None:
    said, folder = list[str](), tmp_path / "away"
    folder.mkdir()
    recording = Recording(folder / "l", "csv", said.append, clock=lambda: 0.0)
    recording.add(sample(10.0))
    shutil.rmtree(folder)
    recording.add(sample(30.0))
    assert said[0].startswith("not saved yet: trace: cannot be written")
    folder.mkdir()
    recording.add(sample(50.0))
    assert len(said) == 1
    assert read_link_trace(folder / "l").times_s == (0.0, 20.0, 40.0)


@given(st.lists(st.none() | st.floats(0.001, 1.0), min_size=1, max_size=8))
def test_where_nothing_came_back_the_round_trip_is_as_before(rtts_s: list[float | None]) -> None:
    recording = Recording(Path("unused"), "csv", pytest.fail)
    recording.samples = [sample(float(number), rtt_s) for number, rtt_s in enumerate(rtts_s)]
    filled, known = recording.trace().rtts_s, [rtt_s for rtt_s in rtts_s if rtt_s is not None]
    if not known:
        assert filled is None
        return
    assert filled is not None
    before_s = known[0]
    for rtt_s, found_s in zip(rtts_s, filled, strict=True):
        before_s = before_s if rtt_s is None else rtt_s
        assert found_s == before_s
