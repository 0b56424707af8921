"""When to stop: precise enough, or surely on one side."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.errors import InvalidQuantity
from simulations.answers.interval import of_values
from simulations.answers.stopping import LEAST_RUNS, precise, side_of


def test_a_narrow_interval_of_enough_runs_is_precise() -> None:
    narrow = [100.0 + 0.1 * (number % 3) for number in range(LEAST_RUNS)]
    assert precise(of_values(narrow), 0.01)
    assert not precise(of_values(narrow[:5]), 0.01)
    assert not precise(of_values([50.0, 150.0] * LEAST_RUNS), 0.01)


def test_the_error_that_was_asked_for_is_kept_as_often_as_it_says() -> None:
    """Sampling until it says so, as a search does: nine of ten ends lie within the error (a 90 % interval)."""
    random, within = np.random.default_rng(5), 0
    for _ in range(100):
        values = list(random.exponential(1.0, LEAST_RUNS))
        while not precise(of_values(values, 0.9), 0.2):
            values.append(random.exponential(1.0))
        within += abs(np.mean(values) - 1.0) <= 0.2
    assert within >= 0.8 * 100  # three deviations below, and what stopping early costs


def test_runs_tell_a_side_as_soon_as_they_can() -> None:
    assert side_of(0.99, [0.995, 0.996, 0.995, 0.996], looks=5) == "above"
    assert side_of(0.99, [0.95, 0.96, 0.94, 0.95], looks=5) == "below"
    assert side_of(0.99, [0.9895, 0.9906], looks=5) == "open"
    assert side_of(0.99, [0.5], looks=5) == "open"
    assert side_of(1.0, [1.0, 1.0], looks=5) == "above"


def test_looking_again_and_again_does_not_make_it_say_something() -> None:
    """At the goal itself no side is right: it may say either in 5 of 100 searches."""
    random, said = np.random.default_rng(6), 0
    looks = 19
    for _ in range(200):
        values = list(random.normal(0.0, 1.0, looks + 1))
        said += any(side_of(0.0, values[: n + 2], looks) != "open" for n in range(looks))
    assert said <= 0.10 * 200


@pytest.mark.parametrize("error", [0.0, 1.0, float("nan")])
def test_an_error_that_is_no_share_is_refused(error: float) -> None:
    with pytest.raises(InvalidQuantity, match="relative error"):
        precise(of_values([1.0, 2.0]), error)


def test_at_least_one_look() -> None:
    with pytest.raises(InvalidQuantity, match="looks"):
        side_of(0.5, [1.0], looks=0)
