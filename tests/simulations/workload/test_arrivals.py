"""Arrival processes: what holds for all of them, and how each one comes in clumps or does not."""

from __future__ import annotations

import contextlib
import math
import random
from itertools import islice, pairwise
from pathlib import Path
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration, InvalidQuantity
from simulations.workload.arrival_process import ArrivalProcess
from simulations.workload.bursty import Bursty
from simulations.workload.closed_loop import ClosedLoop
from simulations.workload.diurnal import Diurnal
from simulations.workload.mmpp import Mmpp
from simulations.workload.poisson import Poisson
from simulations.workload.recorded import Recorded, read_arrivals
from simulations.workload.steady import Steady

rates = st.floats(0.01, 200.0)
times = st.floats(0.001, 30.0)
processes: st.SearchStrategy[ArrivalProcess] = st.one_of(
    st.builds(Poisson, rates),
    st.lists(st.tuples(rates, times), min_size=2, max_size=4).map(lambda rows: Mmpp(*zip(*rows, strict=True))),
    st.builds(Diurnal, rates, st.floats(0.0, 1.0), times, st.floats(0.0, 60.0)),
    st.builds(Bursty, rates, st.floats(1.0, 20.0), st.floats(0.0, 2.0)),
    times.flatmap(lambda period_s: st.builds(Steady, st.just(period_s), st.floats(0.0, period_s))),
    st.builds(
        Recorded,
        st.lists(st.floats(0.0, 60.0), min_size=1).map(lambda some: tuple(sorted(some))),
        st.one_of(st.none(), st.floats(0.0, 200.0)),
    ),
)
seeds = st.integers(0, 2**32)


def taken(process: ArrivalProcess, seed: int, until_s: float, most: int = 2000) -> list[float]:
    return list(islice(process.times(random.Random(seed), until_s), most))


def dispersion(process: ArrivalProcess, window_s: float, windows: int = 4000, seed: int = 1) -> float:
    """The variance of the counts of windows over their mean: 1 for Poisson."""
    counts = [0] * windows
    for time_s in process.times(random.Random(seed), windows * window_s):
        counts[int(time_s / window_s)] += 1
    return pvariance(counts) / fmean(counts)


@given(processes, seeds, st.floats(0.0, 40.0))
def test_times_never_fall_and_lie_inside(process: ArrivalProcess, seed: int, until_s: float) -> None:
    found = taken(process, seed, until_s)
    assert all(a <= b for a, b in pairwise(found))
    assert all(0.0 <= time_s < until_s for time_s in found)


@given(processes, seeds, st.floats(0.0, 20.0), st.floats(0.0, 20.0))
def test_a_longer_run_begins_as_a_shorter_one(process: ArrivalProcess, seed: int, one_s: float, more_s: float) -> None:
    longer = taken(process, seed, one_s + more_s)
    assert taken(process, seed, one_s) == [time_s for time_s in longer if time_s < one_s]


@pytest.mark.parametrize(
    "process",
    [
        Poisson(3.0),
        Mmpp((0.0, 12.0, 3.0), (2.0, 1.0, 3.0)),
        Diurnal(3.0, 1.0, 60.0, 20.0),
        Bursty(3.0, 5.0, 0.1),
        Steady(1 / 3.0, 0.2),
    ],
)
def test_the_mean_rate_is_what_it_says(process: ArrivalProcess) -> None:
    count = sum(1 for _ in process.times(random.Random(7), 24_000.0))
    assert count / 24_000.0 == pytest.approx(process.mean_rate_per_s, rel=0.03)


def test_seeds_differ() -> None:
    assert taken(Poisson(1.0), 1, 100.0) != taken(Poisson(1.0), 2, 100.0)


def test_poisson_counts_vary_as_their_mean() -> None:
    assert dispersion(Poisson(2.0), 5.0) == pytest.approx(1.0, abs=0.1)


def test_a_switched_rate_comes_in_clumps() -> None:
    assert dispersion(Mmpp((0.5, 20.0), (5.0, 5.0)), 5.0) > 10.0


def test_equal_rates_are_poisson_whatever_the_chain_does() -> None:
    assert dispersion(Mmpp((2.0, 2.0), (5.0, 1.0)), 5.0) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("spacing_s", [0.0, 0.05])
def test_bursts_vary_as_the_formula_says(spacing_s: float) -> None:
    assert dispersion(Bursty(2.0, 4.0, spacing_s), 20.0) == pytest.approx(2 * 4.0 - 1, rel=0.12)


def test_as_many_requests_of_bursts_come_in_the_beginning_as_later() -> None:
    """Twenty requests half a second apart: a burst that is under way at zero has most of its requests before it."""
    counts = [len(taken(Bursty(2.0, 20.0, 0.5), seed, 5.0)) for seed in range(2000)]
    assert fmean(counts) == pytest.approx(10.0, abs=1.5)


def test_requests_of_a_burst_are_so_far_apart() -> None:
    found = taken(Bursty(0.02, 4.0, 0.25), 3, 10_000.0)
    inside = [b - a for a, b in pairwise(found) if b - a < 1.0]
    assert len(inside) > 50
    assert fmean(abs(gap_s - 0.25) < 1e-6 for gap_s in inside) > 0.95


def test_a_day_has_its_peak_where_it_is_told() -> None:
    counts = [0] * 24
    for time_s in Diurnal(1.0, 0.9, 24.0, 18.0).times(random.Random(5), 24_000.0):
        counts[int(time_s % 24.0)] += 1
    assert counts.index(max(counts)) in (17, 18)
    assert min(counts) < 0.2 * max(counts)


def test_a_beat_without_jitter_is_even_and_two_clients_do_not_beat_as_one() -> None:
    one, two = (taken(Steady(0.5), seed, 100.0) for seed in (1, 2))
    assert all(b - a == pytest.approx(0.5) for a, b in pairwise(one))
    assert one[0] != two[0]


def test_a_recording_is_replayed_and_ends() -> None:
    assert taken(Recorded((0.0, 0.5, 0.5, 2.0)), 1, math.inf) == [0.0, 0.5, 0.5, 2.0]


def test_a_recording_may_be_begun_anywhere_in_it_and_what_was_before_comes_last() -> None:
    recorded = Recorded((0.0, 0.5, 3.0), start_s=0.5)
    assert recorded.period_s == 4.5  # after the last one a gap like the mean
    assert taken(recorded, 1, math.inf) == taken(recorded, 2, math.inf) == [0.0, 2.5, 4.0]
    assert taken(Recorded(recorded.times_s, start_s=4.5 + 0.5), 1, math.inf) == [0.0, 2.5, 4.0]


def test_recordings_that_begin_anywhere_do_not_come_as_one_and_leave_out_nothing() -> None:
    recorded = Recorded((0.0, 0.5, 0.5, 3.0), start_s=None)
    plays = [taken(recorded, seed, math.inf) for seed in range(50)]
    assert len({play[0] for play in plays}) == 50
    assert {len(play) for play in plays} == {4}
    assert max(play[-1] for play in plays) < recorded.period_s


@pytest.mark.parametrize("before", ["time_s,model\n", "", "# of a gate\ntime_s,model\n"])
def test_moments_of_any_clock_are_read(tmp_path: Path, before: str) -> None:
    path = tmp_path / "times"
    path.write_text(f"{before}1000.5, a\n# later\n1000.0\n\n1002\n")
    assert read_arrivals(path) == Recorded((0.0, 0.5, 2.0))


@pytest.mark.parametrize("text", ["", "time\n", "1\nx", "#\n1\nx", "1\nnan", "inf\n1"])
def test_what_holds_no_times_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "times"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration, match="arrivals"):
        read_arrivals(path)


@given(st.binary(max_size=200))
def test_garbage_is_a_recording_or_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage-times"
    path.write_bytes(data)
    with contextlib.suppress(InvalidConfiguration):
        assert read_arrivals(path).times_s[0] == 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Poisson(0.0),
        lambda: Poisson(math.nan),
        lambda: Mmpp((1.0,), (1.0,)),
        lambda: Mmpp((1.0, 2.0), (1.0,)),
        lambda: Mmpp((0.0, 0.0), (1.0, 1.0)),
        lambda: Mmpp((1.0, 2.0), (1.0, 0.0)),
        lambda: Diurnal(1.0, 1.5),
        lambda: Diurnal(1.0, 0.5, 0.0),
        lambda: Bursty(1.0, 0.5),
        lambda: Bursty(1.0, 2.0, -1.0),
        lambda: Steady(0.0),
        lambda: Steady(1.0, 1.5),
        lambda: Recorded(()),
        lambda: Recorded((1.0, 0.5)),
        lambda: Recorded((-1.0, 0.5)),
        lambda: Recorded((0.0, math.nan)),
        lambda: Recorded((0.0,), -1.0),
        lambda: ClosedLoop(0, 1.0),
        lambda: ClosedLoop(1, -1.0),
    ],
)
def test_what_no_client_does_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(InvalidQuantity, match="arrivals"):
        make()


def test_users_think_for_the_mean_time() -> None:
    loop, source = ClosedLoop(3, 2.0), random.Random(1)
    assert fmean(loop.pause_s(source) for _ in range(20_000)) == pytest.approx(2.0, rel=0.03)
    assert ClosedLoop(3, 0.0).pause_s(source) == 0.0
