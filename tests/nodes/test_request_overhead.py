"""What a request costs besides its stages, as a law in its bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.request_overhead import NOT_MEASURED, OverheadSample, fit_overhead

WHEN = "2026-01-01T00:00:00+00:00"


def samples(*pairs: tuple[int, float]) -> list[OverheadSample]:
    return [OverheadSample(size_bytes, seconds) for size_bytes, seconds in pairs]


@given(st.floats(1e-4, 1e-2), st.floats(1e-10, 1e-8), st.integers(0, 10**7))
def test_a_constant_and_a_rate_are_found_again(fixed_s: float, s_per_byte: float, size_bytes: int) -> None:
    seen = samples(*((size, fixed_s + s_per_byte * size) for size in (1_000, 200_000, 600_000)))
    assert fit_overhead(seen, WHEN).seconds(size_bytes) == pytest.approx(fixed_s + s_per_byte * size_bytes, rel=1e-6)


def test_one_disturbed_request_of_a_size_does_not_count() -> None:
    seen = samples((1_000, 0.002), (1_000, 0.3), (1_000, 0.002), (600_000, 0.004), (600_000, 0.004), (600_000, 0.004))
    assert fit_overhead(seen, WHEN).seconds(1_000) == pytest.approx(0.002)


def test_sizes_that_hardly_differ_tell_no_rate() -> None:
    law = fit_overhead(samples((1_000, 0.001), (2_000, 0.002), (2_000, 0.003)), WHEN)
    assert (law.seconds(1_000), law.seconds(10**6)) == (0.002, 0.002)


def test_a_node_that_accounts_for_more_than_its_client_waited_has_no_overhead_below_zero() -> None:
    law = fit_overhead(samples((1_000, -0.001), (600_000, -0.002)), WHEN)
    assert law.seconds(10**6) == 0.0


def test_nothing_asked_is_nothing_measured() -> None:
    assert fit_overhead([], WHEN) == NOT_MEASURED
    assert str(NOT_MEASURED) == "not measured"


def test_says_the_law_and_where_it_is_from() -> None:
    assert (
        str(fit_overhead(samples((0, 0.002), (1_000_000, 0.005)), WHEN)) == f"2.00 ms + 3.00 ms/MB, 2 requests, {WHEN}"
    )
