"""The shared machinery of the benchmarks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figure import (
    Figure,
    Interval,
    Options,
    PairedSamples,
    bootstrap,
    measure_pairs,
    ratio_figure,
    report,
    verdict,
)

OPTIONS = Options(quick=True, as_json=True, record=False, seed=1)
QUIET = Interval(1.0, 0.99, 1.01)


def test_the_first_round_is_discarded() -> None:
    calls = {"a": 0, "b": 0}

    def count(name: str) -> float:
        calls[name] += 1
        return float(calls[name])

    samples = measure_pairs(lambda: count("a"), lambda: count("b"), 5, seed=0)
    assert calls == {"a": 6, "b": 12}
    assert samples.a == (2.0, 3.0, 4.0, 5.0, 6.0)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=40), st.integers(0, 5))
def test_the_interval_holds_the_value_and_stays_in_the_samples(values: list[float], seed: int) -> None:
    interval = bootstrap(values, seed)
    assert min(values) <= interval.low <= interval.high <= max(values)
    assert interval.low <= interval.value <= interval.high


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [float(number % 7) for number in range(30)]
    assert bootstrap(values, 3) == bootstrap(values, 3)


@pytest.mark.parametrize(
    ("value", "floor", "goal", "better", "words"),
    [
        (Interval(1.9, 1.8, 2.0), QUIET, 2.0, "lower", "holds"),
        (Interval(2.2, 1.9, 2.4), QUIET, 2.0, "lower", "holds"),
        (Interval(2.2, 2.1, 2.4), QUIET, 2.0, "lower", "missed"),
        (Interval(2.2, 2.1, 2.4), Interval(1.1, 1.05, 1.2), 2.0, "lower", "holds"),
        (Interval(1.0, 0.9, 1.1), Interval(1.0, 0.4, 1.2), 2.0, "lower", "cannot be told on this machine"),
        (Interval(3.1, 2.9, 3.4), QUIET, 3.0, "higher", "holds"),
        (Interval(2.5, 2.2, 2.8), QUIET, 3.0, "higher", "missed"),
    ],
)
def test_the_verdict_weighs_the_goal_against_the_noise(
    value: Interval, floor: Interval, goal: float, better: str, words: str
) -> None:
    assert verdict(value, floor, goal, "higher" if better == "higher" else "lower") == words


def test_a_ratio_is_the_median_over_the_rounds() -> None:
    samples = PairedSamples((2.0, 4.0, 9.0), (1.0, 2.0, 3.0), (1.0, 2.0, 3.0))
    figure = ratio_figure("example", samples, 2.5, OPTIONS, details={"more": 1})
    assert (figure.value, figure.floor, figure.n, figure.holds) == (2.0, 1.0, 3, True)
    assert figure.details["more"] == 1


def test_json_is_one_object_with_the_agreed_keys(capsys: pytest.CaptureFixture[str]) -> None:
    report(Figure("example", 1.0, 0.9, 1.1, 1.0, 30, 2.0, True, "here", 1), OPTIONS)
    made = json.loads(capsys.readouterr().out)
    keys = {"figure", "value", "low", "high", "floor", "n", "goal", "holds", "machine", "seed"}
    assert keys <= made.keys()
