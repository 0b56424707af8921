"""The sooner of two replicas drawn at random."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.replica_choice import sooner_of_two


def picks(finishes_s: list[float], times: int = 6000) -> list[float]:
    rng = Random(0)
    counts = Counter(sooner_of_two(len(finishes_s), finishes_s.__getitem__, rng) for _ in range(times))
    return [counts[place] / times for place in range(len(finishes_s))]


@given(st.lists(st.floats(0, 10), min_size=2, max_size=12), st.integers(0, 10**6))
def test_never_the_last_of_all_and_always_one_of_them(finishes_s: list[float], seed: int) -> None:
    chosen = sooner_of_two(len(finishes_s), finishes_s.__getitem__, Random(seed))
    assert 0 <= chosen < len(finishes_s)
    assert sum(one >= finishes_s[chosen] for one in finishes_s) >= 2


def test_a_single_replica_is_taken_without_drawing() -> None:
    rng = Random(0)
    before = rng.getstate()
    assert sooner_of_two(1, lambda _: 1.0, rng) == 0
    assert rng.getstate() == before


def test_equal_replicas_share_alike() -> None:
    assert picks([0.5] * 4) == pytest.approx([0.25] * 4, abs=0.03)


def test_the_soonest_of_four_gets_half_and_the_last_nothing() -> None:
    assert picks([0.1, 0.2, 0.3, 0.4]) == pytest.approx([1 / 2, 1 / 3, 1 / 6, 0], abs=0.03)


def test_only_the_two_that_were_drawn_are_asked() -> None:
    asked: list[int] = []
    sooner_of_two(8, lambda place: asked.append(place) or 0.0, Random(1))  # type: ignore[func-returns-value]
    assert len(set(asked)) == len(asked) == 2


def test_stale_reports_do_not_make_a_fleet_jump_together() -> None:
    """A hundred edges that all believe the same of ten replicas: the best gets a fifth, not everything."""
    believed = [number / 10 for number in range(10)]
    counts = Counter(sooner_of_two(10, believed.__getitem__, Random(edge)) for edge in range(100))
    assert max(counts.values()) < 35
