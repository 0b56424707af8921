"""Polygons of the lowest plane, exact over any number of decades."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from partitioner.weight_regions import WHOLE_TRIANGLE, IntegerAxes, Triple, WeightRegions, clip, dot

_NUMBERS = st.one_of(st.integers(0, 5), st.integers(0, 10**30))
_PLANES = st.lists(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS), min_size=1, max_size=12)


@given(_PLANES)
def test_a_plane_is_the_lowest_in_every_corner_of_its_region(planes: list[Triple]) -> None:
    regions = WeightRegions()
    for plane in planes:
        regions.add(plane)
    for number, polygon in regions.regions.items():
        for corner in polygon:
            assert dot(planes[number], corner.point) == min(dot(plane, corner.point) for plane in planes)


@given(_PLANES, st.tuples(*[st.integers(1, 10**12)] * 3))
def test_the_regions_leave_no_gap(planes: list[Triple], point: Triple) -> None:
    regions = WeightRegions()
    for plane in planes:
        regions.add(plane)
    lowest = min(dot(plane, point) for plane in planes)
    assert min(dot(planes[number], point) for number in regions.regions) == lowest


def test_what_only_touches_a_line_is_gone() -> None:
    assert clip(WHOLE_TRIANGLE, (-1, -1, 0)) == ()
    assert clip(WHOLE_TRIANGLE, (1, 1, 0)) == WHOLE_TRIANGLE


def test_a_plane_given_twice_has_one_region() -> None:
    regions = WeightRegions()
    assert [bool(regions.add((1, 2, 3))) for _ in range(2)] == [True, False]


@given(st.lists(st.tuples(*[st.floats(0, 1e9)] * 3), min_size=1, max_size=6))
def test_costs_become_integers_without_loss(costs: list[tuple[float, float, float]]) -> None:
    axes = IntegerAxes.of(costs)
    for cost in costs:
        back = tuple(
            Fraction(value) / Fraction(2) ** shift for value, shift in zip(axes.plane(cost), axes.shifts, strict=True)
        )
        assert back == tuple(map(Fraction, cost))
