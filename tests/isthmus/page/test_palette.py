"""Colours of plans: each another one, however many there are."""

from __future__ import annotations

import itertools
import math

import pytest

from isthmus.page.palette import plan_colour


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


@pytest.mark.parametrize("splits", [1, 2, 8, 9, 14, 20])
@pytest.mark.parametrize("clouds", [1, 4, 6])
def test_plans_are_told_apart_by_their_colours(splits: int, clouds: int) -> None:
    colours = [plan_colour("edge-only", 0, 1)]
    for kind, count in (("cloud-only", clouds), ("split", splits)):
        colours += [plan_colour(kind, place, count) for place in range(count)]
    nearest = min(math.dist(_rgb(one), _rgb(other)) for one, other in itertools.combinations(colours, 2))
    assert nearest > 25  # of 442 from black to white
