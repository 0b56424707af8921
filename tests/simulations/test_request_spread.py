"""By how much requests differ from their plan's costs."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import pytest

from partitioner.plan import TensorCodec
from simulations.request_spread import RequestSpread
from tests.simulations.test_site import SPLIT

TENTH = NormalDist().inv_cdf(0.1)


def test_measured_times_have_the_costs_as_their_tenth_percentile_and_the_spread_above_it_as_their_median() -> None:
    entry = replace(SPLIT, costs=replace(SPLIT.costs, edge_spread=0.2, cloud_spread=0.05))
    spread = RequestSpread.of(entry, "measured")
    assert [spread.factors((TENTH, 0.0, 0.0)).edge, spread.factors((0.0, 0.0, 0.0)).edge] == pytest.approx([1.0, 1.2])
    assert [spread.factors((0.0, 0.0, TENTH)).cloud, spread.factors((0.0, 0.0, 0.0)).cloud] == pytest.approx(
        [1.0, 1.05]
    )


def test_measured_sizes_have_their_mean_and_deviation() -> None:
    boundary = (
        TensorCodec("a", "raw", bytes=3000, spread_bytes=300),
        TensorCodec("b", "raw", bytes=1000, spread_bytes=400),
    )
    spread = RequestSpread.of(replace(SPLIT, plan=replace(SPLIT.plan, boundary=boundary)), "measured")
    drawn = [spread.factors((0.0, NormalDist().inv_cdf((n + 0.5) / 2000), 0.0)).size for n in range(2000)]
    mean = sum(drawn) / 2000
    deviation = math.sqrt(sum((one - mean) ** 2 for one in drawn) / 2000)
    assert mean == pytest.approx(1.0, rel=1e-3)
    assert deviation == pytest.approx(500 / 4000, rel=0.01)


def test_one_number_is_the_deviation_of_all_about_a_mean_of_one() -> None:
    spread = RequestSpread.of(SPLIT, 0.1)
    drawn = [spread.factors((NormalDist().inv_cdf((n + 0.5) / 2000), 0.0, 0.0)).edge for n in range(2000)]
    assert sum(drawn) / 2000 == pytest.approx(1.0, rel=1e-3)
    assert math.log(spread.factors((0.0, 0.0, 1.0)).cloud / spread.factors((0.0, 0.0, 0.0)).cloud) == pytest.approx(0.1)
    assert RequestSpread.of(SPLIT, 0.0).factors((3.0, 0.0, 0.0)).edge == 1.0


@pytest.mark.parametrize("measured", [True, False], ids=["measured", "one number"])
def test_what_the_edge_finishes_is_off_as_its_prefix_is_and_not_as_the_cloud(measured: bool) -> None:
    entry = replace(SPLIT, costs=replace(SPLIT.costs, edge_spread=0.2, cloud_spread=0.05))
    slow, quick = (
        RequestSpread.of(entry, "measured" if measured else 0.1).factors((draw, 0.0, -draw)) for draw in (1, -1)
    )
    assert (slow.finish, quick.finish) == (slow.edge, quick.edge)
    assert slow.finish > quick.finish
