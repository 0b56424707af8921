"""How often plans come in another order than a predictor says."""

from __future__ import annotations

from benchmarks.plan_order import Ranked, disagreements


def test_counts_the_pairs_of_a_group_that_come_the_other_way_round() -> None:
    group = [Ranked(100.0, {"x": 1.0}), Ranked(120.0, {"x": 3.0}), Ranked(200.0, {"x": 2.0})]
    said = disagreements([group, [Ranked(1.0, {"x": 9.0})]], floor=0.05)
    assert said == {
        "order by x": "1 of 3 pairs (33.3%) in another order than measured; 0 of 1 pairs (0.0%) of those less than "
        "25% apart"
    }


def test_a_predictor_that_does_not_know_a_subject_says_nothing_of_its_pairs() -> None:
    known = [Ranked(100.0, {"x": 1.0, "y": 2.0}), Ranked(200.0, {"x": 2.0, "y": 1.0})]
    unknown = [Ranked(100.0, {"x": 2.0}), Ranked(200.0, {"x": 1.0})]
    said = disagreements([unknown, known], floor=0.05)
    assert "1 of 2 pairs" in str(said["order by x"])
    assert "1 of 1 pairs" in str(said["order by y"])


def test_pairs_within_the_noise_have_no_order() -> None:
    group = [Ranked(100.0, {"x": 2.0}), Ranked(101.0, {"x": 1.0}), Ranked(200.0, {"x": 3.0})]
    assert "0 of 2 pairs" in str(disagreements([group], floor=0.05)["order by x"])


def test_a_tie_is_no_order() -> None:
    group = [Ranked(100.0, {"x": 1.0}), Ranked(200.0, {"x": 1.0})]
    assert "1 of 1 pairs" in str(disagreements([group], floor=0.05)["order by x"])
