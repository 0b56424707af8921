"""The replay benchmark tells a miss from what cannot be told, and sets stages beside each other."""

from __future__ import annotations

import pytest

from benchmarks.figure import Interval
from benchmarks.replay import floor, of_allowed, stage_rows, told, verdict
from simulations.replay.answer import replay
from simulations.replay.logged_run import logged_run
from tests.simulations.replay.test_replay import log_of, poisson

GOOD, SPANS, BAD = Interval(0.5, 0.1, 0.9), Interval(0.8, 0.2, 1.4), Interval(3.5, 2.0, 5.3)


@pytest.mark.parametrize(
    ("errors", "noise", "words"),
    [
        ((GOOD, GOOD), 0.5, "holds"),
        ((GOOD, SPANS), 0.5, "cannot be told on this machine"),
        ((GOOD, GOOD), 1.5, "cannot be told on this machine"),
        ((SPANS, BAD), 1.5, "missed"),
        ((GOOD,), 0.5, "cannot be told of so few requests"),
        ((BAD,), 0.5, "missed"),
    ],
)
def test_an_interval_that_spans_the_bound_cannot_be_told(
    errors: tuple[Interval, ...], noise: float, words: str
) -> None:
    assert verdict(errors, noise) == words


def test_a_log_with_too_few_requests_for_a_quantile_is_judged_by_the_other() -> None:
    """Some hundred requests have no 99th percentile."""
    answer = replay(logged_run(log_of(poisson(1.0, 240.0), "cloud-only", spread=0.0)), [])
    (error,) = of_allowed(answer)
    assert error.low <= error.value <= error.high
    assert floor(answer) > 0
    p50, p99 = (row for row in told(answer)["errors"] if row.startswith(("p50_s", "p99_s")))  # type: ignore[attr-defined]
    assert "too few" not in p50
    assert p99.count("[too few]") == 3


def test_the_stages_stand_really_and_replayed() -> None:
    rows = stage_rows(logged_run(log_of(poisson(1.0, 30.0), "cloud-only", spread=0.0)))
    told = dict(row.split(": ") for row in rows)
    assert list(told) == ["edge_queue", "edge", "uplink", "cloud_queue", "cloud", "downlink"]
    really, replayed = told["cloud"].split(", ")
    assert really.removesuffix("really") == replayed.removesuffix("replayed")
    assert "-" not in told["cloud"]
