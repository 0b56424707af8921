"""File sizes: their means, and what is refused."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidQuantity
from simulations.workload.file_sizes import ConstantSize, FileSizes, LogNormalSize, SizeRange

SIZES = [ConstantSize(1000), SizeRange(500, 2500), LogNormalSize(60_000, 0.6)]


@pytest.mark.parametrize("sizes", SIZES)
def test_the_mean_is_what_it_says(sizes: FileSizes) -> None:
    source = random.Random(3)
    assert fmean(sizes.draw(source) for _ in range(40_000)) == pytest.approx(sizes.mean_bytes, rel=0.02)


@pytest.mark.parametrize("sizes", SIZES)
def test_equal_seeds_draw_equal_sizes(sizes: FileSizes) -> None:
    one, two = random.Random(3), random.Random(3)
    assert [sizes.draw(one) for _ in range(50)] == [sizes.draw(two) for _ in range(50)]


@given(st.integers(1, 10**9), st.floats(0.0, 5.0), st.integers(0, 2**32))
def test_a_file_has_a_byte_at_least(median_bytes: int, spread: float, seed: int) -> None:
    assert LogNormalSize(median_bytes, spread).draw(random.Random(seed)) >= 1


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 2**32))
def test_a_range_is_not_left(least: int, more: int, seed: int) -> None:
    assert least <= SizeRange(least, least + more).draw(random.Random(seed)) <= least + more


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConstantSize(0),
        lambda: SizeRange(0, 10),
        lambda: SizeRange(11, 10),
        lambda: LogNormalSize(0, 1.0),
        lambda: LogNormalSize(10, -1.0),
    ],
)
def test_a_size_that_no_file_has_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(InvalidQuantity, match="file"):
        make()
