"""What a burst says of the link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.link_recorder.burst_rate import Arrived, rate_bps


def burst(rates_bps: list[tuple[float, int]], piece_bytes: int = 1000) -> list[Arrived]:
    """Pieces at one rate after the other, each for so many pieces."""
    now_s, total, arrivals = 5.0, 0, []
    for bps, pieces in rates_bps:
        for _ in range(pieces):
            now_s += 8 * piece_bytes / bps
            total += piece_bytes
            arrivals.append(Arrived(now_s, total))
    return arrivals


@given(st.floats(1e4, 1e9), st.integers(3, 200))
def test_an_even_burst_shows_the_rate(bps: float, pieces: int) -> None:
    assert rate_bps(burst([(bps, pieces)])) == pytest.approx(bps, rel=1e-4)


def test_a_slow_start_does_not_count() -> None:
    assert rate_bps(burst([(1e5, 10), (1e6, 30), (8e6, 60)])) == pytest.approx(8e6)


def test_pieces_that_come_together_are_counted_from_where_they_wait() -> None:
    assert rate_bps([Arrived(0.0, 100), Arrived(1.0, 1000)]) == pytest.approx(7200)


@pytest.mark.parametrize("arrivals", [[], [Arrived(1.0, 1000)]])
def test_too_little_shows_nothing(arrivals: list[Arrived]) -> None:
    assert rate_bps(arrivals) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.integers(1, 10_000)), max_size=50))
def test_any_arrivals_give_a_finite_rate(steps: list[tuple[float, int]]) -> None:
    now_s, total, arrivals = 0.0, 0, []
    for gap_s, size in steps:
        now_s, total = now_s + gap_s, total + size
        arrivals.append(Arrived(now_s, total))
    assert 0.0 <= rate_bps(arrivals) <= 8 * total / 1e-6
