"""What went on when: arrivals, times, plans and queues in windows of time, all runs taken together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.plain_json import STRICT
from simulations.answers.interval import Floats
from simulations.answers.slo import answered
from simulations.run_record import Ids, Measure, RunRecord, Series

__all__ = ["OverTime", "PlanOverTime", "SeriesOverTime", "over_time"]

_MOST_WINDOWS, _MOST_LINES = 150, 6

Line = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class PlanOverTime:
    """Which share of the requests that a plan was chosen for got this one; None where there was none."""

    __pydantic_config__ = STRICT
    plan: str
    shares: Line


@dataclass(frozen=True, slots=True)
class SeriesOverTime:
    """The mean of the samples in each window. of: whose; of more than six they are told together as "mean of 40" and
    "highest of 40"."""

    __pydantic_config__ = STRICT
    measure: Measure
    of: str
    values: Line


@dataclass(frozen=True, slots=True)
class OverTime:
    """Windows of window_s that begin at times_s, the warm-up's too. None: nothing came, or was answered, in a window.
    By the time of arrival; arrivals_per_s and unanswered_per_s of one run, on average."""

    __pydantic_config__ = STRICT
    window_s: float
    times_s: tuple[float, ...]
    arrivals_per_s: Line
    unanswered_per_s: Line
    p50_s: Line
    p99_s: Line
    plans: tuple[PlanOverTime, ...]
    series: tuple[SeriesOverTime, ...]


def window_of(duration_s: float) -> float:
    """1, 2 or 5 times a power of ten seconds, for 150 windows at most."""
    least = duration_s / _MOST_WINDOWS
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def over_time(runs: Sequence[RunRecord], plans: Sequence[str]) -> OverTime:
    """Of runs of one length. plans: which, in this order."""
    duration_s = runs[0].facts.duration_s
    window_s = window_of(duration_s)
    count = math.ceil(duration_s / window_s * (1 - 1e-9))
    time_s = np.concatenate([run.requests.time_s for run in runs])
    took_s = np.concatenate([run.requests.took_s for run in runs])
    done = np.concatenate([answered(run, run.requests) for run in runs])
    windows = _windows(time_s, window_s)
    lengths_s = np.minimum(window_s, duration_s - window_s * np.arange(count)) * len(runs)
    p50_s, p99_s = _quantiles(windows[done], took_s[done], count, (0.5, 0.99))
    return OverTime(
        window_s,
        tuple(float(place) * window_s for place in range(count)),
        _line(_counts(windows, count) / lengths_s),
        _line(_counts(windows[~done], count) / lengths_s),
        p50_s,
        p99_s,
        tuple(_plans(runs, windows, count, plans)),
        tuple(_series(runs, window_s, count)),
    )


def _windows(time_s: Floats, window_s: float) -> Ids:
    return np.floor(time_s / window_s).astype(np.int32)


def _counts(windows: Ids, count: int) -> Floats:
    return np.bincount(windows, minlength=count)[:count].astype(np.float64)


def _line(values: Floats) -> Line:
    """Without a NaN: what it stands for is None."""
    return tuple(float(value) if math.isfinite(value) else None for value in values)


def _quantiles(windows: Ids, values: Floats, count: int, shares: Sequence[float]) -> Iterator[Line]:
    order = np.argsort(windows, kind="stable")
    borders = np.searchsorted(windows[order], np.arange(1, count))
    parts = np.split(values[order], borders)
    for share in shares:
        yield tuple(
            float(np.quantile(part, share, method="inverted_cdf")) if part.size else None for part in parts[:count]
        )


def _plans(runs: Sequence[RunRecord], windows: Ids, count: int, plans: Sequence[str]) -> Iterator[PlanOverTime]:
    chosen = np.concatenate([run.requests.plan != run.id_of("") for run in runs])
    all_counts = _counts(windows[chosen], count)
    for plan in plans:
        flags = np.concatenate([run.requests.plan == run.id_of(plan) for run in runs])
        with np.errstate(invalid="ignore"):
            yield PlanOverTime(plan, _line(_counts(windows[flags], count) / all_counts))


def _series(runs: Sequence[RunRecord], window_s: float, count: int) -> Iterator[SeriesOverTime]:
    series = list(dict.fromkeys(one for run in runs for one in run.series))
    means = _means(runs, series, window_s, count)
    for measure in dict.fromkeys(one.measure for one in series):
        rows = [place for place, one in enumerate(series) if one.measure == measure]
        if len(rows) <= _MOST_LINES:
            yield from (SeriesOverTime(measure, series[row].of, _line(means[row])) for row in rows)
            continue
        there = np.isfinite(means[rows])
        with np.errstate(invalid="ignore"):
            middle = np.where(there, means[rows], 0.0).sum(axis=0) / there.sum(axis=0)
        yield SeriesOverTime(measure, f"mean of {len(rows)}", _line(middle))
        highest = np.where(there, means[rows], -np.inf).max(axis=0)
        yield SeriesOverTime(measure, f"highest of {len(rows)}", _line(highest))


def _means(runs: Sequence[RunRecord], series: Sequence[Series], window_s: float, count: int) -> Floats:
    """Of each series' samples in each window, a row a series; NaN where there is none."""
    rows, size = {one: row for row, one in enumerate(series)}, len(series) * count
    sums, counts = np.zeros(size), np.zeros(size)
    for run in runs:
        row_of = np.array([rows[one] for one in run.series], np.int64)
        windows = _windows(run.samples.time_s, window_s)
        inside = windows < count
        cells = row_of[run.samples.series[inside]] * count + windows[inside]
        sums += np.bincount(cells, run.samples.value[inside], minlength=size)
        counts += np.bincount(cells, minlength=size)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts).reshape(len(series), count)
