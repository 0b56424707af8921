"""The replay benchmark tells a miss from what cannot be told, and sets stages beside each other."""

from __future__ import annotations

import pytest

from benchmarks.figure import Interval
from benchmarks.replay import stage_rows, verdict
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
    ],
)
def test_an_interval_that_spans_the_bound_cannot_be_told(
    errors: tuple[Interval, ...], noise: float, words: str
) -> None:
    assert verdict(errors, noise) == words


def test_the_stages_stand_really_and_replayed() -> None:
    rows = stage_rows(logged_run(log_of(poisson(1.0, 30.0), "cloud-only", spread=0.0)))
    told = dict(row.split(": ") for row in rows)
    assert list(told) == ["edge_queue", "edge", "uplink", "cloud_queue", "cloud", "downlink"]
    really, replayed = told["cloud"].split(", ")
    assert really.removesuffix("really") == replayed.removesuffix("replayed")
    assert "-" not in told["cloud"]
