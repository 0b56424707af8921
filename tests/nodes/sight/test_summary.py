"""Requests that ended, in a few numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.chooser import Outcome
from nodes.sight.summary import latency, plan_summaries, prediction_error, quantile, stage_means
from tests.nodes.sight.views import ended, failed


def test_latency_is_of_what_was_answered() -> None:
    found = latency([failed(), *(ended(took_s=took_s) for took_s in (0.3, 0.1, 0.2))])
    assert found is not None
    assert (found.p50_s, found.p95_s) == (0.2, 0.3)
    assert latency([failed()]) is None


def test_the_wait_for_a_turn_was_not_predicted_and_is_no_error() -> None:
    assert ended(took_s=0.5, predicted_s=0.1, waited_s=0.3).error == pytest.approx(-0.5)


def test_the_error_has_a_sign_and_leaves_out_what_went_another_way() -> None:
    elsewhere = ended("cloud-only", outcome=Outcome("r", edge_s=9.0, finished_by="edge"))
    found = prediction_error([ended(took_s=0.2, predicted_s=0.1), elsewhere, failed()])
    assert found is not None
    assert (found.median, found.bias, found.count) == (0.5, -0.5, 1)
    assert prediction_error([elsewhere]) is None


def test_stages_are_means_over_answers() -> None:
    outcomes = (
        Outcome("a", edge_s=0.1, uplink_s=0.2, finished_by="edge"),
        Outcome("b", edge_s=0.3, finished_by="edge"),
    )
    means = stage_means([failed(), *(ended(outcome=one) for one in outcomes)])
    assert (means["edge_s"], means["uplink_s"], means["cloud_s"]) == pytest.approx((0.2, 0.1, 0.0))


def test_plans_come_with_most_requests_first_and_count_their_failures() -> None:
    first, second = plan_summaries([ended(), ended("cloud-only"), failed("cloud-only")])
    assert (first.name, first.count, first.failed) == ("cloud-only", 2, 1)
    assert (second.name, second.count, second.failed) == ("edge-only", 1, 0)
    assert (first.measured["edge_s"], first.predicted["edge_s"]) == (0.2, 0.1)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_is_one_of_the_values_that_a_share_does_not_exceed(values: list[float], share: float) -> None:
    found = quantile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
