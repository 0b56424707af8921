"""Plans that predictions cannot tell apart, and which of them is the surest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan_table import Correction, PlanEntry, PlanTable
from scheduler.policies.forecast import forecast
from scheduler.policies.steadiness import MOST_GIVEN_UP, Rival, rival_of, steadiest

Requests = Callable[..., ChoiceRequest]
Entries = Callable[..., PlanEntry]
# 10 ms for 10 kB, and for the answer's 4 kB 4 ms.
LINK = Link(8e6, 8e6, 0.02)


def request_for(*entries: PlanEntry, **facts: object) -> ChoiceRequest:
    return ChoiceRequest(PlanTable("net", "d" * 64, entries), "bytes", 1, **facts)  # type: ignore[arg-type]


def surest(request: ChoiceRequest) -> list[Rival]:
    found = forecast(request, LINK)
    return [rival_of(found, number) for number in steadiest(found, found.usable(), found.total_s).surest]


def kinds(request: ChoiceRequest) -> list[str]:
    entries = request.table.for_form(request.form)
    return [entries[rival.number].plan.kind for rival in surest(request)]


def spread_of(request: ChoiceRequest) -> float:
    return surest(request)[0].spread_s


def test_plans_that_differ_by_more_than_their_spreads_are_told_apart(entry: Entries) -> None:
    plans = entry(edge_s=0.100), entry("a", edge_s=0.0745, spread=0.018)  # 98.5 ms, of which 1.3 are unsure
    assert kinds(request_for(*plans)) == ["split"]


def test_of_plans_that_differ_by_less_the_surer_is_taken(entry: Entries) -> None:
    plans = entry(edge_s=0.100), entry("a", edge_s=0.0745, spread=0.022)
    assert kinds(request_for(*plans)) == ["edge-only"]


def test_the_quickest_plan_stays_where_it_is_the_surest(entry: Entries) -> None:
    plans = entry(edge_s=0.100, spread=0.06), entry("a", edge_s=0.0745)
    assert kinds(request_for(*plans)) == ["split"]


def test_a_split_is_not_taken_for_its_spread(entry: Entries) -> None:
    plans = entry("input", edge_s=0.072, spread=0.06), entry("a", edge_s=0.0735)  # 96 and 97.5 ms
    assert kinds(request_for(*plans)) == ["cloud-only"]


def test_plans_without_spreads_are_equal_within_one_percent_only(entry: Entries) -> None:
    assert kinds(request_for(entry(edge_s=0.1000), entry("a", edge_s=0.0752))) == ["edge-only", "split"]
    assert kinds(request_for(entry(edge_s=0.1010), entry("a", edge_s=0.0752))) == ["split"]


def test_plans_whose_spreads_differ_by_one_percent_of_the_time_are_as_sure(entry: Entries) -> None:
    plans = entry(edge_s=0.100, spread=0.010), entry("a", edge_s=0.076, spread=0.024)
    assert len(surest(request_for(*plans))) == 2


def test_no_doubt_gives_up_more_than_its_share(entry: Entries) -> None:
    plans = entry(edge_s=0.103), entry("a", edge_s=0.076, spread=0.5)  # 100 ms
    assert kinds(request_for(*plans)) == ["split"]


def test_an_unsure_link_makes_the_plans_unsure_that_use_it(entry: Entries) -> None:
    plans = entry(edge_s=0.1015), entry("a", edge_s=0.046, size=30_000)  # 100 ms, 30 of them on the uplink
    assert kinds(request_for(*plans)) == ["split"]
    assert kinds(request_for(*plans, uplink_spread=0.2)) == ["edge-only"]


def test_plans_that_send_alike_are_as_sure_of_their_difference_on_any_link(entry: Entries) -> None:
    plans = entry("a", edge_s=0.0400, size=30_000), entry("input", edge_s=0.0415, size=30_000)
    assert kinds(request_for(*plans, uplink_spread=0.9)) == ["split"]


def test_the_spread_is_that_of_all_stages_together(entry: Entries) -> None:
    plan = entry("a", edge_s=0.030, cloud_s=0.040, spread=0.1, size=50_000, spread_bytes=5_000)
    parts = (0.003, 0.004, 0.050 * 0.1, 0.050 * 0.02, 0.004 * 0.5)
    whole_s = sum(part**2 for part in parts) ** 0.5
    assert spread_of(request_for(plan, uplink_spread=0.02, downlink_spread=0.5)) == pytest.approx(whole_s)


def test_edge_only_is_as_sure_on_any_link(entry: Entries) -> None:
    assert spread_of(request_for(entry(edge_s=0.1, spread=0.02), uplink_spread=9.0)) == pytest.approx(0.002)


def test_a_slower_device_is_less_sure_in_seconds(entry: Entries) -> None:
    plan = entry(edge_s=0.1, spread=0.02)
    slow = {plan.plan.plan_id: Correction(edge=3.0)}
    assert spread_of(request_for(plan, corrections=slow)) == pytest.approx(0.006)


def test_items_of_a_batch_make_up_for_each_other(entry: Entries) -> None:
    request = request_for(entry("a", size=50_000, spread_bytes=5_000))._replace(batch=4)
    assert spread_of(request) == pytest.approx(0.005 / 2)


drawn = st.tuples(st.floats(0.01, 1.0), st.integers(0, 10**5), st.floats(0.0, 0.5))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(plans=st.lists(drawn, min_size=1, max_size=6), unsure=st.floats(0.0, 3.0))
def test_what_is_taken_is_near_the_quickest_and_no_less_sure(
    entry: Entries, plans: list[tuple[float, int, float]], unsure: float
) -> None:
    entries = [entry(str(n), edge_s=s, size=size, spread=spread) for n, (s, size, spread) in enumerate(plans)]
    request = request_for(*entries, uplink_spread=unsure)
    offered = forecast(request, LINK)
    steady, least_s = steadiest(offered, offered.usable(), offered.total_s), min(offered.total_s)
    assert offered.total_s[steady.quickest] == least_s
    for rival in (rival_of(offered, number) for number in steady.surest):
        assert offered.total_s[rival.number] <= least_s * (1 + MOST_GIVEN_UP) + 1e-12
        assert rival.spread_s <= rival_of(offered, steady.quickest).spread_s + 0.01 * least_s + 1e-12
