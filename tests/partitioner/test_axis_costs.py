"""The ways of tensors by cost: which may be taken, which is the cheapest."""

from __future__ import annotations

import math

import numpy as np

from partitioner.axis_costs import WayAxes
from partitioner.parametric_problem import Transfer

QUICK, SLOW = Transfer("quick", 0.0, 1.0, 0.0), Transfer("slow", 0.0, 3.0, 0.0)
WEIGHTS = np.array([1.0])


def axes(*ways: tuple[Transfer, ...]) -> WayAxes:
    return WayAxes.of(list(ways), lambda way: (way.wire_bytes,))


def test_a_closed_way_is_not_taken() -> None:
    both = axes((QUICK, SLOW))
    assert both.least(WEIGHTS).tolist() == [1.0]
    assert both.least(WEIGHTS, [(0, 0)]).tolist() == [3.0]
    assert both.cheapest([0], WEIGHTS, [(0, 0)]) == [1]
    assert both.least(WEIGHTS, [(0, 0), (0, 1)]).tolist() == [math.inf]


def test_a_way_that_is_not_there_may_be_closed() -> None:
    """An output has as many ways up as it has codecs and perhaps none down: closing one up closes nothing down."""
    down = axes((QUICK,), ())
    assert down.least(WEIGHTS, [(0, 1), (1, 1)]).tolist() == [1.0, math.inf]
    uneven = axes((QUICK,), (QUICK, SLOW))
    assert uneven.least(WEIGHTS, [(0, 1), (1, 0)]).tolist() == [1.0, 3.0]


def test_a_tensor_without_a_way_may_not_cross() -> None:
    assert axes((), (SLOW,)).least(WEIGHTS).tolist() == [math.inf, 3.0]
