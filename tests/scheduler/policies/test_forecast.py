"""All plans predicted at once are as each is predicted alone."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan_table import Correction
from scheduler.policies.corrected import Corrections
from scheduler.policies.forecast import forecast
from scheduler.policies.latency import LatencyPolicy
from tests.scheduler.policies.plan_cases import cases, stages_of


@settings(deadline=None)
@given(cases())
def test_every_total_is_the_sum_of_the_plans_own_stages(case: tuple[ChoiceRequest, Link]) -> None:
    request, link = case
    expected = [stages_of(entry, request, link).total for entry in request.table.entries]
    assert forecast(request, link).total_s == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(cases())
def test_a_breakdown_has_the_waits_where_they_are_spent(case: tuple[ChoiceRequest, Link]) -> None:
    request, link = case
    found = forecast(request, link)
    for number, entry in enumerate(found.entries):
        stages, said = stages_of(entry, request, link), found.predicted(number)
        assert said.edge_s == pytest.approx(stages.edge_wait + stages.edge)
        assert said.uplink_s == pytest.approx(stages.up_wait + stages.up + stages.rtt / 2)
        assert said.cloud_s == pytest.approx(stages.cloud_wait + stages.cloud)
        assert said.downlink_s == pytest.approx(stages.down + stages.rtt / 2)
        assert said.overhead_s == pytest.approx(stages.besides)


@settings(deadline=None)
@given(cases())
def test_one_plan_alone_is_predicted_as_the_table_says(case: tuple[ChoiceRequest, Link]) -> None:
    request, link = case
    idle = request._replace(edge_queue_s=0.0, cloud_queue_s=0.0, uplink_queue_s=0.0, corrections={})
    found = forecast(idle, link)
    for number, entry in enumerate(found.entries):
        alone = entry.predict(idle.batch, idle.file_bytes, link, overhead_s=idle.overhead_s)
        assert found.predicted(number).total_s == pytest.approx(alone.total_s)


def test_what_was_learned_is_worked_out_once_for_each_size(table, request_of, link) -> None:  # type: ignore[no-untyped-def]
    known = Corrections({table.entries[0].plan.plan_id: Correction(edge=2.0)})
    one, again, larger = (known.amounts(table, "bytes", batch) for batch in (1, 1, 2))
    assert one is again
    assert larger is not one
    choices = [LatencyPolicy().choose(request_of(corrections=c), link, Random(0)) for c in (known, dict(known))]
    assert choices[0] == choices[1]


def test_amounts_of_another_table_are_worked_out_anew(table, request_of, entry, link) -> None:  # type: ignore[no-untyped-def]
    known, other = Corrections({}), type(table)("net", "d" * 64, (entry(edge_s=0.5),))
    forecast(request_of(corrections=known), link)
    assert forecast(request_of(corrections=known, table=other), link).total_s == [0.5]


def test_many_sizes_of_requests_do_not_pile_up(table) -> None:  # type: ignore[no-untyped-def]
    known = Corrections({})
    for batch in range(1, 200):
        known.amounts(table, "bytes", batch)
    assert len(known._amounts) <= 32
