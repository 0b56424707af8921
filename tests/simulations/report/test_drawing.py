"""Axes and lines of a simulation's plots."""

from __future__ import annotations

import pytest

from simulations.report.drawing import NinesAxis, TimeAxis, line


def test_nines_are_evenly_apart() -> None:
    axis = NinesAxis(0.999, 400.0, 100.0, "answered")
    assert [axis.at(share) for share in (0.0, 0.9, 0.99, 0.999)] == pytest.approx([400, 300, 200, 100])
    assert axis.at(1.0) == pytest.approx(100.0)
    assert axis.ticks() == [0.0, 0.5, 0.9, 0.99, 0.999]
    assert [axis.said(share) for share in (0.5, 0.999)] == ["50 %", "99.9 %"]


@pytest.mark.parametrize(
    ("most", "said"),
    [
        (60.0, ["0", "5 s", "10 s"]),
        (300.0, ["0", "1 min", "2 min"]),
        (7200.0, ["0", "10 min", "20 min"]),
        (86400.0, ["0", "2 h", "4 h"]),
    ],
)
def test_moments_are_said_in_the_unit_of_their_ticks(most: float, said: list[str]) -> None:
    axis = TimeAxis(most)
    assert [axis.said(moment) for moment in axis.ticks()[:3]] == said
    assert len(axis.ticks()) <= 13


def test_a_line_is_broken_where_nothing_is_known_and_a_point_alone_is_a_dot() -> None:
    drawn = line([(0.0, 1.0), (2.0, 3.0), None, (4.0, 5.0), None, None], "red", "x")
    assert 'd="M0.0,1.0 L2.0,3.0M4.0,5.0M4.0,5.0h0.1"' in drawn
    assert line([None], "red", "x") == ""
