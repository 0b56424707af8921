"""What a benchmark judges is what its goals say."""

from __future__ import annotations

import pytest

from benchmarks.adaptivity import Goodput
from benchmarks.slo import said
from simulations.site import Arrival, Served


@pytest.mark.parametrize(
    ("per_s", "rival_per_s", "holds"), [(2.0, 1.0, True), (1.99, 1.0, False), (0.5, 0.0, True), (0.5, None, True)]
)
def test_adaptivity_holds_only_with_its_goodput(per_s: float, rival_per_s: float | None, holds: bool) -> None:
    assert Goodput(per_s, rival_per_s).holds is holds


def test_what_a_quick_run_cannot_judge_it_says() -> None:
    assert "not judged" in Goodput(0.5).told
    assert Goodput(1.5, 1.0).told == "up to 1.50 a second, 1.50 times the best plan's 1.00, goal 2.0"
    assert Goodput(1.5, 0.0).told.startswith("up to 1.50 a second, beyond the best plan's 0.00")


def test_slo_tells_promises_from_predictions_by_kind_of_plan() -> None:
    ended = [
        Served(Arrival(0.0, 1), "p", 1.0, kind=kind, promised=kept)
        for kind, kept in (("split", True), ("edge-only", False))
    ]
    assert [said(one) for one in ended] == ["promised, split", "predicted, edge-only"]
